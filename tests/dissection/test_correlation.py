"""Correlation and cosine against the definition: maps upsampled, pixels strung together, numpy's own formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from interpjax.dissection.correlation import Correlation, CorrelationSums
from interpjax.dissection.label_cells import LabelsAtCells, adjoint, label_cells
from interpjax.dissection.labels import ConceptColumns, image_labels
from interpjax.dissection.protocol import UNIT_AREAS, get_protocol
from interpjax.dissection.upsampling import METHODS, resampling, upsample

IMAGE = (32, 32)
CONCEPTS = ConceptColumns(np.array([1, 2, 4, 7, 8, 9]), np.array([0, 0, 1, 2, 2, 2]), 3)  # 9 never occurs, 3 is none
SHAPES = [(16, 16), (17, 12), (16, 16), (9, 20), (17, 12), (16, 16), (8, 8)]
# float64's, or float32's of the upsampled maps, which the sums leave out: half a unit of the last place is 6e-8.
ROUNDING = {"bilinear": 1e-12, "fieldmap": 1e-7, "pil-bilinear": 1e-7, "pil-bicubic": 1e-7}


def images(rng):
    """Channels of each image: pixels, or a number for the whole image; some without a label of some categories."""
    channels = [[rng.integers(0, 4, shape) * (rng.random(shape) < 0.5)] for shape in SHAPES]
    channels[1].append(7)
    channels[2].append(4 * (rng.random(SHAPES[2]) < 0.1))
    channels[3] = [8]
    channels[5].append(8 * (rng.random(SHAPES[5]) < 0.5))
    channels[4] = [np.full(SHAPES[4], 4), 1]
    channels[6] = [0, 3]  # no label that counts
    return channels


def counted(maps, channels, column, protocol):
    """Every counted pixel of every unit [units, pixels], and whether it carries the concept."""
    values, carries = [], []
    number, category = CONCEPTS.numbers[column], CONCEPTS.category_of[column]
    siblings = CONCEPTS.numbers[CONCEPTS.category_of == category]
    for own, parts, shape in zip(maps, channels, SHAPES, strict=True):
        planes = np.stack([np.broadcast_to(part, shape) for part in parts])
        if protocol.unit_area == "all" or np.isin(planes, siblings).any():
            how = resampling(protocol.upsampling, own.shape[:2], shape, IMAGE)
            values.append(upsample(np.moveaxis(own, -1, 0), how).reshape(own.shape[-1], -1))
            carries.append((planes == number).any(axis=0).reshape(-1))
    return np.concatenate(values, axis=1), np.concatenate(carries)


def correlation(maps, channels, protocol, batch=4):
    """Batch by batch; the last is filled up."""
    sums = CorrelationSums(maps.shape[-1], CONCEPTS, protocol)
    packed = [image_labels(own, shape, CONCEPTS) for own, shape in zip(channels, SHAPES, strict=True)]
    for start in range(0, len(maps), batch):
        part = np.zeros((batch, *maps.shape[1:]), maps.dtype)
        part[: len(maps[start : start + batch])] = maps[start : start + batch]
        with jax.enable_x64(True):
            part = jnp.asarray(part)
        sums.merge(sums.count(part, LabelsAtCells(packed[start : start + batch], batch), IMAGE))
    return sums.result()


@pytest.mark.parametrize("unit_area", UNIT_AREAS)
@pytest.mark.parametrize("method", METHODS)
def test_both_measures_equal_those_of_all_pixels(method, unit_area):
    rng = np.random.default_rng(1)
    maps, channels = rng.normal(0.5, 1, (len(SHAPES), 4, 5, 3)).astype(np.float32), images(rng)
    protocol = get_protocol("paper", upsampling=method, unit_area=unit_area)
    found = correlation(maps, channels, protocol)
    pearson, cosine = found.pearson(), found.cosine()
    for column in range(5):
        values, carries = counted(maps, channels, column, protocol)
        assert found.label_area[column] == carries.sum()
        assert found.pixels[CONCEPTS.category_of[column]] == carries.size
        for unit in range(3):
            expected = np.corrcoef(values[unit], carries)[0, 1]
            np.testing.assert_allclose(pearson[unit, column], expected, rtol=0, atol=ROUNDING[method])
            expected = values[unit] @ carries / np.linalg.norm(values[unit]) / np.sqrt(carries.sum())
            np.testing.assert_allclose(cosine[unit, column], expected, rtol=0, atol=ROUNDING[method])
    assert found.label_area[5] == 0
    assert (pearson[:, 5] == 0).all()
    assert (cosine[:, 5] == 0).all()


@pytest.mark.parametrize(
    ("method", "source", "target"),
    [
        (method, *sizes)
        for method in METHODS
        for sizes in [((13, 13), (30, 21)), ((20, 16), (9, 11)), ((1, 1), (8, 8))]
        if method != "fieldmap" or sizes[0] < sizes[1]  # with more cells than label pixels field maps are refused
    ],
)
def test_cells_and_bands_give_the_sums_of_upsampled_maps(method, source, target):
    """Also where maps shrink, so that filters reach over many cells, and cells that no pixel reads."""
    rng = np.random.default_rng(2)
    maps = rng.normal(size=(2, *source))
    how = resampling(method, source, target, IMAGE)
    dense, onto = upsample(maps, how), adjoint(how, source)
    own = image_labels([rng.integers(0, 5, target), 7], target, CONCEPTS)
    columns, area, cells = label_cells(own, onto)
    assert columns.tolist() == [0, 1, 2, 3]
    channel = [dense.sum(axis=(1, 2)), (dense**2).sum(axis=(1, 2))]
    # Where all is rounded to float32, sums that nearly cancel are off by more than its last place.
    np.testing.assert_allclose(np.einsum("uhw,hw->u", maps, onto.ones), channel[0], rtol=1e-5)
    np.testing.assert_allclose(np.einsum("chw,uhw->uc", cells, maps)[:, 3], channel[0], rtol=1e-5)
    assert area[3] == target[0] * target[1]
    rows, columns = (_dense(bands) for bands in (onto.row_bands, onto.column_bands))
    np.testing.assert_allclose(np.einsum("uhw,hy,wx,uyx->u", maps, rows, columns, maps), channel[1], rtol=1e-6)


def _dense(bands):
    reach, cells = len(bands) // 2, bands.shape[1]
    return sum(np.diag(bands[reach + d, max(0, -d) : cells - max(0, d)], d) for d in range(-reach, reach + 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_offset_changes_nothing_but_the_cosine(dtype):
    rng = np.random.default_rng(3)
    maps, channels = rng.integers(-8, 9, (len(SHAPES), 4, 5, 3)) / 8, images(rng)
    maps, far = maps.astype(dtype), (maps + 1000).astype(dtype)  # exact in float32
    near, shifted = (correlation(own, channels, get_protocol("paper")) for own in (maps, far))
    # Of the mean square, 1e6 times the variance, float64 loses its last bits.
    np.testing.assert_allclose(shifted.pearson(), near.pearson(), rtol=0, atol=1e-9)
    assert abs(near.pearson()[:, :5]).mean() > 0.05  # beside which 1e-9 is nothing
    areas = np.sqrt(near.label_area / near.pixels[CONCEPTS.category_of])
    np.testing.assert_allclose(shifted.cosine(), np.tile(areas, (3, 1)), atol=2e-3)


def test_what_is_undefined_is_0():
    rng = np.random.default_rng(4)
    maps, channels = np.full((len(SHAPES), 4, 5, 3), 0.1, np.float32), images(rng)
    maps[..., 1], maps[..., 2] = 0, rng.normal(size=(len(SHAPES), 4, 5))
    full = [[7, *own] for own in channels]  # of every image
    found = correlation(maps, full, get_protocol("paper"))
    pearson, cosine = found.pearson(), found.cosine()
    assert (pearson[:2] == 0).all()  # constant maps
    assert (cosine[1] == 0).all()  # no map
    assert (pearson[:, 3] == 0).all()  # a concept that is everywhere
    np.testing.assert_allclose(cosine[0, 3], 1, rtol=1e-12)  # two constants
    assert (pearson[2, :3] != 0).all()
    nothing = CorrelationSums(3, CONCEPTS, get_protocol("paper")).result()
    assert (nothing.pearson() == 0).all()
    assert (nothing.cosine() == 0).all()


def test_a_map_that_is_the_concept_has_measures_of_1():
    """And −1 for its negative; a map of as many cells as pixels is not changed by upsampling."""
    rng = np.random.default_rng(5)
    plane = rng.random((16, 16)) < 0.3
    maps = np.stack([plane, -2 * plane.astype(int)], axis=-1)[None].astype(np.float32)
    sums = CorrelationSums(2, CONCEPTS, get_protocol("paper"))
    sums.merge(sums.count(jnp.asarray(maps), LabelsAtCells([image_labels([4 * plane], (16, 16), CONCEPTS)], 1), IMAGE))
    found = sums.result()
    for measure in (found.pearson(), found.cosine()):
        np.testing.assert_allclose(measure[:, 2], [1, -1], rtol=1e-12)
        assert abs(measure).max() <= 1


def test_the_order_of_batches_leaves_no_trace():
    rng = np.random.default_rng(8)
    sums = [CorrelationSums(3, CONCEPTS, get_protocol("paper")) for _ in range(4)]
    sizes = 10.0 ** rng.integers(-3, 4, (50, 1))  # so that plain sums would differ
    names = sums[0].state()
    batches = []
    for size in sizes:
        batches.append({name: rng.normal(size=part.shape) * size for name, part in names.items() if "rest" not in name})
        batches[-1] |= {name: np.full(len(names[name]), 3) for name in ("label_area", "pixels")}
    for own, order in zip(sums, (range(50), range(49, -1, -1), range(0, 50, 2), range(1, 50, 2)), strict=True):
        for number in order:
            own.merge(batches[number])
    sums[2].merge(sums[3].state())
    expected = {name: sum(own[name] for own in batches) for name in ("product", "total", "square")}
    for name, first in sums[0].result().arrays().items():
        np.testing.assert_array_equal(sums[1].result().arrays()[name], first)
        np.testing.assert_array_equal(sums[2].result().arrays()[name], first)
        if name in expected:
            np.testing.assert_allclose(first, expected[name], rtol=0, atol=1e-10)


def test_sums_of_parts_merge_and_are_stored(tmp_path):
    rng = np.random.default_rng(6)
    maps, protocol = jnp.asarray(rng.normal(size=(len(SHAPES), 4, 5, 3)), np.float32), get_protocol("lite")
    labels = [image_labels(own, shape, CONCEPTS) for own, shape in zip(images(rng), SHAPES, strict=True)]
    whole, halves = CorrelationSums(3, CONCEPTS, protocol), [CorrelationSums(3, CONCEPTS, protocol) for _ in range(2)]
    whole.merge(whole.count(maps, LabelsAtCells(labels, len(SHAPES)), IMAGE))
    for half, part in zip(halves, (slice(0, 3), slice(3, 7)), strict=True):
        half.merge(half.count(maps[part], LabelsAtCells(labels[part], len(maps[part])), IMAGE))
    halves[0].merge(halves[1].state())
    before = halves[0].result()
    halves[0].merge(halves[1].state())  # changes no result that was given
    np.savez(tmp_path / "sums.npz", **before.arrays())
    with np.load(tmp_path / "sums.npz") as stored:
        again = Correlation.from_arrays(stored)
    for name, expected in whole.result().arrays().items():
        np.testing.assert_allclose(again.arrays()[name], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(again.pearson(), before.pearson())


def test_layers_of_one_size_share_the_labels_at_their_cells():
    rng = np.random.default_rng(7)
    labels = [image_labels(own, shape, CONCEPTS) for own, shape in zip(images(rng), SHAPES, strict=True)]
    shared = LabelsAtCells(labels, len(SHAPES))
    sizes = [(4, 5), (4, 5), (6, 6)]
    onto = [[adjoint(resampling("bilinear", size, own.shape, IMAGE), size) for own in labels] for size in sizes]
    first, second, other = map(shared.at, onto)
    assert first is second
    assert other.cells.shape[1:] == (6, 6)
