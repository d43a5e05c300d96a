"""First-layer filters as pictures: what is where, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
from small_cnn import SIZE

from interpjax import models
from interpjax import visualization as vis
from interpjax.regularizers import Grouping


def made(kernel):
    model = models.create_model("two_figures_cnn", num_classes=2, width=kernel.shape[-1] / 128)
    return model, {"params": {"conv1": {"kernel": jnp.asarray(kernel, jnp.float32)}}}


def test_filters_of_a_group_are_beside_each_other_and_free_ones_last():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 7))
    kernel[..., 4] = 0
    grouping = Grouping(indices=((5, 1), (4, 2, 6)))
    found = vis.first_layer_filters(*made(kernel), grouping, image_size=SIZE)
    assert found.layer == "conv1"
    assert found.units.tolist() == [1, 5, 2, 4, 6, 0, 3]
    assert found.groups.tolist() == [0, 0, 1, 1, 1, -1, -1]
    for picture, unit in zip(found.pictures, found.units, strict=True):
        own = kernel[..., unit]
        expected = 0.5 + own / (2 * np.abs(own).max()) if unit != 4 else np.full((3, 3, 3), 0.5)
        np.testing.assert_allclose(picture, expected, atol=1e-6)
    swapped = vis.first_layer_filters(*made(kernel), grouping, channels="BGR", image_size=SIZE)
    np.testing.assert_array_equal(swapped.pictures, found.pictures[..., ::-1])


def test_what_has_no_pictures_is_refused():
    network = made(np.ones((3, 3, 3, 8)))
    with pytest.raises(ValueError, match=r"grouping.axis = 'inputs': expected 'filters'"):
        vis.first_layer_filters(*network, Grouping(2, axis="inputs"), image_size=SIZE)
    with pytest.raises(ValueError, match="variables: 'params' have no conv1/kernel; expected the kernel of the first"):
        vis.first_layer_filters(network[0], network[1]["params"], Grouping(2), image_size=SIZE)
    with pytest.raises(ValueError, match="channels = 'GBR': choose one of RGB, BGR"):
        vis.first_layer_filters(*network, Grouping(2), channels="GBR", image_size=SIZE)
    with pytest.raises(ValueError, match="num_groups = 9: the layer has only 8 filters"):
        vis.first_layer_filters(*network, Grouping(9), image_size=SIZE)
    with pytest.raises(ValueError, match=r"layer 'conv1': its kernel has the shape \(3, 3, 1, 8\); expected"):
        vis.first_layer_filters(*made(np.ones((3, 3, 1, 8))), Grouping(2), image_size=SIZE)
