"""Something done in a thread, whose value or error is taken later."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Background(threading.Thread, Generic[T]):
    """Does one thing in a thread of its own; `result` waits for it, and raises what it raised."""

    def __init__(self, action: Callable[[], T]) -> None:
        super().__init__(daemon=True)
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
