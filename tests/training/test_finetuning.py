"""Training that starts from the weights of a file, and layers that it leaves as they are."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

import interpjax
from interpjax import config as config_lib
from interpjax import models, training
from interpjax.prepare import prepare

WIDTH = 0.0625
MODEL = models.create_model("two_figures_cnn", num_classes=2, width=WIDTH)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Variables of the small network for two classes and for three, and the files of them."""
    folder, rng, found = tmp_path_factory.mktemp("weights"), np.random.default_rng(5), {}

    def sample(leaf):
        return 0.1 * rng.normal(size=leaf.shape).astype(np.float32)

    for classes in (2, 3):
        model = models.create_model("two_figures_cnn", num_classes=classes, width=WIDTH)
        variables = jax.tree.map(sample, models.outline(model, 40).variables)
        np.savez(folder / f"{classes}.npz", **models.export_torch("two_figures_cnn", variables, width=WIDTH))
        found[classes] = (variables, str(folder / f"{classes}.npz"))
    return found


@pytest.mark.parametrize("classes", [2, 3])
def test_training_starts_from_the_weights_and_makes_a_head_of_other_classes_anew(weights, classes, tmp_path):
    variables, path = weights[classes]
    made = prepare(tiny.tiny_config(model__weights=path), tmp_path, ("train",))
    assert made.imported is None
    assert made.model.num_classes == 2
    state = training.create_train_state(MODEL, optax.sgd(0.1), image_size=40, seed=0, start=made.start)
    head = state.params[MODEL.head]
    expected = variables["params"] if classes == 2 else variables["params"] | {MODEL.head: head}
    jax.tree.map(np.testing.assert_array_equal, state.params, expected)
    assert head["bias"].shape == (2,)


def test_frozen_layers_have_no_step_and_do_not_count_in_the_norm():
    fields = {"optimizer__name": "sgd", "optimizer__learning_rate": 0.1, "optimizer__schedule": "constant"}
    config = tiny.tiny_config(**fields, model__frozen=("conv*",), optimizer__clip_norm=1.0, optimizer__momentum=0.0)
    optimizer = tiny.optimizer(config, MODEL)
    params = {"conv1": {"kernel": jnp.ones((2, 2, 1, 2))}, "fc": {"kernel": jnp.ones((2, 2))}}
    gradients = {"conv1": {"kernel": jnp.full((2, 2, 1, 2), 50.0)}, "fc": {"kernel": jnp.full((2, 2), 2.0)}}
    updates, _ = optimizer.update(gradients, optimizer.init(params), params)
    np.testing.assert_array_equal(updates["conv1"]["kernel"], 0)
    np.testing.assert_allclose(updates["fc"]["kernel"], -0.1 * 2.0 / 4.0, rtol=1e-6)


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer__name": "adamw", "optimizer__decoupled_weight_decay": 0.1},
        {"optimizer__name": "sgd", "regularizer__block_norm__proximal": True},
    ],
)
def test_neither_decay_nor_proximal_steps_move_frozen_layers(fields):
    config = tiny.tiny_config(model__frozen=("conv1",), regularizer__block_norm__strength=10.0, **fields)
    optimizer = tiny.optimizer(config, MODEL)
    params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape), models.outline(MODEL, 40).variables["params"])
    updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, params), optimizer.init(params), params)
    for layer, leaves in updates.items():
        assert all((leaf != 0).any() != (layer == "conv1") for leaf in jax.tree.leaves(leaves)), layer


@pytest.mark.long
def test_a_run_is_fine_tuned_dissected_and_loaded(weights, tmp_path, capsys):
    variables, path = weights[3]
    config = tiny.tiny_config(
        model__weights=path,
        model__frozen=("conv1",),
        dissection__layers=("conv1",),
        training__num_steps=3,
        data__directory=str(tmp_path / "data"),
    )
    summary = interpjax.run(config, tmp_path / "run", ("train", "evaluate", "dissect"))
    told = capsys.readouterr().err
    assert "training starts from the weights of config.model.weights; made anew" in told
    assert f"number of classes: {MODEL.head}\n" in told
    loaded, model, trained = interpjax.load(tmp_path / "run")
    assert (loaded, model.num_classes) == (config, 2)
    jax.tree.map(np.testing.assert_array_equal, trained["params"]["conv1"], variables["params"]["conv1"])
    moved = np.abs(trained["params"]["conv2"]["kernel"] - variables["params"]["conv2"]["kernel"])
    assert 0 < moved.max() < 0.05
    (tmp_path / "run" / "stages" / "evaluate.json").unlink()
    again = interpjax.run(config, tmp_path / "run", ("evaluate",))
    assert again["cross_entropy"] == pytest.approx(summary["cross_entropy"], rel=1e-6)
    assert "training starts" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model.frozen": ("conv9",)}, r"config.model.frozen: 'conv9' matches no layer; choose from conv1"),
        ({"model.frozen": ("*",)}, r"config.model.frozen = \('\*',\): no layer is left to train"),
        ({"model.width": 0.25}, r"config.model.weights: .*2.npz: weights of two_figures_cnn: .* has the shape"),
        ({"model.name": "alexnet"}, r"config.model.weights: .*2.npz: weights of alexnet: .* is missing"),
    ],
)
def test_what_does_not_fit_is_told_before_training(weights, tmp_path, fields, message):
    config = config_lib.override(tiny.tiny_config(model__weights=weights[2][1]), fields)
    with pytest.raises(ValueError, match=message):
        interpjax.run(config, tmp_path / "run", ("train",))
    assert not (tmp_path / "run").exists()
