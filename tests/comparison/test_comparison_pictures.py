"""What the units of each run look at, on the page; also where a run of another version has no pictures to read."""

import base64
import json
import re

import numpy as np
from elements import Elements
from made_up_runs import dissected, write_run

import interpjax
from interpjax.finished import VIEWS
from interpjax.visualization.views import FORMAT, LayerViews, Views


def views_of(images) -> Views:
    """Two units that look at some images, one pixel each, with a mask on the first of them."""
    units = len(images)
    shown = len(images[0])
    layer = LayerViews(
        images=np.array(images),
        values=np.ones((units, shown)),
        top=2,
        masks=[["M0 0L1 0L1 1Z", *[""] * (shown - 1)]] * units,
        labels=[[""] * shown] * units,
        annotated=np.ones((units, shown), bool),
        counts=np.ones((units, 2), int),
        low=np.zeros(units),
        high=np.ones(units),
        sample=3,
    )
    pictures = {int(number): b"webp %d" % number for number in np.unique(images)}
    return Views({"conv1": layer}, {number: str(number) for number in pictures}, pictures)


def show(folder, images, **result):
    """Does the stage ``visualize`` of a run."""
    views_of(images).save(folder / VIEWS)
    (folder / "stages").mkdir()
    (folder / "stages" / "visualize.json").write_text(
        json.dumps({"result": result or {"format": FORMAT}, "seconds": 1})
    )


def test_the_best_unit_of_each_run_is_shown_with_its_top_images(tmp_path):
    folders = [
        write_run(tmp_path / f"run{seed}", {"conv1": dissected([0, 1])}, seed=seed, facts={"labelled images": "same"})
        for seed in (0, 1, 2)
    ]
    for folder, images in zip(folders, ([[7, 8, 9], [5, 6, 9]], [[8, 7, 9], [6, 4, 9]]), strict=False):
        show(folder, images)
    (folders[0] / "report.html").write_text("")
    interpjax.compare(folders, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    page_of = Elements(text)
    pictures = json.loads(re.search(r'id="pictures">(.*?)</script>', text).group(1))
    words = [base64.b64decode(pictures[image["data-picture"]]).decode() for image in page_of.of("img")]
    # For each concept two images of each run that has pictures; what two runs show is there once.
    assert words == [f"webp {number}" for number in (5, 6, 6, 4, 7, 8, 8, 7)]
    assert len(pictures) == 5
    assert [each["d"] for each in page_of.of("path") if each.get("class") == "outline"][:2] == ["M0 0L1 0L1 1Z", ""]
    assert "run0/report.html#conv1-unit-2" in [link["href"] for link in page_of.of("a")]


def test_a_run_whose_pictures_cannot_be_read_is_compared_without(tmp_path):
    folders = {
        name: write_run(tmp_path / name, {"conv1": dissected([0, 1])}, seed=seed)
        for seed, name in enumerate(("whole", "damaged", "older"))
    }
    for name, folder in folders.items():
        show(folder, [[7, 8, 9], [5, 6, 9]], **({"pictures": 4} if name == "older" else {}))
    (folders["damaged"] / VIEWS / "views.json").write_text(json.dumps({"units": []}))
    interpjax.compare(list(folders.values()), tmp_path / "page.html")
    page_of = Elements((tmp_path / "page.html").read_text())
    assert re.search("damaged is without pictures: .*views.json: damaged .it has no 'names'.; remove", page_of.words)
    assert (
        "older is without pictures: another version made them; to make them anew, run the experiment" in page_of.words
    )
    assert "whole is without pictures" not in page_of.words
    assert len(page_of.of("img")) == 4  # two concepts, of each two images of the run that can be shown
