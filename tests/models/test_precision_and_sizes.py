"""Computing in bfloat16, the smallest images, and batch statistics over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filling import filled

from interpjax import models
from interpjax.models.batch_norm import BatchNorm

# What differs from other networks in numbers of layers alone.
DEEP = ("resnet101", "resnet152", "densenet161", "densenet169", "densenet201")


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("caffenet", "densenet121", "squeezenet_places365")),
    ],
)
def test_bfloat16_computes_nearly_the_same_with_float32_parameters(name):
    fields = {"num_classes": 3, "width": 0.25} | ({"blocks": (1, 1, 1, 1)} if name == "densenet121" else {})
    model, half = (models.create_model(name, dtype=dtype, **fields) for dtype in (None, jnp.bfloat16))
    images = jax.random.normal(jax.random.key(1), (4, 64, 64, 3))
    outline = models.outline(half, 64)
    shapes = outline.variables
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
    variables = filled(shapes)
    layer = outline.convolutions[-1]
    (expected, wide), (found, narrow) = (
        jax.jit(lambda v, x, net=net: models.apply_with_taps(net, v, x, layers=(layer,), stage="post"))(
            variables, images
        )
        for net in (model, half)
    )
    assert (expected.dtype, found.dtype) == (jnp.float32, jnp.float32)  # of the logits, whatever is computed in
    assert (wide[layer].dtype, narrow[layer].dtype) == (jnp.float32, jnp.bfloat16)
    # 8 bits of a number, lost anew in some twenty layers; other weights would be off by as much as the values are.
    scale = float(wide[layer].std())
    assert 0 < float(jnp.abs(narrow[layer].astype(jnp.float32) - wide[layer]).mean()) < 0.05 * scale
    np.testing.assert_allclose(found, expected, atol=0.05 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in DEEP else name for name in sorted(models.MODELS)]
)
def test_smallest_images_are_taken_and_smaller_ones_refused(name):
    model = models.create_model(name, num_classes=3, width=0.125)
    outline = models.outline(model, model.smallest)
    assert outline.logits.shape == (1, 3)
    assert all(0 not in layer.shape for layer in outline.layers)
    if (less := model.smallest - 1) > 0:
        message = (
            rf"{type(model).__name__}: images of \({less}, {less}\) pixels; expected at least {model.smallest} a side"
        )
        with pytest.raises(ValueError, match=message):
            models.outline(model, less)


def test_batch_statistics_are_of_all_devices_and_the_running_variance_is_unbiased():
    x = np.random.default_rng(0).normal(3, 2, size=(4, 2, 5, 5, 3)).astype(np.float32)  # four devices, two images each
    norm = BatchNorm(train=True, axis_name="devices")
    variables = norm.init(jax.random.key(0), jnp.asarray(x[0]))
    apply = jax.vmap(lambda part: norm.apply(variables, part, mutable=["batch_stats"]), axis_name="devices")
    y, changed = apply(jnp.asarray(x))
    mean, biased = x.mean(axis=(0, 1, 2, 3)), x.var(axis=(0, 1, 2, 3))
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(biased + 1e-5), atol=1e-5)
    unbiased = x.reshape(-1, 3).astype(np.float64).var(axis=0, ddof=1)
    for device in range(4):
        np.testing.assert_allclose(changed["batch_stats"]["mean"][device], 0.1 * mean, rtol=1e-5)
        np.testing.assert_allclose(changed["batch_stats"]["var"][device], 0.9 + 0.1 * unbiased, rtol=1e-5)
