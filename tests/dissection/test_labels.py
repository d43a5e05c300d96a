"""Packed labels of an image against their plain definition."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpjax.dissection.labels import ConceptColumns, image_labels

NUMBERS = [0, 1, 2, 5, 9, 255, 256, 300, 1197]  # that pixels may have, whether they are counted or not


@st.composite
def labelled_images(draw):
    shape = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    dtype = draw(st.sampled_from([np.uint16, np.int32, np.int64]))
    maps = hnp.arrays(dtype, shape, elements=st.sampled_from(NUMBERS))
    return shape, draw(st.lists(st.one_of(maps, st.sampled_from(NUMBERS)), max_size=4))


@st.composite
def concept_columns(draw):
    numbers = np.array(sorted(draw(st.sets(st.sampled_from(NUMBERS), min_size=1))))
    return ConceptColumns(numbers, draw(hnp.arrays(np.int64, len(numbers), elements=st.integers(0, 2))), 3)


def dense(channels, shape, concepts):
    """By column, the pixels that carry the concept."""
    planes = np.zeros((len(concepts.numbers), *shape), bool)
    for channel in channels:
        for column, number in enumerate(concepts.numbers):
            if number:
                planes[column] |= np.broadcast_to(channel, shape) == number
    return planes


def unpacked(labels, shape, concepts):
    """The same from entries, bit by bit."""
    planes, across = np.zeros((len(concepts.numbers), *shape), bool), -(-shape[1] // 8)
    for tile, column, words in zip(labels.tile, labels.column, labels.words, strict=True):
        for bit in range(64):
            if int(words[bit // 32]) >> (bit % 32) & 1:  # an IndexError where it is outside of the image
                planes[column, tile // across * 8 + bit // 8, tile % across * 8 + bit % 8] = True
    return planes


@settings(max_examples=100, deadline=None)
@given(labelled_images(), concept_columns())
def test_entries_are_the_pixels_that_any_channel_labels(image, concepts):
    shape, channels = image
    labels, expected = image_labels(channels, shape, concepts), dense(channels, shape, concepts)
    np.testing.assert_array_equal(unpacked(labels, shape, concepts), expected)
    assert labels.words.any(axis=1).all()
    order = list(zip(labels.tile.tolist(), labels.column.tolist(), strict=True))
    assert order == sorted(set(order))
    found = concepts.category_of[expected.any(axis=(1, 2))]
    assert np.flatnonzero(labels.categories).tolist() == sorted(set(found.tolist()))
    assert (labels.tile.dtype, labels.column.dtype, labels.words.dtype) == (np.int32, np.int32, np.uint32)
    assert (labels.words.shape, labels.shape) == ((len(labels.tile), 2), shape)


def test_channels_may_lie_in_memory_in_any_order():
    """As a color plane of an image does, or a transposed array."""
    rng, concepts = np.random.default_rng(0), ConceptColumns(np.array([1, 2]), np.array([0, 0]), 1)
    pixels = rng.integers(0, 3, (16, 24, 3)).astype(np.uint16)
    for channel in (pixels[..., 1], pixels[..., 1].T, pixels[::-1, ::-1, 0]):
        labels = image_labels([channel], channel.shape, concepts)
        expected = dense([channel], channel.shape, concepts)
        np.testing.assert_array_equal(unpacked(labels, channel.shape, concepts), expected)


def test_negative_labels_are_refused():
    concepts = ConceptColumns(np.array([1]), np.array([0]), 1)
    with pytest.raises(ValueError, match="negative"):
        image_labels([np.full((8, 8), -1, np.int32)], (8, 8), concepts)
