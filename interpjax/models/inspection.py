"""What can be tapped of a network: names, shapes, receptive fields and parameters."""

import dataclasses
import functools

import jax
import jax.numpy as jnp

from interpjax.models import layers as outline
from interpjax.models import receptive_fields, taps
from interpjax.models.classifier import Classifier

FieldMap = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]  # (y, x) of offset, size and stride


@dataclasses.dataclass(frozen=True)
class LayerInfo:
    """A layer that can be tapped.

    Attributes:
      name: of its parameters and taps.
      shape: (height, width, channels) of its output.
      stages: that it can be tapped at, see :func:`~interpjax.models.apply_with_taps`.
      kernel: (height, width, inputs of a group, filters) of a convolution; empty for a block of them.
      norm: the batch norm behind it, if there is one.
      parameters: how many, those of that batch norm included; of a block, of all that is in it.
      receptive_field: (offset, size, stride), each (y, x) in pixels of the image: cell i sees ``size`` pixels from
        ``offset + i·stride`` on, what is outside of the image being padding; as ``fieldmaps`` of a dissection wants
        it. None where a cell sees the whole image.
    """

    name: str
    shape: tuple[int, int, int]
    stages: tuple[str, ...]
    kernel: tuple[int, ...]
    norm: str | None
    parameters: int
    receptive_field: FieldMap | None


def layers(model: Classifier, image_size: int = outline.IMAGE) -> tuple[LayerInfo, ...]:
    """The layers of a network in order of execution, on square images of a size; nothing is computed.

    ``pandas.DataFrame(models.layers(model))`` is a table of them.

    Args:
      model: of this package.
      image_size: pixels a side.

    Raises:
      ValueError: if the images are too small for the network.
    """
    shape = (image_size, image_size)
    fields = _fields(model.clone(axis_name=None, parent=None), shape)
    return tuple(
        LayerInfo(layer.name, layer.shape, layer.stages, layer.kernel, layer.norm, layer.parameters, fields[layer.name])
        for layer in outline.of(model, shape)
    )


@functools.cache
def _fields(model: Classifier, image_shape: tuple[int, int]) -> dict[str, FieldMap | None]:
    images = jax.ShapeDtypeStruct((1, *image_shape, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    names = tuple(layer.name for layer in outline.of(model, image_shape))

    def maps(variables, images):
        return taps.apply_with_taps(model, variables, images, layers=names, stage="pre")[1]

    found = receptive_fields.receptive_fields(maps, variables, images)
    return {name: _fieldmap(*own) if own else None for name, own in found.items()}


def _fieldmap(rows: receptive_fields.Axis, columns: receptive_fields.Axis) -> FieldMap:
    return (rows.offset, columns.offset), (rows.size, columns.size), (rows.stride, columns.stride)
