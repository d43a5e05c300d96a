"""Pages in a real browser, where there is one."""

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))  # tests and benchmarks open a page in the same way

import browser


@pytest.fixture(scope="session")
def installed() -> None:
    """What is made for the browser to open needs this, so that without one it is not made."""
    if lacking := browser.missing():
        pytest.skip(f"no browser: expected {lacking}")


@pytest.fixture(scope="module")
def chromium(installed):
    """A headless browser. No run may be begun while it is open: see ``browser.chromium``."""
    with browser.chromium() as started:
        yield started


@pytest.fixture(scope="session")
def axe() -> Path:
    """The file of axe-core."""
    file = Path(os.environ.get("INTERPJAX_AXE", ""))
    if not file.is_file():
        pytest.skip("no axe-core: expected its axe.min.js (npm install axe-core) in the variable INTERPJAX_AXE")
    return file
