"""What of an author's ends, or replaces, the process that loads it, as if all had been done."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runner.errors import FlowFailed
from runner.tracebacks import calling_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ENDS = ("_exit", "execv", "execve")  # which ``os.execl`` and its like call
_HOMES = (os, sys.modules[os.name])  # pickles name the second


@contextmanager
def untimely_end_told(tell: Callable[[FlowFailed], object]) -> Iterator[None]:
    """Have what would end this process in the block raise FlowFailed with its line, and in other threads be told.

    Then the process does end, with that error's exit code. What it forks may end as it likes.
    """
    process, originals = os.getpid(), {name: getattr(os, name) for name in _ENDS}

    def told(name: str) -> Callable[..., Any]:
        def end(*arguments: Any) -> Any:
            if os.getpid() != process:
                return originals[name](*arguments)
            place = calling_line()
            message = f"{f'{place}: ' if place else ''}os.{name} ends the process that loads the file"
            error = FlowFailed(message, hint="Put it below «if __name__ == '__main__':», or leave it out.")
            if threading.current_thread() is threading.main_thread():
                raise error
            tell(error)
            return originals["_exit"](FlowFailed.code)

        return end

    before = [(home, name, getattr(home, name)) for home in _HOMES for name in _ENDS]
    for home, name, _ in before:
        setattr(home, name, told(name))
    try:
        yield
    finally:
        for home, name, original in before:
            setattr(home, name, original)
