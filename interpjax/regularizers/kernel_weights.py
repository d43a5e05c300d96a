"""The block norm seen as multiple-kernel learning, in which each group's kernel has a weight."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from interpjax.regularizers.checks import check_amount, check_floating, check_shape
from interpjax.regularizers.norms import at_least_float32, check_exponent


def kernel_weights(norms: Float[Array, " groups"], q: float) -> Float[Array, " groups"]:
    r"""Weights of the groups in the multiple-kernel learner that the squared block norm is.

    The squared ℓq norm of the group norms is what the best weights make of a weighted sum of squares,

    .. math:: \|n\|_q^2 = \min_{\beta \ge 0,\ \|\beta\|_r \le 1} \sum_g \frac{n_g^2}{\beta_g},
              \qquad q = \frac{2r}{r+1}, \quad r = \frac{q}{2-q},

    and this function gives these weights, :math:`\beta_g = (n_g / \|n\|_q)^{2-q}`, for which
    :math:`\|\beta\|_r = 1`. The exponent q = 1 is r = 1, q = 4/3 is r = 2, and q = 2 is r = ∞, where all weights
    are 1.

    A group of norm 0 has the weight 0, and its term 0/0 counts as 0. At q = 2 it has the weight 1 like all others,
    although any weight from 0 to 1 would do. Where all norms are 0 any weights would do, and for q < 2 all are given
    as 0. Gradients are finite. For 1 < q < 2 a weight has no derivative by its own norm where that is 0, and 0 is
    given in its place.

    Args:
      norms: n, one number of 0 or more for each group, as :func:`group_norms` gives them.
      q: the exponent across the groups, 1 to 2, a Python number (static under jit).

    Returns:
      β, one weight from 0 to 1 for each group, in the dtype of the norms (bfloat16 and float16 are computed in
      float32). It does not change when all norms are multiplied by one number.

    Raises:
      ValueError: if q is not from 1 to 2, the norms are not floating-point numbers in one row, or a norm that is
        known is negative.

    References:
      Kloft, Brefeld, Sonnenburg, Zien, *ℓp-Norm Multiple Kernel Learning*, JMLR 2011; Micchelli and Pontil, *Learning
      the Kernel Function via Regularization*, JMLR 2005.
    """
    check_exponent("q", q, highest=2, use="kernel weights")
    check_shape("norms", norms, (None,), "[groups], as group_norms gives them")
    check_floating("norms", norms, "numbers")
    check_amount("norms", norms)
    if q == 2:
        return jnp.ones_like(norms)
    wide, power = at_least_float32(norms), 2 - float(q)
    # The weights do not depend on the scale, so that the gradient may take it for a constant.
    largest = jax.lax.stop_gradient(jnp.max(wide))
    scale = jnp.where(largest > 0, largest, 1)
    total = jnp.sum((wide / scale) ** float(q))
    # Powers of at most 1 stay in the range of the dtype, where the ratio of a tiny norm to a huge one would not.
    weights = _power(wide, power) / _power(scale, power) / _power(jnp.where(total > 0, total, 1), power / float(q))
    return weights.astype(norms.dtype)


def _power(x: Array, exponent: float) -> Array:
    """A power from 0 to 1, whose derivative at 0 is given as 0 where it has none."""
    if exponent == 1:
        return x
    return jnp.where(x > 0, jnp.where(x > 0, x, 1) ** exponent, 0)
