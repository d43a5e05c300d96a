"""Counts by image: against dense brute force, and their sums against the tally that keeps no image."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from dense_masks import masked_batch
from hypothesis import given, settings
from hypothesis import strategies as st

from interpjax.dissection import labels, tally
from interpjax.dissection.counting import Counting, Limits
from interpjax.dissection.images import ImageCounts, count_images
from interpjax.dissection.protocol import PROTOCOLS, get_protocol
from interpjax.dissection.upsampling import resampling, upsample

CONCEPTS = labels.ConceptColumns(np.array([1, 2, 4, 7]), np.array([0, 0, 1, 2]), 3)  # label 3 is no concept
IMAGE = (32, 32)
SHAPES = [(16, 16), (9, 20)]
THRESHOLDS = np.array([0.4, 1.0, 9.0])  # the last unit has no mask


def made(rng, count):
    """Channels, packed labels and maps of images of two label shapes; one image carries no label."""
    channels = [
        [rng.integers(0, 5, SHAPES[n % 2]) * (rng.random(SHAPES[n % 2]) < 0.2), 7 * (n % 3 == 0)] for n in range(count)
    ]
    channels[-1] = [0]
    packed = [labels.image_labels(own, SHAPES[n % 2], CONCEPTS) for n, own in enumerate(channels)]
    return channels, packed, rng.normal(size=(count, 4, 5, 3)).astype(np.float32)


def batches_of(numbers, packed, maps, protocol, size=4):
    starts = range(0, len(numbers), size)
    return [
        masked_batch(
            numbers[s : s + size],
            {"conv": maps[s : s + size]},
            {"conv": THRESHOLDS},
            packed[s : s + size],
            protocol,
            IMAGE,
        )
        for s in starts
    ]


def counted(name="paper", seed=0, count=9):
    _, packed, maps = made(np.random.default_rng(seed), count)
    protocol = get_protocol(name)
    batches = batches_of(np.arange(count), packed, maps, protocol)
    return count_images(batches, "conv", units=3, concepts=CONCEPTS, protocol=protocol)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_image_counts_as_by_the_definition(name):
    rng, protocol = np.random.default_rng(1), get_protocol(name)
    channels, packed, maps = made(rng, 7)
    batches = batches_of(np.arange(7), packed, maps, protocol)
    counts = count_images(batches, "conv", units=3, concepts=CONCEPTS, protocol=protocol)
    for image, own in enumerate(channels):
        shape = SHAPES[image % 2]
        planes = [np.any([np.broadcast_to(c, shape) == n for c in own], axis=0) for n in CONCEPTS.numbers]
        how = resampling(protocol.upsampling, (4, 5), shape, IMAGE)
        masks = upsample(np.moveaxis(maps[image], -1, 0), how) > THRESHOLDS[:, None, None]
        if protocol.skip_below:
            masks &= (maps[image].max(axis=(0, 1)) > THRESHOLDS)[:, None, None]
        shared = np.array([[(mask & plane).sum() for plane in planes] for mask in masks])
        by_category = [CONCEPTS.category_of == category for category in range(3)]
        area = np.zeros((3, 3), int)
        for unit, mask in enumerate(masks):
            for category, members in enumerate(by_category):
                counts_here = {
                    "category": any(planes[c].any() for c in np.flatnonzero(members)),
                    "touched": shared[unit, members].any(),
                    "all": True,
                }[protocol.unit_area]
                area[unit, category] = mask.sum() * counts_here
        np.testing.assert_array_equal(counts.intersection[[image]].toarray().reshape(3, 4), shared)
        np.testing.assert_array_equal(counts.unit_area[[image]].toarray().reshape(3, 3), area)
        np.testing.assert_array_equal(counts.label_area[[image]].toarray()[0], [plane.sum() for plane in planes])
        assert counts.pixels[image] == shape[0] * shape[1]


@pytest.mark.parametrize("name", ["lite", "all-pixels"])  # compiling takes time; the rest is above
def test_totals_equal_the_tally_that_keeps_no_image(name):
    protocol = get_protocol(name)
    _, packed, maps = made(np.random.default_rng(2), 9)
    how, concepts = Counting(len(THRESHOLDS), CONCEPTS, protocol), tally.LabelTally(4)
    units, _ = how.count(jnp.asarray(maps), labels.batch_labels(packed), IMAGE, Limits(THRESHOLDS, THRESHOLDS))
    for own in packed:
        concepts.add(own)
    counts = counted(name, seed=2)
    intersection, unit_area, label_area = counts.totals()
    assert {part.dtype for part in (intersection, unit_area, label_area)} == {np.dtype(np.int64)}
    np.testing.assert_array_equal(intersection, units.intersection)
    np.testing.assert_array_equal(unit_area, units.area_by_category[:, CONCEPTS.category_of])
    np.testing.assert_array_equal(label_area, concepts.label_area)
    assert counts.pixels.sum() == concepts.pixels
    assert (intersection.sum(axis=1) > 0).tolist() == [True, True, False]


@settings(max_examples=20, deadline=None)
@given(weights=st.lists(st.lists(st.integers(0, 3), min_size=9, max_size=9), min_size=1, max_size=3))
def test_a_weight_counts_an_image_so_many_times(weights):
    counts = counted()
    together = counts.totals(np.array(weights))
    for number, own in enumerate(weights):
        repeated = np.repeat(np.arange(9), own)
        dense = [
            getattr(counts, name).toarray()[repeated].astype(int).sum(axis=0).reshape(shape)
            for name, shape in (("intersection", (3, 4)), ("unit_area", (3, 3)), ("label_area", (4,)))
        ]
        dense[1] = dense[1][:, CONCEPTS.category_of]
        quarters = counts.totals(np.array(own) / 4)
        for ours, expected, quarter in zip(together, dense, quarters, strict=True):
            np.testing.assert_array_equal(ours[number], expected)
            np.testing.assert_array_equal(quarter * 4, expected)  # quarters are exact in binary


def test_the_order_of_images_and_their_batches_do_not_matter():
    _, packed, maps = made(np.random.default_rng(3), 9)
    protocol, order = get_protocol("paper"), np.random.default_rng(4).permutation(9)
    whole = batches_of(np.arange(9), packed, maps, protocol, size=9)
    mixed = batches_of(order, [packed[n] for n in order], maps[order], protocol, size=2)
    one, two = (
        count_images(batches, "conv", units=3, concepts=CONCEPTS, protocol=protocol) for batches in (whole, mixed)
    )
    assert one == two
    assert two.numbers.tolist() == list(range(9))
    assert one != dataclasses.replace(two, pixels=two.pixels + 1)
    assert one != 3
    with pytest.raises(ValueError, match="image 0 is there twice; expected each image once"):
        ImageCounts.join([one, two])
    with pytest.raises(ValueError, match="batches: there is none"):
        count_images([], "conv", units=3, concepts=CONCEPTS, protocol=protocol)


def test_millions_of_counts_take_few_bytes():
    counts = counted()
    assert counts.intersection.indices.dtype == np.int32
    assert {counts.intersection.data.dtype, counts.unit_area.data.dtype} == {np.dtype(np.uint8)}
    assert (counts.intersection.data > 0).all()
    assert (counts.unit_area.data > 0).all()
    large = dataclasses.replace(counts, numbers=counts.numbers + 9, intersection=counts.intersection.astype(int) * 3000)
    joined = ImageCounts.join([counts, large])
    assert joined.intersection.data.dtype == np.uint32
    np.testing.assert_array_equal(joined.totals()[0], counts.totals()[0] + large.totals()[0])


def test_arrays_hold_all_of_it(tmp_path):
    counts = counted()
    np.savez(tmp_path / "counts.npz", **counts.arrays())
    with np.load(tmp_path / "counts.npz", allow_pickle=False) as stored:
        again = ImageCounts.from_arrays(stored)
    assert again == counts
    np.testing.assert_array_equal(again.totals()[1], counts.totals()[1])
    assert repr(again) == "ImageCounts(9 images, 3 units, 4 concepts)"
    with pytest.raises(ValueError, match="weights: of 8 images; expected 9"):
        again.totals(np.ones(8))
