"""What units and groups cause: the accuracy of each class with them and without them."""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Int

from interpjax.dissection.arguments import shown
from interpjax.models import apply_with_changes
from interpjax.visualization.arguments import UnitOrGroup, checked_classes, layer_shape, membership

Batch = tuple[Float[Array | np.ndarray, "_ h w 3"], Int[Array | np.ndarray, "_"]]  # of any number of images
# Values of the layer's maps that are in memory together, of all images of a batch and some sets: 256 MB. What follows
# takes a few times that.
AT_ONCE = 2**26
FILLED = -1  # the label of images that only fill a batch up, which is no class


@dataclasses.dataclass(frozen=True)
class Ablation:
    """How many images of each class are classified right, with all units and without each of some sets of them.

    Attributes:
      layer: whose units were set to zero.
      sets: the units that were set to zero together, from 0.
      images: number of images of each class.
      correct_before: of them, those classified right by the whole network.
      correct_after: those classified right without each set.
    """

    layer: str
    sets: tuple[tuple[int, ...], ...]
    images: Int[np.ndarray, " classes"]
    correct_before: Int[np.ndarray, " classes"]
    correct_after: Int[np.ndarray, "sets classes"]

    @property
    def accuracy_before(self) -> Float[np.ndarray, " classes"]:
        """Share of right ones in each class; NaN for a class without images."""
        return _share(self.correct_before, self.images)

    @property
    def accuracy_after(self) -> Float[np.ndarray, "sets classes"]:
        """As :attr:`accuracy_before`, without each set."""
        return _share(self.correct_after, self.images)

    def most_hurt(self, count: int = 3) -> pd.DataFrame:
        """The classes that lose most accuracy without each set, the greatest loss first.

        Args:
          count: classes for each set, at most; those that lose nothing are left out.

        Returns:
          A row for each: ``set`` (its number, from 0), ``class``, ``images``, ``before`` and ``after`` (accuracies),
          ``change`` (after − before). It is empty if nothing is lost.
        """
        change = self.accuracy_after - self.accuracy_before[None]
        rows = []
        for number, own in enumerate(change):
            for cls in np.argsort(own, kind="stable")[:count]:  # NaN is last
                if own[cls] < 0:
                    before, after = self.accuracy_before[cls], self.accuracy_after[number, cls]
                    rows.append((number, int(cls), int(self.images[cls]), before, after, own[cls]))
        return pd.DataFrame(rows, columns=["set", "class", "images", "before", "after", "change"])


def ablate(
    model: nn.Module,
    variables: Mapping[str, Any],
    batches: Iterable[Batch],
    layer: str,
    units_or_groups: Sequence[UnitOrGroup],
) -> Ablation:
    """Sets units, or groups of them, to zero and counts the images of each class that are still classified right.

    The maps of a unit are set to zero behind the non-linearity, so that nothing after the layer sees it. The maps up to
    the layer are computed once for as many sets as memory allows, and what follows anew for each. It is compiled once
    for each network, layer and shape of a batch; a batch of fewer images than the first is filled up.

    Args:
      model: a network that offers the layer.
      variables: its variables.
      batches: of normalized images and the number of each one's class; ``[(images, labels)]`` for one. Those without
        images are skipped.
      layer: whose units.
      units_or_groups: each the number of a unit, from 0, or those of a group, which are set to zero together.

    Raises:
      ValueError: if there is no batch with images, no such layer, unit, group or class, images are not normalized,
        images and labels differ in number, variables lack a collection, or the network cannot be hashed.

    References:
      Bau et al., *Understanding the role of individual units in a deep neural network*, PNAS 2020, "The role of units".
    """
    members, masks, size = np.zeros((0, 0), np.float32), [], 0
    counts: Any = 0
    for batch in batches:
        images, labels = _checked(model, variables, batch)
        if not len(images):
            continue
        if not size:
            size, shape = len(images), layer_shape(model, variables, layer, images.shape)
            members = membership(layer, shape[-1], units_or_groups)
            masks = _masks(members, at_once=max(1, AT_ONCE // (size * math.prod(shape))))
        full = _filled(images, labels, max(size, len(images)))
        found = [_correct(model, layer, variables, *full, mask) for mask in masks]
        counts = counts + np.concatenate([found[0][:1], *(each[1:] for each in found)])
    if not size:
        raise ValueError("batches: there is none with images; expected one or more, as [(images, labels)]")
    sets = tuple(tuple(np.flatnonzero(own).tolist()) for own in members)
    return Ablation(layer, sets, counts[0], counts[1], counts[2 : 2 + len(sets)])


def _masks(members: Float[np.ndarray, "sets channels"], at_once: int) -> list[Float[np.ndarray, "some channels"]]:
    """What maps are multiplied with: 1 first, then 0 for each set; in parts of one size, the last filled up with 1."""
    masks = np.concatenate([np.ones_like(members[:1]), 1 - members])
    parts = -(-len(masks) // at_once)
    size = -(-len(masks) // parts)
    return np.split(np.pad(masks, ((0, parts * size - len(masks)), (0, 0)), constant_values=1), parts)


def _checked(model: nn.Module, variables: Mapping[str, Any], batch: Any) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise ValueError(f"batches: one is {shown(batch)}; expected batches, as [(images, labels)]")
    images, labels = batch
    return np.asarray(images), np.asarray(checked_classes("labels", model, variables, images, labels))


def _filled(images: np.ndarray, labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    missing = size - len(images)
    filled = np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)))
    return filled, np.pad(labels, (0, missing), constant_values=FILLED)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _correct(
    model: nn.Module,
    layer: str,
    variables: Mapping[str, Any],
    images: Float[Array, "n h w 3"],
    labels: Int[Array, " n"],
    masks: Float[Array, "sets channels"],
) -> Int[Array, "sets+1 classes"]:
    """The images of each class, then those of them that are classified right under each mask."""

    def logits(mask: Float[Array, " channels"]) -> Float[Array, "n classes"]:
        own = {layer: lambda maps: maps * mask.astype(maps.dtype)[None, None, None]}
        return apply_with_changes(model, variables, images, own)

    found = jax.vmap(logits)(masks)
    classes = jax.nn.one_hot(labels, found.shape[-1], dtype=jnp.int32)  # all 0 for an image that fills up
    right = (found.argmax(axis=-1) == labels[None]).astype(jnp.int32)
    return jnp.concatenate([classes.sum(axis=0)[None], right @ classes])


def _share(correct: Int[np.ndarray, "*sets classes"], images: Int[np.ndarray, " classes"]) -> np.ndarray:
    return np.divide(correct, images, out=np.full(correct.shape, np.nan), where=images > 0)
