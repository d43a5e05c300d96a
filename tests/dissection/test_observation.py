"""What is seen of a batch's maps: brought together on the host as on an accelerator."""

import jax.numpy as jnp
import numpy as np
import pytest

from interpjax.dissection.observation import above, compacted, observe, room_for


@pytest.mark.parametrize("share", [0.0, 0.01, 1.0])
def test_values_above_their_limits_are_the_same_brought_together_anywhere(share):
    maps = np.random.default_rng(0).normal(size=(3, 4, 5, 6)).astype(np.float32)
    limits = (
        np.quantile(maps, 1 - share, axis=(0, 1, 2)).astype(np.float32) if share < 1 else np.full(6, -9, np.float32)
    )
    expected = np.flatnonzero(maps > limits)
    for place, value in (above(jnp.asarray(maps), limits), compacted(jnp.asarray(maps), jnp.asarray(maps > limits))):
        np.testing.assert_array_equal(place, expected)
        np.testing.assert_array_equal(value, maps.reshape(-1)[expected])


def test_extremes_are_of_each_image_and_of_all():
    maps = np.random.default_rng(1).normal(size=(3, 4, 5, 6)).astype(np.float32)
    seen = observe(jnp.asarray(maps))
    np.testing.assert_array_equal(seen.maxima, maps.max(axis=(1, 2)))
    np.testing.assert_array_equal(seen.least, maps.min(axis=(0, 1, 2)))
    assert seen.finite


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (16, 7, 7, 8), (2, 55, 55, 64)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_single_value_that_is_not_finite_is_seen_in_large_maps_too(shape, value):
    maps = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    maps[1, 2, 3, 4] = value
    assert not observe(jnp.asarray(maps)).finite


def test_room_is_a_power_of_two():
    assert [room_for(count) for count in (0, 1, 2, 3, 4, 5, 1024, 1025)] == [1, 1, 2, 4, 4, 8, 1024, 2048]
