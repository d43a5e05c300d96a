"""Groupings of filters."""

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


@pytest.mark.parametrize("remainder", ["free", "last"])
def test_split_puts_each_filter_in_its_group(remainder):
    grouping = reg.Grouping(num_groups=3, remainder=remainder)
    kernel = jnp.broadcast_to(jnp.arange(1.0, 12.0), (2, 2, 11))
    split = np.asarray(grouping.split(kernel))
    for group, members in enumerate(grouping.members(11)):
        found = split[0, 0, group]
        np.testing.assert_array_equal(found[found > 0], members + 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_groups": 0}, "num_groups = 0"),
        ({"remainder": "drop"}, "remainder = 'drop': choose one of free, last, error"),
    ],
)
def test_refuses(fields, message):
    with pytest.raises(ValueError, match=message):
        reg.Grouping(**fields)


def test_error_refuses_a_layer_with_filters_left_over():
    grouping = reg.Grouping(num_groups=5, remainder="error")
    assert grouping.sizes(10) == (2,) * 5
    with pytest.raises(ValueError, match="12 filters leave 2 over"):
        grouping.sizes(12)
