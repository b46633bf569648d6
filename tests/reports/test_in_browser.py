"""The page about a run, as a browser shows it."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from runner.reports.page import render
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from support.browser import opened, program, started, violations
from support.pages import HOSTILE, everywhere, example, gathered, many
from support.places import s3_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, ViewportSize

    from support.servers import Server

DESKTOP: ViewportSize = {"width": 1200, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = program()
    if path is None:
        pytest.skip("there is no Chromium: tests/reports/install.sh installs one on Debian")
    with started(path) as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    pages = {"example": example(), "lives": gathered(), "sums": many(3000), "rows": many(300)}
    pages |= {f"hostile-{name}": everywhere(words, 20) for name, words in HOSTILE.items()}
    for name, facts in pages.items():
        (folder / f"{name}.html").write_text(render(facts), "utf-8")
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", ["example", "lives", "sums"])
def test_everybody_can_read_the_page(browser: Browser, folder: Path, name: str, size: Any, scheme: Any) -> None:
    with browser.new_context(viewport=size, color_scheme=scheme) as context:
        page, complaints = opened(context, (folder / f"{name}.html").as_uri())
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark is (scheme == "dark")
        assert complaints == []


@pytest.mark.parametrize("name", HOSTILE)
def test_what_mallory_writes_is_text(browser: Browser, served: str, name: str) -> None:
    with browser.new_context(viewport=PHONE) as context:
        page, complaints = opened(context, f"{served}/hostile-{name}.html")
        assert page.locator("h1").inner_text() == "Run r"
        assert page.locator("img, iframe, object, embed, form").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert page.evaluate("document.scripts.length") == 1
        assert complaints == []


def test_it_opens_by_a_presigned_url(browser: Browser, moto: Server) -> None:
    place = s3_place(moto)
    store = RunStore(place.open(), RunLayout("etl", "one"))
    store.write_report(render(example()).encode())
    client = boto3.client(
        "s3",
        endpoint_url=moto.url,
        aws_access_key_id=moto.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=moto.environ["AWS_SECRET_ACCESS_KEY"],
        region_name=moto.environ["AWS_REGION"],
    )
    object_of = {"Bucket": store.storage.container, "Key": store.layout.report}
    with browser.new_context(viewport=PHONE) as context:
        page, complaints = opened(context, client.generate_presigned_url("get_object", Params=object_of))
        assert page.locator("h1").inner_text() == "Run one"
        assert complaints == []


def test_no_script_runs_but_the_pages_own(browser: Browser, served: str) -> None:
    with browser.new_context() as context:
        page, complaints = opened(context, f"{served}/example.html")
        page.evaluate(
            """() => {
              const script = document.createElement("script");
              script.textContent = "window.hacked = true";
              document.body.append(script);
              document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hacked = true'>");
              document.body.insertAdjacentHTML("beforeend", "<p style='color: red'>x</p>");
            }"""
        )
        page.wait_for_function("() => true")
        assert page.evaluate("window.hacked") is None
        assert any("Content Security Policy" in complaint for complaint in complaints)


def test_the_table_is_sorted_and_filtered_by_the_keyboard(browser: Browser, folder: Path) -> None:
    with browser.new_context(viewport=DESKTOP) as context:
        page, complaints = opened(context, (folder / "rows.html").as_uri())
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent") == "Took, s":
                break
        head = page.locator("th", has_text="Took, s")
        assert head.get_attribute("aria-sort") is None
        assert shortest(page.keyboard.press, page, "Enter") == "1.000"
        assert head.get_attribute("aria-sort") == "ascending"
        assert shortest(page.keyboard.press, page, " ") == "7.000"
        assert head.get_attribute("aria-sort") == "descending"
        page.get_by_label("Show rows with").press_sequentially("task-3[1")
        assert page.get_by_role("status").inner_text().endswith(" of 300 rows")
        assert page.locator("#tasks tbody tr:visible").count() == int(
            page.get_by_role("status").inner_text().split()[0]
        )
        assert page.locator("th[aria-sort]").count() == 1
        assert violations(page) == []
        assert complaints == []


def shortest(press: Any, page: Any, key: str) -> str:
    """Press a key, and return what the first row has in its fifth column."""
    press(key)
    return str(page.locator("#tasks tbody tr").first.locator("td").nth(4).inner_text())


def test_a_command_is_copied(browser: Browser, served: str) -> None:
    with browser.new_context() as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page, complaints = opened(context, f"{served}/example.html")
        page.get_by_role("button", name="Copy").click()
        page.get_by_role("button", name="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == "runner retry s3://my-flows/rides-report/runs/one"
        assert complaints == []


def test_without_script_all_can_be_read(browser: Browser, folder: Path) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page, complaints = opened(context, (folder / "rows.html").as_uri())
        assert page.locator("#tasks tbody tr:visible").count() == 300
        assert page.locator("button, input").count() == 0
        assert complaints == []


def test_the_page_prints(browser: Browser, folder: Path) -> None:
    with browser.new_context(viewport=DESKTOP) as context:
        page, complaints = opened(context, (folder / "example.html").as_uri())
        assert page.pdf().startswith(b"%PDF")
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        for hidden in ("nav", ".copy", ".filter"):
            assert not page.locator(hidden).first.is_visible()
        assert page.evaluate("document.querySelector('#log .block').scrollHeight") <= page.evaluate(
            "document.querySelector('#log .block').clientHeight"
        )
        assert complaints == []
