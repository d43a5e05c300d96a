"""Label maps of several sizes in a batch: each image at its own, and nothing is compiled because a size is new."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax.dissection import chunks, counting, labels, tile_tables, tiles
from interpjax.dissection.protocol import get_protocol
from interpjax.dissection.upsampling import resampling, upsample

IMAGE = (64, 64)
CONCEPTS = labels.ConceptColumns(np.array([1, 2, 4]), np.array([0, 0, 1]), 2)
LARGE = [(40, 33), (64, 50), (33, 33), (64, 50)]  # eight cells and more to a tile's side at most, of maps 4 × 4
# The label shapes of four images, the maps' shape, and the cells along the axes that a tile then reads.
LAYOUTS = {
    "a cell": ("bilinear", (4, 4), LARGE, 3),
    "a cell, fieldmap": ("fieldmap", (4, 4), LARGE, 3),
    "a cell, cubic": ("pil-bicubic", (4, 4), LARGE, 5),
    "two cells": ("bilinear", (5, 4), [(20, 33), (64, 50), (33, 33), (64, 50)], 4),
    "four cells": ("pil-bilinear", (9, 9), [(20, 17), (34, 50), (34, 34), (64, 50)], 6),
    "eight cells": ("bilinear", (17, 16), [(20, 17), (33, 50), (33, 33), (64, 50)], 10),
    "cells of every pixel": ("bilinear", (30, 20), [(17, 11), (40, 33), (12, 12), (40, 33)], 16),
    "cells of every pixel, filtered": ("pil-bilinear", (9, 7), [(6, 5), (11, 17), (12, 4), (6, 5)], 32),
}


def make_labels(rng, shapes):
    return [labels.image_labels([rng.integers(0, 5, shape)], shape, CONCEPTS) for shape in shapes]


QUICK = [("a cell", False), ("two cells", False), ("cells of every pixel", False), ("a cell, cubic", True)]


@pytest.mark.parametrize(
    ("name", "skip_below"),
    [
        pytest.param(name, skip, marks=[] if (name, skip) in QUICK else pytest.mark.long)
        for name in LAYOUTS
        for skip in ([False, True] if "cubic" in name else [False])  # elsewhere it changes nothing
    ],
)
def test_each_image_is_upsampled_to_its_own_size(name, skip_below):
    method, source, shapes, reach = LAYOUTS[name]
    rng, units = np.random.default_rng(1), 5
    maps = rng.normal(size=(5, *source, units)).astype(np.float32)
    thresholds = np.quantile(maps, [0.5, 0.9, 0.97, 0.99, 1.0])
    batch = labels.batch_labels([*make_labels(rng, shapes), None])
    hows = tuple(resampling(method, source, shape, IMAGE) for shape in batch.shapes)
    cut = tile_tables.cut(hows, 5)
    assert cut.grid == batch.grid
    assert cut.rows.source.shape[2] == cut.columns.source.shape[2] == reach
    with jax.enable_x64(True):
        floor = counting.round_down(thresholds, maps.dtype)
        active = np.asarray(tiles.active_tiles(cut, jnp.asarray(maps), floor, batch.shape, skip_below=skip_below))
        assert not active[:, :, 4].any()
        found = {}
        for chunk in chunks.list_chunks(active.reshape(-1, 5 * units), units, batch):
            image, unit = np.divmod(np.maximum(chunk.number, 0), units)
            cells = tiles.cells(cut, jnp.asarray(maps), image, chunk.tile, unit)
            words = np.asarray(tiles.masks(cut, cells, chunk.tile, [thresholds[unit]])[0])
            own = batch.tile_of_image(chunk.tile)
            for place in zip(*np.nonzero(chunk.number >= 0), strict=True):
                key = int(image[place]), int(own[place[0]]), int(unit[place])
                assert key not in found
                found[key] = words[place]
    assert len(found) == active.sum()
    for image, shape in enumerate(shapes):
        dense = upsample(np.moveaxis(maps[image], -1, 0), resampling(method, source, shape, IMAGE))
        mask = dense > thresholds[:, None, None]
        if skip_below:
            mask &= (maps[image].max(axis=(0, 1)) > thresholds)[:, None, None]
        expected = tiles.pack(mask)
        for unit, tile in np.ndindex(expected.shape[:2]):
            words = found.get((image, tile, unit), np.zeros(2, np.uint32))
            np.testing.assert_array_equal(words, expected[unit, tile])


@pytest.mark.parametrize("method", ["bilinear", pytest.param("pil-bicubic", marks=pytest.mark.long)])
def test_batches_of_new_sizes_are_not_compiled_anew(method):
    """Whatever their sizes, how many there are, and how many images do not count."""
    rng, protocol = np.random.default_rng(2), get_protocol("paper", upsampling=method)
    how, limit = counting.Counting(3, CONCEPTS, protocol), np.full(3, 0.5)
    maps = jnp.asarray(rng.normal(size=(6, 4, 5, 3)).astype(np.float32))
    compiled = []
    for count in (6, 5, 2, 6):
        shapes = [(int(height), int(width)) for height, width in rng.integers(49, 57, (count, 2))]
        assert len(set(shapes)) > 1
        batch = labels.batch_labels([*make_labels(rng, shapes), *[None] * (6 - count)])
        how.count(maps, batch, IMAGE, counting.Limits(limit, limit))
        compiled.append([function._cache_size() for function in (tiles.active_tiles, counting._gather, tiles.masks)])
    assert compiled == [compiled[0]] * 4


def test_layers_and_label_maps_of_one_size_share_what_is_compiled_where_they_meet_alike():
    """From 13 cells to 112 pixels, from 10 to 100, from 26 to 224: at most two cells between a tile's pixels."""
    layouts = {
        tile_tables.cut((resampling("bilinear", (cells, cells), (side, side), IMAGE),), 32).layout
        for cells, side in ((13, 112), (10, 100), (26, 224), (13, 150))
    }
    assert len(layouts) == 1


def test_grids_of_several_shapes_have_few_sizes_and_room_for_each():
    rng, grids = np.random.default_rng(3), set()
    for _ in range(300):
        shapes = [(int(height), int(width)) for height, width in rng.integers(1, 640, (8, 2))]
        rows, columns = tile_tables.grid_of(shapes)
        assert max(height for height, _ in shapes) <= rows * 8 <= 1.25 * max(height for height, _ in shapes) + 8
        assert max(width for _, width in shapes) <= columns * 8 <= 1.25 * max(width for _, width in shapes) + 8
        grids.add((rows, columns))
    assert len(grids) <= 16
    assert tile_tables.grid_of([(113, 72)]) == (15, 9)


def test_a_batch_without_images_and_too_many_shapes_are_refused():
    with pytest.raises(ValueError, match="labels: none of 2 images counts; expected one at least"):
        labels.batch_labels([None, None])
    hows = tuple(resampling("bilinear", (4, 4), (side, side), IMAGE) for side in (8, 9, 10))
    with pytest.raises(ValueError, match="hows: 3 resamplings; expected 1 to 2, what there is room for"):
        tile_tables.cut(hows, 2)
