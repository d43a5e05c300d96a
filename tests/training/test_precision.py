"""Training in bfloat16: what is computed in it, what stays float32, and that it comes to the same."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

import interpjax
from interpjax import models, parallel
from interpjax.config.checks import validate
from interpjax.prepare import networks, prepare
from interpjax.preprocessing import Preprocessing
from interpjax.training import create_train_state
from interpjax.training.step import make_train_step

# All three losses on activations, a penalty on weights, and P₁ and P₂ learned.
CGL = {
    "regularizer__group_activation__strength": 0.3,
    "regularizer__group_repulsion__strength": 0.1,
    "regularizer__spatial__strength": 0.1,
    "regularizer__soft_receptive_field__learned": True,
}
STAGES = ("train", "evaluate", "dissect")
OWN = """
import flax.linen as nn

class WithoutDtype(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images, *, train):
        return nn.Dense(self.num_classes)(images.mean((1, 2)))
"""


def stepped(name, dtype):
    """The state before and after a step on four devices, and its metrics."""
    size = 64
    fields = CGL | {"model__dtype": dtype, "model__width": 0.25, "data__image_size": size}
    config = tiny.tiny_config(**fields, data__two_figures__image_size=size, data__resize_size=size)
    computed_in = {"float32": None, "bfloat16": jnp.bfloat16}[dtype]
    net = models.create_model(name, num_classes=2, width=0.25, axis_name=parallel.AXIS, dtype=computed_in)
    objective, optimizer = tiny.recipe(config, net).objective, optax.sgd(0.1)
    state = create_train_state(net, optimizer, image_size=size, seed=0, further_params=objective.soft_fields.params())
    settings = {"preprocessing": Preprocessing.imagenet(), "learning_rate": optax.constant_schedule(0.1)}
    step = make_train_step(net, optimizer, objective, **settings, seed=0)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, size, size, 3), dtype=np.uint8)
    batch = {"image": images, "label": np.arange(16, dtype=np.int32) % 2}
    before = jax.tree.map(np.asarray, state)
    after, metrics = step(parallel.replicate(state), parallel.put_batch(batch))
    return before, parallel.first(after), parallel.first(metrics)


@pytest.mark.long
# Batch norm over the last maps of alexnet_b, of one position on 16 images, enlarges what bfloat16 rounds away.
@pytest.mark.parametrize(("name", "cosine"), [("two_figures_cnn", 0.98), ("alexnet_b", 0.9)])
def test_a_step_in_bfloat16_is_nearly_that_in_float32(name, cosine):
    (before, after, metrics), (_, exact, expected) = (stepped(name, dtype) for dtype in ("bfloat16", "float32"))
    for leaf in jax.tree.leaves((after.params, after.batch_stats, metrics)):
        assert leaf.dtype == np.float32
        assert np.isfinite(leaf).all()
    assert set(metrics) == set(expected)
    for metric in set(metrics) - {"accuracy"}:
        # A number has 8 bits, of which each layer loses some; in a mean over thousands of numbers this evens out.
        np.testing.assert_allclose(metrics[metric], expected[metric], rtol=0.03, err_msg=metric)
    assert metrics["loss"] != expected["loss"]
    for own, whole in zip(jax.tree.leaves(after.batch_stats), jax.tree.leaves(exact.batch_stats), strict=True):
        assert np.linalg.norm(own - whole) < 0.02 * np.linalg.norm(whole)  # of statistics that batch norm keeps
    changes = [jax.tree.map(np.subtract, own.params, before.params) for own in (after, exact)]
    own, whole = (np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(change)]) for change in changes)
    # So do gradients; those of other weights would be at right angles to these.
    assert own @ whole > cosine * np.linalg.norm(own) * np.linalg.norm(whole)


def test_float32_is_the_network_of_before(tmp_path):
    config = tiny.tiny_config(data__directory=str(tmp_path))
    made = prepare(config, tmp_path / "run", ("train",))
    assert made.model == models.create_model(
        "two_figures_cnn", num_classes=2, width=config.model.width, axis_name=parallel.AXIS
    )


@pytest.mark.long
def test_a_run_in_bfloat16_learns_the_task_and_is_dissected(tmp_path):
    fields = {"training__num_steps": 150, "training__batch_size": 32, "training__checkpoint_every_steps": 150}
    fields |= {"training__eval_every_steps": 150, "data__two_figures__train_images": 1024, "model__width": 0.25}
    fields |= {"data__two_figures__test_images": 256, "data__directory": str(tmp_path / "data")}
    summaries = {
        dtype: interpjax.run(tiny.tiny_config(**fields, model__dtype=dtype), tmp_path / dtype, stages)
        for dtype, stages in (("float32", STAGES[:2]), ("bfloat16", STAGES))
    }
    assert summaries["float32"]["accuracy"] > 0.9
    # One image in 256 is 0.004; two trainings whose numbers differ from the first step on end a few images apart.
    assert abs(summaries["bfloat16"]["accuracy"] - summaries["float32"]["accuracy"]) < 0.05
    assert set(summaries["bfloat16"]["layers"]) == {"conv1", "conv2"}
    _, model, variables = interpjax.load(tmp_path / "bfloat16")
    assert model.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}
    logits = model.apply(variables, jnp.zeros((2, 40, 40, 3)), train=False)
    assert logits.dtype == jnp.float32


def test_what_cannot_be_computed_in_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"config.model.dtype = 'float16': choose one of float32, bfloat16"):
        validate(tiny.tiny_config(model__dtype="float16"))
    (tmp_path / "without_dtype.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    name = "without_dtype:WithoutDtype"
    fields = {"model__name": name, "model__width": 1.0, "data__directory": str(tmp_path)}
    config = tiny.tiny_config(**fields, model__dtype="bfloat16")
    with pytest.raises(ValueError, match=rf"config.model.dtype = 'bfloat16': the class .*'{name}' has no field dtype"):
        prepare(config, tmp_path / "run", ("train",))
    assert networks.declares("vgg16_bn", "dtype")
