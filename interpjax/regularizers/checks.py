"""Checks of the kinds and shapes of arguments; these are known before anything is compiled, so that no step pays."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from interpjax.regularizers.groups import Grouping

MAPS = "[images, height, width, filters]"


def check_kernel(kernel: Any) -> None:
    """Raises ValueError unless it is an array of weights of one layer."""
    if not hasattr(kernel, "dtype"):
        raise ValueError(
            f"kernel: a {type(kernel).__name__}; expected one layer's kernel, an array (for a network's parameters use "
            "block_norm_penalty)"
        )
    check_floating("kernel", kernel, "weights")
    if kernel.ndim == 0:
        raise ValueError("kernel: shape (); expected the filters on the last axis")


def check_grouping(grouping: Any) -> None:
    """Raises ValueError unless it is the grouping of one layer."""
    if not isinstance(grouping, Grouping):
        raise ValueError(f"grouping = {grouping!r}: expected a Grouping, such as Grouping(num_groups=5)")


def check_groupings(grouping: Any) -> None:
    """Raises ValueError unless it is a grouping, or one (or None) for each of some name patterns."""
    if isinstance(grouping, Grouping):
        return
    if not hasattr(grouping, "items"):
        raise ValueError(f"grouping = {grouping!r}: expected a Grouping, or {{name pattern: Grouping or None}}")
    for pattern, group in grouping.items():
        if group is not None and not isinstance(group, Grouping):
            raise ValueError(f"grouping[{pattern!r}] = {group!r}: expected a Grouping, or None to leave the layer out")


def check_maps(name: str, maps: Any) -> None:
    """Raises ValueError unless these are activation maps, or fields."""
    check_shape(name, maps, (None, None, None, None), MAPS)
    check_floating(name, maps, "maps")


def check_shape(name: str, array: Any, shape: tuple[int | None, ...], words: str) -> None:
    """Raises ValueError unless an array has a shape, in which None is any length."""
    found = np.shape(array)
    if len(found) != len(shape) or any(want not in (None, have) for want, have in zip(shape, found, strict=True)):
        raise ValueError(f"{name}: shape {found}; expected {words}")


def check_floating(name: str, array: Any, words: str) -> None:
    """Raises ValueError unless an array is of floating-point numbers."""
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(f"{name}: of dtype {array.dtype}; expected floating-point {words}")


def check_amount(name: str, value: Any) -> None:
    """Raises ValueError if a value that is known is no number of 0 or more; inside jit it is not known."""
    if isinstance(value, jax.core.Tracer):
        return
    numbers = np.asarray(value)
    if not jnp.issubdtype(numbers.dtype, jnp.number) or not np.all(numbers >= 0):  # also refuses nan
        raise ValueError(f"{name} = {value if hasattr(value, 'dtype') else repr(value)}: expected 0 or more")
