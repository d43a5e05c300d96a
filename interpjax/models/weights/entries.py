"""Checks that stored weights are those of a network."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from interpjax.errors import UserError


def check_entries(
    what: str,
    arrays: Mapping[str, Shaped[np.ndarray, "..."]],
    expected: Mapping[str, tuple[int, ...]],
    stored_names: Mapping[str, str] | None = None,
) -> None:
    """Checks that every expected array is there, in its shape and of finite numbers, and that no other is.

    Args:
      what: what the arrays are, as ``"weights of resnet18"``, for the error message.
      arrays: the arrays by name.
      expected: the shape of each expected array by its name.
      stored_names: the name of an array in its file, where that differs from its name here; for the error message.

    Raises:
      UserError: naming every array that is missing, surplus, of another shape, or of other numbers, such as NaN.
    """
    stored = {name: name for name in arrays} | dict(stored_names or {})
    problems = [f"{name} is missing, expected {shape}" for name, shape in expected.items() if name not in arrays]
    problems += [f"{stored[name]} is surplus, expected no such entry" for name in arrays if name not in expected]
    for name in expected:
        if name in arrays and arrays[name].shape != expected[name]:
            problems.append(f"{stored[name]} has the shape {arrays[name].shape}, expected {expected[name]}")
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, jnp.floating):
            problems.append(f"{stored[name]} is of dtype {array.dtype}, expected floating-point numbers")
        elif count := np.size(array) - np.count_nonzero(np.isfinite(array)):
            problems.append(f"{stored[name]} has {count} numbers that are not finite, expected none")
    if sum("has the shape" in problem for problem in problems) > 1:
        problems.append("is it a network of another width?")
    if problems:
        raise UserError(f"{what}: {'; '.join(problems)}")
