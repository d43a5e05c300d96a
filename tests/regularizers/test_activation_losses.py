"""Losses on activation maps against the published code's outputs, loops written out, and numeric differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax import parallel
from interpjax import regularizers as reg
from interpjax.regularizers import group_activation

G2 = reg.Grouping(num_groups=2)
RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(3, 4, 5, 6))
PAIRS = np.array([[0, 1], [2, 0], [1, 2], [2, 1]])


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "golden" / "activation_losses.npz")


def test_soft_receptive_fields_are_the_published_ones(golden):
    fields = reg.soft_receptive_field(jnp.asarray(golden["activations_nhwc"]), eps=float(golden["std_epsilon"]))
    np.testing.assert_allclose(fields, golden["soft_receptive_field_nhwc"], atol=2e-7)


def test_group_activation_loss_is_the_published_one(golden):
    grouping, pairs = reg.Grouping(num_groups=int(golden["num_groups"])), golden["pairs_within_group"]
    maps = jnp.asarray(golden["activations_nhwc"])

    def loss(maps):
        return reg.group_activation_loss(reg.soft_receptive_field(maps), grouping, pairs, form="code")

    value, gradient = jax.value_and_grad(loss)(maps)
    np.testing.assert_allclose(value, golden["group_activation_sum"], rtol=1e-6)
    np.testing.assert_allclose(gradient, golden["group_activation_grad_nhwc"], atol=1e-7)
    groups = reg.group_dissimilarity(reg.soft_receptive_field(maps), grouping, pairs)
    np.testing.assert_allclose(groups, golden["group_activation_per_group"], rtol=1e-6)


def test_spatial_loss_is_the_published_one(golden):
    eps = float(golden["spatial_epsilon"])
    loss = jax.value_and_grad(lambda maps: reg.spatial_loss(reg.soft_receptive_field(maps), eps=eps))
    value, gradient = loss(jnp.asarray(golden["activations_nhwc"]))
    np.testing.assert_allclose(value, golden["spatial_loss"], rtol=1e-6)
    np.testing.assert_allclose(gradient, golden["spatial_grad_nhwc"], atol=4e-6)  # of 0.025, by sums over 63 positions


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def brute_dissimilarity(first, second):
    distance = np.abs(first - second).sum()
    return 2 * distance / (first.sum() + second.sum() + distance)


def brute_pairs(fields, groups, form, shift=0):
    """Mean over pairs for each group; the second filter is of the group ``shift`` further on."""
    means = []
    for number, group in enumerate(groups):
        other, values = groups[(number + shift) % len(groups)], []
        for i, j in PAIRS:
            first, second = fields[..., group[i]], fields[..., other[j]]
            if form == "paper":
                values.append(brute_dissimilarity(first, second))
            else:
                values.append(np.mean([brute_dissimilarity(a, b) for a, b in zip(first, second, strict=True)]))
        means.append(np.mean(values))
    return means


@pytest.mark.parametrize("form", ["code", "paper"])
@pytest.mark.parametrize(
    ("grouping", "groups"),
    [
        (G2, [[0, 1, 2], [3, 4, 5]]),
        (reg.Grouping(num_groups=2, order="strided"), [[0, 2, 4], [1, 3, 5]]),
        (reg.Grouping(indices=[[5, 0, 3], [1, 2, 4]]), [[5, 0, 3], [1, 2, 4]]),
    ],
)
def test_pairs_of_every_grouping_match_loops(grouping, groups, form):
    fields = sigmoid(MAPS)
    within = reg.group_activation_loss(jnp.asarray(fields, jnp.float32), grouping, PAIRS, form)
    between = reg.group_repulsion_loss(jnp.asarray(fields, jnp.float32), grouping, PAIRS, form)
    np.testing.assert_allclose(within, sum(brute_pairs(fields, groups, form)), rtol=1e-5)
    np.testing.assert_allclose(between, 1 - np.mean(brute_pairs(fields, groups, form, shift=1)), rtol=1e-5)


def test_filters_beyond_the_smallest_group_are_in_no_pair():
    fields = jnp.asarray(sigmoid(RNG.normal(size=(2, 3, 3, 7))), jnp.float32)
    last = reg.Grouping(num_groups=2, remainder="last")
    loss = lambda fields: reg.group_activation_loss(fields, last, PAIRS)  # noqa: E731
    np.testing.assert_allclose(loss(fields), reg.group_activation_loss(fields[..., :6], G2, PAIRS), rtol=1e-6)
    assert not jax.grad(loss)(fields)[..., 6].any()


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (2.5, -1.5)])
def test_fields_are_a_sigmoid_of_standardized_maps(scale, shift):
    deviation = MAPS.reshape(-1, 6).std(axis=0, ddof=1) + 5e-3
    fields = reg.soft_receptive_field(jnp.asarray(MAPS, jnp.float32), scale, shift)
    np.testing.assert_allclose(fields, sigmoid(scale * MAPS / deviation + shift), rtol=1e-5)


def test_fields_behind_batch_norm_are_of_its_standardized_input():
    gamma = np.array([1.0, -0.5, 2.0, 0.01, -1.0, 0.3])
    beta = np.array([0.1, 0.2, -0.3, 0.0, 1.0, -0.1])
    output = jnp.asarray(gamma * MAPS + beta, jnp.float32)
    fields = reg.soft_receptive_field(output, 1.5, 0.2, batch_norm_scale=jnp.asarray(gamma, jnp.float32))
    np.testing.assert_allclose(fields, sigmoid(1.5 * (MAPS + beta / gamma) + 0.2), rtol=1e-4, atol=1e-6)
    tiny = reg.soft_receptive_field(output[..., :2], batch_norm_scale=jnp.array([0.0, -1e-9]))
    np.testing.assert_allclose(tiny, sigmoid(np.asarray(output[..., :2]) / [5e-3, -5e-3]), rtol=1e-4, atol=1e-6)


def test_spatial_loss_matches_a_loop_over_pixels():
    fields, distances = sigmoid(MAPS), []
    for image in range(3):
        for filter_ in range(6):
            mass = fields[image, ..., filter_].sum() + 1e-4
            pixels = [(y, x, fields[image, y, x, filter_]) for y in range(4) for x in range(5)]
            centre = sum(np.array([y, x]) * value for y, x, value in pixels) / mass
            distances.append(sum(value * np.hypot(*(np.array([y, x]) - centre)) for y, x, value in pixels) / mass)
    np.testing.assert_allclose(reg.spatial_loss(jnp.asarray(fields, jnp.float32)), np.mean(distances), rtol=1e-5)


LOSSES = {
    "code": lambda fields: reg.group_activation_loss(fields, G2, PAIRS, "code"),
    "paper": lambda fields: reg.group_activation_loss(fields, G2, PAIRS, "paper"),
    "repulsion": lambda fields: reg.group_repulsion_loss(fields, G2, PAIRS, "code"),
    "spatial": reg.spatial_loss,
    "fields": lambda fields: jnp.sum(reg.soft_receptive_field(fields, 1.2, -0.3) ** 2),
    "batch norm": lambda maps: jnp.sum(reg.soft_receptive_field(maps, batch_norm_scale=jnp.array([2.0] * 6)) ** 2),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_match_numeric_differences(name):
    with jax.enable_x64(True):
        point = jnp.asarray(sigmoid(MAPS))
        direction = jnp.asarray(RNG.normal(size=MAPS.shape))
        loss = jax.jit(LOSSES[name])
        numeric = (loss(point + 1e-6 * direction) - loss(point - 1e-6 * direction)) / 2e-6
        np.testing.assert_allclose(jnp.vdot(jax.grad(loss)(point), direction), numeric, rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, *(pytest.param(value, marks=pytest.mark.long) for value in (0.5, 1e-30))])
@pytest.mark.parametrize("name", LOSSES)
def test_constant_maps_give_finite_values_and_gradients(name, value):
    loss, gradient = jax.value_and_grad(LOSSES[name])(jnp.full((2, 5, 5, 6), value))
    assert jnp.isfinite(loss)
    assert jnp.isfinite(gradient).all()


def test_collapsed_maps_cost_nothing_within_groups_and_all_between():
    fields = reg.soft_receptive_field(jnp.zeros((2, 4, 4, 6)))  # of dead filters: ½ everywhere
    np.testing.assert_array_equal(fields, 0.5)
    assert reg.group_activation_loss(fields, G2, PAIRS) == 0
    assert reg.group_repulsion_loss(fields, G2, PAIRS) == 1


def test_half_precision_maps_have_statistics_in_float32():
    maps = jnp.asarray(100 + MAPS, jnp.bfloat16)
    fields = reg.soft_receptive_field(maps)
    assert fields.dtype == jnp.bfloat16
    expected = reg.soft_receptive_field(maps.astype(jnp.float32))
    np.testing.assert_allclose(fields.astype(np.float32), expected, atol=2**-8)
    assert reg.spatial_loss(fields).dtype == jnp.float32


def test_pairs_are_of_different_filters_three_for_each_and_all_occur():
    grouping, seen = reg.Grouping(num_groups=5), set()
    for seed in range(40):
        pairs = np.asarray(reg.draw_pairs(jax.random.key(seed), grouping, 23))
        assert pairs.shape == (12, 2)
        seen |= {tuple(pair) for pair in pairs.tolist()}
    assert seen == {(i, j) for i in range(4) for j in range(4) if i != j}
    assert len(reg.draw_pairs(jax.random.key(0), reg.Grouping(num_groups=5, remainder="last"), 23)) == 12


def test_refuses_what_has_no_pairs():
    fields = jnp.ones((1, 2, 2, 6))
    with pytest.raises(ValueError, match="has a single filter, and no pairs"):
        reg.draw_pairs(jax.random.key(0), reg.Grouping(num_groups=4), 6)
    for pairs in ([[0, 3]], [[-1, 0]], np.zeros((0, 2), int)):
        with pytest.raises(ValueError, match="pairs: expected one pair or more of indices within a group, from 0 to 2"):
            reg.group_activation_loss(fields, G2, np.array(pairs))
    with pytest.raises(ValueError, match="form = 'both': choose one of code, paper"):
        reg.group_activation_loss(fields, G2, PAIRS, "both")
    with pytest.raises(ValueError, match="expected two groups or more"):
        reg.group_repulsion_loss(fields, reg.Grouping(num_groups=1), PAIRS)
    with pytest.raises(ValueError, match="axis = 'inputs': activation maps are of filters"):
        reg.group_activation_loss(fields, reg.Grouping(num_groups=2, axis="inputs"), PAIRS)


@pytest.mark.parametrize("form", ["paper", pytest.param("code", marks=pytest.mark.long)])
def test_devices_see_the_statistics_of_the_whole_batch(form):
    devices = jax.local_device_count()
    assert devices == 4
    # Shards of quite different scale: statistics of one alone would be far off.
    maps = jnp.asarray(RNG.normal(size=(8, 4, 4, 6)) * np.repeat([0.1, 1, 5, 20], 2)[:, None, None, None], jnp.float32)

    def loss(maps, factor, axis_name):
        fields = reg.soft_receptive_field(factor * maps, factor, axis_name=axis_name)
        return (
            reg.group_activation_loss(fields, G2, PAIRS, form, axis_name=axis_name)
            + reg.group_repulsion_loss(fields, G2, PAIRS, form, axis_name=axis_name)
            + reg.spatial_loss(fields)
        )

    def step(maps, factor):
        return parallel.mean(jax.value_and_grad(loss, argnums=1)(maps, factor, parallel.AXIS))

    shards = {"maps": maps, "factor": jnp.full(devices, 1.3)}
    value, slope = parallel.parallelize(step)(parallel.split_batch(maps), shards["factor"])
    expected, expected_slope = jax.value_and_grad(loss, argnums=1)(maps, jnp.float32(1.3), None)
    np.testing.assert_allclose(value, np.full(devices, expected), rtol=1e-5)
    np.testing.assert_allclose(slope, np.full(devices, expected_slope), rtol=1e-4)


def test_pairs_one_by_one_and_all_at_once_are_the_same():
    """A CPU takes the one way and an accelerator the other; pairs that share a filter add up in both."""
    filters = jnp.asarray(RNG.normal(size=(3, 2, 4, 5)), jnp.float32)
    pairs, cotangents = jnp.asarray(PAIRS), jnp.asarray(RNG.normal(size=(4, 2, 4)), jnp.float32)
    one, all_ = (group_activation._distances(filters, pairs, at_once=count) for count in (1, 4))
    np.testing.assert_allclose(one, all_, rtol=1e-6)
    np.testing.assert_allclose(one, np.abs(filters[PAIRS[:, 0]] - filters[PAIRS[:, 1]]).sum(axis=-1), rtol=1e-6)
    one, all_ = (group_activation._distances_gradient(filters, pairs, cotangents, at_once=count) for count in (1, 4))
    np.testing.assert_allclose(one, all_, rtol=1e-5, atol=1e-6)
