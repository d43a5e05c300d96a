"""What does not belong to each other is told before it is drawn, and labels are those that the protocol counts."""

import dataclasses

import numpy as np
import pytest
from broden_layout import add_channels, make_broden
from matplotlib.figure import Figure

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.visualization import show_unit
from interpjax.visualization.belonging import counted_data
from interpjax.visualization.masks import label_mask
from interpjax.visualization.unit_figure import _histogram
from interpjax.visualization.views import BINS, Sample

UNITS = 4


def maps_of(broden):
    rng = np.random.default_rng(0)
    return {layer: rng.normal(size=(len(broden.records), 4, 4, UNITS)).astype(np.float32) for layer in ("one", "two")}


def names_of(broden):
    return [record.name for record in broden.records]


def dissected(broden, protocol):
    maps, settings = {"one": maps_of(broden)["one"]}, {"protocol": protocol, "top_images": 2}
    return dissection.dissect_arrays(maps, broden, images=names_of(broden), **settings)["one"]


@pytest.fixture(scope="module")
def broden(tmp_path_factory):
    """One label of it is in two categories."""
    return load_broden(add_channels(make_broden(tmp_path_factory.mktemp("data") / "broden")))


@pytest.fixture(scope="module")
def result(broden):
    return dissected(broden, dissection.get_protocol("paper", top_quantile=0.2))


@pytest.mark.parametrize("categories", [None, ("color",), ("object", "scene")])
def test_labels_are_drawn_on_the_pixels_that_were_counted(broden, categories):
    result = dissected(broden, dissection.get_protocol("paper", top_quantile=0.2, categories=categories))
    data = counted_data(broden, {"result": result})
    drawn = [
        sum(int(label_mask(record.labels(), record.label_shape, int(number)).sum()) for record in data.records)
        for number in result.concepts["number"]
    ]
    np.testing.assert_array_equal(drawn, result.label_area)
    assert result.label_area.all()


def test_the_figure_of_a_unit_has_labels_of_the_protocol_alone(broden):
    """Label 2 is that of a colour and of an object; by a protocol of objects its colour is not drawn."""
    objects = dissected(broden, dissection.get_protocol("paper", top_quantile=0.2, categories=("object",)))
    column = objects.concepts["number"].tolist().index(2)
    record = names_of(broden).index("a.jpg")  # where label 2 is a colour alone
    only = np.zeros_like(objects.intersection)
    only[:, column] = 1
    result = dataclasses.replace(objects, intersection=only, top_images=np.full((UNITS, 2), record))
    figure = show_unit(maps_of(broden), broden, result, 0, layer="one", images=names_of(broden))
    assert label_mask(broden.records[record].labels(), broden.records[record].label_shape, 2).any()
    label = figure.axes[1]
    assert label.get_ylabel() == "blue-c"
    assert not label.collections  # no outline


def test_what_does_not_belong_to_the_data_or_the_network_is_told(broden, result, tmp_path, untyped):
    maps, names, page = maps_of(broden), names_of(broden), tmp_path / "page.html"

    def refused(message, results, data=broden, network=maps, images=names):
        with pytest.raises(ValueError, match=message):
            dissection.report(results, data, network, page, images=images)
        assert not page.exists()

    refused(r"results\['on'\]: the network gives no such layer; expected one of one, two", {"on": result})
    narrow = {"one": maps["one"][..., :3]}
    refused(r"results\['one'\]: of 4 units; expected 3", {"one": result}, network=narrow)
    refused(r"results\['one'\] = 3: expected the Dissection of one layer$", {"one": 3})
    objects = dissected(broden, dissection.get_protocol("paper", categories=("object",)))
    refused(r"results\['two'\]: of the categories \('object',\); expected those", {"one": result, "two": objects})
    colours = broden.restricted(["color"])
    refused(r"of the category 'object', and .* has color; expected the data", {"one": result}, data=colours)
    renamed = dataclasses.replace(result, concepts=result.concepts.replace("wheel", "tyre"))
    refused(r"of the concept 300 'tyre', where .* has 300 'wheel'", {"one": renamed})
    fewer = {layer: own[:2] for layer, own in maps.items()}
    far = dataclasses.replace(result, top_images=np.full((UNITS, 2), 3))
    message = r"results\['one'\].top_images: has the image 3, which is not among the 2 images"
    refused(message, {"one": far}, network=fewer, images=names[:2])
    with pytest.raises(ValueError, match=r"result = \{.*: expected the Dissection of one layer, as results\['one'\]"):
        show_unit(maps, broden, {"one": result}, 0, images=names)
    with pytest.raises(ValueError, match=r"result.top_images: has the image 3, which is not among the 2 images"):
        show_unit(fewer, broden, far, 0, layer="one", images=names[:2])
    with pytest.raises(ValueError, match=r"path = '.*': is a folder; expected the path of a file, as 'page.html'"):
        dissection.report({"one": result}, broden, maps, tmp_path, images=names)


def test_a_name_that_looks_like_a_formula_and_a_unit_without_concept_are_drawn(broden, result):
    named = dataclasses.replace(
        result, concepts=result.concepts.assign(name="$a_{$"), intersection=result.intersection * 0
    )
    data = dataclasses.replace(broden, concepts=broden.concepts.assign(name="$a_{$"))
    figure = show_unit(maps_of(broden), data, named, 0, layer="one", images=names_of(broden))
    figure.draw_without_rendering()
    assert all(not axes.collections for axes in figure.axes[1:4:2])  # no label is outlined
    assert figure.axes[1].get_ylabel() == "no concept"
    found = dataclasses.replace(named, intersection=result.intersection)
    figure = show_unit(maps_of(broden), data, found, 0, layer="one", images=names_of(broden))
    figure.draw_without_rendering()
    assert figure.axes[1].get_ylabel() == "$a_{$"


@pytest.mark.parametrize(("counts", "scale"), [([90, 110, 80, 0], "linear"), ([9000, 200, 10, 1], "log")])
def test_a_histogram_has_few_labels_and_no_formula(counts, scale):
    full = np.zeros((1, BINS), np.int64)
    full[0, :4] = counts
    sample = Sample(np.arange(1), np.ones((1, 1)), full, np.zeros(1), np.ones(1))
    figure = Figure(figsize=(3, 1.5))
    axes = figure.subplots()
    _histogram(axes, sample, 0, 0.5)
    figure.draw_without_rendering()
    low, high = axes.get_ylim()
    labels = [tick.label1.get_text() for tick in axes.yaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    assert axes.get_yscale() == scale
    assert 2 <= len(labels) <= 5
    assert not any("$" in label for label in labels)
    assert not any(tick.label1.get_text() for tick in axes.yaxis.get_minor_ticks())
