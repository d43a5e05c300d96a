"""Networks with the maps of some layers changed on the way: for what they cause further on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
from jax.extend import core
from jaxtyping import Array, Float

from interpjax.models.taps import apply_with_taps

Change = Callable[[Float[Array, "n h w c"]], Float[Array, "n h w c"]]


def apply_with_changes(
    model: nn.Module,
    variables: Mapping[str, Any],
    images: Float[Array, "n h w 3"],
    changes: Mapping[str, Change],
    *,
    stage: str = "post",
) -> Float[Array, "n classes"]:
    """The logits of a network in which the maps of some layers are replaced by what a function makes of them.

    The network is traced, and from where a layer's maps are known on it goes on with those that take their place.
    So the network's own code needs nothing for it, and what is changed is seen by all that comes after. Under
    ``jax.vmap`` over what a function alone depends on, what comes before the layer is computed once.

    Args:
      model: as of :func:`~interpjax.models.apply_with_taps`.
      variables: of the network.
      images: normalized images.
      changes: by layer, a function of its maps to maps of the same shape. Two layers that share their maps are changed
        one after the other, in this order.
      stage: where the maps are changed, as of :func:`~interpjax.models.apply_with_taps`.

    Raises:
      ValueError: if there is no such stage or layer, a function gives maps of another shape, or the layer runs inside
        of a transformed module (``nn.remat``, ``nn.jit``), where it cannot be changed.
    """
    layers = tuple(changes)

    def traced(variables: Any, images: Any) -> Any:
        logits, maps = apply_with_taps(model, variables, images, layers=layers, stage=stage)
        return [logits, *(maps[layer] for layer in layers)]

    closed = jax.make_jaxpr(traced)(variables, images)
    logits, *taps = closed.jaxpr.outvars
    reached = {outvar for eqn in closed.jaxpr.eqns if not _hides(eqn) for outvar in eqn.outvars}
    for layer, tap in zip(layers, taps, strict=True):
        if tap not in reached:
            raise ValueError(
                f"layer {layer!r}: its maps cannot be changed inside of a transformed module, as by nn.remat; "
                "expected a network without"
            )
    changing: dict[Any, list[tuple[str, Change]]] = {}  # two layers may share their maps, as a block and its last one
    for layer, tap in zip(layers, taps, strict=True):
        changing.setdefault(tap, []).append((layer, changes[layer]))
    return _evaluated(closed, jax.tree.leaves((variables, images)), logits, changing)


def _hides(eqn: core.JaxprEqn) -> bool:
    """Whether what is computed of maps inside of this, besides them, would not see a change of them."""
    inner = any(isinstance(value, core.Jaxpr | core.ClosedJaxpr) for value in eqn.params.values())
    return inner and len(eqn.outvars) > 1


def _evaluated(
    closed: core.ClosedJaxpr, inputs: list[Any], wanted: Any, changing: Mapping[Any, list[tuple[str, Change]]]
) -> Array:
    """One output of a traced function, with some of its variables changed as soon as they are known."""
    values: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    values |= dict(zip(closed.jaxpr.invars, inputs, strict=True))

    def value(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for eqn in closed.jaxpr.eqns:
        with eqn.ctx.manager:
            found = eqn.primitive.bind(*map(value, eqn.invars), **eqn.primitive.get_bind_params(eqn.params))
        for outvar, each in zip(eqn.outvars, found if eqn.primitive.multiple_results else [found], strict=True):
            values[outvar] = _changed(each, changing.get(outvar, ()))
    return value(wanted)


def _changed(maps: Array, changes: Sequence[tuple[str, Change]]) -> Array:
    for layer, change in changes:
        found = change(maps)
        if found.shape != maps.shape:
            raise ValueError(
                f"layer {layer!r}: its maps {maps.shape} were changed to {found.shape}; expected the same shape"
            )
        maps = found.astype(maps.dtype)
    return maps
