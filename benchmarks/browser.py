"""Pages opened in headless Chromium without a network, and what can be checked of any page; for tests and benchmarks.

Needs: Chromium (Debian: apt-get install chromium) and playwright (pip install playwright).
"""

import contextlib
import importlib.util
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# No sandbox, as containers run as root; the rest so that the browser itself asks for nothing.
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)
WIDTHS = {"desktop": 1280, "phone": 375}
HEIGHT = 900
WITHIN = ("data:", "blob:", "about:")  # addresses of what a page holds itself
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd > 0"
NUMBERS = """() => {
    const [timing] = performance.getEntriesByType('navigation');
    return {
        dom_content_loaded: timing.domContentLoadedEventEnd,
        load: timing.loadEventEnd,
        nodes: document.getElementsByTagName('*').length,
        images: document.images.length,
    };
}"""
# The innermost elements that reach over the right edge, where the page as a whole can be scrolled sideways; not those
# in a box that scrolls by itself.
TOO_WIDE = """() => {
    if (document.documentElement.scrollWidth <= window.innerWidth) return [];
    const cut = (element) => element.parentElement !== document.body &&
        (getComputedStyle(element.parentElement).overflowX !== 'visible' || cut(element.parentElement));
    const over = [...document.body.querySelectorAll('*')].filter(
        (element) => element.getBoundingClientRect().right > window.innerWidth + 0.5 && !cut(element));
    const inner = over.filter((element) => !over.some((other) => other !== element && element.contains(other)));
    return inner.slice(0, 10).map((element) => element.outerHTML.slice(0, 120));
}"""
# By screenfuls, since an image that is loaded lazily is not decoded before it comes near; then waits for each.
SCROLL_AND_DECODE = """async () => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    for (let y = 0; y < document.documentElement.scrollHeight; y += window.innerHeight) {
        window.scrollTo(0, y);
        await frame();
    }
    const visible = [...document.images].filter((image) => image.checkVisibility());
    const broken = [];
    for (const image of visible) {
        if (!image.complete) image.scrollIntoView();
        await image.decode().catch(() => {});
        if (image.naturalWidth === 0) broken.push(image.outerHTML.slice(0, 120));
    }
    window.scrollTo(0, 0);
    return { shown: visible.length, broken };
}"""
AXE = """async (impacts) => {
    const found = await axe.run(document, { resultTypes: ['violations'] });
    return found.violations.filter((violation) => impacts.includes(violation.impact)).map((violation) =>
        `${violation.impact}: ${violation.id}: ${violation.help}: ` +
        violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ') +
        ` (${violation.nodes.length} in all)`);
}"""


@dataclass(frozen=True)
class Opened:
    """A page in the browser, and what went wrong in it so far.

    Attributes:
      page: playwright's, to click and type in.
      requests: addresses that it asked for beside its own file; none of those of a network is answered.
      errors: messages of errors, of its console and of its scripts.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def missing() -> str:
    """What has still to be installed before a page can be opened; empty if nothing has."""
    needed = {
        "chromium (apt-get install chromium)": shutil.which("chromium"),
        "playwright (pip install playwright)": importlib.util.find_spec("playwright"),
    }
    return " and ".join(name for name, found in needed.items() if found is None)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser. Meanwhile this thread has a running event loop, so that ``asyncio.run`` (orbax) cannot be.

    Raises:
      RuntimeError: naming what has still to be installed.
    """
    if lacking := missing():
        raise RuntimeError(f"no browser: expected {lacking}")
    from playwright.sync_api import sync_playwright  # an extra, which those who look at no page do not need

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(SWITCHES))
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(
    browser: Any, path: Path, *, fragment: str = "", width: int = WIDTHS["desktop"], dark: bool = False
) -> Iterator[Opened]:
    """Opens the file of a page without a network, as one who has never seen it, and waits until it has loaded.

    Args:
      browser: of :func:`chromium`.
      path: the file.
      fragment: what stands behind the # of the address.
      width: of the window in CSS pixels.
      dark: whether the reader prefers dark colors.
    """
    own = path.absolute().as_uri()
    viewport = {"width": width, "height": HEIGHT}
    context = browser.new_context(offline=True, viewport=viewport, color_scheme="dark" if dark else "light")
    try:
        seen = Opened(context.new_page())

        def note(address: str) -> None:
            if address.partition("#")[0] != own and not address.startswith(WITHIN):
                seen.requests.append(address)

        seen.page.on("request", lambda request: note(request.url))
        seen.page.on("websocket", lambda socket: note(socket.url))
        seen.page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.goto(f"{own}#{fragment}" if fragment else own)
        while not seen.page.evaluate(LOADED):  # wait_for_function needs eval, which the page's policy forbids
            seen.page.wait_for_timeout(5)
        yield seen
    finally:
        context.close()


def numbers(opened: Opened) -> dict[str, float]:
    """Times from the start of the navigation, ``load`` and ``dom_content_loaded`` in ms; ``nodes`` and ``images``."""
    return opened.page.evaluate(NUMBERS)


def too_wide(opened: Opened) -> list[str]:
    """Up to ten elements because of which the page can be scrolled sideways."""
    return opened.page.evaluate(TOO_WIDE)


def decoded_images(opened: Opened) -> tuple[int, list[str]]:
    """Scrolls through the page. Returns the number of its visible images, and those that could not be decoded."""
    found = opened.page.evaluate(SCROLL_AND_DECODE)
    return found["shown"], found["broken"]


def violations(opened: Opened, axe: Path, impacts: Sequence[str] = ("serious", "critical")) -> list[str]:
    """What axe-core finds amiss for those who read by keyboard, by ear or with weak eyes, each with some elements.

    Args:
      opened: the page.
      axe: the file ``axe.min.js`` (npm install axe-core).
      impacts: the grades that count.
    """
    opened.page.evaluate(axe.read_text(encoding="utf-8") + "; undefined")  # past any policy that the page has
    return opened.page.evaluate(AXE, list(impacts))


def screenshots(browser: Any, path: Path, folder: Path) -> None:
    """Pictures of a whole page in light, in dark and on a phone, ``STEM-light.png`` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, width in {"light": WIDTHS["desktop"], "dark": WIDTHS["desktop"], "phone": WIDTHS["phone"]}.items():
        with opened(browser, path, width=width, dark=name == "dark") as shown:
            decoded_images(shown)
            shown.page.screenshot(path=folder / f"{path.stem}-{name}.png", full_page=True)
