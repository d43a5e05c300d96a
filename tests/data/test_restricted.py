"""Concept data of which only some categories or images count."""

import dataclasses

import broden_layout
import numpy as np
import pytest

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.data.two_figures.concepts import load


@pytest.fixture
def broden(tmp_path):
    return load_broden(broden_layout.add_channels(broden_layout.make_broden(tmp_path / "broden")))


@pytest.fixture
def two_figures():
    return load(range(400), image_size=40, figure_size=7)


def test_keeps_images_and_what_is_in_the_categories(broden):
    restricted = broden.restricted(["scene", "color"])
    assert restricted.categories == ("color", "scene")  # in the data's order
    assert restricted.concepts["number"].tolist() == [1, 2, 4]
    assert restricted.concepts["category"].tolist() == ["color", "color", "scene"]  # 2 was an object before
    assert restricted.coverage.columns.tolist() == ["color", "scene"]
    assert [record.name for record in restricted.records] == [record.name for record in broden.records]
    full, record = broden.records[3], restricted.records[3]
    assert (record.image_shape, record.label_shape) == (full.image_shape, full.label_shape)
    np.testing.assert_array_equal(record.image(), full.image())
    assert list(record.labels()) == ["color", "scene"]
    assert restricted.unlabelled == broden.unlabelled
    assert broden.concepts["category"].tolist() == ["color", "object", "scene", "object"]  # unchanged


def test_images_that_lose_their_labels_stay_for_the_thresholds(tmp_path):
    broden = load_broden(broden_layout.make_broden(tmp_path / "broden"))
    scenes = broden.restricted(["scene"])
    assert [list(record.labels()) for record in scenes.records] == [[], ["scene"], []]
    results = [
        dissection.dissect(lambda x: {"conv": x[:, ::2, ::2].astype(np.float32)}, data, layers=("conv",))["conv"]
        for data in (broden, scenes, scenes.restricted(["scene"]))
    ]
    column = results[0].concepts["name"].tolist().index("street-s")
    for result in results[1:]:
        np.testing.assert_array_equal(result.thresholds, results[0].thresholds)
        np.testing.assert_array_equal(result.iou[:, 0], results[0].iou[:, column])


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        (["color", "material"], r"categories: 'material' is not in .*broden; it has color, object, scene"),
        ("color", r"categories = 'color': expected a sequence of names, as \('color',\)"),
        ([], r"categories = \(\): no concept of .*broden is in them"),
    ],
)
def test_wrong_categories_are_named(untyped, broden, categories, message):
    with pytest.raises(ValueError, match=message):
        broden.restricted(categories)


def test_equals_the_published_code_without_material(shared):
    golden = np.load(shared / "golden" / "dissect" / "lite" / "five_categories" / "matrices.npz")
    images = set((shared / "golden" / "dissect" / "images.txt").read_text().split())
    broden = load_broden(shared / "data" / "mini_broden").restricted(golden["categories"].tolist())
    numbers = broden.concepts["number"].to_numpy()
    primary = golden["categories"][golden["primary_category"][numbers]]
    assert broden.concepts["category"].tolist() == primary.tolist()
    records = [record for record in broden.records if record.name in images]
    assert len(records) == len(images) == 240
    truth = np.zeros_like(golden["truth"])
    for record in records:
        for channels in record.labels().values():
            for channel in channels:  # no pixel carries a label in two channels
                truth += np.bincount(np.broadcast_to(channel, record.label_shape).ravel(), minlength=len(truth))
    np.testing.assert_array_equal(truth[numbers], golden["truth"][numbers])
    assert not golden["truth"][np.setdiff1d(np.arange(1, len(truth)), numbers)].any()


def test_halves_are_drawn_by_names_and_share_no_image(broden):
    halves = [broden.half(which) for which in ("validation", "test")]
    names = [{record.name for record in half.records} for half in halves]
    assert names[0] | names[1] == {record.name for record in broden.records}
    assert not names[0] & names[1]
    for half in halves:
        assert half.concepts.equals(broden.concepts)
        fewer = dataclasses.replace(broden, records=broden.records[1:]).half(half.name.split(", ")[1].split()[0])
        assert {record.name for record in fewer.records} == {
            record.name for record in half.records if record.name != broden.records[0].name
        }


def test_halves_of_many_images_are_about_equal(two_figures):
    sizes = [len(two_figures.half(which).records) for which in ("validation", "test")]
    assert sum(sizes) == 400
    assert min(sizes) > 160  # 4 standard deviations of a coin thrown 400 times


def test_unknown_and_empty_halves_are_told(broden):
    with pytest.raises(ValueError, match="half = 'train': expected one of validation, test"):
        broden.half("train")
    alone = dataclasses.replace(broden, records=[broden.half("test").records[0]])
    with pytest.raises(ValueError, match=r"half = 'validation': none of the 1 images of .* is in it"):
        alone.half("validation")
