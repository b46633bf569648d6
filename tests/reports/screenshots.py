"""Make the pictures of a run's page that the documents show: ``make screenshots``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from runner.reports.page import render  # noqa: E402 - from the folders above
from support.browser import opened, program, started  # noqa: E402 - see above
from support.pages import example  # noqa: E402 - see above

PICTURES: dict[str, dict[str, Any]] = {
    "report-desktop-light": {"viewport": {"width": 1000, "height": 1560}, "color_scheme": "light"},
    "report-phone-dark": {"viewport": {"width": 390, "height": 1100}, "color_scheme": "dark"},
}


def main() -> None:
    path = program()
    if path is None:
        sys.exit("there is no Chromium: tests/reports/install.sh installs one on Debian")
    target = ROOT / "docs/images"
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, started(path) as browser:
        file = Path(folder) / "report.html"
        file.write_text(render(example()), "utf-8")
        for name, options in PICTURES.items():
            with browser.new_context(**options) as context:
                page, _ = opened(context, file.as_uri())
                page.screenshot(path=target / f"{name}.png")
                print(f"docs/images/{name}.png: {(target / f'{name}.png').stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
