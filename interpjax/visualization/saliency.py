"""Which pixels and which places the score of a class depends on: saliency maps, SmoothGrad, Grad-CAM.

All of them take normalized images, as the network sees them. The score is that before the softmax.
"""

import functools
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from interpjax.models import apply_with_changes, apply_with_taps
from interpjax.visualization.arguments import check_key, checked_classes, layer_shape

Images = Float[Array, "n h w 3"]
Classes = Int[Array | np.ndarray, " n"]


def saliency(model: nn.Module, variables: Mapping[str, Any], images: Images, classes: Classes) -> Float[Array, "n h w"]:
    r"""How much the score of a class changes with each pixel: :math:`\max_c |\partial S / \partial I_c|`.

    It is compiled once for each network and shape of images, as all functions here are.

    Args:
      model: a flax module that is called as ``model(images, train=False)``.
      variables: its variables.
      images: normalized images.
      classes: whose score, for each image.

    Returns:
      Score per unit of the normalized image, 0 or more, for each pixel.

    Raises:
      ValueError: if images are not normalized or not [n, h, w, 3], there is not one class for each, one is none of the
        network's, variables lack a collection, or the network cannot be hashed.

    References:
      Simonyan et al., *Deep Inside Convolutional Networks*, ICLR workshop 2014, Sec. 3.1.
    """
    classes = checked_classes("classes", model, variables, images, classes)
    return _saliency(model, variables, images, classes)


def smooth_grad(
    model: nn.Module,
    variables: Mapping[str, Any],
    images: Images,
    classes: Classes,
    key: jax.Array,
    *,
    noise: float = 0.15,
    samples: int = 25,
) -> Float[Array, "n h w"]:
    """As :func:`saliency`, of the mean gradient over noisy copies of each image.

    Args:
      model: as of :func:`saliency`.
      variables: its variables.
      images: normalized images.
      classes: whose score, for each image.
      key: of the noise.
      noise: its standard deviation, as a share of the range of the image's values.
      samples: how many copies.

    Returns:
      As :func:`saliency`.

    Raises:
      ValueError: as :func:`saliency`; if ``key`` is none, ``noise`` is below 0, or ``samples`` below 1.

    References:
      Smilkov et al., *SmoothGrad: removing noise by adding noise*, 2017 (arXiv 1706.03825), Sec. 3.
    """
    if not noise >= 0:
        raise ValueError(f"noise = {noise}: expected 0 or more")
    if samples < 1:
        raise ValueError(f"samples = {samples}: expected 1 or more")
    check_key(key)
    classes = checked_classes("classes", model, variables, images, classes)
    return _smooth_grad(model, variables, images, classes, jax.random.split(key, samples), noise)


def grad_cam(
    model: nn.Module, variables: Mapping[str, Any], images: Images, classes: Classes, layer: str
) -> Float[Array, "n map_h map_w"]:
    r"""Where in a layer's maps the evidence for a class is: :math:`\mathrm{ReLU}(\sum_k \bar\alpha_k a_k)`.

    :math:`\bar\alpha_k` is the mean over positions of the derivative of the class score by map k behind its
    non-linearity.

    Args:
      model: as of :func:`saliency`.
      variables: its variables.
      images: normalized images.
      classes: whose score, for each image.
      layer: whose maps.

    Returns:
      A map of the size of the layer's, in parts of the score, 0 or more.

    Raises:
      ValueError: as :func:`saliency`; if there is no such layer.

    References:
      Selvaraju et al., *Grad-CAM*, ICCV 2017, Sec. 3.
    """
    classes = checked_classes("classes", model, variables, images, classes)
    layer_shape(model, variables, layer, images.shape)
    return _grad_cam(model, layer, variables, images, classes)


@functools.partial(jax.jit, static_argnums=0)
def _saliency(model: nn.Module, variables: Mapping[str, Any], images: Images, classes: Classes) -> Array:
    return _largest(_gradient(model, variables, images, classes))


@functools.partial(jax.jit, static_argnums=0)
def _smooth_grad(
    model: nn.Module,
    variables: Mapping[str, Any],
    images: Images,
    classes: Classes,
    keys: Array,
    noise: Float[Array, ""],
) -> Array:
    extent = images.max(axis=(1, 2, 3), keepdims=True) - images.min(axis=(1, 2, 3), keepdims=True)

    def add(total: Array, key: jax.Array) -> tuple[Array, None]:
        noisy = images + noise * extent * jax.random.normal(key, images.shape, images.dtype)
        return total + _gradient(model, variables, noisy, classes), None

    total, _ = jax.lax.scan(add, jnp.zeros_like(images), keys)
    return _largest(total / len(keys))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _grad_cam(model: nn.Module, layer: str, variables: Mapping[str, Any], images: Images, classes: Classes) -> Array:
    maps = apply_with_taps(model, variables, images, layers=(layer,))[1][layer]

    def score(shift: Array) -> Array:
        return _scores(apply_with_changes(model, variables, images, {layer: lambda own: own + shift}), classes)

    weights = jax.grad(score)(jnp.zeros_like(maps)).mean(axis=(1, 2), keepdims=True)
    return jax.nn.relu(jnp.sum(weights * maps, axis=-1))


def _gradient(model: nn.Module, variables: Mapping[str, Any], images: Images, classes: Classes) -> Images:
    def score(images: Images) -> Float[Array, ""]:
        logits: Any = model.apply(variables, images, train=False)
        return _scores(logits, classes)

    return jax.grad(score)(images)


def _scores(logits: Float[Array, "n classes"], classes: Classes) -> Float[Array, ""]:
    """The sum over images of each one's score, whose gradient by an image is that of its own."""
    return jnp.sum(jnp.take_along_axis(logits, jnp.asarray(classes)[:, None], axis=1))


def _largest(gradient: Images) -> Float[Array, "n h w"]:
    return jnp.abs(gradient).max(axis=-1)
