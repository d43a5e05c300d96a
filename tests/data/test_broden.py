"""Reading Broden's layout, and what is wrong with it."""

import broden_layout
import cv2
import hypothesis.extra.numpy as hnp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.data.images import BadImageError, SkippedImages


@pytest.fixture
def folder(tmp_path):
    return broden_layout.make_broden(tmp_path / "broden")


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_reads_labels_concepts_and_images(folder):
    broden = load_broden(folder)
    assert broden.categories == ("color", "object", "scene")
    assert [record.name for record in broden.records] == ["a.jpg", "b.jpg", "c.jpg"]
    assert broden.unlabelled == ("bare.jpg",)
    assert dict(zip(broden.concepts["number"], broden.concepts["category"], strict=True))[300] == "object"
    (color,), (wheel,) = broden.records[0].labels().values()
    assert color.shape == broden.records[0].label_shape == (16, 16)
    assert broden.records[0].image_shape == (32, 32)
    assert set(np.unique(wheel)) == {0, 300}
    assert broden.records[1].labels()["scene"] == [4]
    assert list(broden.records[2].labels()) == ["color"]  # its scene is 0, a label that was dropped


def test_cells_hold_channels_in_order_and_labels_may_be_in_two_categories(folder):
    broden = load_broden(broden_layout.add_channels(folder))
    record = broden.records[3]
    assert (record.image_shape, record.label_shape) == ((40, 36), (20, 18))
    labels = record.labels()
    assert {category: len(channels) for category, channels in labels.items()} == {"color": 1, "object": 3, "scene": 1}
    first, whole, second = labels["object"]
    assert (whole, np.unique(first).tolist(), np.unique(second).tolist()) == (2, [0, 300], [0, 2])
    assert labels["scene"] == [4]  # 0 beside it was dropped
    np.testing.assert_array_equal(broden.coverage.loc[2], [1.0, 1.0, np.nan])
    assert broden.concepts["category"].tolist() == ["color", "object", "scene", "object"]  # of equals the later


def test_real_set_has_the_stated_numbers(shared):
    broden = load_broden(shared / "data" / "mini_broden")
    assert (len(broden.concepts), len(broden.records), len(broden.unlabelled)) == (82, 1917, 5)


@pytest.mark.parametrize("image_size", [None, 20])
def test_batches_come_in_order(folder, image_size):
    numbers, records, images = zip(*load_broden(folder).batches(2, image_size=image_size), strict=True)
    assert [[record.name for record in batch] for batch in records] == [["a.jpg", "b.jpg"], ["c.jpg"]]
    assert [n.tolist() for n in numbers] == [[0, 1], [2]]
    side = image_size or 32
    assert [batch.shape for batch in images] == [(2, side, side, 3), (1, side, side, 3)]


def test_batches_read_no_label_maps(folder):
    broden = load_broden(folder)
    for file in (folder / "images").glob("*.png"):
        file.unlink()
    assert [len(batch.images) for batch in broden.batches(2, num_threads=1)] == [2, 1]


def test_missing_label_map_is_named_with_its_row(folder):
    (folder / "images" / "b_color.png").unlink()
    with pytest.raises(ValueError, match=r"index.csv row 3 \(b.jpg\): label map .*b_color.png is missing"):
        load_broden(folder)


def test_label_map_of_wrong_size_is_named_with_its_row(folder):
    broden_layout.write_map(folder / "images" / "b_color.png", np.ones((16, 15), int))
    with pytest.raises(ValueError, match=r"row 3 \(b.jpg\): label map .*b_color.png is \(16, 15\) .* says \(16, 16\)"):
        load_broden(folder).records[1].labels()


def test_damaged_and_unknown_labels_are_named(folder):
    (folder / "images" / "a_color.png").write_bytes(b"no image")
    broden_layout.write_map(folder / "images" / "a_object.png", np.full((16, 16), 7))
    record = load_broden(folder).records[0]
    with pytest.raises(ValueError, match=r"row 2 .*a_color.png cannot be decoded"):
        record.labels()
    broden_layout.write_map(folder / "images" / "a_color.png", np.ones((16, 16), int))
    with pytest.raises(ValueError, match=r"row 2 .*a_object.png has the label 7, which label.csv does not list"):
        record.labels()
    edit(folder / "index.csv", ",4\n", ",5\n")
    with pytest.raises(ValueError, match=r"index.csv row 3 \(b.jpg\): scene label 5 is not in label.csv"):
        load_broden(folder)


def test_a_label_map_of_16_bits_is_named_before_its_lower_bits_are_lost(folder):
    cv2.imwrite(str(folder / "images" / "a_object.png"), np.full((16, 16), 4, np.uint16))
    with pytest.raises(ValueError, match=r"row 2 .*a_object.png has 16 bits a channel; expected 8, with the label's n"):
        load_broden(folder).records[0].labels()


def test_what_is_no_path_is_refused(untyped):
    with pytest.raises(ValueError, match="path: a NoneType; expected the path of a directory in Broden's layout"):
        load_broden(None)


@settings(max_examples=30, deadline=None)
@given(labels=hnp.arrays(np.int64, (16, 16), elements=st.sampled_from([0, 1, 4, 300, 301, 2**16 - 1])))
def test_pixels_are_red_and_256_times_green_and_unknown_ones_are_named(tmp_path_factory, labels):
    folder = broden_layout.make_broden(tmp_path_factory.mktemp("broden") / "broden")
    pixels = np.stack([np.full_like(labels, 7), labels // 256, labels % 256], axis=-1)  # BGR; blue says nothing
    cv2.imwrite(str(folder / "images" / "a_object.png"), pixels.astype(np.uint8))
    record, unknown = load_broden(folder).records[0], sorted({301, 2**16 - 1} & set(labels.ravel().tolist()))
    if unknown:
        with pytest.raises(ValueError, match=rf"a_object.png has the label {unknown[0]}, which label.csv does not"):
            record.labels()
    else:
        np.testing.assert_array_equal(record.labels()["object"][0], labels)


def test_labels_in_any_order_are_the_same_concepts(folder):
    before = load_broden(folder)
    head, *rows = (folder / "label.csv").read_text().splitlines()
    (folder / "label.csv").write_text("\n".join([head, *rows[::-1]]) + "\n")
    after = load_broden(folder)
    pd.testing.assert_frame_equal(before.concepts, after.concepts)
    pd.testing.assert_frame_equal(before.coverage, after.coverage)


def test_files_that_vanish_are_named(folder):
    record = load_broden(folder).records[0]
    (folder / "images" / "a_object.png").unlink()
    (folder / "images" / "a.jpg").unlink()
    with pytest.raises(ValueError, match=r"row 2 \(a.jpg\): label map .*a_object.png cannot be read \(No such file"):
        record.labels()
    with pytest.raises(BadImageError, match=r"row 2 \(a.jpg\): images/a.jpg: cannot be read \(No such file"):
        record.image()


def activations(images):
    return {"conv": images[:, ::2, ::2].astype(np.float32)}


def test_unreadable_image_is_an_error_or_skipped_and_noted(folder):
    (folder / "images" / "b.jpg").write_bytes(b"no image")
    broden = load_broden(folder)
    with pytest.raises(BadImageError, match=r"index.csv row 3 \(b.jpg\): images/b.jpg: cannot be decoded"):
        dissection.dissect(activations, broden, layers=("conv",))
    skipped = SkippedImages()
    result = dissection.dissect(activations, broden, layers=("conv",), skipped=skipped)["conv"]
    assert [name.endswith("images/b.jpg") for name in skipped.names] == [True]
    assert result.pixels == 2 * 16 * 16


def test_network_and_stored_activations_give_the_same(folder):
    broden = load_broden(folder)
    direct = dissection.dissect(activations, broden, layers=("conv",), batch_size=2)["conv"]
    images = np.stack([record.image() for record in broden.records])
    stored = activations(np.concatenate([images, images[:1]]))
    names = [record.name for record in broden.records] + ["bare.jpg"]  # carries no label: left out
    again = dissection.dissect_arrays(stored, broden, images=names)["conv"]
    np.testing.assert_array_equal(direct.intersection, again.intersection)
    np.testing.assert_array_equal(direct.thresholds, again.thresholds)
    doubled = dissection.dissect_arrays(stored, broden, images=names, thresholds={"conv": 2 * direct.thresholds})[
        "conv"
    ]
    assert (doubled.unit_area <= direct.unit_area).all()


def test_result_survives_saving(folder, tmp_path):
    result = dissection.dissect(activations, load_broden(folder), layers=("conv",))["conv"]
    result.save(tmp_path / "iou.npz")
    loaded = dissection.Dissection.load(tmp_path / "iou.npz")
    np.testing.assert_array_equal(loaded.iou, result.iou)
    assert loaded.best().equals(result.best())
    assert loaded.protocol == result.protocol
    assert loaded.unique_detectors(0.01) == result.unique_detectors(0.01)


def test_wrong_names_and_layers_are_refused(folder):
    broden, maps = load_broden(folder), np.zeros((2, 4, 4, 1), np.float32)
    with pytest.raises(ValueError, match=r"images: 'x.jpg' is not in the data .*; names are as '"):
        dissection.dissect_arrays({"conv": maps}, broden, images=["a.jpg", "x.jpg"])
    with pytest.raises(ValueError, match=r"images: '.*' is twice in it"):
        dissection.dissect_arrays({"conv": maps}, broden, images=["a.jpg", "a.jpg"])
    with pytest.raises(ValueError, match=r"activations\['conv'\] has 2 rows, images has 1 names"):
        dissection.dissect_arrays({"conv": maps}, broden, images=["a.jpg"])
    with pytest.raises(ValueError, match="layer 'fc': activations_fn returned 'conv'"):
        dissection.dissect(activations, broden, layers=("fc",))
