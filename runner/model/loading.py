"""Whether a flow is being loaded in this process."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runner.naming import UNPACKED

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROCESS_LOADING = False  # whether a `loading` block runs


def is_loading() -> bool:
    """Return whether a flow is being loaded here: its author's ``build()`` must not publish it, nor ``run()`` run it.

    So it is, too, while a process that the flow started anew imports what travelled.
    """
    return _PROCESS_LOADING or _imports_what_travelled()


@contextmanager
def loading() -> Iterator[None]:
    """Make `is_loading` true for the block."""
    global _PROCESS_LOADING  # noqa: PLW0603 - a fact about the process, which the author's code cannot pass along
    before, _PROCESS_LOADING = _PROCESS_LOADING, True
    try:
        yield
    finally:
        _PROCESS_LOADING = before


@contextmanager
def without_arguments() -> Iterator[None]:
    """Have a flow's file find no arguments of a command line in the block: those there are, are ours.

    Those that it sets itself, for what reads them later, stay.
    """
    before, sys.argv = sys.argv, sys.argv[:1]
    try:
        yield
    finally:
        if sys.argv == before[:1]:
            sys.argv = before


def _imports_what_travelled() -> bool:
    frame = sys._getframe(1)  # noqa: SLF001 - the only way to know who calls
    while above := frame.f_back:
        frame = above
        is_body = frame.f_code.co_name == "<module>" and UNPACKED in frame.f_code.co_filename
        if is_body and frame.f_globals.get("__name__") != "__main__":
            return True
    return False
