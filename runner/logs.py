"""Log lines: JSON for machines, text at a terminal; each with its run and task, none with a secret."""

from __future__ import annotations

import logging
import re
import sys
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial, wraps
from json import dumps, loads
from math import isfinite
from typing import TYPE_CHECKING, Any, Protocol

from runner.secrets.redaction import masks_anything, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR
# What follows ``runner.`` in the names of loggers by which runner speaks: nobody else's line is told to be of these.
OWN_NAMES = frozenset(
    {"", "agent", "claims", "credentials", "engine", "leaks", "load", "publish", "pump", "resume", "run", "storage"}
)
_OF_ANY_RECORD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})
_PROCESS_FIELDS: dict[str, Any] = {}  # run_id, flow, attempt: in every line of this process
_TASK: ContextVar[str | None] = ContextVar("task", default=None)
# What a terminal obeys, or what makes a text look like another one: control characters (C0, DEL, C1), separators of
# lines and paragraphs, changes of direction (CVE-2021-42574), characters without a shape, halves of surrogate pairs.
_OBEYED = (
    r"\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    r"\U000e0000-\U000e007f"
)
_IN_A_LINE = rf"[\x00-\x1f{_OBEYED}]"  # compiled when a text is shown: a run that logs JSON shows none
IN_A_BLOCK = rf"[\x00-\x08\x0b-\x1f{_OBEYED}]"  # which has tabs and lines


def logger(name: str = "flow") -> logging.Logger:
    """Return a logger for a flow's own lines: with the run and the task in each, and no secret in any.

    Lines that are logged by ``logging`` go the same way.

    Args:
        name: what follows ``runner.`` in the logger's name.

    Returns:
        The logger, of the standard library's kind.

    Example:
        >>> from runner import logger
        >>> logger().name
        'runner.flow'
        >>> logger().info("%d rows", 3)
    """
    return logging.getLogger(f"runner.{name}")


logger.__module__ = "runner"  # see runner.model.flow.FlowGraph
_PACKAGE = logger.__code__.co_filename.removesuffix("logs.py")


class Stream(Protocol):
    """A text stream that log lines are written to."""

    def write(self, text: str, /) -> object:
        """Write a line with its end."""

    def flush(self) -> None:
        """Pass on what was written."""

    def isatty(self) -> bool:
        """Return whether it is a terminal."""


def configure(stream: Stream, level: str, line_format: str | None, mark: str = "") -> None:
    """Send all log lines of this process to a stream, as ``json`` or ``text`` (None: text at a terminal, else JSON).

    A ``mark`` stands before each line of JSON, for a supervisor that takes it off.
    """
    is_text = (line_format or ("text" if stream.isatty() else "json")) == "text"
    handler = _StreamHandler(stream, "" if is_text else mark)
    handler.addFilter(_add_context)
    handler.setFormatter(_TextFormatter() if is_text else _JsonFormatter())
    logging.basicConfig(handlers=[handler], level=level, force=True)


@contextmanager
def reclaimed() -> Iterator[None]:
    """Send lines where they go now also after the block, in which a flow's file is imported that may configure logging.

    Its handlers for standard output and standard error pass what they let through to ours, so that no line comes twice
    or without its run and task; its other handlers, levels and filters stay. Runner's own lines need none of it.
    """
    root = logging.getLogger()
    ours, level, basic = root.handlers[:], root.level, logging.basicConfig

    @wraps(basic)
    def basic_config(**options: Any) -> None:
        """Take the level, for which a program's first call would be in time."""
        if root.handlers == ours and root.level == level and options.get("level") is not None:
            root.setLevel(options["level"])
        basic(**options)

    logging.basicConfig = basic_config
    try:
        yield
    finally:
        logging.basicConfig = basic
        loggers = [each for each in logging.Logger.manager.loggerDict.values() if isinstance(each, logging.Logger)]
        for each in [root, *loggers]:
            _pass_to(ours, each)
            if each.name.partition(".")[0] == "runner":
                each.disabled = False
        for own in map(logger, OWN_NAMES - {""}) if root.level != level or root.handlers != ours else ():
            own.setLevel(own.level or level)
            for handler in ours:
                own.addHandler(handler)


def _pass_to(ours: list[logging.Handler], logger: logging.Logger) -> None:
    """Have a logger's handlers for the console pass its lines to ours; where it has some, nobody else writes them."""
    theirs = [each for each in logger.handlers if each not in ours and _writes_to_a_standard_stream(each)]
    for handler in theirs:
        vars(handler)["emit"] = partial(_emit_by, ours)
    is_root = logger.parent is None
    if is_root and theirs:
        logger.handlers = [each for each in logger.handlers if each not in ours]
    elif is_root:
        for handler in ours:
            logger.addHandler(handler)
    elif theirs and logger.parent is logging.getLogger():
        logger.propagate = False


def _emit_by(handlers: list[logging.Handler], record: logging.LogRecord) -> None:
    for handler in handlers:
        handler.handle(record)


def _writes_to_a_standard_stream(handler: logging.Handler) -> bool:
    streams = {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}
    return isinstance(handler, logging.StreamHandler) and handler.stream in streams


def run_context(**fields: Any) -> None:
    """Add fields (``run_id``, ``flow``, ``attempt``) to every line from now on."""
    _PROCESS_FIELDS.update(fields)


def reset_run_context() -> None:
    """Add no fields to lines any more: for tests, of which many run in one process."""
    _PROCESS_FIELDS.clear()


@contextmanager
def task_context(label: str) -> Iterator[None]:
    """Add the task's label to every line that the block logs."""
    token = _TASK.set(label)
    try:
        yield
    finally:
        _TASK.reset(token)


def _add_context(record: logging.LogRecord) -> bool:
    package, _, name = record.name.partition(".")
    if package == "runner" and name.partition(".")[0] in OWN_NAMES and not record.pathname.startswith(_PACKAGE):
        record.name = "runner.flow"
    record.__dict__.update(_PROCESS_FIELDS)
    if label := _TASK.get():
        record.task = label
    return True


class _StreamHandler(logging.StreamHandler[Stream]):
    """Writes lines; an error takes the place of one that cannot be formatted; a closed stream is ignored."""

    def __init__(self, stream: Stream, mark: str) -> None:
        super().__init__(stream)
        self._mark = mark

    def emit(self, record: logging.LogRecord) -> None:
        if vars(record).get("_is_written"):  # it came here through another handler of a flow's file
            return
        vars(record)["_is_written"] = True
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - logging must not end what it reports on
            position = f"{record.pathname}:{record.lineno}"
            message = f"a log line cannot be made at {position}: {type(error).__name__}: {error}"
            plain = {"name": record.name, "levelno": ERROR, "levelname": "ERROR", "msg": message}
            line = self.format(logging.makeLogRecord({**plain, **_PROCESS_FIELDS}))
        with suppress(OSError, ValueError):
            self.stream.write(f"{self._mark}{line}\n")
            self.flush()


class _JsonFormatter(logging.Formatter):
    """One JSON object a line: what is logged, and the fields that it brings along, as python-json-logger has them.

    No field takes the place of a line's time, level and logger.
    """

    def format(self, record: logging.LogRecord) -> str:
        own = {"time": _time(record), "level": record.levelname, "logger": record.name}
        line = {**own, **(record.msg if isinstance(record.msg, dict) else {"message": record.getMessage()})}
        if exception := self.formatException(record.exc_info) if record.exc_info else record.exc_text:
            line["exception"] = exception
        if record.stack_info:
            line["stack_info"] = self.formatStack(record.stack_info)
        line |= {name: value for name, value in vars(record).items() if not _is_of_any_record(name)}
        return _dumps(line | own, default=_as_json)


def _is_of_any_record(name: object) -> bool:
    """Return whether an attribute is none that a line brought along."""
    return name in _OF_ANY_RECORD or str(name).startswith("_")


def _as_json(value: object) -> object:
    """Return a value that JSON does not have as one that it has."""
    from pythonjsonlogger.json import JsonEncoder  # which costs the start 3 ms, and is needed for few lines

    return JsonEncoder().default(value)


class _TextFormatter(logging.Formatter):
    """Text for a person at a terminal; see `text_block`."""

    def format(self, record: logging.LogRecord) -> str:
        source = record.__dict__.get("task") or record.name
        exception = record.__dict__.get("exception") or (record.exc_info and self.formatException(record.exc_info))
        text = entry_text(_time(record), record.levelname, source, record.getMessage(), exception)
        return text_block(redact(text))


def entry_text(time: object, level: object, source: object, message: object, exception: object) -> str:
    """Return an entry of the log as a person reads it: the time of day, and what was raised below the line, if it was.

    It may still have in it what a terminal obeys.
    """
    text = f"{str(time)[11:19]} {level!s:7} {source}: {message}"
    return f"{text}\n{str(exception).rstrip()}" if exception else text


def printable(text: str) -> str:
    """Return a stranger's text as one line that a terminal shows and does not obey: control characters as escapes."""
    return re.sub(_IN_A_LINE, _escaped, text)


def text_block(text: str, indent: str = "  ") -> str:
    """Return a stranger's text of perhaps several lines, of which none but the first begins as a line of ours does."""
    return re.sub(IN_A_BLOCK, _escaped, text).replace("\n", f"\n{indent}")


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def json_text(value: object, *, exact: bool = False, **options: Any) -> str:
    """Return a value as JSON in printable ASCII; NaN and infinities, which JSON does not have, as their names.

    ``exact`` raises ValueError for them.
    """
    try:
        text = dumps(value, allow_nan=False, **options)
    except ValueError:
        if exact:
            raise
        text = dumps(_named(value), allow_nan=False, **options)
    return text.replace("\x7f", "\\u007f")


def _named(value: Any) -> Any:
    if isinstance(value, dict):
        return {_named(key): _named(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_named(part) for part in value]
    return dumps(float(value)) if isinstance(value, float) and not isfinite(value) else value


def _dumps(line: dict[str, Any], **options: Any) -> str:
    """Encode a line as JSON; secrets are masked in its texts, so that it stays JSON whatever a secret looks like."""
    text = json_text(line, **options)
    return json_text(_redacted(loads(text))) if masks_anything() else text


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {redact(key): _redacted(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_redacted(part) for part in value]
    return redact(value) if isinstance(value, str) else value


def _time(record: logging.LogRecord) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
