"""The embedded data: exact masks, seeds, classes."""

import numpy as np
import pytest
import tiny

import interpjax
from interpjax.config import override
from interpjax.data.images import decode_image
from interpjax.data.two_figures import builder
from interpjax.data.two_figures import drawing as figures


def small(**fields):
    settings = {"train_images": 12, "test_images": 7, **fields}
    return override(interpjax.get_config("two_figures_gbn"), {f"data.two_figures.{k}": v for k, v in settings.items()})


def decoded(config, folder, split):
    """The records of a split, with their images decoded."""
    settings = config.data.two_figures
    made = builder.TwoFigures(
        data_dir=folder,
        image_size=settings.image_size,
        figure_size=settings.figure_size,
        noise=settings.noise,
        seed=settings.seed,
        counts={"train": settings.train_images, "test": settings.test_images},
    )
    builder.prepare(made)
    return made.as_data_source(split)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def test_masks_are_the_pixels_that_differ_from_the_background(folder):
    config = small(noise=0.0)
    records = decoded(config, folder, "test")
    for record in records:
        drawn = (record["image"] != figures.BACKGROUND).any(axis=-1)
        for category in figures.CATEGORIES:
            np.testing.assert_array_equal(record[category][..., 0] > 0, drawn)
        for name, number in figures.COLOR_LABELS.items():
            of_color = (record["image"] == figures.COLORS[name]).all(axis=-1)
            np.testing.assert_array_equal(record["color"][..., 0] == number, of_color)
        pair = (record["color"] - 1) * 3 + (record["shape"] - 4) + 7
        np.testing.assert_array_equal(record["color-shape"], np.where(drawn[..., None], pair, 0))


def test_classes_follow_from_the_labels(folder):
    records = decoded(small(), folder, "train")
    kinds = list(figures.PAIR_LABELS)
    for record in records:
        present = set(np.unique(record["color-shape"])) - {0}
        names = figures.class_names("multiclass")[record["multiclass"]].split(" + ")
        assert {kinds.index(name) + 7 for name in names} == present
        assert record["binary"] == any("square" in name for name in names)


def test_pair_classes_are_all_different():
    pairs = [(i, j) for i in range(9) for j in range(i, 9)]
    assert [figures.pair_class(*pair) for pair in pairs] == list(range(45))
    assert all(figures.pair_class(j, i) == figures.pair_class(i, j) for i, j in pairs)


def test_shapes_have_the_areas_of_their_formulas():
    areas = {shape: figures.shape_mask(shape, 201).mean() for shape in figures.SHAPES}
    np.testing.assert_allclose([areas[s] for s in ("square", "circle", "triangle")], [1, np.pi / 4, 0.5], atol=5e-3)
    masks = [figures.shape_mask(shape, 7) for shape in figures.SHAPES]
    assert len({mask.tobytes() for mask in masks}) == 3


def test_data_depend_on_the_seed_alone(folder, tmp_path):
    first = tiny.open_source(small(), folder).test
    again = tiny.open_source(small(), tmp_path).test
    longer = tiny.open_source(small(test_images=9), tmp_path).test
    other = tiny.open_source(small(seed=1), tmp_path).test
    images = [[split[i]["image"] for i in range(7)] for split in (first, again, longer, other)]
    assert images[0] == images[1] == images[2]
    assert all(a != b for a, b in zip(images[0], images[3], strict=True))
    train = tiny.open_source(small(), folder).train
    assert train[0]["image"] != first[0]["image"]


def test_concepts_are_fifteen_in_three_categories(folder):
    config = small()
    source = tiny.open_source(config, folder)
    concepts = source.concepts
    assert concepts.concepts["category"].value_counts().to_dict() == {"color-shape": 9, "color": 3, "shape": 3}
    record = concepts.records[3]
    assert record.name == "test/000003"
    assert {name: [c.shape for c in channels] for name, channels in record.labels().items()} == {
        category: [record.label_shape] for category in ("color", "shape", "color-shape")
    }
    assert record.image().shape[:2] == record.image_shape
    np.testing.assert_array_equal(record.image(), decode_image(source.test[3]["image"], "same"))


@pytest.mark.long
def test_every_concept_of_the_default_can_reach_the_cut(folder):
    config = override(interpjax.get_config("two_figures_gbn"), {"data.two_figures.test_images": 300})
    concepts = tiny.open_source(config, folder).concepts
    labels = [record.labels() for record in concepts.records]
    for number, category in concepts.concepts[["number", "category"]].to_numpy():
        share = np.mean([(channels[category][0] == number).mean() for channels in labels])
        np.testing.assert_allclose(concepts.coverage.loc[number, category], 300 * share, rtol=0.4)
        assert 0.005 / share > 0.04, number
        if number <= 3:
            assert share < 0.02, number  # so that a pooled layer's smaller masks can reach it as well


def test_figures_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"config.data.two_figures.figure_size = 30: expected 3 to 20"):
        tiny.open_source(small(figure_size=30), tmp_path)


def test_data_that_another_process_has_rendered_meanwhile_are_read(tmp_path):
    config = tiny.tiny_config(data__directory=str(tmp_path))
    first, second = (tiny.open_source(config, tmp_path) for _ in range(2))
    assert len(first.test[0]["image"])
    assert second.test[0]["image"] == first.test[0]["image"]
