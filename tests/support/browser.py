"""A real Chromium without a screen, what it complains of, and axe, which judges pages as people see and hear them."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

AXE = Path(__file__).parents[1] / "node_modules/axe-core/axe.min.js"
PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")


def program() -> str | None:
    """The browser of this machine."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def started(path: str) -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path)
        yield browser
        browser.close()


def opened(context: BrowserContext, url: str) -> tuple[Page, list[str]]:
    """Open a page; the list gets whatever the browser complains of, and all that the page asks for but itself."""
    page, complaints, asked = context.new_page(), list[str](), list[str]()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    complaints += [f"it asks for {other}" for other in asked if other != url and not other.startswith("data:")]
    return page, complaints


def violations(page: Page) -> list[Any]:
    """What axe finds wrong with a page, by its rules for WCAG 2 and its advice."""
    page.evaluate(AXE.read_text("utf-8"))  # from outside: the page's policy lets in no script
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 20
    return [(each["id"], each["help"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
