"""Layers that a network offers while it runs: its maps by layer and tap, kept only where they are asked for.

Each tap of each layer is sown in a collection of its own, so that flax's filter of mutable collections chooses
among them. Another collection, of notes on the layers, is for :func:`interpjax.models.outline` alone.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from interpjax.errors import UserError

TAPS = ("conv", "norm", "pre", "post")  # in order of execution
NOTES = "outline"  # the collection of notes


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Note:
    """What a network says of a layer.

    Attributes:
      taps: its maps.
      layer: its name.
      behind: the batch norm behind it.
      summed: whether something is added between that batch norm and the non-linearity.
    """

    taps: dict[str, Any]
    layer: str = dataclasses.field(metadata={"static": True})
    behind: str | None = dataclasses.field(metadata={"static": True})
    summed: bool = dataclasses.field(metadata={"static": True})


def offer(module: nn.Module, layer: str, *, behind: str | None = None, **taps: Float[Array, "n h w c"]) -> None:
    """Offers the maps of a layer, so that it can be tapped, regularized and dissected.

    To be called inside of a module's ``__call__``: ``models.offer(self, "conv1", pre=x, post=nn.relu(x))``. Maps that
    nobody asks for are not kept.

    Args:
      module: the module that runs, of any depth.
      layer: the path of the layer's parameters in the whole network, as ``"conv1"``, or ``"block/conv1"`` for those
        of a module in another: ``"/".join((*self.path, "conv1"))``. A name without a kernel is that of a block.
      behind: the path of the batch norm behind it, if there is one.
      **taps: its maps, one or more of ``conv`` (of the convolution itself), ``norm`` (behind its batch norm), ``pre``
        (what the next non-linearity sees) and ``post`` (behind that).

    Raises:
      ValueError: if a tap has another name, or maps are not [images, height, width, channels].
    """
    for tap, maps in taps.items():
        if tap not in TAPS:
            raise ValueError(f"layer {layer!r} is offered at {tap!r}: expected one of {', '.join(TAPS)}")
        if maps.ndim != 4:
            raise ValueError(
                f"layer {layer!r} is offered at {tap!r} with the shape {maps.shape}: expected maps [images, height, "
                "width, channels]"
            )
    if module.is_initializing():  # a network's variables hold no activations
        return
    for tap, maps in taps.items():
        module.sow(collection(layer, tap), "maps/", maps)  # a sown name may be no module's, and none has a slash
    summed = "norm" in taps and "pre" in taps and behind is not None and taps["norm"] is not taps["pre"]
    module.sow(NOTES, f"{layer}/", Note(taps, layer, behind, summed))


def collection(layer: str, tap: str) -> str:
    """The flax collection that the maps of a layer at a tap are sown in."""
    return f"tap:{layer}/{tap}"


def maps_of(sown: Mapping[str, Any], layers: Sequence[str], tap: str) -> dict[str, Float[Array, "n _ _ _"]]:
    """The maps of some layers in what a network has sown.

    Raises:
      UserError: if a layer was not offered exactly once.
    """
    found = {}
    for layer in layers:
        offered = jax.tree.leaves(sown.get(collection(layer, tap), {}))
        if len(offered) != 1:
            raise UserError(
                f"layer {layer!r}: its maps {tap!r} were offered {len(offered)} times, expected once in every run"
            )
        found[layer] = offered[0]
    return found


def notes_of(sown: Mapping[str, Any]) -> list[Note]:
    """The notes on all layers in what a network has sown, in order of execution.

    Raises:
      UserError: if two have one name.
    """
    notes = list(_notes_in(sown.get(NOTES, {})))
    names = [note.layer for note in notes]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"layer {twice[0]!r} is offered {names.count(twice[0])} times: expected a name for each layer")
    return notes


def _notes_in(sown: Any) -> Iterator[Note]:
    """Unlike JAX, which sorts the names of a tree, this keeps their order."""
    if isinstance(sown, Note):
        yield sown
    else:
        for inner in sown.values() if isinstance(sown, Mapping) else sown:
            yield from _notes_in(inner)
