"""Pictures of what a network looks for and what its units cause, as the report shows them, made with one another."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from interpjax.dissection import Dissection
from interpjax.models import outline
from interpjax.preprocessing import Preprocessing
from interpjax.regularizers import Grouping
from interpjax.visualization.activation_maximization import maximize_activations
from interpjax.visualization.class_model import class_model
from interpjax.visualization.filters import first_layer_filters
from interpjax.visualization.pictures import displayed
from interpjax.visualization.saliency import grad_cam, saliency
from interpjax.visualization.thumbnails import encode

SIDE = 160  # pixels of a picture
FILTER_SIDE = 44  # pixels of a small filter, enlarged
GREY = 0.25  # of an image on which heat is laid


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network and what is known of it.

    Attributes:
      model: the network.
      variables: its variables.
      preprocessing: of its images.
      image_size: side of them in pixels.
      results: of the layers that were dissected.
      groupings: of their filters, where they are in groups.
      class_names: in the order of the labels; empty where they are not known.
      images: some images, as large as the network sees them.
      seed: of what is drawn at random.
      most: units of each layer, groups, classes and images of each kind at most.
    """

    model: nn.Module
    variables: Mapping[str, Any]
    preprocessing: Preprocessing
    image_size: int
    results: Mapping[str, Dissection]
    groupings: Mapping[str, Grouping]
    class_names: Sequence[str]
    images: UInt8[np.ndarray, "n size size 3"]
    seed: int
    most: int

    def class_name(self, number: int) -> str:
        """The name of a class, or its number where names are not known."""
        return self.class_names[number] if self.class_names else f"class {number}"

    def detectors(self, layer: str) -> list[int]:
        """The detectors of a layer with the largest IoU, at most ``most``; other units where there are none."""
        iou = self.results[layer].iou.max(axis=1)
        order = np.argsort(-iou, kind="stable")
        chosen = [int(unit) for unit in order if iou[unit] >= self.results[layer].protocol.detector_iou]
        return (chosen or order.tolist())[: self.most]

    def groups(self, layer: str) -> list[tuple[int, ...]]:
        """The units of each group of a layer, of at most ``most`` groups."""
        if layer not in self.groupings:
            return []
        members = self.groupings[layer].members(len(self.results[layer].thresholds))
        return [tuple(int(unit) for unit in own) for own in members][: self.most]


class Shown(NamedTuple):
    """A picture.

    Attributes:
      kind: of picture, a name of ``KINDS``.
      layer: whose units; empty for classes and images.
      number: of the unit or group, from 0; −1 for others.
      text: what it is.
      picture: a WebP file.
    """

    kind: str
    layer: str
    number: int
    text: str
    picture: bytes


def gallery(subject: Subject, kinds: Sequence[str]) -> tuple[list[Shown], dict[str, str]]:
    """The pictures of some kinds, names of ``KINDS``, in their order.

    Returns:
      The pictures; and of each kind that cannot be made of this network the reason, as of one whose first convolution
      does not see the three channels of an image.
    """
    shown: list[Shown] = []
    left_out = {}
    for kind in KINDS:
        if kind in kinds:
            try:
                shown += KINDS[kind](subject)
            except ValueError as error:  # by which the functions say what they expect of a network
                left_out[kind] = str(error)
    return shown, left_out


def _filters(subject: Subject) -> list[Shown]:
    layers = outline(subject.model, subject.image_size).convolutions
    if not layers or layers[0] not in subject.results:  # whose units have no place on the page
        return []
    grouping = subject.groupings.get(layers[0], Grouping(num_groups=1))
    found = first_layer_filters(
        subject.model,
        subject.variables,
        grouping,
        channels=subject.preprocessing.channels,
        image_size=subject.image_size,
    )
    return [
        Shown(
            "filters",
            found.layer,
            int(unit),
            f"group {group + 1}" if group >= 0 and found.layer in subject.groupings else "",
            _encoded(own, FILTER_SIDE),
        )
        for own, unit, group in zip(found.pictures, found.units, found.groups, strict=True)
    ]


def _maximized(subject: Subject, kind: str) -> list[Shown]:
    shown = []
    for layer in subject.results:
        units = subject.detectors(layer)
        sets: Sequence[Any] = units if kind == "maximized_units" else subject.groups(layer)
        if not len(sets):
            continue
        images = maximize_activations(
            subject.model,
            subject.variables,
            layer,
            sets,
            jax.random.key(subject.seed),
            image_size=subject.image_size,
            preprocessing=subject.preprocessing,
        )
        names = units if kind == "maximized_units" else range(len(sets))
        for number, image in zip(names, displayed(images, subject.preprocessing), strict=True):
            what = "unit" if kind == "maximized_units" else "group"
            shown.append(Shown(kind, layer, int(number), f"{layer} {what} {number + 1}", _encoded(image)))
    return shown


def _class_models(subject: Subject) -> list[Shown]:
    count = _logits(subject, subject.images[:1]).shape[1]
    shown = []
    for number in range(min(count, subject.most)):
        key = jax.random.key(subject.seed)
        image = class_model(subject.model, subject.variables, number, key, image_size=subject.image_size)
        picture = _stretched(displayed(image, subject.preprocessing))
        shown.append(Shown("class_models", "", -1, subject.class_name(number), _encoded(picture)))
    return shown


def _heat(subject: Subject, kind: str) -> list[Shown]:
    images = subject.images[: subject.most]
    classes = np.asarray(_logits(subject, images).argmax(axis=1))
    inputs = jnp.asarray(subject.preprocessing(images))
    if kind == "saliency":
        heat = np.asarray(saliency(subject.model, subject.variables, inputs, classes))
        text = "{}"
    else:
        layer = list(subject.results)[-1]
        heat = np.asarray(grad_cam(subject.model, subject.variables, inputs, classes, layer))
        text = f"{{}}, by {layer}"
    return [
        Shown(kind, "", -1, text.format(subject.class_name(int(cls))), _encoded(_warmed(image, own)))
        for image, own, cls in zip(images, heat, classes, strict=True)
    ]


def _logits(subject: Subject, images: UInt8[np.ndarray, "n size size 3"]) -> Float[np.ndarray, "n classes"]:
    inputs = jnp.asarray(subject.preprocessing(images))
    return np.asarray(jax.jit(functools.partial(subject.model.apply, train=False))(subject.variables, inputs))


def _stretched(picture: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """A pale picture with all of its range."""
    low, high = picture.min(), picture.max()
    return (picture - low) / max(high - low, 1e-6)


def _warmed(
    image: UInt8[np.ndarray, "size size 3"], heat: Float[np.ndarray, "h w"]
) -> Float[np.ndarray, "size both 3"]:
    """An image, and beside it the same darkened, bright where the heat is; its largest 1 % is all bright."""
    top = max(float(np.quantile(heat, 0.99)), 1e-12)
    size = image.shape[:2]
    own = cv2.resize(np.clip(heat / top, 0, 1).astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)
    picture = image / np.float32(255)
    return np.concatenate([picture, picture * (GREY + (1 - GREY) * own[..., None])], axis=1)


def _encoded(picture: Float[np.ndarray, "h w 3"], side: int = SIDE) -> bytes:
    """A WebP file of a picture in 0..1, enlarged pixel by pixel or made smaller to this height."""
    height, width = picture.shape[:2]
    size = (round(width * side / height), side)
    how = cv2.INTER_NEAREST if height < side else cv2.INTER_AREA
    pixels = np.rint(255 * picture).astype(np.uint8)
    return encode(cv2.resize(pixels, size, interpolation=how))


KINDS: dict[str, Callable[[Subject], list[Shown]]] = {
    "filters": _filters,
    "maximized_units": functools.partial(_maximized, kind="maximized_units"),
    "maximized_groups": functools.partial(_maximized, kind="maximized_groups"),
    "class_models": _class_models,
    "saliency": functools.partial(_heat, kind="saliency"),
    "grad_cam": functools.partial(_heat, kind="grad_cam"),
}
