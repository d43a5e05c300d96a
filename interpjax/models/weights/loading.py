"""Loads the weights of a model from a file."""

from pathlib import Path
from typing import Any

from interpjax.errors import UserError
from interpjax.models.weights.files import read_weights
from interpjax.models.weights.squeezenet_places365 import has_published_names, import_squeezenet_places365
from interpjax.models.weights.torch import create_classifier, import_torch


def load_weights(name: str, path: str | Path, *, num_classes: int | None = None, **fields: Any) -> dict[str, Any]:
    """The variables of a model with the weights in a file. No code in the file is run.

    Args:
      name: name of the model, one of ``MODELS``.
      path: a file that :func:`~interpjax.models.read_weights` reads, whose arrays are named as in the model's PyTorch
        definition (see :func:`~interpjax.models.import_torch`); for ``squeezenet_places365`` also as its weights were
        published.
      num_classes: number of classes of the model; by default as many as the stored last layer has.
      **fields: fields of the model, as in :func:`~interpjax.models.zoo.create_model`.

    Returns:
      ``{"params": …}``, and ``"batch_stats"`` where there are any, of numpy arrays.

    Raises:
      UserError: if there is no such model, or the file cannot be read; otherwise naming the file, and every entry that
        is missing, surplus, or of another shape.
    """
    create_classifier(name, num_classes=1, **fields)  # tells of a wrong name before a large file is read
    arrays = read_weights(path)
    published = name == "squeezenet_places365" and has_published_names(arrays)
    try:
        if published:
            return import_squeezenet_places365(arrays, num_classes=num_classes, **fields)
        return import_torch(name, arrays, num_classes=num_classes, **fields)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
