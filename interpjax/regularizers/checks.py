"""Checks the kinds and shapes of arguments. They run while a function is traced, so that they cost a step nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from interpjax.regularizers.groups import Grouping

MAPS = "[images, height, width, filters]"


def check_kernel(kernel: Any) -> None:
    """Raises ValueError unless the argument is an array of weights of one layer."""
    if not hasattr(kernel, "dtype"):
        raise ValueError(
            f"kernel: a {type(kernel).__name__}; expected one layer's kernel, an array (for a network's parameters use "
            "block_norm_penalty)"
        )
    check_floating("kernel", kernel, "weights")
    if kernel.ndim == 0:
        raise ValueError("kernel: shape (); expected the filters on the last axis")


def check_grouping(grouping: Any) -> None:
    """Raises ValueError unless the argument is the grouping of one layer."""
    if not isinstance(grouping, Grouping):
        raise ValueError(f"grouping = {grouping!r}: expected a Grouping, such as Grouping(num_groups=5)")


def check_groupings(grouping: Any) -> None:
    """Raises ValueError unless the argument is a grouping, or a mapping of name patterns to groupings or None."""
    if isinstance(grouping, Grouping):
        return
    if not hasattr(grouping, "items"):
        raise ValueError(f"grouping = {grouping!r}: expected a Grouping, or {{name pattern: Grouping or None}}")
    for pattern, group in grouping.items():
        if group is not None and not isinstance(group, Grouping):
            raise ValueError(f"grouping[{pattern!r}] = {group!r}: expected a Grouping, or None to leave the layer out")


def check_maps(name: str, maps: Any) -> None:
    """Raises ValueError unless an argument has the shape and kind of activation maps or soft receptive fields."""
    check_shape(name, maps, (None, None, None, None), MAPS)
    check_floating(name, maps, "maps")


def check_shape(name: str, array: Any, shape: tuple[int | None, ...], words: str) -> None:
    """Raises ValueError unless an array has the given shape, in which None stands for any length."""
    found = np.shape(array)
    if len(found) != len(shape) or any(want not in (None, have) for want, have in zip(shape, found, strict=True)):
        raise ValueError(f"{name}: shape {found}; expected {words}")


def check_floating(name: str, array: Any, words: str) -> None:
    """Raises ValueError unless an array has a floating-point dtype."""
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"{name}: of dtype {array.dtype}; expected floating-point {words}")


def check_amount(name: str, value: Any) -> None:
    """Raises ValueError unless a value is a number of 0 or more. Inside jit it is not known, and not checked."""
    if isinstance(value, jax.core.Tracer):
        return
    numbers = np.asarray(value)
    if not jnp.issubdtype(numbers.dtype, jnp.number) or not np.all(numbers >= 0):  # also refuses nan
        raise ValueError(f"{name} = {value if hasattr(value, 'dtype') else repr(value)}: expected 0 or more")
