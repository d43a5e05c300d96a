"""Draws the pictures of pages in docs/gallery.md and README.

python docs/images/pages.py REPORT.html COMPARE.html
"""

import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
sys.path.append(str(FOLDER.parents[1] / "benchmarks"))

from browser import chromium, opened  # noqa: E402

QUALITY = 70  # of JPEG


def main() -> None:
    report, comparison = map(Path, sys.argv[1:3])
    with chromium() as browser:
        shot(browser, report, "report", height=1000)
        shot(browser, report, "groups", at="#groups", height=620)
        shot(browser, report, "units", at="#unit-cards", height=760, dark=True)
        shot(browser, report, "phone", at="#unit-cards", width=375, height=760)
        shot(browser, comparison, "comparison", height=1000)


def shot(
    browser: Any, page: Path, name: str, *, at: str = "h1", width: int = 1280, height: int, dark: bool = False
) -> None:
    """A picture of the window with an element of the page at its top."""
    with opened(browser, page, width=width, dark=dark) as shown:
        shown.page.set_viewport_size({"width": width, "height": height})
        shown.page.evaluate("at => document.querySelector(at).scrollIntoView()", at)
        shown.page.wait_for_timeout(1500)  # until pictures near the window are there
        shown.page.screenshot(path=FOLDER / f"{name}.jpg", type="jpeg", quality=QUALITY)


if __name__ == "__main__":
    main()
