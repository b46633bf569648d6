"""Where a cloud's credentials may come from, why a source was passed over, and which one is used.

The module of each cloud has its sources in one tuple, ``SOURCES``, in the order in which the cloud's own SDK asks them;
``docs/credentials.md`` shows these tuples, and a test holds it to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Literal

    # Why each source before the one that is used had nothing, in order: ``(source, "AWS_ACCESS_KEY_ID is not set")``.
    Tried = tuple[tuple["Source", str], ...]

EVERY_IMAGE = "every"


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One place where credentials may be.

    ``way`` is ``fast`` where runner or obstore reads it without an SDK and comes to the same answer, ``SDK`` where the
    cloud's own library is asked. ``images`` are those in which the source works.
    """

    name: str
    reads: str
    way: Literal["fast", "SDK"]
    images: str


@dataclass(frozen=True, slots=True, eq=False)
class ChosenSource:
    """The source that is used, and why those before it were not.

    ``expires_at`` returns when its credentials expire, as far as is known when it is called; None: never, or not known.
    """

    source: Source
    tried: Tried = ()
    expires_at: Callable[[], datetime | None] = lambda: None


def format_tried(tried: Tried) -> str:
    """Return in one line why each source was passed over; it never holds a secret's value."""
    return "; ".join(f"{source.name}: {reason}" for source, reason in tried)
