"""Runs beside each other: settings, their differences, and the page of made-up workdirs."""

import json
import re
from urllib.parse import unquote

import numpy as np
import pytest
from elements import Elements
from made_up_runs import CONCEPTS, dissected, write_run

import interpjax
from interpjax.__main__ import main
from interpjax.comparison.runs import read_runs
from interpjax.comparison.settings import group_runs
from interpjax.comparison.tables import means, paired_differences

STRENGTH = "regularizer.block_norm.strength"


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory):
    """Two settings: weak of seeds 0 to 2 and strong of seeds 1 to 3, the latter with more concepts."""
    folder = tmp_path_factory.mktemp("runs")
    weak = [
        write_run(
            folder / f"weak{seed}",
            {"conv1": dissected([0, -1, -1, 1 if seed == 2 else 0], groups=seed == 0)},
            accuracy=0.9 + 0.01 * seed,
            seed=seed,
            data__num_threads=seed + 1,
        )
        for seed in (2, 0, 1)
    ]
    strong = [
        write_run(
            folder / f"strong{seed}",
            {"conv1": dissected([1, 2, 3, 3], groups=True)},
            accuracy=0.8 + 0.02 * seed,
            seed=seed,
            regularizer__block_norm__strength=0.1,
        )
        for seed in (1, 2, 3)
    ]
    return [*weak, *strong]


def test_the_table_has_a_row_for_each_run(workdirs):
    table = interpjax.compare(workdirs)
    assert table.columns.tolist() == [
        *("run", "setting", STRENGTH, "seed", "accuracy", "top5", "interpretability_score", "rud", "conv1", "workdir")
    ]
    assert table["run"].tolist() == ["weak0", "weak1", "weak2", "strong1", "strong2", "strong3"]
    assert table["setting"].tolist() == [1, 1, 1, 2, 2, 2]
    assert table[STRENGTH].tolist() == [0.003] * 3 + [0.1] * 3
    assert table["conv1"].tolist() == table["interpretability_score"].tolist() == [1, 1, 2, 3, 3, 3]


def test_differences_are_of_the_seeds_that_both_settings_have(workdirs):
    settings = group_runs(read_runs(workdirs))
    assert [setting.description for setting in settings] == [f"{STRENGTH} = 0.003", f"{STRENGTH} = 0.1"]
    (pair,) = paired_differences(settings)
    assert (pair.seeds, pair.obstacles) == ((1, 2), [])
    found = {each.quantity: each for each in pair.differences}
    assert list(found) == ["accuracy", "interpretability_score", "conv1"]
    # Of seed 1: 0.82 − 0.91 and 3 − 1; of seed 2: 0.84 − 0.92 and 3 − 2.
    assert found["accuracy"].difference.value == pytest.approx(-0.085)
    assert found["conv1"].difference.value == 1.5
    assert [(each.p, each.smallest_p) for each in pair.differences] == [(0.5, 0.5)] * 3
    assert means(settings[0])["interpretability_score"].value == pytest.approx(4 / 3)


def test_the_page_tells_what_the_table_holds(workdirs, tmp_path):
    interpjax.compare(workdirs, tmp_path / "new" / "page.html")
    text = (tmp_path / "new" / "page.html").read_text()
    page_of = Elements(text)
    assert f"S1 ( weak ): {STRENGTH} = 0.003" in page_of.words
    assert "91.00 (88.52 to 93.48)" in page_of.words  # 0.91 ± 4.303 · 0.01 / √3
    assert (
        "The smallest p that 2 seeds can give is 0.5, so nothing can be shown with them by this test." in page_of.words
    )
    assert "accuracy, percentage points −8.50" in page_of.words
    assert re.search(r"strong1 Held against weak1 ?\. Gained \(3\) .*? Lost \(1\) red-c Both detect 0", page_of.words)
    assert re.search(r"strong2 Held against weak2 ?\. Gained \(2\) .*? Lost \(1\) red-c Both detect 1", page_of.words)
    assert re.search(r"strong3 Held against weak2 ?\. Gained \(2\)", page_of.words)  # weak has no seed 3
    assert re.search(r"weak0 Held against weak2 ?\. Gained \(0\) none Lost \(1\) grass Both detect 1", page_of.words)
    assert "data.num_threads 3 1 2" in page_of.words
    drawn = re.sub(r"<svg aria-hidden.*?</svg>", "", text, flags=re.DOTALL)  # matplotlib's ids, which none refers to
    ids = [attributes["id"] for _, attributes in Elements(drawn).elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {"concept-red-c", "concept-grass", "concept-dog", f"concept-{CONCEPTS[3][0]}"} <= set(ids)
    for link in page_of.of("a"):
        assert unquote(link["href"]).removeprefix("#") in ids, link


def test_the_page_is_markup_that_holds_no_other(workdirs, tmp_path):
    interpjax.compare(workdirs, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    page_of = Elements(text)
    assert "<script>alert" not in text
    assert CONCEPTS[3][0] in page_of.words
    assert [each.get("type") for each in page_of.of("script")] == ["application/json", None]
    for tag, attributes in page_of.elements:
        for name in ("src", "href", "xlink:href"):
            assert not re.match(r"\w+:(?!image/|,)", attributes.get(name, "")), (tag, attributes)
    levels = [int(tag[1]) for tag, _ in page_of.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert max(np.diff(levels)) == 1
    assert len(page_of.of("table")) == len(page_of.of("caption"))
    assert all("scope" in attributes for attributes in page_of.of("th"))
    assert all("alt" in attributes for attributes in page_of.of("img"))
    assert [each for each in page_of.of("svg") if each.get("aria-label", "").startswith("relevance 4")]


def test_counts_by_image_are_read_for_two_runs_alone(workdirs):
    with_images = [[run.dissection.images is not None for run in read_runs(workdirs[:count])] for count in (2, 3)]
    assert with_images == [[True] * 2, [False] * 3]


def test_two_runs_are_compared_over_their_images(tmp_path):
    a = write_run(tmp_path / "a", {"conv1": dissected([0, 0]), "conv2": dissected([0, 1])})
    b = write_run(tmp_path / "b", {"conv1": dissected([1, 2]), "conv2": dissected([0, 1], images=False)}, seed=1)
    interpjax.compare([a, b], tmp_path / "page.html", samples=19)
    words = Elements((tmp_path / "page.html").read_text()).words
    # All images are alike, so that no resample differs: two concepts in each of them, and p = 2 · 1 / 20.
    assert "conv1 1 2 +1 (+1 to +1) 0.1" in words
    assert "Not compared over images: conv2: b has kept no counts by image" in words
    assert "All runs are of one setting" in words


def test_what_is_measured_otherwise_is_shown_and_not_tested(tmp_path):
    first = write_run(tmp_path / "a", {"conv1": dissected([0, 1])})
    others = [("birch", "object") if name == "dog" else (name, category) for name, category in CONCEPTS]
    second = write_run(tmp_path / "b", {"conv1": dissected([0, 1], concepts=others)})
    third = write_run(tmp_path / "c", {"conv1": dissected([0, 1], protocol="all-pixels")}, facts={"class_names": []})
    settings = group_runs(read_runs([first, second, third]))
    assert [setting.description for setting in settings] == [f"the one configuration ({name})" for name in "abc"]
    pairs = paired_differences(settings)
    assert [each.quantity for each in pairs[0].differences] == ["accuracy"]
    assert pairs[0].obstacles == ["scores are not held against each other, since the concepts are others (4 and 4)"]
    assert pairs[1].differences == []
    interpjax.compare([first, second, third], tmp_path / "page.html")
    words = Elements((tmp_path / "page.html").read_text()).words
    assert "c , beside a : protocol.unit_area is 'category' and 'all'; the classes are others." in words


def test_a_setting_is_told_by_what_decides_and_by_nothing_else(tmp_path):
    results = {"conv1": dissected([0, 1])}
    tested = {"train_images by name, order, label and size": "sha256:2"}
    folders = [
        write_run(tmp_path / "first", results, facts=tested),
        write_run(tmp_path / "threads", results, facts=tested, seed=1, data__num_threads=1, dissection__batch_size=8),
        write_run(tmp_path / "folder", results, facts=tested, seed=2, data__directory="elsewhere"),
        write_run(tmp_path / "images", results, facts={"train_images by name, order, label and size": "sha256:3"}),
        write_run(tmp_path / "weights", results, facts=tested, model__weights="a.npz"),
        write_run(tmp_path / "others", results, facts=tested, model__weights="b.npz"),
        write_run(tmp_path / "unmeasured", results, facts=tested, accuracy=None, seed=3),
    ]
    settings = group_runs(read_runs(folders))
    names = [[run.name for run in setting.runs] for setting in settings]
    assert names == [["first", "threads", "folder", "unmeasured"], ["images"], ["weights"], ["others"]]
    assert settings[2].fields == {"model.weights": "a.npz"}
    assert list(means(settings[0])) == ["interpretability_score", "conv1"]  # one run has no accuracy


def test_a_run_of_an_earlier_version_has_the_defaults_of_what_it_did_not_know(tmp_path):
    now = write_run(tmp_path / "now", {"conv1": dissected([0])}, visualization__pictures=("causes",), wandb="own")
    other = write_run(tmp_path / "other", {"conv1": dissected([0])}, training__ema_decay=0.9)
    old = write_run(tmp_path / "old", {"conv1": dissected([0])}, seed=1)
    config = json.loads((old / "config.json").read_text())
    del config["visualization"], config["wandb"], config["training"]["ema_decay"]
    (old / "config.json").write_text(json.dumps(config | {"of_another_version": 5}))
    settings = group_runs(read_runs([now, other, old]))
    assert [[run.name for run in setting.runs] for setting in settings] == [["now"], ["other"], ["old"]]
    interpjax.compare([now, other, old], tmp_path / "page.html")
    words = Elements((tmp_path / "page.html").read_text()).words
    assert "training.ema_decay 0 0.9 0" in words
    assert "of_another_version – – 5" in words
    assert "visualization" not in words
    assert "wandb" not in words


def test_a_score_over_other_layers_is_another_quantity(tmp_path):
    both = {"conv1": dissected([0, 1]), "conv2": dissected([0, 1])}
    first = write_run(tmp_path / "first", both)
    second = write_run(tmp_path / "second", {"conv2": dissected([2, 1])})
    third = write_run(tmp_path / "third", dict(reversed(both.items())), seed=1)
    settings = group_runs(read_runs([first, second, third]))
    assert [[run.name for run in setting.runs] for setting in settings] == [["first", "third"], ["second"]]
    (pair,) = paired_differences(settings)
    assert [each.quantity for each in pair.differences] == ["accuracy", "conv2"]
    why = "the score is over other layers (conv1, conv2 and conv2)"
    assert pair.obstacles == [f"scores are not held against each other, since {why}"]
    interpjax.compare([first, second, third], tmp_path / "page.html")
    page_of = Elements((tmp_path / "page.html").read_text())
    assert f"second , beside first : {why}." in page_of.words
    assert "Without S2 in this figure: other layers" in page_of.words
    assert "Without S2 in the figure by category: other layers" in page_of.words
    assert "not tested against each other, for scores" in page_of.words
    # What conv1 of the first run detects is not lost in a run that has no conv1.
    assert "second Held against first . Gained (1) dog Lost (1) red-c Both detect 1" in page_of.words


def test_names_are_as_long_as_they_have_to_be(tmp_path):
    folders = [write_run(tmp_path / top / "seed=0", {"conv1": dissected([0])}, seed=top == "b") for top in "ab"]
    assert [run.name for run in read_runs(folders)] == ["a/seed=0", "b/seed=0"]


def test_what_cannot_be_compared_is_told(tmp_path, untyped):
    whole = write_run(tmp_path / "whole", {"conv1": dissected([0])})
    same = write_run(tmp_path / "same", {"conv1": dissected([0])})
    damaged = {name: write_run(tmp_path / name, {"conv1": dissected([0])}) for name in ("bare", "blank", "cut", "gone")}
    (damaged["bare"] / "summary.json").unlink()
    (damaged["blank"] / "summary.json").write_text(json.dumps({"accuracy": 0.5}))
    (damaged["cut"] / "dissection" / "conv1" / "iou.npz").write_bytes(b"PK")
    (damaged["gone"] / "dissection" / "conv1" / "iou.npz").unlink()
    (tmp_path / "empty").mkdir()
    for given, message in [
        (str(whole), "expected a sequence of folders"),
        ([whole], "workdirs: 1 given; expected two at least"),
        ([tmp_path / "nowhere"], "nowhere: no such folder; expected the folders of two runs at least"),
        ([whole, tmp_path / "." / "whole"], "whole: given twice"),
        ([whole, same], "whole and .*same: both are of one configuration and seed 0"),
        ([whole, tmp_path / "empty"], r"empty: holds no run \(there is no config.json\)"),
        ([whole, damaged["bare"]], "bare/summary.json: missing; run the experiment to its end"),
        ([whole, damaged["blank"]], "blank: its network has not been dissected"),
        ([whole, damaged["cut"]], "iou.npz: not a file that Dissection.save wrote"),
        ([whole, damaged["gone"]], "gone/dissection/conv1/iou.npz: cannot be read .*; run the experiment"),
    ]:
        with pytest.raises(ValueError, match=message):
            interpjax.compare(given)
    with pytest.raises(ValueError, match=r"output = .*: a folder; expected the path of a file"):
        interpjax.compare([whole, same], tmp_path)
    with pytest.raises(ValueError, match="samples = 0: expected a whole number of 1 or more"):
        interpjax.compare([whole, same], samples=0)


def test_the_command_prints_the_table_and_writes_the_page(workdirs, tmp_path, capsys):
    main(["compare", *map(str, workdirs), "-o", str(tmp_path / "page.html")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == list(interpjax.compare(workdirs).columns[:-1])
    assert lines[2].split() == ["weak0", "1", "0.003", "0", "0.9", "1", "1", "0.25", "1"]
    assert lines[-1] == f"the page: {tmp_path / 'page.html'}"
    assert (tmp_path / "page.html").is_file()
    for given, told in ((workdirs[0], "workdirs: 1 given"), ("nowhere", "workdir nowhere: no such folder")):
        with pytest.raises(SystemExit, match=f"^UserError: {told}"):
            main(["compare", str(given)])
