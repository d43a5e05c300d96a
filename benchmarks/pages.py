"""How large pages are and how fast they open in headless Chromium, without a network.

Run:   python benchmarks/pages.py PAGE.html ... [--screenshots DIR]
Needs: Chromium and playwright, as benchmarks/browser.py says.
Cost:  some seconds a page.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

from browser import chromium, numbers, opened, screenshots

TIMES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", type=Path, nargs="+", metavar="PAGE.html")
    parser.add_argument("--screenshots", type=Path, metavar="DIR", help="pictures in light, in dark and on a phone")
    given = parser.parse_args()
    print(f"Times in ms from the start of the navigation, the median of {TIMES}.\n")
    print("| page | MB | DOM loaded | loaded | DOM nodes | images |\n|---|---|---|---|---|---|")
    with chromium() as browser:
        for page in given.pages:
            print(row(browser, page), flush=True)
            if given.screenshots:
                screenshots(browser, page, given.screenshots)


def row(browser: Any, page: Path) -> str:
    """A line of the table."""
    seen = []
    for _ in range(TIMES):
        with opened(browser, page) as shown:
            seen.append(numbers(shown))
    dom, load = (statistics.median(one[name] for one in seen) for name in ("dom_content_loaded", "load"))
    megabytes = page.stat().st_size / 1e6
    return f"| {page} | {megabytes:.2f} | {dom:.0f} | {load:.0f} | {seen[0]['nodes']} | {seen[0]['images']} |"


if __name__ == "__main__":
    main()
