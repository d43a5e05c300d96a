"""The image of a class as a network sees it."""

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from interpjax.visualization.arguments import check_classes, check_key
from interpjax.visualization.pictures import Image, draw_movements, moved


def class_model(
    model: nn.Module,
    variables: Mapping[str, Any],
    cls: int,
    key: jax.Array,
    *,
    image_size: int = 224,
    steps: int = 256,
    learning_rate: float = 1.0,
    decay: float = 1e-3,
) -> Float[Array, "image_size image_size 3"]:
    r"""The image of a class: :math:`\arg\max_I S_c(I) - \lambda \|I\|_2^2`, found by gradient ascent.

    It begins at 0, the mean of the normalized training images, and the image is moved by a few pixels at random before
    each step. It is compiled once for each network and size, whichever the class.

    Args:
      model: a flax module that is called as ``model(images, train=False)``.
      variables: its variables.
      cls: number of the class, from 0.
      key: of the movements.
      image_size: side in pixels.
      steps: of gradient ascent.
      learning_rate: length of a step, which goes along the gradient divided by its norm.
      decay: λ.

    Returns:
      A normalized image, as the network sees it; :func:`displayed` gives it in 0..1.

    Raises:
      ValueError: if the network has no such class or cannot be hashed, variables lack a collection, or ``key`` is none.

    References:
      Simonyan et al., *Deep Inside Convolutional Networks*, ICLR workshop 2014, Sec. 2.
    """
    check_key(key)
    check_classes("cls", model, variables, (1, image_size, image_size, 3), cls)
    return _ascended(model, image_size, variables, cls, draw_movements(key, steps), learning_rate, decay)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _ascended(
    model: nn.Module,
    image_size: int,
    variables: Mapping[str, Any],
    cls: Int[Array, ""],
    movements: Float[Array, "steps 4"],
    learning_rate: Float[Array, ""],
    decay: Float[Array, ""],
) -> Image:
    def score(image: Image, movement: Float[Array, "4"]) -> Float[Array, ""]:
        logits: Any = model.apply(variables, moved(image, movement[:2])[None], train=False)
        return logits[0, cls] - decay * jnp.sum(jnp.square(image))

    def step(image: Image, movement: Float[Array, "4"]) -> tuple[Image, None]:
        gradient = jax.grad(score)(image, movement)
        length = jnp.sqrt(jnp.sum(jnp.square(gradient)))
        # Where no pixel matters to the score, 0 / 0 would end the ascent.
        return image + learning_rate * gradient / jnp.maximum(length, jnp.finfo(length.dtype).tiny), None

    return jax.lax.scan(step, jnp.zeros((image_size, image_size, 3)), movements)[0]
