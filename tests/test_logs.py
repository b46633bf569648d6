"""Log lines: JSON or text, with their run and task, without secrets, and never the reason that a run fails."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from runner import logs
from runner.secrets.redaction import mask, redact
from support.restored_logging import restored_logging

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    with restored_logging():
        yield io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_a_json_object_with_its_run_and_task(stream: io.StringIO) -> None:
    logs.configure(stream, "INFO", None)
    logs.run_context(run_id="r", flow="etl", attempt=1)
    with logs.task_context("clean[3]"):
        logs.logger().info("read %d rows", 3, extra={"rows": 3})
    logs.logger().debug("too fine")
    [line] = lines(stream)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO", "logger": "runner.flow", "message": "read 3 rows", "rows": 3,
        "run_id": "r", "flow": "etl", "attempt": 1, "task": "clean[3]",
    }  # fmt: skip


def test_an_exception_stands_in_its_line(stream: io.StringIO) -> None:
    logs.configure(stream, "INFO", "json")
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        logging.getLogger("other").exception("failed")
    [line] = lines(stream)
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("integer division or modulo by zero")


def test_text_is_for_people(stream: io.StringIO) -> None:
    logs.configure(stream, "DEBUG", "text")
    logs.logger().debug("fine")
    logs.logger().error("failed", extra={"exception": "Traceback …\nValueError: x\n"})
    first, second, *rest = stream.getvalue().splitlines()
    assert first.endswith(" DEBUG   runner.flow: fine")
    assert second.endswith(" ERROR   runner.flow: failed")
    assert rest == ["  Traceback …", "  ValueError: x"]


def test_a_terminal_gets_text_unless_json_is_asked_for(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "isatty", lambda: True)
    logs.configure(stream, "INFO", None)
    logs.logger().info("for a person")
    assert not stream.getvalue().startswith("{")
    logs.configure(stream, "INFO", "json")
    logs.logger().info("for a machine")
    assert json.loads(stream.getvalue().splitlines()[-1])["message"] == "for a machine"


@pytest.mark.parametrize("line_format", ["json", "text"])
@pytest.mark.parametrize("secret", ["hunter2", 'with "quotes" and \\', "two\nlines", "ümläut", "}{", "qx"])
def test_no_secret_is_printed_in_any_form(stream: io.StringIO, line_format: str, secret: str) -> None:
    mask(secret)
    logs.configure(stream, "INFO", line_format)
    try:
        _ = dict[str, int]()[secret]
    except KeyError:
        logging.getLogger("x").exception("it is %s", secret, extra={"deep": {"list": [secret, 1], secret: None}})
    logging.getLogger("x").info("%r", [secret])
    text = stream.getvalue()
    if line_format == "json":
        assert [line["message"] for line in lines(stream)] == ["it is ***", "['***']"]
    for shown in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert shown not in text


def test_a_secret_that_holds_another_goes_as_a_whole() -> None:
    mask("pass")
    mask("password")
    assert redact("password pass") == "*** ***"


class Awkward:
    def __repr__(self) -> str:
        message = "no repr"
        raise RuntimeError(message)


@pytest.mark.parametrize("line_format", ["json", "text"])
def test_a_line_that_cannot_be_made_is_replaced_by_a_report(stream: io.StringIO, line_format: str) -> None:
    logs.configure(stream, "INFO", line_format)
    log = logging.getLogger("theirs")
    log.info("does not fit %d", "text")  # noqa: PLE1206, RUF100
    log.info("nor this: %r", Awkward())
    log.info("and on")
    first, second, third = stream.getvalue().splitlines()
    assert "test_logs.py" in first
    assert "cannot be made" in first
    assert "TypeError" in first
    assert "no repr" in second
    assert "and on" in third


def test_what_json_does_not_know_is_written_as_text(stream: io.StringIO) -> None:
    logs.configure(stream, "INFO", "json")
    logging.getLogger("x").info("odd", extra={"odd": object, "bytes": b"x", "half": "\udce9"})
    [line] = lines(stream)
    assert line["half"] == "\udce9"
    assert line["message"] == "odd"


def test_a_line_has_what_it_brought_along_and_nothing_else_of_its_record(stream: io.StringIO) -> None:
    logs.configure(stream, "INFO", "json")
    logging.getLogger("x").info({"rows": 3, "logger": "mine"}, extra={"_inner": 1, "when": date(2026, 1, 2)})
    logging.getLogger("x").info("here", stack_info=True)
    first, second = lines(stream)
    assert first.pop("time").endswith("+00:00")
    assert first == {"level": "INFO", "logger": "x", "rows": 3, "when": "2026-01-02"}
    assert second.keys() == {"time", "level", "logger", "message", "stack_info"}


def test_a_line_of_plain_values_is_made_without_a_library() -> None:
    """It took the start of each run 3 ms to import, and its end as long."""
    code = "import sys; from runner import logs; logs.configure(sys.stderr, 'INFO', 'json'); logs.logger().info('x')"
    code += "; print('pythonjsonlogger' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (json.loads(done.stderr)["message"], done.stdout.strip()) == ("x", "False")


def test_a_stream_that_is_closed_is_no_reason_to_fail(stream: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(stream, "INFO", "json")
    stream.close()
    logs.logger().info("into the void")
    assert capsys.readouterr().err == ""


def test_what_json_has_no_numbers_for_is_written_as_text(stream: io.StringIO) -> None:
    """https://github.com/swift-nav/libsbp/issues/129; RFC 8259, section 6."""
    logs.configure(stream, "INFO", "json")
    extra = {"loss": float("nan"), "all": [{"best": float("inf")}, (1.5, -float("inf"))]}
    logs.logger().info("epoch", extra=extra | {"level": "none", "time": 0, "logger": "x"})
    line = json.loads(stream.getvalue(), parse_constant=pytest.fail)
    assert (line["loss"], line["all"]) == ("NaN", [{"best": "Infinity"}, [1.5, "-Infinity"]])
    assert (line["level"], line["logger"]) == ("INFO", "runner.flow")
    with pytest.raises(ValueError, match="not JSON compliant"):
        logs.json_text(float("nan"), exact=True)
