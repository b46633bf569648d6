"""Log lines: JSON for machines, text at a terminal; each with its run and task, none with a secret."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from runner.secrets.redaction import masks_anything, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR
_run: dict[str, Any] = {}  # run_id, flow, attempt: the same for the whole process
_task: ContextVar[str | None] = ContextVar("task", default=None)


def logger(name: str = "flow") -> logging.Logger:
    """Give a logger; without a name the one for a flow's own lines."""
    return logging.getLogger(f"runner.{name}")


logger.__module__ = "runner"  # pickles name it so, wherever it is defined: docs/formats.md


class Stream(Protocol):
    """What log lines go to."""

    def write(self, text: str, /) -> object:
        """Take a line and its end."""

    def flush(self) -> None:
        """Pass on what was taken."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""


def configure(stream: Stream, level: str, form: str | None) -> None:
    """Send all that is logged in this process to a stream, as ``json`` or ``text`` (by default: text at a terminal)."""
    handler = _Handler(stream)
    handler.addFilter(_add_context)
    handler.setFormatter(_Text() if (form or ("text" if stream.isatty() else "json")) == "text" else _Json())
    logging.basicConfig(handlers=[handler], level=level, force=True)


def run_context(**fields: Any) -> None:
    """Add fields (``run_id``, ``flow``, ``attempt``) to every line from now on."""
    _run.update(fields)


@contextmanager
def task_context(label: str) -> Iterator[None]:
    """Add the task's label to every line that the block logs."""
    token = _task.set(label)
    try:
        yield
    finally:
        _task.reset(token)


def _add_context(record: logging.LogRecord) -> bool:
    record.__dict__.update(_run)
    if label := _task.get():
        record.task = label
    return True


class _Handler(logging.StreamHandler[Stream]):
    """Writes lines; one that cannot be made is told of in its place, and where nobody reads any more it is quiet."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - logging must not end what it tells of
            where = f"{record.pathname}:{record.lineno}"
            message = f"a log line cannot be made at {where}: {type(error).__name__}: {error}"
            plain = {"name": record.name, "levelno": ERROR, "levelname": "ERROR", "msg": message}
            line = self.format(logging.makeLogRecord({**plain, **_run}))
        with suppress(OSError, ValueError):
            self.stream.write(f"{line}\n")
            self.flush()


class _Json(logging.Formatter):
    """One JSON object a line; python-json-logger is loaded for the first line."""

    _formatter: logging.Formatter | None = None

    def format(self, record: logging.LogRecord) -> str:
        if self._formatter is None:
            from pythonjsonlogger.json import JsonFormatter

            names = {"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "exception"}
            form = "%(asctime)s %(levelname)s %(name)s %(message)s"
            self._formatter = JsonFormatter(form, rename_fields=names, json_serializer=_dumps)
            self._formatter.formatTime = _time  # type: ignore[method-assign, assignment]
        return self._formatter.format(record)


class _Text(logging.Formatter):
    """What a person reads at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        where = record.__dict__.get("task") or record.name
        text = f"{_time(record)[11:19]} {record.levelname:7} {where}: {record.getMessage()}"
        if exception := record.__dict__.get("exception") or (record.exc_info and self.formatException(record.exc_info)):
            text += f"\n{exception.rstrip()}"
        return redact(text)


def _dumps(line: dict[str, Any], **options: Any) -> str:
    """Encode a line; secrets are taken out of its texts, so that it stays JSON whatever a secret looks like."""
    text = json.dumps(line, **options)
    return json.dumps(_redacted(json.loads(text))) if masks_anything() else text


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {redact(key): _redacted(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_redacted(part) for part in value]
    return redact(value) if isinstance(value, str) else value


def _time(record: logging.LogRecord, _form: str | None = None) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
