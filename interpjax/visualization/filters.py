"""The filters of a network's first convolution as small pictures, arranged by group."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import Float, Int

from interpjax.models import outline
from interpjax.preprocessing import CHANNELS
from interpjax.regularizers import Grouping


@dataclasses.dataclass(frozen=True)
class FirstLayerFilters:
    """The filters of a first convolution, those of a group beside each other, those of no group last.

    Attributes:
      layer: the convolution.
      pictures: kernels as RGB between 0 and 1. Weight 0 is grey, 0.5, and the largest magnitude of each filter 0 or 1.
      units: the number of each filter, from 0.
      groups: the group of each filter, from 0; -1 for none.
    """

    layer: str
    pictures: Float[np.ndarray, "filters h w 3"]
    units: Int[np.ndarray, " filters"]
    groups: Int[np.ndarray, " filters"]


def first_layer_filters(
    model: nn.Module,
    variables: Mapping[str, Any],
    grouping: Grouping,
    *,
    channels: str = "RGB",
    image_size: int = 224,
) -> FirstLayerFilters:
    """The kernels of the convolution that sees the image, which are pictures of what its filters look for.

    Args:
      model: a network that offers its first convolution.
      variables: its variables.
      grouping: of its filters.
      channels: the order of the network's image channels, ``"RGB"`` or ``"BGR"``, as ``preprocessing.channels`` has it.
      image_size: side in pixels of images that the network takes.

    Raises:
      ValueError: if the network offers no convolution, the variables have no kernel of it, the first one does not see
        three channels, the grouping is not one of filters, or the layer has too few filters for it.
    """
    if grouping.axis != "filters":
        raise ValueError(f"grouping.axis = {grouping.axis!r}: expected 'filters'")
    if channels not in CHANNELS:
        raise ValueError(f"channels = {channels!r}: choose one of {', '.join(CHANNELS)}")
    layers = outline(model, image_size).convolutions
    if not layers:
        raise ValueError(f"model: {type(model).__name__} offers no convolution; expected one with a kernel NAME/kernel")
    kernels = flatten_dict(dict(variables.get("params", {})), sep="/")
    if f"{layers[0]}/kernel" not in kernels:
        raise ValueError(
            f"variables: 'params' have no {layers[0]}/kernel; expected the kernel of the first convolution"
        )
    kernel = np.asarray(kernels[f"{layers[0]}/kernel"], np.float32)
    if kernel.ndim != 4 or kernel.shape[2] != 3:
        raise ValueError(
            f"layer {layers[0]!r}: its kernel has the shape {kernel.shape}; expected [height, width, 3, filters], of "
            "the three channels of an image"
        )
    groups = np.full(kernel.shape[-1], -1)
    for number, members in enumerate(grouping.members(kernel.shape[-1])):
        groups[members] = number
    units = np.argsort(np.where(groups < 0, len(groups), groups), kind="stable")
    pictures = _pictures(kernel[:, :, ::-1] if channels == "BGR" else kernel)
    return FirstLayerFilters(layers[0], pictures[units], units, groups[units])


def _pictures(kernel: Float[np.ndarray, "h w 3 filters"]) -> Float[np.ndarray, "filters h w 3"]:
    kernels = np.moveaxis(kernel, -1, 0)
    largest = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True)
    return 0.5 + 0.5 * np.divide(kernels, largest, out=np.zeros_like(kernels), where=largest > 0)
