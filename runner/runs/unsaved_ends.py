"""Ends that could not be stored: printed, and kept in the folder for temporary files until a later one is stored."""

from __future__ import annotations

import os
from contextlib import suppress
from json import dumps
from typing import TYPE_CHECKING

from runner import logs
from runner.backends.local.private import create_file

if TYPE_CHECKING:
    from runner.schema.documents import EndDocument

log = logs.logger("run")


def save(end: EndDocument, temporary: str) -> None:
    """Print an end that could not be stored, as one line of JSON, and save it in the folder for temporary files."""
    text = dumps(end)
    with suppress(OSError, ValueError):  # nobody reads any more
        print(text, flush=True)  # noqa: T201 - the last place where it can be kept
    with suppress(OSError):
        path = _path(end["run_id"], end["attempt"], temporary)
        descriptor, made = create_file(temporary, path.rpartition("/")[2])
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        try:
            os.rename(made, path)  # noqa: PTH104 - pathlib costs the supervisor memory
        except OSError:  # somebody else has put something there that is in the way
            path = made
        log.warning("the end of the run could not be stored; it is printed here, and kept in %s", path)


def discard(run_id: str, before: int, temporary: str) -> None:
    """Remove the ends of attempts before this one that were saved here, now that it has its own in the storage.

    Also what a process left that was killed while it saved one.
    """
    names = [_path(run_id, attempt, "").lstrip("/") for attempt in range(1, before)]
    begun = tuple(f".{name}." for name in names)
    with suppress(OSError):
        names += [name for name in os.listdir(temporary) if name.startswith(begun)] if begun else []  # noqa: PTH208
    for name in names:
        with suppress(OSError):
            os.unlink(f"{temporary}/{name}")  # noqa: PTH108 - as above


def _path(run_id: str, attempt: int, temporary: str) -> str:
    return f"{temporary}/runner-{run_id}-{attempt}.json"
