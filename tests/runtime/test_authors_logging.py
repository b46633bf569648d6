"""What a flow's file does to logging when it is imported: no line is lost, none comes twice or without its task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.authors import Author

if TYPE_CHECKING:
    from pathlib import Path

LINES = ("log.info('mine')", "log.warning('of mine')", "logger().info('by runner')", "return 1")
TO_CONSOLE = (
    "logging.config.dictConfig({'version': 1, 'root': {'level': 'INFO', 'handlers': ['console']},"
    " 'handlers': {'console': {'class': 'logging.StreamHandler', 'stream': 'ext://sys.stdout'}}})"
)


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path, tmp_path / "storage")


def said(author: Author, *configured: str) -> list[tuple[str | None, str | None, str]]:
    """Run a flow whose file configures logging; gives level, task and message of its lines, but for runner's own."""
    imports = ["import logging", "import logging.config", "import sys", "from runner import logger", *configured]
    imports.append("log = logging.getLogger('mine')")
    author.write({"flow.py": author.flow("\n".join(imports), *LINES)})
    ran = author.run(author.publish())
    assert ran.code == 0, ran
    own = [line["message"].split(":")[0] for line in ran.lines if line.get("logger") in {"runner.run", "runner.engine"}]
    assert [message.split()[-1] for message in own] == ["begins", "succeeded", "succeeded"]
    theirs = [line for line in ran.lines if line.get("logger") not in {"runner.run", "runner.engine"}]
    return [(line.get("level"), line.get("task"), line["message"]) for line in theirs]


ALL = [
    ("INFO", "answer", "mine"),
    ("WARNING", "answer", "of mine"),
    ("INFO", "answer", "by runner"),
]


@pytest.mark.parametrize(
    "configured",
    [
        "logging.basicConfig(level=logging.INFO)",
        "logging.basicConfig(level=logging.INFO, force=True, format='ours %(message)s')",
        TO_CONSOLE,
        "logging.getLogger().handlers.clear()",
        "logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))",
        "logging.getLogger('mine').addHandler(logging.StreamHandler())",
        "logging.getLogger('mine').addHandler(logging.StreamHandler()); logging.getLogger('mine').propagate = False",
    ],
)
def test_every_line_comes_once_with_its_task(author: Author, configured: str) -> None:
    assert said(author, configured) == ALL


def test_levels_of_the_file_are_for_its_own_lines(author: Author) -> None:
    """Ours are not the root logger's to hide."""
    assert said(author, "logging.basicConfig(level=logging.WARNING, force=True)") == ALL[1:2]
    assert said(author, "logging.basicConfig(level=logging.WARNING)") == ALL[1:2]
    assert said(author, "logging.getLogger('mine').setLevel(logging.ERROR)") == ALL[2:]


def test_a_handler_that_writes_elsewhere_stays(author: Author, tmp_path: Path) -> None:
    file = tmp_path / "mine.log"
    assert said(author, f"logging.getLogger('mine').addHandler(logging.FileHandler({str(file)!r}))") == ALL
    assert file.read_text("utf-8").splitlines() == ["mine", "of mine"]


def test_a_level_below_ours_is_taken(author: Author) -> None:
    configured = "from logging import basicConfig\nbasicConfig(level='DEBUG', format='%(message)s')"
    last = "logging.getLogger('mine').debug('fine')"
    author.write({"flow.py": author.flow(f"import logging\n{configured}", last, "return 1")})
    ran = author.run(author.publish())
    assert [line["level"] for line in ran.lines if line["message"] == "fine"] == ["DEBUG"]


@pytest.mark.parametrize("place", ["", "'mine'"])
def test_what_a_handlers_filter_hides_or_drops_stays_hidden(author: Author, place: str) -> None:
    lines = [
        "class Hide(logging.Filter):",
        "    def filter(self, record):",
        "        record.msg = record.msg.replace('mine', '***')",
        "        return record.levelno >= logging.WARNING",
        "handler = logging.StreamHandler(); handler.addFilter(Hide())",
        f"logging.getLogger({place}).addHandler(handler)",
        f"logging.getLogger({place}).setLevel(logging.INFO)",
    ]
    shown = said(author, *lines)
    assert [line for line in shown if line[2] != "by runner"] == [("WARNING", "answer", "of ***")]
