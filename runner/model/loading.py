"""Whether a flow is being loaded in this process."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakSet

from runner.naming import UNPACKED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Thread  # which costs whoever imports runner 1 ms
    from types import FrameType

_PROCESS_LOADING: list[Load] = []  # the `loading` blocks that run, the innermost last
_PROCESS_LOADED: set[str | None] = set()  # the modules of all `loading` blocks
_PROCESS_STARTED: WeakSet[Thread] = WeakSet()  # the threads that flows' files started when they were imported


class Load:
    """A flow's loading: the name of its file's module, where that is known, and the flows that were made meanwhile."""

    def __init__(self, module: str | None = None) -> None:
        self.module = module
        self.made: list[object] = []
        self.before = _threads()

    def started(self) -> set[Thread]:
        """Return the threads that were started meanwhile."""
        return _threads() - self.before


def is_loading() -> bool:
    """Return whether a flow is being loaded here: its author's ``build()`` must not publish it.

    So it is, too, while a process that the flow started anew imports what travelled, and ever after in a thread that
    was started meanwhile, such as a timer.
    """
    return bool(_PROCESS_LOADING) or _is_late() or next(_bodies_that_travelled(), None) is not None


def has_loaded() -> bool:
    """Return whether flows are loaded in this process, as where they are published or run by command."""
    return bool(_PROCESS_LOADED)


def is_own_body() -> bool:
    """Return whether the flow's file is being loaded, and its own lines call: its ``run()`` must not run anything.

    Another module that runs a flow when it is imported does so: what comes of it is wanted there. A thread that was
    started meanwhile does not.
    """
    if _is_late():
        return True
    if not _PROCESS_LOADING:
        return is_loading()
    return _PROCESS_LOADING[-1].module == next(_bodies(), "")


def note_made(flow: object) -> None:
    """Note that a flow was made, if one is being loaded."""
    if _PROCESS_LOADING:
        _PROCESS_LOADING[-1].made.append(flow)


@contextmanager
def loading(module: str | None = None) -> Iterator[Load]:
    """Make `is_loading` true for the block, in which a module of this name is imported."""
    load = Load(module)
    _PROCESS_LOADING.append(load)
    _PROCESS_LOADED.add(module)
    try:
        yield load
    finally:
        _PROCESS_LOADING.remove(load)
        _PROCESS_STARTED.update(load.started())


@contextmanager
def without_arguments(program: str) -> Iterator[None]:
    """Have a flow's file find no arguments of a command line in the block, but the name of a program.

    Those that it sets itself, for what reads them later, stay.
    """
    before, sys.argv = sys.argv, [program]
    try:
        yield
    finally:
        if sys.argv == [program]:
            sys.argv = before


def _threads() -> set[Thread]:
    from threading import enumerate as enumerate_threads

    return set(enumerate_threads())


def _is_late() -> bool:
    """Return whether a thread that a flow's file started when it was imported asks."""
    from threading import current_thread

    thread = current_thread()
    return thread in _PROCESS_STARTED or bool(_PROCESS_LOADING and thread in _PROCESS_LOADING[0].started())


def _bodies() -> Iterator[str]:
    """Yield the names of the modules that are being executed, the innermost first, but for the program itself."""
    yield from (str(frame.f_globals.get("__name__")) for frame in _frames() if frame.f_code.co_name == "<module>")


def _bodies_that_travelled() -> Iterator[FrameType]:
    """Yield the frames in which modules are executed that came with a flow, but for those that are programs."""
    for frame in _frames():
        is_body = frame.f_code.co_name == "<module>" and UNPACKED in frame.f_code.co_filename
        if is_body and frame.f_globals.get("__name__") != "__main__":
            yield frame


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to know who calls
    while frame:
        yield frame
        frame = frame.f_back
