"""The page of a comparison in a real browser: an address opens its concept, the search finds, everyone can read it."""

import browser
import pytest
from made_up_runs import dissected, write_run

import interpjax


@pytest.fixture(scope="module")
def page(installed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    runs = [
        write_run(folder / name, {"conv1": dissected(own, groups=True)}, seed=seed, model__width=width)
        for name, own, seed, width in (("a", [0, 1], 0, 1.0), ("b", [0, 2], 1, 1.0), ("c", [1, 3], 0, 0.5))
    ]
    interpjax.compare(runs, folder / "page.html")
    return folder / "page.html"


def test_an_address_opens_its_concept_and_the_search_finds(page, chromium):
    with browser.opened(chromium, page, fragment="concept-dog") as opened:
        shown = "[...document.querySelectorAll('details.one-concept')].filter(each => each.{}).map(each => each.id)"
        assert opened.page.evaluate(shown.format("open")) == ["concept-dog"]
        opened.page.fill("#find", "COLOR")
        assert opened.page.evaluate(shown.format("checkVisibility()")) == ["concept-red-c"]
        assert opened.page.inner_text("#shown") == "1 of 4 concepts"
        assert (opened.requests, opened.errors) == ([], [])
        for width in browser.WIDTHS.values():
            opened.page.set_viewport_size({"width": width, "height": browser.HEIGHT})
            assert browser.too_wide(opened) == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_can_be_read_by_everyone(page, chromium, axe, dark):
    with browser.opened(chromium, page, dark=dark) as opened:
        opened.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert browser.violations(opened, axe) == []


def test_a_name_that_looks_like_an_escape_is_found(chromium, tmp_path):
    concepts = (("50%-c", "color"), ("grass", "object"))
    runs = [
        write_run(tmp_path / name, {"conv1": dissected(own, concepts=concepts)}, seed=seed)
        for seed, (name, own) in enumerate({"a": [1], "b": [0]}.items())
    ]
    interpjax.compare(runs, tmp_path / "page.html")
    for fragment in ("concept-50%-c", "concept-50%25-c"):  # as one types it, and as a link has it
        with browser.opened(chromium, tmp_path / "page.html", fragment=fragment) as opened:
            concept = opened.page.locator("details.one-concept").filter(has_text="50%-c")
            assert concept.evaluate("each => each.open")
            concept.evaluate("each => { each.open = false; location.hash = ''; }")
            opened.page.click("dd a >> text=50%-c")
            opened.page.locator("details.one-concept[open]").wait_for(state="attached")
            assert opened.errors == []
