"""Upsampling against Pillow and the definition; tiles, labels and counts against dense brute force."""

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from interpjax.dissection import chunks, counting, labels, tally, tile_tables, tiles
from interpjax.dissection.counting import Counting, Limits
from interpjax.dissection.protocol import PROTOCOLS, get_protocol
from interpjax.dissection.upsampling import METHODS, resampling, upsample

IMAGE = (32, 32)


def pixelwise_bilinear(grid, height, width):
    """Each pixel for itself, from the definition: half-pixel centres, coordinates clamped to the grid."""
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            v = min(max((y + 0.5) * grid.shape[0] / height - 0.5, 0), grid.shape[0] - 1)
            u = min(max((x + 0.5) * grid.shape[1] / width - 0.5, 0), grid.shape[1] - 1)
            for i in range(grid.shape[0]):
                for j in range(grid.shape[1]):
                    result[y, x] += max(0, 1 - abs(v - i)) * max(0, 1 - abs(u - j)) * grid[i, j]
    return result


@pytest.mark.parametrize(
    ("source", "target"), [((3, 5), (7, 11)), ((4, 4), (4, 4)), ((1, 2), (5, 4)), ((6, 6), (4, 3))]
)
def test_bilinear_equals_the_definition(source, target):
    grid = np.random.default_rng(1).normal(size=source)
    ours = upsample(grid[None], resampling("bilinear", source, target, IMAGE))[0]
    np.testing.assert_allclose(ours, pixelwise_bilinear(grid, *target), atol=1e-12)


@pytest.mark.parametrize("method", ["pil-bilinear", "pil-bicubic"])
@pytest.mark.parametrize(
    ("source", "target"),
    [((13, 13), (112, 112)), ((55, 27), (112, 113)), ((64, 64), (30, 30)), ((3, 4), (7, 9)), ((5, 5), (5, 5))],
)
def test_pil_methods_equal_pillow_bit_for_bit(method, source, target):
    """Larger and smaller, where Pillow widens its filter.

    Not where new versions of Pillow save time by interpolating the height first (it shrinks, and more than the
    width): the version that the published codes ran with always began with the width.
    """
    maps = np.random.default_rng(2).normal(size=source).astype(np.float32)
    filters = {"pil-bilinear": Image.Resampling.BILINEAR, "pil-bicubic": Image.Resampling.BICUBIC}
    expected = np.asarray(Image.fromarray(maps).resize(target[::-1], filters[method]))
    np.testing.assert_array_equal(upsample(maps[None], resampling(method, source, target, IMAGE))[0], expected)


def test_fieldmap_puts_each_cell_at_its_centre_and_is_constant_outside():
    maps = np.random.default_rng(3).normal(size=(1, 3, 3)).astype(np.float32)
    how = resampling("fieldmap", (3, 3), (16, 16), IMAGE, ((-2, 0), (11, 9), (8, 10)))
    ours = upsample(maps, how)[0]
    rows, columns = [1, 5, 9], [2, 7, 12]  # (size // 2 + offset) // 2 + i · (stride // 2)
    np.testing.assert_array_equal(ours[np.ix_(rows, columns)], maps[0])
    np.testing.assert_allclose(ours[3, 2], (maps[0, 0, 0] + maps[0, 1, 0]) / 2, rtol=1e-6)
    np.testing.assert_array_equal(ours[0], ours[1])
    np.testing.assert_array_equal(ours[:, 13:], np.repeat(ours[:, 12:13], 3, axis=1))
    with pytest.raises(ValueError, match="fieldmap: its stride of 1 input pixels is less than a label pixel"):
        resampling("fieldmap", (3, 3), (16, 16), IMAGE, ((0, 0), (3, 3), (1, 1)))
    with pytest.raises(
        ValueError, match=r"label maps of 64 pixels for images of 16; .* cannot be larger than the images"
    ):
        resampling("fieldmap", (3, 3), (64, 64), (16, 16))
    with pytest.raises(ValueError, match="upsampling = 'nearest': choose one of bilinear, fieldmap"):
        resampling("nearest", (3, 3), (16, 16), IMAGE)


@pytest.mark.parametrize("method", METHODS)
def test_plateaus_keep_their_value_exactly(method):
    plateau = np.full((1, 5, 5), 0.1, np.float32)
    assert (upsample(plateau, resampling(method, (5, 5), (17, 17), IMAGE)) == np.float64(np.float32(0.1))).all()


def test_packed_bits_are_the_pixels_of_tiles():
    planes = np.random.default_rng(4).random((3, 11, 17)) < 0.5
    words = tiles.pack(planes)
    assert words.shape == (3, 2 * 3, 2)
    for plane in range(3):
        for tile in range(6):
            for bit in range(64):
                y, x = tile // 3 * 8 + bit // 8, tile % 3 * 8 + bit % 8
                expected = y < 11 and x < 17 and planes[plane, y, x]
                assert bool(words[plane, tile, bit // 32] >> (bit % 32) & 1) == expected


VALUES = [-1.0, 0.0, float(np.float32(0.1)), 0.5, 1.0, 3.0]  # few, so that plateaus and ties are common
NEAR = [np.float64(np.float32(0.1)) * (1 + shift) for shift in (-2e-9, -1e-9, 1e-9)]  # all of them 0.1 in float32
QUICK = [("fieldmap", 0), ("pil-bilinear", 2)]
SIZES = [((4, 4), (16, 16)), ((13, 7), (17, 11)), ((16, 20), (17, 11))]


@pytest.mark.parametrize(
    ("method", "source", "target"),
    [
        pytest.param(method, *sizes, marks=[] if (method, number) in QUICK else pytest.mark.long)
        for method in METHODS
        for number, sizes in enumerate(SIZES)
        if method != "fieldmap" or number != 2  # with more cells than label pixels field maps are refused
    ],
)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_masks_equal_dense_upsampling_and_tiles_left_out_are_empty(method, source, target, data):
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    values = VALUES if dtype == np.float32 else [*VALUES, *NEAR]
    maps = data.draw(hnp.arrays(dtype, (2, *source, 3), elements=st.sampled_from(values)))
    thresholds = data.draw(hnp.arrays(np.float64, 3, elements=st.sampled_from([*VALUES, *NEAR, 0.3])))
    how = resampling(method, source, target, IMAGE)
    dense = np.stack([upsample(np.moveaxis(image, -1, 0), how) for image in maps]) > thresholds[:, None, None]
    expected = np.stack([tiles.pack(image) for image in dense])
    cut, maps = tile_tables.cut((how,), 1), maps.astype(np.float32) if how.rounded else maps
    with jax.enable_x64(True):
        floor = counting.round_down(thresholds, maps.dtype)
        active = tiles.active_tiles(cut, jnp.asarray(maps), floor, np.zeros(2, np.int32), skip_below=False)
        row, column, image, unit = np.nonzero(active)
        tile, fill = row * cut.grid[1] + column, np.prod(active.shape) - len(row)  # of one size: compiled once
        images, numbers, units = (np.pad(part, (0, fill)) for part in (image, tile, unit))
        cells = tiles.cells(cut, jnp.asarray(maps), images[:, None], numbers, units[:, None])  # blocks of one
        ours = np.asarray(tiles.masks(cut, cells, numbers, [thresholds[units][:, None]])[0])[: len(row), 0]
    np.testing.assert_array_equal(ours, expected[image, unit, tile])
    expected[image, unit, tile] = 0
    assert not expected.any()


@pytest.mark.parametrize(
    "method", ["bilinear", *(pytest.param(name, marks=pytest.mark.long) for name in ("pil-bilinear", "fieldmap"))]
)
def test_few_tiles_are_taken_in_vain_whatever_the_sign(method):
    """Of negative maps too, and of such as have both signs; the corners of a lone peak's cells are left out."""
    smooth = np.random.default_rng(9).normal(size=(4, 5, 5, 8)).repeat(3, axis=1).repeat(3, axis=2)
    how = resampling(method, (15, 15), (112, 112), (224, 224))
    cut = tile_tables.cut((how,), 1)
    for shift in (-10.0, 0.0, 10.0):
        maps = (smooth + shift).astype(np.float32)
        limits = np.quantile(maps, 0.98, axis=(0, 1, 2)).astype(np.float32)
        active = tiles.active_tiles(cut, jnp.asarray(maps), limits, np.zeros(4, np.int32), skip_below=False)
        dense = np.stack([upsample(np.moveaxis(image, -1, 0), how) for image in maps]) > limits[:, None, None]
        needed = np.stack([tiles.pack(image) for image in dense]).any(axis=-1)
        found = np.moveaxis(np.asarray(active).reshape(-1, 4, 8), 0, -1)
        assert not (needed & ~found).any()
        assert found.sum() < 1.2 * needed.sum()


@pytest.mark.parametrize("scale", [3e-38, 1e-36, 1.0, 1e30])
def test_no_tile_is_left_out_of_very_small_or_large_numbers(scale):
    smooth = np.maximum(np.random.default_rng(11).normal(size=(3, 6, 6, 8)), 0) * scale
    maps = np.where(smooth < np.finfo(np.float32).tiny, 0, smooth).astype(np.float32)
    how = resampling("bilinear", (6, 6), (40, 40), IMAGE)
    limits = np.array([0, 0, 0, 0, 1, 1, 1, 1]) * np.quantile(maps, 0.9).astype(np.float32)
    active = tiles.active_tiles(
        tile_tables.cut((how,), 1),
        jnp.asarray(maps),
        limits.astype(np.float32),
        np.zeros(3, np.int32),
        skip_below=False,
    )
    dense = np.stack([upsample(np.moveaxis(image, -1, 0), how) for image in maps])
    above = np.stack([tiles.pack(image) for image in dense > limits[:, None, None]]).any(axis=-1)
    found = np.moveaxis(np.asarray(active).reshape(-1, 3, 8), 0, -1)
    assert above.any()
    assert not (above & ~found).any()


def counted(thresholds, maps, packed, protocol, concepts=None):
    """The pixels of a batch, at known thresholds."""
    how = Counting(len(thresholds), CONCEPTS if concepts is None else concepts, protocol)
    pixels, undecided = how.count(maps, packed, IMAGE, Limits(thresholds, thresholds))
    assert not len(undecided.number)
    assert not len(undecided.known)
    return pixels


def test_a_threshold_below_all_numbers_counts_every_pixel():
    maps = np.random.default_rng(10).normal(size=(1, 4, 4, 2)).astype(np.float32)
    packed = labels.batch_labels([labels.image_labels([1], (16, 16), CONCEPTS)])
    pixels = counted(np.full(2, -np.inf), jnp.asarray(maps), packed, get_protocol("lite", unit_area="all"))
    assert (pixels.area_by_category == 256).all()


@pytest.mark.parametrize(("name", "pixels"), [("lite", 256), ("caffe", 256), ("paper", 0)])
def test_float64_maps_are_rounded_where_the_published_codes_hold_float32(name, pixels):
    """Just below the threshold, which float32's nearest number is above."""
    above = np.float64(np.float32(0.1))
    packed = labels.batch_labels([labels.image_labels([1], (16, 16), CONCEPTS)])
    with jax.enable_x64(True):
        maps = jnp.full((1, 4, 4, 1), above * (1 - 2e-9))
        assert maps.dtype == np.float64
        threshold, protocol = np.array([above * (1 - 1e-9)]), get_protocol(name, unit_area="all")
        intersection, area = counted(threshold, maps, packed, protocol)
    assert intersection[0].tolist() == [pixels, 0, 0, 0]
    assert (area == pixels).all()


def test_sums_of_a_batch_are_held_in_int64_where_int32_is_too_small():
    assert counting.sum_dtype(171196, [(112, 112)]) is np.int32
    assert counting.sum_dtype(171197, [(112, 112)]) is np.int64  # 2³¹ pixels and more
    assert counting.sum_dtype(2, [(2**15, 2**15)]) is np.int64


def test_thresholds_are_rounded_down_and_compare_the_same():
    values = np.random.default_rng(5).normal(size=1000).astype(np.float32)
    thresholds = np.concatenate([values.astype(np.float64) + 1e-12, values, values - 1e-12])
    ours = counting.round_down(thresholds, np.dtype(np.float32))
    assert ours.dtype == np.float32
    assert (ours <= thresholds).all()
    for shift in (-1, 0, 1):
        near = np.concatenate([values] * 3)
        near = np.nextafter(near, np.float32(shift * np.inf), dtype=np.float32) if shift else near
        np.testing.assert_array_equal(near > ours, near.astype(np.float64) > thresholds)


CONCEPTS = labels.ConceptColumns(np.array([1, 2, 4, 7]), np.array([0, 0, 1, 2]), 3)  # label 3 is no concept


def random_images(rng, count, shape):
    images = []
    for number in range(count):
        channels = [rng.integers(0, 5, shape), rng.integers(0, 4, shape) * (rng.random(shape) < 0.3)]
        images.append(channels + ([7] if number % 3 == 0 else []) + ([0] if number % 4 == 0 else []))
    images[-1] = [np.zeros(shape, int), 4]  # a label of one category only
    return images


def brute_force(maps, images, shape, thresholds, protocol):
    """Image by image, unit by unit, concept by concept, from the definitions."""
    how = resampling(protocol.upsampling, maps.shape[1:3], shape, IMAGE)
    intersection, area, truth = np.zeros((3, 4), int), np.zeros((3, 3), int), np.zeros(4, int)
    for image, channels in enumerate(images):
        planes = [np.any([np.broadcast_to(c, shape) == n for c in channels], axis=0) for n in CONCEPTS.numbers]
        truth += [plane.sum() for plane in planes]
        for unit in range(3):
            own = maps[image, :, :, unit].astype(np.float32 if how.rounded else np.float64)
            mask = upsample(own[None], how)[0] > thresholds[unit]
            if protocol.skip_below and not own.max() > thresholds[unit]:
                mask[:] = False
            intersection[unit] += [(mask & plane).sum() for plane in planes]
            for category in range(3):
                members = [plane for plane, c in zip(planes, CONCEPTS.category_of, strict=True) if c == category]
                counts = {
                    "category": any(plane.any() for plane in members),
                    "touched": any((mask & plane).any() for plane in members),
                    "all": True,
                }[protocol.unit_area]
                area[unit, category] += mask.sum() * counts
    return intersection, area, truth


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, np.float32) for name in PROTOCOLS]
    + [pytest.param(name, np.float64, marks=pytest.mark.long) for name in PROTOCOLS],
)
@pytest.mark.parametrize("width", [0.0, 0.3, np.inf])
def test_counts_equal_brute_force_wherever_the_limits_are(name, dtype, width):
    rng, protocol, shape = np.random.default_rng(6), get_protocol(name), (17, 12)
    maps = rng.normal(size=(9, 4, 5, 3)).astype(dtype)
    images = random_images(rng, 9, shape)
    # One threshold no map exceeds but by overshooting: cgl leaves such maps out.
    thresholds = np.array([np.quantile(maps[..., 0], 0.8), 1.2, maps[..., 2].max() * (1 + 1e-3)])
    intersection, area, truth = brute_force(maps, images, shape, thresholds, protocol)
    packed = [labels.image_labels(channels, shape, CONCEPTS) for channels in images]
    concepts, how = tally.LabelTally(4), Counting(3, CONCEPTS, protocol)
    limits, units, left = Limits(thresholds - width, thresholds + width / 2), how.nothing(), 0
    for image in packed:
        concepts.add(image)
    for start in (0, 6):  # the second batch is filled up
        part = np.zeros((6, *maps.shape[1:]), dtype)
        part[: len(maps[start : start + 6])] = maps[start : start + 6]
        own = packed[start : start + 6]
        batches = labels.batch_labels([*own, *[None] * (6 - len(own))])
        with jax.enable_x64(True):
            pixels, undecided = how.count(jnp.asarray(part), batches, IMAGE, limits)
        units += pixels
        left += len(undecided.number)
        units += how.settle(undecided, batches, thresholds)[0]
    assert bool(left) == bool(width)
    np.testing.assert_array_equal(concepts.label_area, truth)
    assert concepts.pixels == 9 * 17 * 12
    np.testing.assert_array_equal(units.intersection, intersection)
    np.testing.assert_array_equal(units.area_by_category, area)
    unit_area = area[:, CONCEPTS.category_of]
    expected = intersection / np.maximum(unit_area + truth - intersection, 1)
    np.testing.assert_allclose(tally.iou(units.intersection, unit_area, concepts.label_area), expected)


def test_overshoot_of_bicubic_counts_where_maps_below_threshold_do():
    """Bicubic values exceed the map by up to a quarter of its spread; `skip_below` decides whether that counts."""
    maps = np.zeros((1, 6, 6, 1), np.float32)
    maps[0, 2:4, 2:4] = 1
    packed = labels.batch_labels([labels.image_labels([1], (48, 48), CONCEPTS)])
    areas = {}
    for skip in (False, True):
        protocol = get_protocol("cgl", skip_below=skip, unit_area="all")
        areas[skip] = counted(np.array([1.0]), jnp.asarray(maps), packed, protocol).area_by_category[0, 0]
    how = resampling("pil-bicubic", (6, 6), (48, 48), IMAGE)
    assert areas == {False: (upsample(maps[..., 0], how) > 1).sum(), True: 0}
    assert areas[False] > 0


@pytest.mark.parametrize("dtype", [np.int32, pytest.param(np.int64, marks=pytest.mark.long)])
def test_chunks_cover_every_tile_once_whatever_their_size(monkeypatch, dtype):
    rng, shape = np.random.default_rng(7), (24, 24)
    maps, images = rng.normal(size=(5, 6, 6, 3)).astype(np.float32), random_images(rng, 5, shape)
    packed = labels.batch_labels([labels.image_labels(channels, shape, CONCEPTS) for channels in images])
    thresholds = np.zeros(3)
    expected = brute_force(maps, images, shape, thresholds, get_protocol("paper"))
    monkeypatch.setattr(counting, "sum_dtype", lambda images, shape: dtype)
    # Listed together: all, those of one tile (fifteen), those of three.
    for sizes, at_a_time in [((64, 32, 16), 2**21), ((16,), 1), ((1024,), 45)]:
        monkeypatch.setattr(chunks, "CHUNKS", sizes)
        monkeypatch.setattr(chunks, "AT_A_TIME", at_a_time)
        units = counted(thresholds, jnp.asarray(maps), packed, get_protocol("paper"))
        np.testing.assert_array_equal(units.intersection, expected[0])
        np.testing.assert_array_equal(units.area_by_category, expected[1])


def test_more_concepts_in_a_tile_than_a_chunk_has_room_for():
    """A block of sixteen masks and 600 concepts of the whole image: more pairs than the smallest chunk's."""
    numbers = np.arange(1, 601)
    concepts = labels.ConceptColumns(numbers, np.zeros(600, int), 1)
    packed = labels.batch_labels([labels.image_labels(numbers.tolist(), (8, 8), concepts)])
    units = counted(np.zeros(16), jnp.ones((1, 2, 2, 16)), packed, get_protocol("paper"), concepts)
    assert (units.intersection == 64).all()


def test_labels_of_several_shapes_in_a_batch_are_counted_each_at_its_own():
    rng = np.random.default_rng(8)
    maps, thresholds = rng.normal(size=(4, 4, 4, 3)).astype(np.float32), np.array([0.3, 0.6, 0.9])
    shapes = [(16, 16), (9, 20), (16, 16), (9, 20)]
    images = [random_images(rng, 2, shape)[0] for shape in shapes]
    packed = [labels.image_labels(c, shape, CONCEPTS) for c, shape in zip(images, shapes, strict=True)]
    units = counted(thresholds, jnp.asarray(maps), labels.batch_labels(packed), get_protocol("paper"))
    expected = [
        brute_force(maps[i : i + 1], [images[i]], shapes[i], thresholds, get_protocol("paper")) for i in range(4)
    ]
    np.testing.assert_array_equal(units.intersection, sum(each[0] for each in expected))
    np.testing.assert_array_equal(units.area_by_category, sum(each[1] for each in expected))
