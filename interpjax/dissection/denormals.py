"""Numbers nearer to 0 than the smallest normal one: 0 for all who compare activations, on the device and the host.

XLA on CPUs computes with denormal numbers as if they were 0, NumPy with what they are, and GPUs partly as the one and
partly as the other. So that a threshold and what exceeds it are of the same numbers, they are made 0 first.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num


def flush_denormals(maps: Num[Array | np.ndarray, "*shape"]) -> Float[Array, "*shape"]:
    """Activations as they are thresholded and counted: float64 stays so, all else becomes float32; denormals are 0.

    Denormal are numbers nearer to 0 than the smallest normal one of the result's dtype, 1.2e-38 in float32 and 2.2e-308
    in float64. No zero is negative; every other number stays as it is, infinite ones and NaN too. May be called
    inside jit.

    Args:
      maps: real numbers, of any dtype and shape; those of a device stay there.
    """
    with jax.enable_x64(True):  # so that float64 stays float64
        return _flush(maps)


@jax.jit
def _flush(maps: Array) -> Array:
    maps = maps if maps.dtype == jnp.float64 else maps.astype(jnp.float32)
    kind = jnp.uint64 if maps.dtype == jnp.float64 else jnp.uint32
    exponent = np.array(np.inf, maps.dtype).view(kind)  # whose bits are those of the exponent, all set
    bits = jax.lax.bitcast_convert_type(maps, kind)  # a comparison of floats would take denormals for 0, or would not
    return jnp.where((bits & exponent) == 0, jnp.zeros((), maps.dtype), maps)
