"""The report in a real browser: nothing leaves it, nothing is broken, everyone can read it."""

import browser
import numpy as np
import pytest
import tiny

import interpjax
from interpjax.dissection import Dissection

BAD = """<!doctype html><html><head><title>bad</title></head><body>
<p style="width: 500px; color: #ccc; background: #fff">pale</p><input>
<img alt="" src="data:image/png;base64,AAAA"><img alt="" style="display: none" src="data:image/png;base64,AAAA">
<link rel="stylesheet" href="style.css"><script>fetch('https://example.org/a'); new WebSocket('wss://example.org/b');
undefined_name();</script></body></html>"""


@pytest.fixture(scope="module")
def report(installed, tmp_path_factory):
    """The page of a run that was trained for a few steps."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    interpjax.run(tiny.tiny_config(visualization__pictures=("filters", "causes")), workdir)
    return workdir / "report.html"


@pytest.fixture
def units(report):
    """What the dissection found of each unit, best first: its address, number, group, concept, category and IoU."""
    found = []
    for layer, size in (("conv1", 1), ("conv2", 3)):  # of its five groups; what remains is in none
        result = Dissection.load(report.parent / "dissection" / layer / "iou.npz")
        for row in result.best().to_dict("records"):
            number, group = row["unit"] + 1, row["unit"] // size + 1
            address = f"{layer}-unit-{number}"
            found.append({**row, "address": address, "number": number, "group": group if group <= 5 else None})
    return sorted(found, key=lambda unit: -unit["iou"])


@pytest.fixture(params=[False, True], ids=["light", "dark"])
def opened(report, chromium, request):
    with browser.opened(chromium, report, dark=request.param) as page:
        yield page


def test_page_asks_for_nothing_and_all_of_it_is_shown(opened):
    shown, broken = browser.decoded_images(opened)
    assert shown > 0
    assert (broken, opened.requests, opened.errors) == ([], [], [])


@pytest.mark.parametrize("width", browser.WIDTHS.values(), ids=browser.WIDTHS)
def test_page_fits_the_width_of_the_window(report, chromium, width):
    with browser.opened(chromium, report, width=width) as page:
        assert browser.too_wide(page) == []


def test_page_can_be_read_by_everyone(opened, axe):
    assert browser.violations(opened, axe) == []


def test_page_of_a_small_run_is_small_and_opens_at_once(report, chromium):
    with browser.opened(chromium, report) as page:
        found = browser.numbers(page)
    assert 0 < found["dom_content_loaded"] <= found["load"] < 2000
    assert report.stat().st_size < 25e6


def shown(page):
    """The addresses of the units that the page shows, in its order."""
    return page.eval_on_selector_all("article.unit:not([hidden])", "cards => cards.map(card => card.id)")


def test_search_and_filters_leave_the_units_that_match(report, chromium, units):
    kind = next(unit for unit in units if unit["concept"])
    cut = float(np.median([unit["iou"] for unit in units]).round(2))
    with browser.opened(chromium, report) as opened:
        page, tools = opened.page, opened.page.locator("form.tools")
        for name, given, matches in (
            ("text", "unit 7", lambda unit: unit["number"] == 7),
            ("text", kind["concept"].upper(), lambda unit: kind["concept"] in unit["concept"]),
            ("text", "nowhere", lambda unit: False),
            ("layer", "conv2", lambda unit: unit["address"].startswith("conv2")),
            ("category", kind["category"], lambda unit: unit["category"] == kind["category"]),
            ("group", "2", lambda unit: unit["group"] == 2),
            ("iou", str(cut), lambda unit: unit["iou"] >= cut),
        ):
            field = tools.locator(f"[name={name}]")
            field.select_option(given) if name in ("layer", "category", "group") else field.fill(given)
            expected = {unit["address"] for unit in units if matches(unit)}
            assert set(shown(page)) == expected, (name, given)
            assert tools.locator("output").inner_text() == f"{len(expected)} of {len(units)} units"
            tools.get_by_role("button", name="Show all").click()
            tools.locator("output", has_text=f"{len(units)} of {len(units)} units").wait_for()
            assert len(shown(page)) == len(units)
        tools.get_by_label("Show", exact=True).select_option("detects")
        assert set(shown(page)) == {unit["address"] for unit in units if unit["iou"] >= 0.04}


def test_units_are_sorted_as_asked(report, chromium, units):
    iou = {unit["address"]: round(unit["iou"], 6) for unit in units}
    of = {unit["address"]: unit for unit in units}
    with browser.opened(chromium, report) as opened:
        sort = opened.page.locator("form.tools").get_by_label("Sort by")
        found = {}
        for by in ("layer and number", "group", "concept", "IoU"):
            sort.select_option(by)
            found[by] = shown(opened.page)
            assert sorted(found[by]) == sorted(of)
    assert found["layer and number"] == [f"conv1-unit-{n}" for n in range(1, 9)] + [
        f"conv2-unit-{n}" for n in range(1, 17)
    ]
    concepts = [of[address]["concept"] for address in found["concept"] if of[address]["concept"]]
    assert concepts == sorted(concepts)
    best = [iou[address] for address in found["IoU"]]
    assert best == sorted(best, reverse=True)
    groups = [of[address]["group"] for address in found["group"] if of[address]["group"]]
    assert groups == [1, 2, 3, 4, 5, *(each for each in range(1, 6) for _ in range(3))]


def test_an_address_leads_to_its_unit_group_or_concept(report, chromium, units):
    concept = next(unit["concept"] for unit in units if unit["concept"])
    for address in ("conv2-unit-7", "conv2-group-2", f"concept-{concept}"):
        with browser.opened(chromium, report, fragment=address) as opened:
            card = opened.page.locator(f"[id='{address}']")
            assert card.evaluate("card => card === document.activeElement"), address
            top = card.evaluate("card => card.getBoundingClientRect().top")
            assert 0 <= top < browser.HEIGHT, address
            assert card.locator(".picture img").count() > 0, address


def test_unit_that_is_filtered_out_is_shown_where_a_link_leads_to_it(report, chromium):
    with browser.opened(chromium, report) as opened:
        opened.page.locator("form.tools").get_by_label("Search").fill("nowhere")
        assert shown(opened.page) == []
        opened.page.evaluate("location.hash = 'conv1-unit-3'")
        opened.page.locator("#conv1-unit-3").wait_for(state="visible")


def test_images_are_enlarged_by_keyboard_alone(report, chromium):
    with browser.opened(chromium, report, fragment="conv2-unit-7") as opened:
        page = opened.page
        page.keyboard.press("Tab")  # from the card, which the address has focused, into it
        tiles = page.locator("#conv2-unit-7 button.tile")
        while not tiles.first.evaluate("tile => tile === document.activeElement"):
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.closest('#conv2-unit-7') !== null")
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        first = dialog.locator(".caption").inner_text()
        assert first.startswith("conv2 unit 7.")
        assert browser.decoded_images(opened)[1] == []
        page.keyboard.press("ArrowRight")
        assert dialog.locator(".caption").inner_text() not in ("", first)
        page.keyboard.press("Escape")
        dialog.wait_for(state="hidden")
        assert tiles.first.evaluate("tile => tile === document.activeElement")
        assert opened.errors == []


def test_what_is_amiss_in_a_page_is_found(chromium, axe, tmp_path):
    """Else the tests above could pass because nothing is looked at."""
    (tmp_path / "bad.html").write_text(BAD)
    with browser.opened(chromium, tmp_path / "bad.html", width=375) as page:
        page.page.wait_for_timeout(200)  # until the requests have been refused
        shown, broken = browser.decoded_images(page)
        assert (shown, len(broken)) == (1, 1)
        addresses = {"https://example.org/a", "wss://example.org/b", (tmp_path / "style.css").as_uri()}
        assert addresses <= set(page.requests)
        assert any("undefined_name" in error for error in page.errors)
        assert ["pale" in element for element in browser.too_wide(page)] == [True]
        found = " ".join(browser.violations(page, axe))
        assert all(rule in found for rule in ("color-contrast", "html-has-lang", "critical: label:"))
    browser.screenshots(chromium, tmp_path / "bad.html", tmp_path / "pictures")
    assert len(list((tmp_path / "pictures").glob("bad-*.png"))) == 3
