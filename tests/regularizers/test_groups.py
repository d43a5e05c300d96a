"""Groupings of channels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpjax import regularizers as reg


@given(filters=st.integers(1, 60), groups=st.integers(1, 60), remainder=st.sampled_from(["free", "last"]))
def test_groups_are_contiguous_disjoint_and_of_equal_size(filters, groups, remainder):
    grouping = reg.Grouping(num_groups=groups, remainder=remainder)
    if groups > filters:
        with pytest.raises(ValueError, match=f"only {filters} filters"):
            grouping.members(filters)
        return
    indices = grouping.members(filters)
    covered = np.concatenate(indices)
    np.testing.assert_array_equal(covered, np.arange(len(covered)))
    assert {len(group) for group in indices[:-1]} <= {filters // groups}
    assert len(covered) == (filters if remainder == "last" else groups * (filters // groups))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]),
        ({"group_size": 4}, [[0, 1, 2, 3], [4, 5, 6, 7]]),
        ({"group_size": 4, "remainder": "last"}, [[0, 1, 2, 3], [4, 5, 6, 7, 8, 9, 10]]),
        ({"num_groups": 3, "order": "strided"}, [[0, 3, 6], [1, 4, 7], [2, 5, 8]]),
        ({"num_groups": 3, "order": "strided", "remainder": "last"}, [[0, 3, 6], [1, 4, 7], [2, 5, 8, 9, 10]]),
        ({"group_size": 3, "order": "strided"}, [[0, 3, 6], [1, 4, 7], [2, 5, 8]]),
        ({"indices": [[3, 1], [7]]}, [[3, 1], [7]]),
        ({"indices": ((3, 1), (7,)), "remainder": "last"}, [[3, 1], [7, 0, 2, 4, 5, 6, 8, 9, 10]]),
    ],
)
def test_members_of_eleven_channels(fields, expected):
    grouping = reg.Grouping(**fields)
    assert [group.tolist() for group in grouping.members(11)] == expected
    assert grouping.sizes(11) == tuple(len(group) for group in expected)
    split = np.asarray(grouping.split(jnp.broadcast_to(jnp.arange(1.0, 12.0), (2, 2, 11))))
    for number, group in enumerate(expected):
        found = split[0, 1, number]
        np.testing.assert_array_equal(found[: len(group)], np.array(group) + 1)
        assert not found[len(group) :].any()
    assert reg.Grouping(**fields) == grouping  # and can be a static argument
    assert hash(reg.Grouping(**fields)) == hash(grouping)


GROUPINGS = [
    {"num_groups": 3},
    {"num_groups": 3, "remainder": "last"},
    {"group_size": 2, "order": "strided"},
    {"indices": [[5, 0], [2], [1, 4, 3]]},
]


@pytest.mark.parametrize("fields", GROUPINGS)
@pytest.mark.parametrize("axis", ["filters", "inputs"])
def test_merge_is_the_inverse_of_split(fields, axis):
    kernel = jnp.arange(1.0, 1 + 2 * 8 * 8).reshape(2, 8, 8)
    for parts in (1, 2) if axis == "inputs" else (1,):
        grouping = reg.Grouping(**fields, axis=axis, feature_group_count=parts)
        groups = grouping.split(kernel)
        np.testing.assert_array_equal(grouping.merge(groups, kernel), kernel)
        changed = grouping.merge(-groups, kernel)
        np.testing.assert_array_equal(np.abs(changed), kernel)
        grouped = sum(grouping.sizes(8 * parts)) / (8 * parts)
        assert np.sum(np.asarray(changed) < 0) == kernel.size * grouped


@pytest.mark.parametrize("parts", [1, 2, 6])
def test_input_groups_hold_what_the_convolution_makes_of_those_inputs(parts):
    """Without a group's weights, the output does not depend on the group's input channels; nor on others' less."""
    rng = np.random.default_rng(0)
    kernel = jnp.asarray(rng.normal(size=(3, 3, 6 // parts, 12)), jnp.float32)
    grouping = reg.Grouping(num_groups=3, axis="inputs", feature_group_count=parts)
    images = jnp.asarray(rng.normal(size=(1, 5, 5, 6)), jnp.float32)

    def convolve(images, kernel):
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            images, kernel, (1, 1), "SAME", dimension_numbers=numbers, feature_group_count=parts
        )

    groups = grouping.split(kernel)
    for number, members in enumerate(grouping.members(6)):
        without = grouping.merge(groups.at[..., number, :].set(0), kernel)
        changed = convolve(images.at[..., members].add(1.0), without) - convolve(images, without)
        np.testing.assert_allclose(changed, 0, atol=1e-5)
        others = np.setdiff1d(np.arange(6), members)
        removed = convolve(images.at[..., members].set(0.0), kernel)
        np.testing.assert_allclose(convolve(images, without), removed, atol=1e-5)
        assert np.abs(convolve(images.at[..., others].add(1.0), without) - convolve(images, without)).max() > 0.1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_groups": 0}, "num_groups = 0"),
        ({"num_groups": True}, "num_groups = True"),
        ({"group_size": 0}, "group_size = 0"),
        ({"feature_group_count": 0}, "feature_group_count = 0"),
        ({"remainder": "drop"}, "remainder = 'drop': choose one of free, last, error"),
        ({"order": "random"}, "order = 'random': choose one of contiguous, strided"),
        ({"axis": "height"}, "axis = 'height': choose one of filters, inputs"),
        ({"weights": "size"}, "weights = 'size': choose one of none, sqrt_size"),
        ({"num_groups": 2, "group_size": 3}, "num_groups and group_size: expected only one of them"),
        ({"indices": [[0, 1], [1]]}, "no channel twice"),
        ({"indices": [[0], []]}, "none of them empty"),
        ({"indices": [[-1]]}, "channels from 0"),
        ({"indices": []}, "expected one group or more"),
        ({"indices": [[0]], "order": "strided"}, "order = 'strided': expected 'contiguous', for indices"),
    ],
)
def test_refuses(fields, message):
    with pytest.raises(ValueError, match=message):
        reg.Grouping(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_groups": 5, "remainder": "error"}, "num_groups = 5: 12 filters leave 2 over"),
        ({"group_size": 5, "remainder": "error"}, "group_size = 5: 12 filters leave 2 over"),
        ({"indices": [[0, 1]], "remainder": "error"}, "12 filters leave 10 over"),
        ({"group_size": 13}, "group_size = 13: the layer has only 12 filters; expected at most 12"),
        ({"indices": [[0, 12]]}, "there is no channel 12, for the layer has 12 filters; expected 0 to 11"),
    ],
)
def test_layers_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        reg.Grouping(**fields).members(12)


def test_feature_groups_must_divide_the_filters():
    grouping = reg.Grouping(num_groups=1, axis="inputs", feature_group_count=5)
    with pytest.raises(ValueError, match="feature_group_count = 5: expected a divisor of the filters"):
        grouping.split(jnp.ones((3, 3, 1, 12)))
