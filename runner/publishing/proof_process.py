"""The fresh process that `runner.publishing.proof` starts: it loads a bundle, and tells what came of it."""

from __future__ import annotations

import builtins
import functools
import json
import os
import sys
from errno import ENOENT
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from runner.bundle import archive, load
from runner.environ import process_environ
from runner.errors import RunnerError
from runner.publishing.features import features_of
from runner.publishing.kept import kept_by
from runner.publishing.module_state import state_of
from runner.publishing.read_variables import Read, told_of, watch
from runner.publishing.set_variables import digests
from runner.publishing.telling import Seen
from runner.publishing.untimely_end import untimely_end_told

if TYPE_CHECKING:
    from collections.abc import Callable

_OPEN = {"open", "os.chdir", "os.listdir", "os.scandir", "sqlite3.connect"}
_LOOK = ("stat", "lstat", "readlink")  # what os.path and pathlib call
ANSWER = "answer"  # the file above its working directory that it writes, once it is whole


class Request(TypedDict):
    """What it is asked: the name that the flow's module has there, whether that is its file, and what to look at.

    ``hidden`` are folders of the author's machine that are not there where a flow runs, but for those ``shown``;
    ``variables`` are those that were set in the process that asks.
    """

    module: str
    is_source: bool
    imported: list[str]
    modules: list[str]
    hidden: list[str]
    shown: list[str]
    variables: list[str]


class Answer(TypedDict):
    """What it tells: the features of the flow that it loaded, or why that failed, and the module that was missing.

    ``kept`` is what the author's modules keep of the flow's file there, ``read`` which variables were read meanwhile,
    ``were_set`` which of those that it is asked for were set, with digests, and ``asked`` those that others looked for.
    """

    features: list[list[str]]
    kept: list[tuple[str, str, str]]
    read: list[Read]
    were_set: dict[str, str]
    asked: list[str]
    failed: str | None
    missing: str | None


def answer() -> None:
    """Load the bundle on standard input, below a line with what to look at, and write the answer."""
    sys.path.pop()  # where runner was found: beside it, in its own tree, others may lie
    folder = Path.cwd().parent  # it starts in one that is empty
    request: Request = json.loads(sys.stdin.buffer.readline())
    opened = archive.read_bundle(sys.stdin.buffer.read())
    unpacked: list[str] = []
    _hide(request["hidden"], [f"{folder}/", *request["shown"]])
    builtins.input = _find_nobody
    watched = watch(f"{folder}/")
    try:
        with untimely_end_told(lambda error: os.write(2, f"{error.message}\n".encode())):
            flow = load.load_bundle(opened, "", str(folder), unpacked.append)
        variables = {name for name in request["variables"] if name in watched.were_set}
        were_set = digests(process_environ(), variables, unpacked[0] if unpacked else "")
        asked = sorted({*request["variables"]} & watched.asked - variables)
        known = told_of(watched.reads)
        seen = Seen(
            request["module"], unpacked[0] if request["is_source"] else None, request["imported"], request["modules"]
        )
        features = [[each.label, each.told] for each in (*features_of(flow, seen), *state_of(seen))]
        kept = [(*kept,) for kept, _ in kept_by(request["modules"], request["module"])]
        told = Answer(
            features=features, kept=kept, read=known, were_set=were_set, asked=asked, failed=None, missing=None
        )
    except RunnerError as error:
        cause = error.__cause__
        missing = cause.name if isinstance(cause, ModuleNotFoundError) else None
        told = Answer(features=[], kept=[], read=[], were_set={}, asked=[], failed=error.message, missing=missing)
    partial = folder / f"{ANSWER}.new"
    partial.write_text(json.JSONEncoder().encode(told), "utf-8")  # dumps may be the flow's own
    partial.rename(folder / ANSWER)
    os._exit(0)  # whatever the author's modules have started


@functools.wraps(input)
def _find_nobody(*_: object) -> str:
    message = "input() finds nobody to answer where the flow runs (make it a Parameter)"
    raise EOFError(message)  # as it does there


def _hide(hidden: list[str], shown: list[str]) -> None:
    """Have what looks at a file of the author's, or opens it, find none; what is shown lies below, and is found.

    See https://docs.python.org/3/library/audit_events.html: nothing tells of those that only look.
    """

    def check(path: object) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            name = os.fsdecode(path)
            below = os.path.join(os.path.abspath(name), "")  # noqa: PTH100, PTH118 - called for each file
            if below.startswith(tuple(hidden)) and not below.startswith(tuple(shown)):
                raise FileNotFoundError(ENOENT, os.strerror(ENOENT), name)

    def checked(look: Callable[..., Any], path: object, *arguments: Any, **options: Any) -> Any:
        check(path)
        return look(path, *arguments, **options)

    sys.addaudithook(lambda event, arguments: check(arguments[0]) if event in _OPEN else None)
    for name in _LOOK:
        setattr(os, name, functools.partial(checked, getattr(os, name)))
