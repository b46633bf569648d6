"""What Google's answers and exceptions say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def reason(answer: Any) -> str:
    """Return what Google says: which account lacks which permission. An answer may be JSON, XML or text."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        found = re.search(r"<(?:Details|Message)>([^<]*)<", answer.text)
        return found[1] if found else str(answer.text)


def remedy(said: str) -> str:
    """Return the remedy if Google says which permission is lacking, or what holds the object; empty if it does not."""
    if "retention policy" in said or "active hold" in said:
        return "Let runs write to a bucket that holds no objects back: a heartbeat is one object, written anew."
    found = re.search(r"\bstorage\.\w+\.\w+\b", said)
    return f"Give the identity {found[0]}." if found else ""


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions that an exception was raised from, or holds, down to the system's own."""
    inner = error.__cause__ or error.__context__ or next((a for a in error.args if isinstance(a, BaseException)), None)
    if inner is not None:
        yield inner
        yield from causes(inner)
