"""What is wrong with a listing: it goes round, as pages or tokens repeat, or it has keys that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import ReadFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

IDLE_PAGES = 100  # one after the other, that may tell nothing new


class Progress:
    """Sees that the pages of a listing, which every cloud sorts by name, go on, and raises ReadFailed if they do not.

    Args:
        where: the URL below which it lists.
    """

    def __init__(self, where: str) -> None:
        self._where, self._greatest, self._idle = where, "", 0

    def saw(self, names: Iterable[str]) -> None:
        """Note the names in a page; some that tell nothing new are borne."""
        greatest = max(names, default="")
        self._idle = 0 if greatest > self._greatest else self._idle + 1
        self._greatest = max(self._greatest, greatest)
        if self._idle > IDLE_PAGES:
            raise goes_round(self._where)


def goes_round(where: str) -> ReadFailed:
    """Return the error of a listing that tells the same without end, or nothing."""
    message = f"list {where} failed: it comes to no end, and tells the same again and again, or nothing"
    hint = "Ask the provider: its server repeats a page, or a token for the next one."
    return ReadFailed(message, hint=hint, transient=False)


def warn_of_foreign_key(where: str, key: str) -> None:
    """Warn that objects, or folders, lie there under keys that no storage of runner's takes, such as this one."""
    import logging

    message = "%s holds objects with keys that runner does not use, such as %a: they are passed over"
    logging.getLogger("runner.storage").warning(message, where, key)
