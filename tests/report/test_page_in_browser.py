"""The report in a real browser: nothing leaves it, nothing is broken, everyone can read it."""

import browser
import pytest
import tiny

import interpjax

BAD = """<!doctype html><html><head><title>bad</title></head><body>
<p style="width: 500px; color: #ccc; background: #fff">pale</p><input>
<img alt="" src="data:image/png;base64,AAAA"><img alt="" style="display: none" src="data:image/png;base64,AAAA">
<link rel="stylesheet" href="style.css"><script>fetch('https://example.org/a'); new WebSocket('wss://example.org/b');
undefined_name();</script></body></html>"""


@pytest.fixture(scope="module")
def report(installed, tmp_path_factory):
    """The page of a run that was trained for a few steps."""
    workdir = tmp_path_factory.mktemp("runs") / "tiny"
    interpjax.run(tiny.tiny_config(), workdir)
    return workdir / "report.html"


@pytest.fixture(params=[False, True], ids=["light", "dark"])
def opened(report, chromium, request):
    with browser.opened(chromium, report, dark=request.param) as page:
        yield page


def test_page_asks_for_nothing_and_all_of_it_is_shown(opened):
    shown, broken = browser.decoded_images(opened)
    assert shown > 0
    assert (broken, opened.requests, opened.errors) == ([], [], [])


def test_page_fits_the_width_of_the_window(report, chromium):
    with browser.opened(chromium, report, width=browser.WIDTHS["desktop"]) as page:
        assert browser.too_wide(page) == []


def test_page_can_be_read_by_everyone(opened, axe):
    assert browser.violations(opened, axe) == []


def test_page_of_a_small_run_is_small_and_opens_at_once(report, chromium):
    with browser.opened(chromium, report) as page:
        found = browser.numbers(page)
    assert 0 < found["dom_content_loaded"] <= found["load"] < 2000
    assert report.stat().st_size < 25e6


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
