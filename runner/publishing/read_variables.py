"""Which variables of the environment an author's files read or set while they are imported: a container has others."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import FrameType

EVERYWHERE = {"HOME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "USER"}  # on each machine another
_MOST = 5  # that one line reads by their names; one that reads more, such as dict(os.environ), goes through all
_BETWEEN = {"get", "getenv", "__contains__", "pop", "setdefault"}  # what of Python's own asks for one variable


_PYTHONS = {os.fsencode.__code__.co_filename, Mapping.get.__code__.co_filename}


class Read(NamedTuple):
    """A variable that was read, and the file, below the folder of what travels, and line where it was."""

    file: str
    line: int
    name: str


class Watched(NamedTuple):
    """What was done with variables, by their names: read by an author's files, set, and asked for, by anyone."""

    reads: dict[str, Read]
    were_set: set[str]
    asked: set[str]


class _Watching(os._Environ[str]):  # noqa: SLF001 - the class of os.environ
    """Notes which variables are set and asked for, and which are read by files below a folder."""

    _watched: Watched
    _root: str

    def __setitem__(self, name: str, value: str) -> None:
        """Set a variable, and note that it was."""
        super().__setitem__(name, value)
        self._watched.were_set.add(name)

    def __getitem__(self, name: str) -> str:
        """Return a variable that there is, and note that it was read."""
        self._watched.asked.add(name)
        value = super().__getitem__(name)
        frame = _asking(sys._getframe(1))  # noqa: SLF001 - the only way to know who asks
        if frame is not None and frame.f_code.co_filename.startswith(self._root):
            file = frame.f_code.co_filename.removeprefix(self._root)
            self._watched.reads.setdefault(name, Read(file, frame.f_lineno, name))
        return value


def watch(root: str) -> Watched:
    """Note from now on what is done with variables, and which are read by files below a folder."""
    watched = Watched({}, set(), set())
    environ = os.environ  # noqa: TID251 - an author's files read it
    environ.__class__ = _Watching
    vars(environ).update(_watched=watched, _root=root)
    return watched


def told_of(reads: dict[str, Read]) -> list[Read]:
    """Return what an author is told of: what the files read by name, and not every machine has."""
    per_line = Counter((read.file, read.line) for read in reads.values())
    return [read for name, read in reads.items() if name not in EVERYWHERE and per_line[read.file, read.line] <= _MOST]


def _asking(frame: FrameType | None) -> FrameType | None:
    """Return the frame that asks for one variable: None for whoever goes through all of them."""
    while frame and frame.f_code.co_filename in _PYTHONS:
        if frame.f_code.co_name not in _BETWEEN:
            return None
        frame = frame.f_back
    return frame
