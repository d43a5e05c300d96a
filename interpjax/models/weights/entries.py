"""The one check of stored weights against those that a network has."""

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
    """Checks that there is each expected array, of its shape and of floating-point numbers, and no other.

    Args:
      what: the arrays are, for errors: ``"weights of resnet18"``.
      arrays: by name.
      expected: name → shape.
      stored_names: name → what it is called where the arrays are from, if that is another name.

    Raises:
      UserError: naming every array that is missing, surplus, of another shape, or of other numbers.
    """
    stored = {name: name for name in arrays} | dict(stored_names or {})
    problems = [f"{name} is missing" for name in expected if name not in arrays]
    problems += [f"{stored[name]} is surplus" for name in arrays if name not in expected]
    for name in expected:
        if name in arrays and arrays[name].shape != expected[name]:
            problems.append(f"{stored[name]} has the shape {arrays[name].shape}, expected {expected[name]}")
    for name, array in arrays.items():
        if not jnp.issubdtype(array.dtype, jnp.floating):
            problems.append(f"{stored[name]} is of dtype {array.dtype}, expected floating-point numbers")
    if problems:
        raise UserError(f"{what}: {'; '.join(problems)}")
