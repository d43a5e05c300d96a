"""What is said of groups after and during training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpjax import regularizers as reg

G2 = reg.Grouping(num_groups=2)
RNG = np.random.default_rng(0)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6, width=32, allow_subnormal=False), min_size=2, max_size=9))
def test_hoyer_sparsity_is_that_of_the_formula(norms):
    sparsity = float(reg.hoyer_sparsity(jnp.array(norms, jnp.float32)))
    norms = np.array(norms, np.float32).astype(np.float64)
    expected = 0.0
    if norms.any():
        root = np.sqrt(len(norms))
        expected = (root - norms.sum() / np.linalg.norm(norms)) / (root - 1)
    assert sparsity == pytest.approx(expected, abs=2e-6)  # a difference of numbers near √G


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_hoyer_sparsity_has_its_extremes_at_every_scale(scale):
    assert reg.hoyer_sparsity(scale * jnp.array([0.0, 0.0, 3.0])) == pytest.approx(1)
    assert reg.hoyer_sparsity(scale * jnp.ones(4)) == pytest.approx(0, abs=1e-6)
    assert reg.hoyer_sparsity(jnp.zeros(4)) == 0
    assert reg.hoyer_sparsity(jnp.ones(1)) == 0


def test_zero_groups_are_exactly_zero_ones():
    assert reg.zero_group_share(jnp.array([0.0, 1e-30, 2.0, 0.0])) == 0.5


def test_dead_filters_are_active_nowhere():
    maps = jnp.full((2, 3, 3, 4), -1.0).at[1, 2, 0, 1].set(0.5).at[:, :, :, 2].set(0.0)
    assert reg.dead_filters(maps) == 3


def test_similarities_tell_groups_apart():
    left, right = np.zeros((2, 4, 4)), np.zeros((2, 4, 4))
    left[..., :2], right[..., 2:] = 1, 1
    pairs = reg.draw_pairs(jax.random.key(0), G2, 6)
    apart = jnp.asarray(np.stack([left] * 3 + [right] * 3, axis=-1))
    np.testing.assert_array_equal(reg.group_similarities(apart, G2, pairs), [1, 0])
    collapsed = jnp.full((2, 4, 4, 6), 0.5)
    np.testing.assert_array_equal(reg.group_similarities(collapsed, G2, pairs), [1, 1])


def variables():
    return {
        "params": {
            "conv": {"kernel": jnp.asarray(RNG.normal(size=(3, 3, 2, 4)), jnp.float32)},
            "block": {"bn": {"scale": jnp.array([1.0, -2.0, 0.5, 0.0])}},
        },
        "batch_stats": {"block": {"bn": {"var": jnp.array([4.0, 1.0, 0.25, 1.0])}}},
    }


def test_relevance_is_of_the_kernel_or_of_what_batch_norm_makes_of_it():
    given = variables()
    kernel = np.asarray(given["params"]["conv"]["kernel"], np.float64)
    raw = reg.group_relevance(given, G2)["conv"]
    np.testing.assert_allclose(raw, [np.linalg.norm(kernel[..., :2]), np.linalg.norm(kernel[..., 2:])], rtol=1e-6)
    folded = reg.group_relevance(given, G2, batch_norms={"conv": "block/bn"})["conv"]
    kernel = kernel * [1 / np.sqrt(4 + 1e-5), -2 / np.sqrt(1 + 1e-5), 0.5 / np.sqrt(0.25 + 1e-5), 0]
    expected = [np.linalg.norm(kernel[..., :2]), np.linalg.norm(kernel[..., 2:])]
    np.testing.assert_allclose(folded, expected, rtol=1e-6)


def test_folded_relevance_does_not_change_with_the_kernels_scale():
    """The network's function does not: the batch variance is that of the maps, which the kernel scales."""
    given, scaled = variables(), variables()
    scaled["params"]["conv"] = {"kernel": 8 * given["params"]["conv"]["kernel"]}
    scaled["batch_stats"]["block"]["bn"] = {"var": 64 * given["batch_stats"]["block"]["bn"]["var"]}
    first, second = (reg.group_relevance(v, G2, batch_norms={"conv": "block/bn"}, eps=0.0) for v in (given, scaled))
    np.testing.assert_allclose(first["conv"], second["conv"], rtol=1e-6)


def test_a_batch_norm_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="layer conv: its batch norm 'bn7' has no 'scale'"):
        reg.group_relevance(variables(), G2, batch_norms={"conv": "bn7"})
    with pytest.raises(ValueError, match="layer conv: num_groups = 5: the layer has only 4 filters"):
        reg.group_relevance(variables(), reg.Grouping())
    with pytest.raises(ValueError, match=r"batch_norms: no layer 'conv7'; choose from conv$"):
        reg.group_relevance(variables(), G2, batch_norms={"conv7": "block/bn"})
    with pytest.raises(ValueError, match=r"variables: expected all of a network's, .* these have no 'params'"):
        reg.group_relevance(variables()["params"], G2, batch_norms={"conv": "block/bn"})


def test_relevance_of_dense_layers_by_request():
    params = {"conv": {"kernel": jnp.ones((1, 1, 2, 4))}, "fc": {"kernel": jnp.ones((2, 4))}}
    groupings = {"fc": reg.Grouping(num_groups=4), "*": G2}
    found = reg.group_relevance(params, groupings, dense=True)
    assert {layer: len(norms) for layer, norms in found.items()} == {"conv": 2, "fc": 4}
    with pytest.raises(ValueError, match="grouping: 'fc' matches no convolution"):
        reg.group_relevance(params, groupings)
