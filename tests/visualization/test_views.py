"""What units are shown with: the right images in the right order, with the masks and labels that were counted."""

import re

import cv2
import numpy as np
import pytest
from broden_layout import add_channels, make_broden
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.errors import UserError
from interpjax.visualization.masks import counted_mask, label_mask
from interpjax.visualization.outlines import BOX, LONGEST, outline
from interpjax.visualization.sights import NetworkSights, StoredSights
from interpjax.visualization.unit_figure import show_unit
from interpjax.visualization.views import LOWER, Views, view

UNITS = 6


def filled(path: str, shape: tuple[int, int]) -> np.ndarray:
    """The pixels inside of a path, by the rule that the page draws with: what an odd number of borders runs around."""
    if path == f"M0 0H{BOX}V{BOX}H0Z":
        return np.ones(shape, bool)
    height, width = shape
    inside = np.zeros(shape, bool)
    for part in re.findall(r"M([^MZ]*)Z", path):
        points = np.array([[int(x) for x in pair.split()] for pair in re.findall(r"\d+ \d+", part)])
        for row, column in np.ndindex(shape):
            point = ((column + 0.5) * BOX / width, (row + 0.5) * BOX / height)
            inside[row, column] ^= cv2.pointPolygonTest(points.astype(np.float32), point, False) > 0
    return inside


@given(arrays.arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
@settings(max_examples=150, deadline=None)
def test_an_outline_runs_around_the_pixels_of_its_mask(mask):
    np.testing.assert_array_equal(filled(outline(mask), mask.shape), mask)


@given(st.integers(0, 2**32 - 1), st.floats(0.4, 3))
@settings(max_examples=20, deadline=None)
def test_a_mask_that_is_there_is_never_without_an_outline(seed, blur):
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=(112, 112)), (0, 0), blur)
    assert outline(noise > 0) != ""


def test_an_outline_of_many_specks_keeps_the_largest_and_stays_short():
    mask = np.random.default_rng(0).random((112, 112)) > 0.8
    mask[20:60, 30:80] = True
    path = outline(mask)
    assert 0 < len(path) <= LONGEST
    assert filled(path, mask.shape)[25:55, 35:75].mean() > 0.9


@pytest.fixture(scope="module")
def broden(tmp_path_factory):
    return load_broden(make_broden(tmp_path_factory.mktemp("data") / "broden"))


@pytest.fixture(scope="module")
def stored(broden):
    maps = np.random.default_rng(0).normal(size=(len(broden.records), 4, 4, UNITS)).astype(np.float32)
    maps[..., -1] = 0  # a unit that is never active
    return maps


@pytest.fixture(scope="module")
def names(broden):
    return [record.name for record in broden.records]


@pytest.fixture(scope="module")
def result(broden, stored, names):
    protocol = dissection.get_protocol("paper", top_quantile=0.2)
    made = dissection.dissect_arrays(
        {"layer": stored},
        broden,
        images=names,
        protocol=protocol,
        top_images=2,
        keep_images=True,
        groups={"layer": [[0, 1], [2, 3, 4]]},
    )
    return made["layer"]


def test_each_unit_is_shown_its_strongest_images_and_weaker_ones(broden, stored, names, result):
    found = view(StoredSights({"layer": stored}, broden, names), {"layer": result})
    own, maxima = found.layers["layer"], stored.max(axis=(1, 2))
    assert own.top == 2
    np.testing.assert_array_equal(own.images[:, :2], result.top_images)
    best, counts = np.argmax(result.iou, axis=1), result.images.intersection.toarray().reshape(len(names), UNITS, -1)
    for unit in range(UNITS - 1):
        overlap = own.images[unit, 2 + len(LOWER) :]
        shared = counts[overlap[overlap >= 0], unit, best[unit]]
        assert len(shared) == min(3, (counts[:, unit, best[unit]] > 0).sum())
        assert shared.tolist() == np.sort(counts[:, unit, best[unit]])[::-1][: len(shared)].tolist()
    for unit in range(UNITS - 1):
        there = own.images[unit] >= 0
        np.testing.assert_allclose(own.values[unit][there], maxima[own.images[unit][there], unit])
        ranks = np.argsort(np.argsort(maxima[:, unit]))[own.images[unit, 2 : 2 + len(LOWER)]]
        np.testing.assert_array_equal(ranks, [int(share * len(maxima)) for share in LOWER])
    np.testing.assert_array_equal(own.counts.sum(axis=1), stored[..., 0].size)
    for unit in range(UNITS - 1):
        expected, _ = np.histogram(
            stored[..., unit].astype(float), own.counts.shape[1], (own.low[unit], own.high[unit])
        )
        np.testing.assert_array_equal(own.counts[unit], expected)
    assert found.names == dict(enumerate(names))


def test_outlines_are_those_of_the_masks_and_labels_that_were_counted(broden, stored, names, result):
    own = view(StoredSights({"layer": stored}, broden, names), {"layer": result}).layers["layer"]
    best = np.argmax(result.iou, axis=1)
    for unit in range(UNITS):
        for place, number in enumerate(own.images[unit]):
            if number < 0:  # there are no more images in which mask and label meet
                assert (own.masks[unit][place], own.labels[unit][place]) == ("", "")
                continue
            record = broden.records[number]
            mask = counted_mask(stored[number, ..., unit], result, unit, record.label_shape, record.image_shape)
            assert own.masks[unit][place] == outline(mask)
            label = label_mask(record.labels(), record.label_shape, int(result.concepts["number"].iloc[best[unit]]))
            assert own.labels[unit][place] == (outline(label) if result.iou[unit].any() else "")
            category = result.concepts["category"].iloc[best[unit]]
            assert own.annotated[unit, place] == (result.iou[unit].any() and category in record.labels())
    assert any(own.masks[0])


def test_a_network_is_seen_as_its_stored_maps(broden, stored, names, result):
    images = np.stack([record.image() for record in broden.records])
    maps = {image.tobytes(): own for image, own in zip(images, stored, strict=True)}
    blank = np.zeros_like(stored[0])

    def network(batch):
        return {"layer": np.stack([maps.get(image.tobytes(), blank) for image in batch])}

    one = view(StoredSights({"layer": stored}, broden, names), {"layer": result})
    other = view(NetworkSights(network, broden, batch_size=2), {"layer": result})
    assert one.layers["layer"].to_json() == other.layers["layer"].to_json()
    assert one.pictures == other.pictures


def test_views_are_stored_whole_and_damage_is_told(broden, stored, names, result, tmp_path):
    found = view(StoredSights({"layer": stored}, broden, names), {"layer": result})
    found.save(tmp_path)
    read = Views.load(tmp_path)
    assert (read.names, read.pictures) == (found.names, found.pictures)
    assert read.layers["layer"].to_json() == found.layers["layer"].to_json()
    image = cv2.imdecode(np.frombuffer(read.pictures[0], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(image, broden.records[0].image())  # a small image is kept to the pixel
    (tmp_path / "pictures.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"pictures.npz: cannot be read .*remove stages/visualize.json in the workdir"):
        Views.load(tmp_path)


def test_a_whole_image_label_marks_all_of_it(tmp_path):
    broden = load_broden(add_channels(make_broden(tmp_path / "broden")))
    record = next(record for record in broden.records if record.name == "d.jpg")
    assert label_mask(record.labels(), record.label_shape, 4).all()
    assert 0 < label_mask(record.labels(), record.label_shape, 300).sum() < 20 * 18
    assert not label_mask(record.labels(), record.label_shape, 999).any()


def test_a_unit_is_drawn_with_its_concepts(broden, stored, names, result):
    figure = show_unit({"layer": stored}, broden, result, unit=1, images=names)
    best = result.best().iloc[1]
    assert f"layer unit 2 (unit=1): {best['concept']}" in figure.get_suptitle()
    shown = [axes.get_images()[0].get_array() for axes in figure.axes if axes.get_images()]
    np.testing.assert_array_equal(shown[0], broden.records[result.top_images[1, 0]].image())
    assert len(shown) == 2 + 2 + len(LOWER)
    assert show_unit({"layer": stored}, broden, result, unit=UNITS - 1, images=names).get_suptitle().endswith("concept")


def test_what_cannot_be_shown_is_told(broden, stored, names, result):
    with pytest.raises(ValueError, match="unit = 6: expected 0 to 5"):
        show_unit({"layer": stored}, broden, result, unit=6, images=names)
    with pytest.raises(ValueError, match="layer = None: 2 of the layers layer, other have 6 units"):
        show_unit({"layer": stored, "other": stored}, broden, result, unit=0, images=names)
    with pytest.raises(ValueError, match="images = None: expected the name of each row"):
        show_unit({"layer": stored}, broden, result, unit=0)
    with pytest.raises(ValueError, match=r"images: 'z\.jpg' is not in"):
        show_unit({"layer": stored}, broden, result, unit=0, images=["z.jpg", *names[1:]])
