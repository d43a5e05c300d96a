"""Maps that are computed anew for the gradient: the same numbers and names, and less that is kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from filling import filled

from interpjax import models
from interpjax.prepare import prepare

FIELDS = {
    "vgg16": {},
    "vgg16_bn": {},
    "densenet121": {"blocks": (3, 1, 1, 1)},
}
LAYERS = {"vgg16": "conv2_1", "vgg16_bn": "conv2_1", "densenet121": "denseblock1.denselayer2.conv1"}
SIZE = 32


def network(name, **fields):
    return models.create_model(name, num_classes=3, width=0.125, **FIELDS[name], **fields)


def run(model, layer, variables, images):
    """What a loss on the logits and on a layer's maps has as its value, its parts and its gradient."""

    def loss(params):
        logits, maps, batch_stats = models.apply_in_training(
            model, {**variables, "params": params}, images, layers=(layer,), dropout_key=jax.random.key(0)
        )
        return jnp.mean(jnp.square(logits)) + jnp.mean(jnp.square(maps[layer])), (logits, maps, batch_stats)

    return jax.value_and_grad(loss, has_aux=True)(variables["params"])


@pytest.mark.long
@pytest.mark.parametrize("name", FIELDS)
def test_numbers_and_names_are_those_without_it(name):
    plain, remat = network(name), network(name, remat=True)
    images = jax.random.normal(jax.random.key(1), (4, SIZE, SIZE, 3))
    shapes = models.outline(plain, SIZE)
    assert models.outline(remat, SIZE) == shapes
    variables = filled(shapes.variables)
    expected, found = (
        jax.jit(lambda v, x, model=model: run(model, LAYERS[name], v, x))(variables, images) for model in (plain, remat)
    )
    assert jax.tree.structure(found) == jax.tree.structure(expected)

    # The compiler may put the same operations together in another way, which costs the last of seven digits.
    def close(own, exact):
        np.testing.assert_allclose(own, exact, rtol=1e-4, atol=1e-5 * np.abs(exact).max())

    jax.tree.map(close, found[0], expected[0])
    # Some gradients ahead of a batch norm are sums that cancel to 0: what is left of them is rounding, of all that
    # comes back through the network.
    largest = max(np.abs(gradient).max() for gradient in jax.tree.leaves(expected[1]))

    def close_gradients(own, exact):
        np.testing.assert_allclose(own, exact, rtol=1e-4, atol=1e-6 * largest)

    jax.tree.map(close_gradients, found[1], expected[1])


def kept(model, size, images):
    """Bytes that the forward pass keeps for the gradient, without the parameters."""
    variables = models.outline(model, size).variables

    def gradient_of(params, variables, images):
        def logits(params):
            given = {**variables, "params": params}
            return models.apply_in_training(model, given, images, layers=(), dropout_key=jax.random.key(0))[0]

        return jax.vjp(logits, params)[1]

    shapes = jax.eval_shape(
        gradient_of, variables["params"], variables, jax.ShapeDtypeStruct((images, size, size, 3), "float32")
    )
    total = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    return total - sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize("name", FIELDS)
def test_less_than_half_is_kept_for_the_gradient(name):
    plain, remat = (kept(network(name, **fields), 64, 8) for fields in ({}, {"remat": True}))
    assert 2 * remat < plain, (remat, plain)


COMPILED = """
import sys
sys.path[:0] = ["tests", "tests/models"]
import jax
from test_remat import FIELDS, models, run
name, remat = sys.argv[1], sys.argv[2] == "True"
model = models.create_model(name, num_classes=3, width=0.25, dropout=False, remat=remat, **FIELDS[name])
layer = models.outline(model, 96).convolutions[0]
images = jax.ShapeDtypeStruct((16, 96, 96, 3), "float32")
step = jax.jit(lambda v, x: run(model, layer, v, x)[1]).lower(models.outline(model, 96).variables, images).compile()
print(step.memory_analysis().temp_size_in_bytes)
"""


@pytest.mark.long
def test_a_compiled_step_takes_less_memory(monkeypatch):
    # As on GPUs: XLA for CPUs would join equal computations again, whatever is between them.
    monkeypatch.setenv("XLA_FLAGS", "--xla_disable_hlo_passes=cse,cse_barrier_expander")
    plain, remat = (int(tiny.finish(tiny.start(COMPILED, "vgg16", str(on)))) for on in (False, True))
    print(f"VGG16: {plain / 1e6:.0f} MB, with remat {remat / 1e6:.0f} MB")
    assert remat < 0.9 * plain


def test_networks_without_it_are_named(tmp_path):
    fields = {"model__remat": True, "data__directory": str(tmp_path)}
    message = (
        r"config.model.remat = True: expected False with config.model.name = 'two_figures_cnn'; the networks that can "
        r"compute maps anew are vgg16, vgg16_bn, densenet121, densenet161, densenet169, densenet201"
    )
    with pytest.raises(ValueError, match=message):
        prepare(tiny.tiny_config(**fields), tmp_path / "run", ("train",))
    fields |= {"regularizer__grouping__num_groups": 2}  # so narrow a network has few filters
    made = prepare(tiny.tiny_config(**fields, model__name="vgg16"), tmp_path / "run", ("train",))
    assert made.model.remat
