"""The terms that a configuration turns on: what they are of, how strong they are, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from interpjax import config as config_lib
from interpjax import models
from interpjax import regularizers as reg
from interpjax.training import create_train_state
from interpjax.training.terms import REPULSION_DRAWS

RNG = np.random.default_rng(0)
MODEL = models.create_model("two_figures_cnn", num_classes=2, width=0.0625)  # 8 and 16 filters
PARAMS = jax.eval_shape(MODEL.init, jax.random.key(0), jnp.zeros((1, 40, 40, 3)))["params"]
PARAMS = jax.tree.map(lambda x: jnp.asarray(RNG.normal(size=x.shape), jnp.float32), PARAMS)
MAPS = {
    "conv1": jnp.asarray(RNG.normal(size=(4, 6, 6, 8)), jnp.float32),
    "conv2": jnp.asarray(RNG.normal(size=(4, 3, 3, 16)), jnp.float32),
}
KEY = jax.random.key(7)
WIDTHS = {"conv1": 8, "conv2": 16}
START = {"scale": jnp.float32(1.0), "shift": jnp.float32(-0.5)}


def config(**fields):
    off = {"regularizer__block_norm__strength": 0.0}
    return tiny.tiny_config(**(off | {f"regularizer__{name}": value for name, value in fields.items()}))


def of_sgd(**fields):
    """Adam makes no proximal steps."""
    return config_lib.override(config(**fields), {"optimizer.name": "sgd"})


def penalties(params=PARAMS, step=0, **fields):
    objective = tiny.recipe(of_sgd(**fields), MODEL).objective
    loss, metrics = objective(
        jnp.float32(0), params, {name: MAPS[name] for name in objective.layers}, step=step, key=KEY
    )
    found = {name.removeprefix("penalty/"): value for name, value in metrics.items() if name.startswith("penalty/")}
    np.testing.assert_allclose(loss, sum(float(value) for value in found.values()), rtol=1e-6)
    return found


def squares(*names):
    leaves = [PARAMS[layer][leaf] for layer, leaf in (name.split("/") for name in names)]
    return 0.5 * sum(float(jnp.sum(leaf**2)) for leaf in leaves)


BIASES = ("conv1/bias", "conv2/bias", "fc/bias")


@pytest.mark.parametrize(
    ("fields", "decayed"),
    [
        ({}, ("fc/kernel",)),
        ({"block_norm__layers": ("conv2",)}, ("conv1/kernel", "fc/kernel")),
        ({"grouping__by_layer": (("conv1", 0),)}, ("conv1/kernel", "fc/kernel")),
        ({"block_norm__dense": True, "grouping__num_groups": 2}, ()),
        ({"block_norm__proximal": True}, ("fc/kernel",)),
    ],
)
def test_weight_decay_covers_what_the_block_norm_leaves(fields, decayed):
    both = penalties(block_norm__strength=0.01, weight_decay__strength=1.0, **fields)
    np.testing.assert_allclose(both["weight_decay"], squares(*decayed, *BIASES), rtol=1e-5)
    alone = penalties(weight_decay__strength=1.0)
    np.testing.assert_allclose(alone["weight_decay"], squares("conv1/kernel", "conv2/kernel", "fc/kernel", *BIASES))


def test_weight_decay_of_some_layers():
    some = penalties(weight_decay__strength=1.0, weight_decay__layers=("fc", "conv2"))
    np.testing.assert_allclose(
        some["weight_decay"], squares("fc/kernel", "fc/bias", "conv2/kernel", "conv2/bias"), rtol=1e-6
    )


def test_groupings_by_layer():
    found = penalties(block_norm__strength=1.0, block_norm__q=2.0, grouping__by_layer=(("conv2", 3),))
    expected = [reg.block_norm(PARAMS[layer]["kernel"], reg.Grouping(num_groups=n), q=2.0) for layer, n in
                (("conv1", 5), ("conv2", 3))]  # fmt: skip
    np.testing.assert_allclose(found["block_norm"], sum(expected), rtol=1e-6)


def test_a_grouping_of_dense_layers_is_no_matter_to_other_terms():
    fields = {"block_norm__dense": True, "grouping__by_layer": (("fc", 2),), "grouping__num_groups": 4}
    found = penalties(block_norm__strength=1.0, exclusive_lasso__strength=1.0, **fields)
    convolutions = [PARAMS[layer]["kernel"] for layer in ("conv1", "conv2")]
    g4 = reg.Grouping(num_groups=4)
    expected = [reg.block_norm(w, g4) for w in convolutions]
    expected.append(reg.block_norm(PARAMS["fc"]["kernel"], reg.Grouping(num_groups=2)))
    np.testing.assert_allclose(found["block_norm"], sum(expected), rtol=1e-5)
    np.testing.assert_allclose(
        found["exclusive_lasso"], sum(reg.exclusive_lasso(w, g4) for w in convolutions), rtol=1e-5
    )
    tiny.recipe(config(block_norm__strength=1.0, exclusive_lasso__strength=1.0, **fields), MODEL)


def test_of_two_patterns_by_layer_the_first_counts():
    settings = {"block_norm__strength": 1.0, "grouping__by_layer": (("conv1", 2), ("conv*", 4), ("*", 0))}
    expected = [
        reg.block_norm(PARAMS[layer]["kernel"], reg.Grouping(num_groups=n)) for layer, n in (("conv1", 2), ("conv2", 4))
    ]
    np.testing.assert_allclose(penalties(**settings)["block_norm"], sum(expected), rtol=1e-6)


def test_strength_rises_over_the_warm_up():
    fields = {"block_norm__strength": 0.5, "block_norm__warmup_steps": 4}
    values = [float(penalties(step=step, **fields)["block_norm"]) for step in (0, 1, 4, 100)]
    np.testing.assert_allclose(np.array(values) / values[-1], [0, 0.25, 1, 1], rtol=1e-6)


@pytest.mark.long
def test_losses_on_activations_are_means_over_layers():
    fields = {"grouping__num_groups": 2, "soft_receptive_field__scale": 2.0, "soft_receptive_field__shift": -1.0}
    found = penalties(group_activation__strength=0.5, spatial__strength=0.25, group_repulsion__strength=1.0, **fields)
    within, between, spatial = [], [], []
    for number, maps in enumerate(MAPS.values()):
        grouping, psi = reg.Grouping(num_groups=2), reg.soft_receptive_field(maps, 2.0, -1.0)
        pairs = reg.draw_pairs(jax.random.fold_in(KEY, number), grouping, maps.shape[-1])
        within.append(reg.group_activation_loss(psi, grouping, pairs))
        others = reg.draw_pairs(jax.random.fold_in(KEY, REPULSION_DRAWS + number), grouping, maps.shape[-1])
        assert (pairs != others).any()
        between.append(reg.group_repulsion_loss(psi, grouping, others))
        spatial.append(reg.spatial_loss(psi))
    np.testing.assert_allclose(found["group_activation"], 0.5 * np.mean(within), rtol=1e-5)
    np.testing.assert_allclose(found["group_repulsion"], np.mean(between), rtol=1e-5)
    np.testing.assert_allclose(found["spatial"], 0.25 * np.mean(spatial), rtol=1e-5)


def test_terms_on_single_kernels():
    found = penalties(
        soft_orthogonality__strength=2.0, exclusive_lasso__strength=0.5, exclusive_lasso__layers=("conv1",)
    )
    kernel = np.asarray(PARAMS["conv1"]["kernel"], np.float64)
    groups = [kernel[..., i : i + 1] for i in range(5)]
    np.testing.assert_allclose(found["exclusive_lasso"], 0.25 * sum(np.abs(g).sum() ** 2 for g in groups), rtol=1e-5)
    rows = [
        np.asarray(PARAMS[layer]["kernel"], np.float64).reshape(-1, n).T for layer, n in (("conv1", 8), ("conv2", 16))
    ]
    distances = [np.linalg.norm(w @ w.T - np.eye(len(w))) for w in rows]
    np.testing.assert_allclose(found["soft_orthogonality"], 2 * sum(distances), rtol=1e-5)


def test_a_proximal_block_norm_is_reported_but_has_no_gradient():
    def loss(params, proximal):
        fields = {"block_norm__strength": 0.3, "block_norm__proximal": proximal}
        objective = tiny.recipe(of_sgd(**fields), MODEL).objective
        return objective(jnp.float32(0), params, {}, step=0, key=KEY)

    (value, metrics), (expected, _) = loss(PARAMS, True), loss(PARAMS, False)
    np.testing.assert_allclose(value, expected)
    assert set(metrics) == {"loss", "cross_entropy", "penalty/block_norm"}
    gradient = jax.grad(lambda params: loss(params, True)[0])(PARAMS)
    assert not any(leaf.any() for leaf in jax.tree.leaves(gradient))


def test_the_configured_optimizer_makes_proximal_steps():
    settings = config(block_norm__strength=1e6, block_norm__proximal=True, block_norm__layers=("conv1",))
    settings.optimizer.name = "sgd"
    optimizer = tiny.optimizer(settings, MODEL)
    updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, PARAMS), optimizer.init(PARAMS), PARAMS)
    zeros = jax.tree.map(lambda p, u: (p + u == 0).mean(), PARAMS, updates)
    np.testing.assert_allclose(zeros["conv1"]["kernel"], 5 / 8)  # five groups of one filter; three are free
    assert zeros["conv2"]["kernel"] == 0


@pytest.mark.long
def test_learned_fields_are_trained_and_not_decayed():
    settings = config(
        weight_decay__strength=1.0,
        spatial__strength=1.0,
        soft_receptive_field__learned=True,
        soft_receptive_field__shift=-0.5,
    )
    recipe = tiny.recipe(settings, MODEL)
    further = recipe.objective.soft_fields.params()
    optimizer = tiny.optimizer(settings, MODEL)
    state = create_train_state(MODEL, optimizer, image_size=40, seed=0, further_params=further)
    assert state.params["soft_receptive_field"] == START
    objective = recipe.objective

    def loss(params):
        return objective(jnp.float32(0), params, MAPS, step=0, key=KEY)

    (_, metrics), gradient = jax.value_and_grad(loss, has_aux=True)(PARAMS | {"soft_receptive_field": START})
    np.testing.assert_allclose(metrics["penalty/weight_decay"], penalties(weight_decay__strength=1.0)["weight_decay"])

    def spatial(scale, shift):
        return np.mean([reg.spatial_loss(reg.soft_receptive_field(maps, scale, shift)) for maps in MAPS.values()])

    numeric = (spatial(1.0, -0.49) - spatial(1.0, -0.51)) / 0.02
    np.testing.assert_allclose(gradient["soft_receptive_field"]["shift"], numeric, rtol=0.01)  # float32 differences


def test_fields_behind_batch_norm_take_its_scale():
    model = models.create_model("alexnet_b", num_classes=2, width=0.125)
    settings = config(spatial__strength=1.0, soft_receptive_field__statistics="batch_norm")
    objective = tiny.recipe(config_lib.override(settings, {"data.image_size": 64}), model).objective
    maps = dict.fromkeys(models.outline(model, 64).convolutions, MAPS["conv1"])
    params = {f"bn{n}": {"scale": jnp.full(8, 2.0 * n)} for n in range(1, 6)}
    value = objective(jnp.float32(0), params, maps, step=0, key=KEY)[0]
    expected = [reg.spatial_loss(jax.nn.sigmoid(MAPS["conv1"] / (2 * n))) for n in range(1, 6)]
    np.testing.assert_allclose(value, np.mean(expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"spatial__strength": 1.0, "spatial__layers": ("conv9",)}, "regularizer.spatial.layers: 'conv9' matches no"),
        (
            {"block_norm__strength": 1.0, "block_norm__layers": ("fc",)},
            "regularizer.block_norm: layers: 'fc' matches",
        ),
        ({"weight_decay__strength": 1.0, "weight_decay__layers": ("x",)}, "regularizer.weight_decay: layers: 'x'"),
        (
            {"spatial__strength": 1.0, "soft_receptive_field__statistics": "batch_norm"},
            r"soft_receptive_field.statistics = 'batch_norm': .*'s conv1 has none behind it",
        ),
        ({"group_activation__strength": 1.0}, "regularizer.group_activation: layer conv1: .* no pairs: use fewer"),
        ({"grouping__indices": ((0, 0),), "block_norm__strength": 1.0}, "config.regularizer.grouping: indices = "),
        ({"grouping__by_layer": (("conv1",),)}, r"grouping.by_layer = \(\('conv1',\),\): expected pairs of a name"),
        ({"grouping__by_layer": ("conv1", 8)}, r"grouping.by_layer = \('conv1', 8\): .* with the comma"),
        ({"grouping__by_layer": (("conv1", -8),)}, "config.regularizer.grouping: num_groups = -8"),
        (
            {"grouping__by_layer": (("conv9", 4),)},
            "by_layer: 'conv9' matches no convolution .*; choose from conv1, conv2",
        ),
        ({"grouping__by_layer": (("fc", 2),)}, "by_layer: 'fc' matches no convolution .*; choose from conv1, conv2"),
        (
            {"grouping__group_size": 2, "grouping__indices": ((0, 1),)},
            "config.regularizer.grouping: group_size and indices",
        ),
        (
            {"group_activation__strength": 1.0, "grouping__by_layer": (("conv*", 0),)},
            "group_activation.layers and grouping.by_layer leave out all of conv1, conv2",
        ),
        (
            {"block_norm__strength": 1.0, "block_norm__proximal": True},
            "block_norm.proximal.*gradient times one number",  # the optimizer is Adam
        ),
        (
            {"block_norm__strength": 1.0, "block_norm__proximal": True, "block_norm__p": 3.0, "block_norm__q": 2.0},
            "config.regularizer.block_norm: p = 3.0, q = 2.0, form = 'norm': no proximal operator",
        ),
    ],
)
def test_what_does_not_fit_is_named_before_training(fields, message):
    with pytest.raises(ValueError, match=message):
        tiny.recipe(config(**fields), MODEL)
