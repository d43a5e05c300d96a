"""Batch norm as PyTorch keeps its statistics, over one device's part of the batch or over all of them."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

MOMENTUM = 0.9  # of the running statistics; PyTorch's momentum is 1 minus it


class BatchNorm(nn.Module):
    """(x − mean) / √(variance + ε), scaled and shifted for each channel.

    flax.linen's own keeps the minibatch's biased variance; here the running variance is the unbiased one, as in
    PyTorch, so that networks trained here and there are the same. Statistics are of float32 at least.

    Attributes:
      train: whether to use the minibatch's statistics, and to move the running ones towards them.
      epsilon: added to the variance.
      dtype: of the result; that of x by default.
      axis_name: of the devices over which statistics are shared.

    References:
      Ioffe and Szegedy, *Batch Normalization*, ICML 2015; the running variance is that of its algorithm 2.
    """

    train: bool
    epsilon: float = 1e-5
    dtype: Any = None
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "*positions c"]) -> Float[Array, "*positions c"]:
        """The same shape."""
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        wide = x.astype(np.promote_types(x.dtype, np.float32))
        if self.train and not self.is_initializing():
            mean, var, count = self._statistics(wide)
            if self.is_mutable_collection("batch_stats"):
                unbiased = var * (count / max(count - 1, 1))
                running_mean.value = MOMENTUM * running_mean.value + (1 - MOMENTUM) * mean
                running_var.value = MOMENTUM * running_var.value + (1 - MOMENTUM) * unbiased
        else:
            mean, var = running_mean.value, running_var.value
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        mean, factor, bias = (jnp.expand_dims(own, tuple(range(x.ndim - 1))) for own in (mean, factor, bias))
        return ((wide - mean) * factor + bias).astype(self.dtype or x.dtype)

    def _statistics(self, x: Float[Array, "*positions c"]) -> tuple[Float[Array, " c"], Float[Array, " c"], int]:
        """Mean, biased variance and number of values of each channel."""
        axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
        mean = x.mean(axes, keepdims=True)
        if self.axis_name is not None:
            mean = jax.lax.pmean(mean, self.axis_name)
            count *= jax.lax.psum(1, self.axis_name)
        var = jnp.square(x - mean).mean(axes)
        if self.axis_name is not None:
            var = jax.lax.pmean(var, self.axis_name)
        return mean.reshape(-1), var, count
