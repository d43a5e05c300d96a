"""Networks that were trained elsewhere: their weights, read from a file, and what a configuration may ask of them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from interpjax import models
from interpjax.data import Source

Variables = dict[str, Any]


def check_stages(config: ConfigDict, stages: Sequence[str], *, trained: bool) -> None:
    """Checks that the stages of a run have a network, and that training is as the network is used.

    Args:
      config: the experiment.
      stages: that are asked for.
      trained: whether the run's network has been trained before.

    Raises:
      ValueError: naming the field.
    """
    weights, settings = config.model.weights, config.data
    if "train" in stages:
        if weights:
            raise ValueError(
                f"config.model.weights = {weights!r}: training from imported weights is not supported; leave train out "
                "of the stages, as in --stages=dissect,report"
            )
        if settings.channels != "RGB":
            raise ValueError(f"config.data.channels = {settings.channels!r}: networks are trained here on RGB only")
        if settings.mean_image:
            raise ValueError(
                f"config.data.mean_image = {settings.mean_image!r}: networks are trained here with config.data.mean "
                "only; leave it empty"
            )
    elif not weights and not trained:
        raise ValueError(
            f"config.model.weights = '': the stages {', '.join(stages)} need a network, and nothing is trained without "
            "the stage train; give a file of weights"
        )


def digests(config: ConfigDict, *, missing_ok: bool = False) -> dict[str, str]:
    """The content of the files that decide what an imported network computes: ``{field: "sha256:…"}``.

    Args:
      config: the experiment.
      missing_ok: leave out files that are not there.

    Raises:
      ValueError: naming the field, if a file cannot be read.
    """
    files = {"config.model.weights": config.model.weights, "config.data.mean_image": config.data.mean_image}
    found = {}
    for field, path in files.items():
        if path and not (missing_ok and not Path(path).is_file()):
            try:
                with Path(path).open("rb") as file:
                    found[field] = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            except OSError as error:
                raise ValueError(f"{field} = {path!r}: cannot be read ({error.strerror})") from error
    return found


def read_variables(config: ConfigDict) -> Variables:
    """The variables in ``config.model.weights``, as float32 arrays.

    Raises:
      ValueError: naming the field, if the file cannot be read or its weights are of another network.
    """
    settings = config.model
    try:
        variables = models.load_weights(settings.name, settings.weights, width=settings.width)
    except (ValueError, OSError) as error:
        raise ValueError(f"config.model.weights: {error}") from error  # which names the file
    return jax.tree.map(lambda array: np.asarray(array, np.float32), variables)


def check_size(config: ConfigDict, model: models.Classifier) -> None:
    """Raises ValueError, naming the field, if the images are too small for the network; nothing is computed."""
    size = config.data.image_size
    images = jax.ShapeDtypeStruct((1, size, size, 3), "float32")
    try:
        jax.eval_shape(lambda x: model.clone(axis_name=None).init(jax.random.key(0), x), images)
    except ValueError as error:
        raise ValueError(f"config.data.image_size = {size}: {error}") from error


def check_classes(config: ConfigDict, model: models.Classifier, source: Source) -> None:
    """Raises ValueError, naming the fields, if data to evaluate on have another number of classes."""
    if len(source.class_names) != model.num_classes:
        raise ValueError(
            f"config.data.source = {config.data.source!r}: it has {len(source.class_names)} classes, the network of "
            f"config.model.weights = {config.model.weights!r} has {model.num_classes}; leave the stage evaluate "
            "out, or give test images of all its classes"
        )
