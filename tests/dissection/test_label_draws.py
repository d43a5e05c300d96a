"""Labels shuffled between images: the counts by brute force, and what every draw keeps."""

import numpy as np
import pytest
from dense_masks import masked_batch

from interpjax.dissection import get_protocol, label_draws, scoring
from interpjax.dissection.category_labels import collect_labels
from interpjax.dissection.labels import ConceptColumns, image_labels
from interpjax.dissection.upsampling import resampling, upsample
from interpjax.errors import UserError

CONCEPTS = ConceptColumns(np.array([1, 2, 4, 7]), np.array([0, 0, 1, 2]), 3)  # label 3 is no concept
IMAGE = (24, 24)
SHAPES = [(17, 12)] * 7 + [(9, 20)] * 4 + [(8, 8)]  # the last one has no other to change labels with
THRESHOLDS = np.array([0.8, 1.2, 0.0, 9.0])  # no map exceeds the last


def channels_of(rng, number, shape):
    """Category 0 is in all images, 1 in most, 2, which fills them, in every third."""
    colors = rng.integers(0, 3, shape) * (rng.random(shape) < 0.4)
    colors[0, 0] = 2
    return [colors, 4 * (rng.random(shape) < 0.2) * (number % 4 > 0)] + ([7] if number % 3 == 0 else [])


def example():
    rng = np.random.default_rng(3)
    channels = [channels_of(rng, number, shape) for number, shape in enumerate(SHAPES)]
    return rng.normal(size=(len(SHAPES), 4, 5, 4)).astype(np.float32), channels


def batches_of(maps, channels, protocol, order, size=5):
    """The images in some order; their numbers are those of ``SHAPES``, ten times."""
    made = []
    for start in range(0, len(order), size):
        own = list(order[start : start + size])
        labels = [image_labels(channels[number], SHAPES[number], CONCEPTS) for number in own]
        made.append(
            masked_batch(10 * np.array(own), {"conv": maps[own]}, {"conv": THRESHOLDS}, labels, protocol, IMAGE)
        )
    return made


def brute_force(maps, channels, protocol, partners):
    """[units, concepts] IoU where the labels of each category come from the image's partner in it."""
    shared, area, truth = np.zeros((4, 4), int), np.zeros((4, 4), int), np.zeros(4, int)
    for image, shape in enumerate(SHAPES):
        how = resampling(protocol.upsampling, (4, 5), shape, IMAGE)
        own = np.moveaxis(maps[image], -1, 0).astype(np.float32 if how.rounded else np.float64)
        masks = upsample(own, how) > THRESHOLDS[:, None, None]
        if protocol.skip_below:
            masks &= (own.max(axis=(1, 2)) > THRESHOLDS)[:, None, None]
        for category in range(3):
            columns = np.flatnonzero(CONCEPTS.category_of == category)
            source = partners[category].get(image)
            planes = np.zeros((len(columns), *shape), bool)
            if source is not None:
                numbers = CONCEPTS.numbers[columns]
                planes |= [np.any([np.broadcast_to(c, shape) == n for c in channels[source]], axis=0) for n in numbers]
            common = (masks[:, None] & planes).sum(axis=(2, 3))
            touched = common.any(axis=1)
            counts = {"category": np.full(4, source is not None), "touched": touched, "all": np.ones(4, bool)}
            shared[:, columns] += common
            area[:, columns] += (masks.sum(axis=(1, 2)) * counts[protocol.unit_area])[:, None]
            truth[columns] += planes.sum(axis=(1, 2))
    return shared / np.maximum(area + truth - shared, 1)


@pytest.mark.parametrize("name", ["paper", "lite", "all-pixels", "cgl"])
def test_every_draw_equals_brute_force_with_the_labels_of_the_partners(name):
    maps, channels = example()
    protocol = get_protocol(name, detector_iou=0.1)
    order = np.random.default_rng(0).permutation(len(SHAPES))
    batches = batches_of(maps, channels, protocol, order)
    found = label_draws.label_draws(batches, "conv", units=4, concepts=CONCEPTS, protocol=protocol, draws=6, seed=5)
    labels = collect_labels(batches, CONCEPTS)
    for draw in range(6):
        chosen = [
            {own.numbers[place] // 10: own.numbers[other] // 10 for place, other in enumerate(partner)}
            for own, partner in zip(labels, label_draws.draw_partners(labels, 5, draw), strict=True)
        ]
        iou = brute_force(maps, channels, protocol, chosen)
        np.testing.assert_allclose(found.best_iou[draw], iou.max(axis=0), rtol=1e-12)
        detected = scoring.detected_concepts(iou, CONCEPTS.category_of, threshold=0.1)
        assert found.unique_detectors[draw] == len(detected)
    assert len({tuple(row) for row in found.best_iou}) > 3  # draws differ


def test_partners_are_permutations_among_images_of_one_shape_annotated_in_the_category():
    maps, channels = example()
    protocol = get_protocol("paper")
    labels = collect_labels(batches_of(maps, channels, protocol, np.arange(len(SHAPES))), CONCEPTS)
    annotated = [range(12), [n for n in range(12) if n % 4], range(0, 12, 3)]
    moved = np.zeros(3)
    for draw in range(20):
        for category, (own, partner) in enumerate(zip(labels, label_draws.draw_partners(labels, 0, draw), strict=True)):
            assert (own.numbers // 10).tolist() == list(annotated[category])
            assert sorted(partner) == list(range(len(own.numbers)))
            shapes = [SHAPES[number // 10] for number in own.numbers]
            assert [shapes[other] for other in partner] == shapes
            moved[category] += (partner != np.arange(len(partner))).sum()
    assert (moved > 0).all()


def test_draws_depend_on_neither_the_batches_nor_how_many_there_are():
    maps, channels = example()
    protocol = get_protocol("lite")
    settings = {"units": 4, "concepts": CONCEPTS, "protocol": protocol, "seed": 2}
    orders = [np.arange(12), np.random.default_rng(1).permutation(12)]
    one, other = (
        batches_of(maps, channels, protocol, order, size) for order, size in zip(orders, (12, 3), strict=True)
    )
    few = label_draws.label_draws(one, "conv", draws=3, **settings)
    many = label_draws.label_draws(other, "conv", draws=7, **settings)
    np.testing.assert_array_equal(few.best_iou, many.best_iou[:3])
    np.testing.assert_array_equal(few.unique_detectors, many.unique_detectors[:3])
    seeded = label_draws.label_draws(one, "conv", draws=3, **(settings | {"seed": 3}))
    assert (seeded.best_iou != few.best_iou).any()


def test_sums_of_few_draws_at_a_time_give_the_same(monkeypatch):
    maps, channels = example()
    protocol = get_protocol("lite")
    batches = batches_of(maps, channels, protocol, np.arange(12))
    settings = {"units": 4, "concepts": CONCEPTS, "protocol": protocol, "draws": 5}
    whole = label_draws.label_draws(batches, "conv", **settings)
    monkeypatch.setattr(label_draws, "SUMS_BYTES", 2 * 8 * 4 * 4)
    parts = label_draws.label_draws(batches, "conv", **settings)
    np.testing.assert_array_equal(whole.best_iou, parts.best_iou)


def test_what_cannot_be_shuffled_is_refused(untyped):
    maps, channels = example()
    protocol = get_protocol("paper")
    settings = {"units": 4, "concepts": CONCEPTS, "protocol": protocol, "draws": 2}
    alone = batches_of(maps, channels, protocol, [0, 7, 11])  # of three shapes
    with pytest.raises(UserError, match="labels cannot be shuffled: no two images with label maps of one shape"):
        label_draws.label_draws(alone, "conv", **settings)
    whole = batches_of(maps, channels, protocol, np.arange(12))
    with pytest.raises(ValueError, match="batches: an iterator, which is used up after one pass; expected a list"):
        label_draws.label_draws(iter(whole), "conv", **settings)
    with pytest.raises(ValueError, match="batches: there is no image in them; expected"):
        label_draws.label_draws([], "conv", **settings)
    with pytest.raises(ValueError, match="batches: image 0 is in them twice; expected each image once"):
        label_draws.label_draws([*whole, whole[0]], "conv", **settings)
    with pytest.raises(ValueError, match="draws = 0: expected a whole number of 1 or more"):
        label_draws.label_draws(whole, "conv", **(settings | {"draws": 0}))
