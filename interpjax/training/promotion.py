"""Lets optax, whose schedules and optimizers mix integers with floats, run where JAX's dtype promotion is strict."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import optax


def promoting(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, run under JAX's default promotion, by which integers become floats."""

    @functools.wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return function(*arguments, **named)

    return run


def promoting_optimizer(optimizer: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """The same optimizer, run under JAX's default promotion."""
    whole = optax.with_extra_args_support(optimizer)
    return optax.GradientTransformationExtraArgs(promoting(whole.init), promoting(whole.update))
