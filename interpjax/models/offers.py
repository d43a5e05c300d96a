"""How a network offers the activation maps of its layers while it runs. Only those that are asked for are kept.

The maps of each layer at each tap are sown in a flax collection of their own. The caller then chooses among them by
the collections that it names as ``mutable``. One more collection holds notes on the layers, which only
:func:`interpjax.models.outline` reads.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from interpjax.errors import UserError

TAPS = ("conv", "norm", "pre", "post")  # the points of a layer where its maps can be taken, in order of execution
NOTES = "outline"  # the name of the collection that holds the notes on layers


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Note:
    """What a network tells of one of its layers.

    Attributes:
      taps: the maps of the layer, by tap.
      layer: the name of the layer.
      behind: the name of the batch norm behind the layer; None if there is none.
      summed: whether something is added between that batch norm and the non-linearity.
    """

    taps: dict[str, Any]
    layer: str = dataclasses.field(metadata={"static": True})
    behind: str | None = dataclasses.field(metadata={"static": True})
    summed: bool = dataclasses.field(metadata={"static": True})


def offer(module: nn.Module, layer: str, *, behind: str | None = None, **taps: Float[Array, "n h w c"]) -> None:
    """Offers the maps of a layer, so that it can be tapped, regularized and dissected.

    Call it in the ``__call__`` of a module: ``models.offer(self, "conv1", pre=x, post=nn.relu(x))``. Maps that nobody
    asks for are not kept.

    Args:
      module: the module that runs, which may lie inside others.
      layer: the path of the layer's parameters in the whole network, as ``"conv1"``. A module inside others writes
        ``"/".join((*self.path, "conv1"))``, which is ``"block/conv1"`` in a module called block. A path without a
        kernel stands for a block of layers.
      behind: the path of the batch norm behind the layer, if there is one.
      **taps: the maps of the layer, at one or more of ``conv`` (the output of the convolution itself), ``norm``
        (behind its batch norm), ``pre`` (what the next non-linearity sees) and ``post`` (behind that non-linearity).

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
    if module.is_initializing():  # sown maps would become a part of the network's variables
        return
    for tap, maps in taps.items():
        module.sow(collection(layer, tap), "maps/", maps)  # the name must be no module's, and none of these has a slash
    summed = "norm" in taps and "pre" in taps and behind is not None and taps["norm"] is not taps["pre"]
    module.sow(NOTES, f"{layer}/", Note(taps, layer, behind, summed))


def collection(layer: str, tap: str) -> str:
    """The name of the flax collection in which the maps of a layer at a tap are sown."""
    return f"tap:{layer}/{tap}"


def maps_of(sown: Mapping[str, Any], layers: Sequence[str], tap: str) -> dict[str, Float[Array, "n _ _ _"]]:
    """The maps of some layers at a tap, out of the collections that a network has sown.

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
    """The notes on all layers, out of the collections that a network has sown, in order of execution.

    Raises:
      UserError: if two layers have one name.
    """
    notes = list(_notes_in(sown.get(NOTES, {})))
    names = [note.layer for note in notes]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UserError(f"layer {twice[0]!r} is offered {names.count(twice[0])} times: expected a name for each layer")
    return notes


def _notes_in(sown: Any) -> Iterator[Note]:
    """All notes in a tree, in the tree's own order; JAX would sort its names."""
    if isinstance(sown, Note):
        yield sown
    else:
        for inner in sown.values() if isinstance(sown, Mapping) else sown:
            yield from _notes_in(inner)
