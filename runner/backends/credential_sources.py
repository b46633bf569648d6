"""Where a cloud's credentials come from, what each source said, and which one is used.

The module of each cloud has its sources in one tuple, ``SOURCES``, in the order in which the cloud's own SDK asks them;
``docs/credentials.md`` shows these tuples, and a test holds it to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Source:
    """One place where credentials may be.

    ``way`` is ``fast`` where runner or obstore reads it without an SDK and comes to the same answer, ``SDK`` where the
    cloud's own library is asked. ``images`` are those in which the source works.
    """

    name: str
    reads: str
    way: Literal["fast", "SDK"]
    images: str


@dataclass(frozen=True, slots=True)
class Found:
    """The source that is used, and what those before it said, in order: ``(source, "AWS_ACCESS_KEY_ID is not set")``.

    ``expires_at`` tells when what was found expires, as far as is known when it is asked; None: never, or not known.
    """

    source: Source
    tried: tuple[tuple[Source, str], ...] = ()
    expires_at: Callable[[], datetime | None] = lambda: None


def format_tried(tried: tuple[tuple[Source, str], ...]) -> str:
    """Say in one line what every source said; it never holds a value."""
    return "; ".join(f"{source.name}: {said}" for source, said in tried)
