"""Pictures of what a network looks for and what its units cause: of the right units, and kept as they were made."""

import dataclasses

import cv2
import jax
import numpy as np
import pandas as pd
import pytest

from interpjax import models
from interpjax.dissection import Dissection, Preprocessing, get_protocol
from interpjax.errors import UserError
from interpjax.regularizers import Grouping
from interpjax.visualization import ablate
from interpjax.visualization.causes import causes
from interpjax.visualization.exhibits import Exhibits
from interpjax.visualization.gallery import KINDS, Subject, gallery

SIZE, UNITS = 24, {"conv1": 8, "conv2": 16}
PREPROCESSING = Preprocessing.imagenet()


def dissected(units: int) -> Dissection:
    """Unit k overlaps the one concept by k pixels of 100."""
    return Dissection(
        concepts=pd.DataFrame({"number": [1], "name": ["grass"], "category": ["object"]}),
        categories=("object",),
        protocol=get_protocol("paper"),
        thresholds=np.ones(units),
        intersection=np.arange(units)[:, None],
        unit_area=np.arange(units)[:, None],
        label_area=np.array([100]),
        pixels=1000,
        top_images=np.zeros((units, 0), int),
        top_values=np.zeros((units, 0)),
    )


@pytest.fixture(scope="module")
def subject() -> Subject:
    model = models.create_model("two_figures_cnn", num_classes=3, width=0.0625)
    images = np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3)).astype(np.uint8)
    variables = model.init(jax.random.key(0), jax.numpy.asarray(PREPROCESSING(images)))
    return Subject(
        model=model,
        variables=variables,
        preprocessing=PREPROCESSING,
        image_size=SIZE,
        results={layer: dissected(units) for layer, units in UNITS.items()},
        groupings={layer: Grouping(num_groups=4) for layer in UNITS},
        class_names=("a", "b", "c"),
        images=images,
        seed=0,
        most=3,
    )


def test_the_units_are_the_best_detectors(subject):
    assert subject.detectors("conv2") == [15, 14, 13]  # 0.15 and less, above the cut of 0.04
    assert subject.groups("conv2") == [(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11)]
    without = dataclasses.replace(subject, groupings={}, results={"conv1": dissected(3)})
    assert without.detectors("conv1") == [2, 1, 0]  # there is none, so others are shown
    assert without.groups("conv1") == []


def test_filters_saliency_and_class_models_are_pictures_of_their_own(subject):
    shown, left_out = gallery(subject, ("filters", "saliency", "grad_cam", "class_models"))
    assert not left_out
    counts = {kind: [own for own in shown if own.kind == kind] for kind in KINDS}
    assert [own.number for own in counts["filters"]] == list(range(UNITS["conv1"]))
    assert counts["filters"][2].text == "group 2"
    assert [own.text for own in counts["class_models"]] == ["a", "b", "c"]
    inputs = jax.numpy.asarray(PREPROCESSING(subject.images))
    logits = subject.model.apply(subject.variables, inputs, train=False)
    seen = [subject.class_names[cls] for cls in logits.argmax(axis=1)[:3]]
    assert [own.text for own in counts["saliency"]] == seen
    assert [own.text for own in counts["grad_cam"]] == [f"{name}, by conv2" for name in seen]
    image = cv2.imdecode(np.frombuffer(counts["saliency"][0].picture, np.uint8), cv2.IMREAD_COLOR)
    assert image.shape[1] == 2 * image.shape[0]
    assert image[:, : image.shape[0]].mean() > image[:, image.shape[0] :].mean()  # beside it, darkened


@pytest.mark.long
def test_maximized_images_are_of_the_units_and_groups(subject):
    shown, _ = gallery(subject, ("maximized_units", "maximized_groups"))
    assert [(own.kind, own.layer, own.number) for own in shown] == [
        (f"maximized_{what}", layer, number)
        for what, numbers in (("units", {"conv1": [7, 6, 5], "conv2": [15, 14, 13]}), ("groups", None))
        for layer in UNITS
        for number in (numbers[layer] if numbers else range(3))
    ]
    assert len({own.picture for own in shown}) == len(shown)


def test_causes_are_those_of_each_unit_and_group_alone(subject, tmp_path):
    inputs, labels = jax.numpy.asarray(PREPROCESSING(subject.images)), np.array([0, 1, 2, 0, 1, 2])
    found = causes(subject, [(inputs, labels)])
    names = [(own.layer, own.kind, own.number) for own in found]
    assert names[:6] == [
        *(("conv1", "unit", unit) for unit in (7, 6, 5)),
        *(("conv1", "group", own) for own in range(3)),
    ]
    assert len(names) == 12
    for own in found:
        units = own.number if own.kind == "unit" else subject.groups(own.layer)[own.number]
        alone = ablate(subject.model, subject.variables, [(inputs, labels)], own.layer, [units])
        assert own.images == 6
        assert own.before == alone.correct_before.sum() / 6
        assert own.after == alone.correct_after.sum() / 6
        assert all(before - after >= 0.005 for _, before, after in own.worst)
    shown, _ = gallery(subject, ("filters",))
    Exhibits(shown, found, {"saliency": "why"}).save(tmp_path)
    kept = Exhibits.load(tmp_path)
    assert (kept.shown, kept.left_out) == (shown, {"saliency": "why"})
    assert [(own.layer, own.number, own.after, len(own.worst)) for own in kept.causes] == [
        (own.layer, own.number, own.after, len(own.worst)) for own in found
    ]
    (tmp_path / "exhibits.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"exhibits.npz: cannot be read .*remove stages/visualize.json"):
        Exhibits.load(tmp_path)
