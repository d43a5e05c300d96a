"""The page of any dissection: every unit, group and concept has its place, and what is on it is what was found."""

import json
import re

import numpy as np
import pytest
from broden_layout import make_broden

from interpjax import dissection
from interpjax.data import load_broden
from interpjax.report import pictures, rows
from interpjax.report.names import concept_addresses
from interpjax.visualization.sights import StoredSights
from interpjax.visualization.views import view

UNITS = 6
GROUPS = [[0, 1], [2, 3, 4]]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = make_broden(tmp_path_factory.mktemp("data") / "broden")
    label = folder / "label.csv"
    label.write_text(label.read_text().replace("blue-c", "<i>blue</i> & co"))
    broden = load_broden(folder)
    maps = {"a/layer": np.random.default_rng(0).normal(size=(len(broden.records), 4, 4, UNITS)).astype(np.float32)}
    names = [record.name for record in broden.records]
    protocol = dissection.get_protocol("lite", top_quantile=0.2)
    how = {"images": names, "protocol": protocol, "groups": {"a/layer": GROUPS}, "keep_images": True, "top_images": 2}
    return broden, maps, names, dissection.dissect_arrays(maps, broden, **how)


def test_the_page_of_stored_arrays(made, tmp_path):
    broden, maps, names, results = made
    chance = {"a/layer": dissection.Chance.from_dissections([results["a/layer"]])}
    dissection.report(results, broden, maps, tmp_path / "page.html", images=names, chances=[chance], title="<b>mine")
    page = (tmp_path / "page.html").read_text()
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert {f"a/layer-unit-{unit + 1}" for unit in range(UNITS)} | {"a/layer-group-1", "a/layer-group-2"} <= set(ids)
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)
    assert "<i>blue" not in page
    assert "<b>mine" not in page
    assert "&lt;i&gt;blue&lt;/i&gt; &amp; co" in page
    assert "unit_area" in page  # in which the protocol differs from the paper's
    interval = results["a/layer"].bootstrap().set_index("statistic").loc["iou/unit 0"]
    card = re.search(r'id="a/layer-unit-1".*?</article>', page, re.DOTALL)[0]
    assert f"({interval['low']:.3f}–{interval['high']:.3f})" in card
    views = json.loads(re.search(r'id="data-views">(.*?)</script>', page)[1])
    assert views["layers"]["a/layer"]["thresholds"] == pytest.approx(results["a/layer"].thresholds, rel=1e-3)


def test_what_does_not_fit_together_is_refused(made, tmp_path):
    broden, maps, names, results = made
    with pytest.raises(ValueError, match=r"results = \{\}: expected \{layer: Dissection\}"):
        dissection.report({}, broden, maps, tmp_path / "page.html", images=names)
    other = {"b": dissection.Chance.from_dissections([results["a/layer"]])}
    with pytest.raises(ValueError, match=r"chances: of layers \['b'\]; expected those of the results, \['a/layer'\]"):
        dissection.report(results, broden, maps, tmp_path / "page.html", images=names, chances=[other])
    with pytest.raises(ValueError, match="network = 3: expected a Network"):
        dissection.report(results, broden, 3, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_units_groups_and_concepts_are_those_of_the_result(made):
    result = made[3]["a/layer"]
    units = rows.units("a/layer", result, None)
    assert sorted(unit.number for unit in units) == list(range(1, UNITS + 1))
    assert [unit.iou for unit in units] == sorted((unit.iou for unit in units), reverse=True)
    best = result.best()
    for unit in units:
        assert unit.concept == best["concept"].iloc[unit.place]
        assert unit.group == (1 if unit.place in GROUPS[0] else 2 if unit.place in GROUPS[1] else 0)
        assert all(iou <= unit.iou for _, iou in unit.others)
    groups = rows.groups("a/layer", result, units)
    for group, members in zip(groups, GROUPS, strict=True):
        assert sorted(unit.place for unit in group.units) == members
        assert sum(count for _, count, *_ in group.concepts) == sum(unit.detects for unit in group.units)
    fact = {"category": "", "share": 0.1, "ceiling": 1, "best_iou": {}}
    facts = [fact | {"name": name} for name in result.concepts["name"]]
    concepts, others = rows.concepts({"a/layer": result}, {"a/layer": units}, facts)
    assert sum(len(concept.units) for concept in concepts) == sum(unit.column >= 0 for unit in units)
    assert len(concepts) + len(others) == len(result.concepts)


def test_concepts_of_one_name_have_addresses_of_their_own(made):
    table = made[3]["a/layer"].concepts.iloc[:3].assign(name=["dining table", "bed", "bed"], number=[7, 8, 9])
    assert concept_addresses(table) == ["concept-dining-table", "concept-bed-8", "concept-bed-9"]


def test_pictures_are_made_smaller_until_the_page_is_small(made, monkeypatch):
    broden, maps, names, results = made
    views = view(StoredSights(maps, broden, names), results)
    whole = sum(len(own) for own in pictures.encoded(views.pictures, 0).values())
    monkeypatch.setattr(pictures, "PAGE", whole)
    small = pictures.encoded(views.pictures, whole * 3 // 4)
    assert 0 < sum(len(own) for own in small.values()) < whole / 2
    assert small.keys() == views.pictures.keys()
