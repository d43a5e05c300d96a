"""The network of a configuration: one by name, one of the user's own class, or one with published weights."""

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from interpjax import models, parallel
from interpjax.data.sources import Source
from interpjax.errors import UserError
from interpjax.imports import is_import_path
from interpjax.models.zoo import find_model
from interpjax.training import kept_steps
from interpjax.workdir import read_facts, stage_is_done

Variables = dict[str, Any]


def check_origin(config: ConfigDict, workdir: Path, stages: Sequence[str]) -> None:
    """Checks that the stages of a run have a network: one with weights, or one that is or was trained here.

    Args:
      config: the experiment.
      workdir: the run's folder.
      stages: the stages that are asked for.

    Raises:
      UserError: naming the field, if there is no network, its training has not come to its end, or a network is to be
        trained from the start with settings that are for imported weights only.
    """
    weights, settings = config.model.weights, config.data
    if "train" not in stages:
        if is_trained(workdir) and not stage_is_done(workdir, "train"):
            raise UserError(
                f"stages: the training in workdir {workdir} has not come to its end; add train to the stages "
                f"{', '.join(stages)}"
            )
        if not weights and not is_trained(workdir):
            raise UserError(
                f"config.model.weights = '': there is no network for the stages {', '.join(stages)}; expected a file "
                "of weights, or train among the stages"
            )
        return
    if weights:
        return
    if settings.channels != "RGB":
        raise UserError(
            f"config.data.channels = {settings.channels!r}: expected 'RGB' without config.model.weights; of published "
            "weights, give config.model.weights their file"
        )
    if settings.mean_image:
        raise UserError(
            f"config.data.mean_image = {settings.mean_image!r}: expected '' without config.model.weights, and "
            "config.data.mean instead"
        )


def is_trained(workdir: Path, stages: Sequence[str] = ()) -> bool:
    """Whether the run's network is one that is trained here, from its first checkpoint on; else it is an imported one.

    Args:
      workdir: the run's folder.
      stages: the stages that are to be run.
    """
    return "train" in stages or bool(kept_steps(workdir)) or stage_is_done(workdir, "train")


def check_name(config: ConfigDict) -> None:
    """Checks that the name of the network is known or the import path of a class, and that its weights can be imported.

    Raises:
      UserError: naming the field.
    """
    name, weights = config.model.name, config.model.weights
    if is_import_path(name) and weights:
        raise UserError(
            f"config.model.weights = {weights!r}: weights are imported for the networks of interpjax alone, and "
            f"config.model.name = {name!r} is a class of your own; dissect it with interpjax.dissection.from_jax"
        )
    find_model("config.model.name", name)


def create(config: ConfigDict, workdir: Path, source: Source | None, imported: Variables | None) -> nn.Module:
    """Makes the network for parallel steps, and checks it on images of the configured size.

    Its number of classes is that of the imported weights if there are any, else that of the data, else that of the
    training in the workdir.

    Args:
      config: the experiment.
      workdir: the run's folder.
      source: the data to train and test on, if they are opened.
      imported: the variables out of ``config.model.weights``, if the network is with them as they are.

    Raises:
      UserError: naming the field, if there is no such network, it cannot take images of this size, or the data have
        another number of classes than the weights.
    """
    check_name(config)
    if imported is not None:
        classes = np.size(imported["params"][_create(config, 1).head]["bias"])
        _check_classes(config, classes, source)
    elif source is not None:
        classes = len(source.class_names)
    else:
        classes = len(read_facts(workdir)["class_names"])
    model, size = _create(config, classes), config.data.image_size
    try:
        models.check_logits(model, classes, size)
    except UserError as error:
        raise UserError(f"config.model.name = {config.model.name!r}: {error}") from error
    except ValueError as error:
        if not isinstance(model, models.Classifier):
            raise  # the error comes from the user's own code
        raise UserError(f"config.data.image_size = {size}: {error}") from error
    surplus = set(models.outline(model, size).variables) - {"params", "batch_stats"}
    if surplus:
        raise UserError(
            f"config.model.name = {config.model.name!r}: it has variables of the collection {min(surplus)!r}; expected "
            "params and batch_stats alone, which are what training keeps"
        )
    return model


def read_weights(config: ConfigDict) -> Variables | None:
    """The variables in ``config.model.weights``, as float32 arrays; None if no file is named.

    Raises:
      UserError: naming the field, if the file cannot be read or its weights are of another network.
    """
    settings = config.model
    if not settings.weights:
        return None
    try:
        variables = models.load_weights(settings.name, settings.weights, width=settings.width)
    except OSError as error:
        raise _unreadable("config.model.weights", settings.weights, error) from error
    except ValueError as error:
        raise UserError(f"config.model.weights: {error}") from error  # the error names the file
    return jax.tree.map(lambda array: np.asarray(array, np.float32), variables)


def start_of(model: nn.Module, imported: Variables) -> Variables:
    """The imported variables that a training starts from: all, or without the last layer if its classes are others."""
    assert isinstance(model, models.Classifier)  # weights are imported for these alone
    head = model.head
    if np.size(imported["params"][head]["bias"]) == model.num_classes:
        return imported
    return {
        collection: {layer: leaves for layer, leaves in own.items() if layer != head}
        for collection, own in imported.items()
    }


def digests(config: ConfigDict, *, missing_ok: bool = False) -> dict[str, str]:
    """The digests of the files that decide what an imported network computes, as ``{field: "sha256:…"}``.

    Args:
      config: the experiment.
      missing_ok: whether a file that is not there is left out, rather than being an error.

    Raises:
      UserError: naming the field, if a file cannot be read.
    """
    files = {"config.model.weights": config.model.weights, "config.data.mean_image": config.data.mean_image}
    found = {}
    for field, path in files.items():
        if path and not (missing_ok and not Path(path).is_file()):
            try:
                with Path(path).open("rb") as file:
                    found[field] = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
            except OSError as error:
                raise _unreadable(field, path, error) from error
    return found


def _unreadable(field: str, path: str, error: OSError) -> UserError:
    return UserError(f"{field} = {path!r}: cannot be read ({error.strerror}); expected a readable file")


def _create(config: ConfigDict, classes: int) -> Any:
    settings = config.model
    _check_declared(config)
    try:
        return models.create_model(
            settings.name,
            num_classes=classes,
            width=settings.width,
            dropout=settings.dropout,
            dtype=None if settings.dtype == "float32" else jnp.dtype(settings.dtype),  # None: that of the images
            axis_name=parallel.AXIS,
            **({"remat": True} if settings.remat else {}),
        )
    except UserError as error:  # for instance, the class has no field that the configuration sets
        raise UserError(f"config.model.{error}") from error


def _check_declared(config: ConfigDict) -> None:
    """Raises UserError if a field asks for what the network's class has no field for."""
    settings = config.model
    if settings.dtype != "float32" and not declares(settings.name, "dtype"):
        raise UserError(
            f"config.model.dtype = {settings.dtype!r}: the class of config.model.name = {settings.name!r} has no field "
            "dtype; expected 'float32', or `dtype: Any = None` in the class, for its layers to compute in"
        )
    if settings.remat and not declares(settings.name, "remat"):
        known = ", ".join(name for name in models.MODELS if declares(name, "remat"))
        raise UserError(
            f"config.model.remat = True: expected False with config.model.name = {settings.name!r}; the networks that "
            f"can compute maps anew are {known}, and any class of your own with a field remat"
        )


def declares(name: str, field: str) -> bool:
    """Whether the class of a network, by its name, has a field."""
    make = find_model("config.model.name", name)
    cls: Any = getattr(make, "func", make)  # of a partial
    return any(declared.name == field for declared in dataclasses.fields(cls))


def _check_classes(config: ConfigDict, classes: int, source: Source | None) -> None:
    if source is not None and len(source.class_names) != classes:
        raise UserError(
            f"config.data.source = {config.data.source!r}: it has {len(source.class_names)} classes, the network of "
            f"config.model.weights = {config.model.weights!r} has {classes}; leave the stage evaluate out, or give "
            "test images of all its classes"
        )
