"""Images on which a unit, or the units of a group, respond most, made by gradient ascent."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from interpjax.models import apply_with_taps
from interpjax.preprocessing import Preprocessing
from interpjax.training.promotion import promoting_optimizer
from interpjax.visualization import fourier
from interpjax.visualization.arguments import UnitOrGroup, check_key, layer_shape, membership
from interpjax.visualization.pictures import Image, constants, draw_movements, normalized, transformed

AT_ONCE = 4  # images that are made side by side


def maximize_activation(
    model: nn.Module,
    variables: Mapping[str, Any],
    layer: str,
    unit_or_group: UnitOrGroup,
    key: jax.Array,
    *,
    image_size: int = 224,
    steps: int = 64,
    learning_rate: float = 0.05,
    preprocessing: Preprocessing | None = None,
) -> Float[Array, "image_size image_size 3"]:
    """An image on which a unit, or the units of a group, respond most: that of :func:`maximize_activations` for one."""
    return maximize_activations(
        model,
        variables,
        layer,
        [unit_or_group],
        key,
        image_size=image_size,
        steps=steps,
        learning_rate=learning_rate,
        preprocessing=preprocessing,
    )[0]


def maximize_activations(
    model: nn.Module,
    variables: Mapping[str, Any],
    layer: str,
    units_or_groups: Sequence[UnitOrGroup],
    key: jax.Array,
    *,
    image_size: int = 224,
    steps: int = 64,
    learning_rate: float = 0.05,
    preprocessing: Preprocessing | None = None,
) -> Float[Array, "sets image_size image_size 3"]:
    """For each of some units or groups an image on which it responds most.

    What is raised is the mean, over positions and the units of a group, of the maps *before* the non-linearity, for a
    unit that is not active has no gradient behind it. The image is made of Fourier coefficients with decorrelated
    colours (:mod:`~interpjax.visualization.fourier`), and is moved, scaled and turned a little at random before each
    step, so that no pattern of single pixels comes out. It is compiled once for each network, layer and size.

    Args:
      model: a network that offers the layer.
      variables: its variables.
      layer: whose units.
      units_or_groups: for each image the number of a unit, from 0, or those of a group.
      key: of the beginnings and the movements.
      image_size: side in pixels.
      steps: of Adam; with 64 the images excited their units more than any photograph did (docs/visualization.md).
      learning_rate: of Adam.
      preprocessing: of the network's images, within whose range the image stays; by default that of ImageNet.

    Returns:
      Normalized images, as the network sees them; :func:`displayed` gives them in 0..1.

    Raises:
      ValueError: if there is no such layer, unit or group, ``preprocessing`` is of images of another size, the network
        cannot be hashed, variables lack a collection, or ``key`` is none.

    References:
      Olah et al., *Feature Visualization*, Distill 2017.
    """
    check_key(key)
    channels = layer_shape(model, variables, layer, (1, image_size, image_size, 3))[-1]
    members = membership(layer, channels, units_or_groups)
    weights = jnp.asarray(members / members.sum(axis=1, keepdims=True))
    mean, std, bgr = constants(preprocessing, image_size)
    at_once = min(AT_ONCE, len(weights))
    numbers = np.arange(-(-len(weights) // at_once) * at_once)  # the last ones fill up, for one compilation to do
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(numbers)
    images = [
        _maximized(
            model, layer, steps, bgr, variables, weights[own % len(weights)], keys[own], (mean, std), learning_rate
        )
        for own in numbers.reshape(-1, at_once)
    ]
    return jnp.concatenate(images)[: len(weights)]


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _maximized(
    model: nn.Module,
    layer: str,
    steps: int,
    bgr: bool,
    variables: Mapping[str, Any],
    weights: Float[Array, "sets channels"],
    keys: jax.Array,
    scale: tuple[Image, Image],
    learning_rate: Float[Array, ""],
) -> Float[Array, "sets size size 3"]:
    optimizer = promoting_optimizer(optax.adam(learning_rate))

    def image_of(coefficients: Array) -> Image:
        return normalized(fourier.picture_of(coefficients), *scale, bgr)

    def loss(coefficients: Array, movement: Array, weight: Float[Array, " channels"]) -> Float[Array, ""]:
        image = transformed(image_of(coefficients), movement)
        maps = apply_with_taps(model, variables, image[None], layers=(layer,), stage="pre")[1][layer]
        return -jnp.sum(maps.mean(axis=(0, 1, 2)) * weight.astype(maps.dtype))

    def ascended(weight: Float[Array, " channels"], key: jax.Array) -> Image:
        begin, moves = jax.random.split(key)
        coefficients = fourier.draw_coefficients(begin, scale[0].shape[0])

        def step(state: tuple[Array, Any], movement: Array) -> tuple[tuple[Array, Any], None]:
            coefficients, memory = state
            updates, memory = optimizer.update(jax.grad(loss)(coefficients, movement, weight), memory)
            return (optax.apply_updates(coefficients, updates), memory), None

        begun = (coefficients, optimizer.init(coefficients))
        (found, _), _ = jax.lax.scan(step, begun, draw_movements(moves, steps))
        return image_of(found)

    return jax.vmap(ascended)(weights, keys)
