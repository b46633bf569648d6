"""Something done in a thread, whose value or error is taken later, or in no more than some time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
Given = TypeVar("Given")


class Background(threading.Thread, Generic[T]):
    """Does one thing in a thread of its own; `result` waits for it, and raises what it raised.

    ``more`` is how many seconds longer it may take than `in_time` gives it; see `take_longer`.
    """

    def __init__(self, action: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self.more = 0.0
        self._action = action
        self._value: T
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Do it."""
        try:
            self._value = self._action()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
            self._error = error

    def result(self) -> T:
        """Return what came of it, or raise what went wrong; waits until it is over."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._value


def in_time(seconds: float, action: Callable[[], T]) -> T:
    """Return what an action returns, or raise what it raises; after so many seconds it is left to itself.

    For what gives no sign of its own that it will not end, such as a server that sends one byte at a time. Raises
    TimeoutError. A thread costs a start milliseconds where another one computes: each waits for the interpreter's lock.
    """
    began, doing = time.monotonic(), Background(action)
    while doing.is_alive() and (left := began + seconds + doing.more - time.monotonic()) > 0:
        doing.join(left)
    if doing.is_alive():
        raise TimeoutError
    return doing.result()


def take_longer(seconds: float) -> None:
    """Let what `in_time` does in this thread take so many seconds more: that much is to come, as it has found out."""
    doing = threading.current_thread()
    if isinstance(doing, Background):
        doing.more = seconds


def side_by_side(action: Callable[[Given], T], given: Iterable[Given], at_once: int = 8) -> list[T]:
    """Return what an action returns for each, in order; so many are under way at once. Raises what the first raised.

    Example:
        >>> from runner.backends.background import side_by_side
        >>> side_by_side(len, ["a", "bc"])
        [1, 2]
    """
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(at_once)
    try:
        return list(pool.map(action, given))
    finally:
        pool.shutdown(cancel_futures=True)
