"""Receptive fields, read off what a network computes: no layer states its own."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax.extend.core import Literal

SPATIAL = (1, 2)  # axes of NHWC


@dataclasses.dataclass(frozen=True)
class Axis:
    """What the cells of a map see along one axis of the image: cell i the pixels offset + i·stride … + size − 1.

    Pixels outside of the image are padding, so ``offset`` may be negative.
    """

    offset: int
    size: int
    stride: int

    def through(self, window: int, stride: int, padding: int, dilation: int = 1) -> "Axis":
        """What windows over these cells see."""
        return Axis(
            self.offset - padding * self.stride,
            self.size + (window - 1) * dilation * self.stride,
            self.stride * stride,
        )

    def beside(self, other: "Axis") -> "Axis":
        """What both see together; both have a cell for each of the same places."""
        assert self.stride == other.stride, (self, other)
        offset = min(self.offset, other.offset)
        return Axis(offset, max(self.offset + self.size, other.offset + other.size) - offset, self.stride)


Field = tuple[Axis, Axis]  # rows, columns
WHOLE = ()  # of what sees all of the image, or is no map
Seen = Field | tuple[()] | None  # None: nothing of the image


def receptive_fields(
    function: Callable[[Any, Any], Mapping[str, Any]], variables: Any, images: Any
) -> dict[str, Field | None]:
    """What a cell of each map that a function of variables and images gives can see of the images.

    Args:
      function: of variables and images [n, height, width, channels] to ``{name: map}``.
      variables: or their shapes and dtypes.
      images: or their shape and dtype.

    Returns:
      The field of each map, of rows and of columns; None where a cell sees the whole image.
    """
    traced, shapes = jax.make_jaxpr(function, return_shape=True)(variables, images)
    start = (Axis(0, 1, 1), Axis(0, 1, 1))
    seen = _outputs(traced.jaxpr, [*[None] * len(jax.tree.leaves(variables)), start])
    names = jax.tree.leaves({name: name for name in shapes})
    return {name: own or None for name, own in zip(names, seen, strict=True)}


def _outputs(jaxpr: Any, inputs: Sequence[Seen]) -> list[Seen]:
    """What the results of a jaxpr see, given what its arguments do."""
    seen: dict[Any, Seen] = dict(zip(jaxpr.invars, inputs, strict=True))
    look = lambda var: None if isinstance(var, Literal) else seen.get(var)  # noqa: E731
    for step in jaxpr.eqns:
        own = [look(var) for var in step.invars]
        inner = _inner(step)
        found = _outputs(inner, own[-len(inner.invars) :]) if inner else [_after(step, own)] * len(step.outvars)
        seen.update(zip(step.outvars, found, strict=True))
    return [look(var) for var in jaxpr.outvars]


def _inner(step: Any) -> Any:
    """The jaxpr that a step calls, as of a jitted function or one with a derivative of its own."""
    called = next((step.params[name] for name in ("jaxpr", "call_jaxpr", "fun_jaxpr") if name in step.params), None)
    return getattr(called, "jaxpr", called)


def _after(step: Any, inputs: Sequence[Seen]) -> Seen:
    """What the result of one step sees."""
    name = step.primitive.name
    fields = [own for own in inputs if own]
    if all(own is None for own in inputs):
        return None
    if WHOLE in inputs or len(step.outvars[0].aval.shape) != 4:
        return WHOLE
    if name == "conv_general_dilated":
        return _after_convolution(step, fields[0])
    if name.startswith("reduce_window"):
        sizes, strides, padding = (step.params[key] for key in ("window_dimensions", "window_strides", "padding"))
        rows, columns = (
            own.through(sizes[axis], strides[axis], padding[axis][0])
            for own, axis in zip(fields[0], SPATIAL, strict=True)
        )
        return rows, columns
    places = {var.aval.shape[1:3] for var, own in zip(step.invars, inputs, strict=True) if own is not None}
    if places != {step.outvars[0].aval.shape[1:3]}:  # as a mean over all positions, or a transposition
        return WHOLE
    return functools.reduce(lambda left, right: (left[0].beside(right[0]), left[1].beside(right[1])), fields)


def _after_convolution(step: Any, field: Field) -> Field:
    numbers = step.params["dimension_numbers"]
    assert tuple(numbers.lhs_spec[2:]) == SPATIAL == tuple(numbers.out_spec[2:]), numbers
    sizes = [step.invars[1].aval.shape[axis] for axis in numbers.rhs_spec[2:]]
    strides, padding, dilation = (step.params[key] for key in ("window_strides", "padding", "rhs_dilation"))
    rows, columns = (own.through(sizes[i], strides[i], padding[i][0], dilation[i]) for i, own in enumerate(field))
    return rows, columns
