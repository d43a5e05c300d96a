"""Units set to zero, against networks whose filters are zero."""

import jax.numpy as jnp
import numpy as np
import pytest
from small_cnn import CLASSES, small_cnn

from interpjax import visualization as vis
from interpjax.visualization import ablation

SETS = [3, (0, 5, 6), [7]]


@pytest.fixture(scope="module")
def network():
    """A network, images, and labels that it mostly gets right."""
    model, variables, images = small_cnn(images=60)
    logits = model.apply(variables, images, train=False)
    variables["params"]["fc"]["bias"] -= logits.mean(axis=0)  # so that all classes occur
    labels = np.array(model.apply(variables, images, train=False).argmax(axis=1))
    labels[::7] = 0
    return model, variables, images, labels


def without(variables, layer, units):
    """A kernel and a bias of 0: behind the rectifier there is 0."""
    own = {name: leaf.at[..., np.array(units)].set(0) for name, leaf in variables["params"][layer].items()}
    return {"params": variables["params"] | {layer: own}}


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
@pytest.mark.parametrize("at_once", [ablation.AT_ONCE, 1])  # all sets together, and each on its own
def test_ablation_is_a_network_without_the_filters(network, layer, at_once, monkeypatch):
    model, variables, images, labels = network
    monkeypatch.setattr(ablation, "AT_ONCE", at_once)
    batches = [(images[start : start + 25], labels[start : start + 25]) for start in (0, 25, 50)]
    found = vis.ablate(model, variables, batches, layer, SETS)
    networks = [variables, *(without(variables, layer, np.atleast_1d(own)) for own in SETS)]
    right = np.stack([model.apply(own, images, train=False).argmax(axis=1) == labels for own in networks])
    correct = np.stack([right[:, labels == cls].sum(axis=1) for cls in range(CLASSES)], axis=1)
    assert len(np.unique(correct, axis=0)) > 2  # sets matter
    np.testing.assert_array_equal(found.images, np.bincount(labels, minlength=CLASSES))
    np.testing.assert_array_equal(found.correct_before, correct[0])
    np.testing.assert_array_equal(found.correct_after, correct[1:])
    assert found.sets == ((3,), (0, 5, 6), (7,))


def test_the_classes_that_lose_most_come_first_and_others_do_not_come():
    found = vis.Ablation(
        layer="conv1",
        sets=((1,), (2,)),
        images=np.array([10, 4, 0, 10]),
        correct_before=np.array([8, 4, 0, 5]),
        correct_after=np.array([[7, 1, 0, 5], [8, 4, 0, 6]]),
    )
    np.testing.assert_array_equal(found.accuracy_before, [0.8, 1.0, np.nan, 0.5])
    np.testing.assert_array_equal(found.accuracy_after[0], [0.7, 0.25, np.nan, 0.5])
    table = found.most_hurt()
    assert table[["set", "class", "images"]].to_numpy().tolist() == [[0, 1, 4], [0, 0, 10]]
    np.testing.assert_allclose(table["change"], [-0.75, -0.1])
    assert len(found.most_hurt(1)) == 1


def test_all_sets_and_batches_are_compiled_for_once(network):
    model, variables, images, labels = network
    ablation._correct.clear_cache()
    for sets in ([0, 1], [(2, 3), 4]):
        batches = [(images[:25], labels[:25]), (images[25:40], labels[25:40])]
        vis.ablate(model, variables, batches, "conv2", sets)
    assert ablation._correct._cache_size() == 1


def test_batches_without_images_are_skipped(network):
    model, variables, images, labels = network
    empty = (images[:0], labels[:0])
    found = vis.ablate(model, variables, [empty, (images[:25], labels[:25]), empty], "conv2", SETS)
    plain = vis.ablate(model, variables, [(images[:25], labels[:25])], "conv2", SETS)
    np.testing.assert_array_equal(found.correct_after, plain.correct_after)
    assert found.images.sum() == 25


def test_what_cannot_be_ablated_is_refused(network, untyped):
    model, variables, images, labels = network
    batch = [(images, labels)]
    with pytest.raises(ValueError, match="layer = 'conv3': choose one of conv1, conv2"):
        vis.ablate(model, variables, batch, "conv3", [0])
    for wrong in (8, -1, (), (0, 8), 1.5):
        with pytest.raises(ValueError, match="is no unit or group of 'conv1'; expected numbers from 0 to 7"):
            vis.ablate(model, variables, batch, "conv1", [wrong])
    with pytest.raises(ValueError, match="units_or_groups: none is given"):
        vis.ablate(model, variables, batch, "conv1", [])
    for none in ([], [(images[:0], labels[:0])]):
        with pytest.raises(ValueError, match="batches: there is none with images"):
            vis.ablate(model, variables, none, "conv1", [0])
    with pytest.raises(
        ValueError, match=r"batches: one is .* of shape \(60, 12, 12, 3\); expected batches, as \[\(images,"
    ):
        vis.ablate(model, variables, (images, labels), "conv1", [0])
    with pytest.raises(ValueError, match=r"units_or_groups = 3: expected a sequence, as \[3\]"):
        vis.ablate(model, variables, batch, "conv1", 3)
    with pytest.raises(
        ValueError, match=r"labels: int32 of the shape \(59,\); expected whole numbers, one for each of 60"
    ):
        vis.ablate(model, variables, [(images, labels[1:])], "conv1", [0])
    with pytest.raises(ValueError, match="labels = 3: the network has no such class; expected 0 to 2"):
        vis.ablate(model, variables, [(images, jnp.full(60, 3))], "conv1", [0])
