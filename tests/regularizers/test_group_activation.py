"""The losses on pairs of maps against the published code's outputs and loops written out, and what has no pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax import regularizers as reg
from interpjax.regularizers import group_activation

G2 = reg.Grouping(num_groups=2)
RNG = np.random.default_rng(0)
MAPS = RNG.normal(size=(3, 4, 5, 6))
PAIRS = np.array([[0, 1], [2, 0], [1, 2], [2, 1]])


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


def test_collapsed_maps_cost_nothing_within_groups_and_all_between():
    fields = reg.soft_receptive_field(jnp.zeros((2, 4, 4, 6)))  # of dead filters: ½ everywhere
    np.testing.assert_array_equal(fields, 0.5)
    assert reg.group_activation_loss(fields, G2, PAIRS) == 0
    assert reg.group_repulsion_loss(fields, G2, PAIRS) == 1


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
    with pytest.raises(ValueError, match="axis = 'inputs': expected 'filters', which activation maps are of"):
        reg.group_activation_loss(fields, reg.Grouping(num_groups=2, axis="inputs"), PAIRS)


def test_pairs_one_by_one_and_all_at_once_are_the_same():
    """A CPU takes the one way and an accelerator the other; pairs that share a filter add up in both."""
    filters, pairs = jnp.asarray(RNG.random((3, 2, 4, 5)), jnp.float32), jnp.asarray(PAIRS)
    for form in group_activation.FORMS:
        settings = {"form": form, "axis_name": None, "differentiate": True}
        found = [group_activation._over_pairs(filters, pairs, at_once=count, **settings) for count in (1, 4)]
        for one, all_ in zip(*found, strict=True):
            np.testing.assert_allclose(one, all_, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("form", ["code", "paper"])
def test_gradient_is_that_of_the_formula(form):
    """As JAX derives it from the formula written out, in float64."""
    with jax.enable_x64(True):
        filters = jnp.asarray(RNG.random((3, 2, 4, 5)))
        weights = jnp.asarray([1.5, -0.5])

        def written_out(filters):
            first, second = filters[PAIRS[:, 0]], filters[PAIRS[:, 1]]
            parts = [jnp.sum(jnp.abs(each), axis=-1) for each in (first, second, first - second)]
            if form == "paper":
                parts = [jnp.sum(part, axis=-1) for part in parts]
            dissimilarity = 2 * parts[2] / sum(parts)
            return weights @ (dissimilarity.mean(axis=-1) if form == "code" else dissimilarity).mean(axis=0)

        def ours(filters):
            return weights @ group_activation._mean_dissimilarity(filters, jnp.asarray(PAIRS), form, None)

        for own, expected in zip(
            jax.value_and_grad(ours)(filters), jax.value_and_grad(written_out)(filters), strict=True
        ):
            np.testing.assert_allclose(own, expected, rtol=1e-12, atol=1e-15)
