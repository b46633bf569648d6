"""Where a cloud's credentials may come from, why a source was passed over, which one is used, and what it may hold.

The module of each cloud has its sources in one tuple, ``SOURCES``, in the order in which the cloud's own SDK asks them;
``docs/credentials.md`` shows these tuples, and a test holds it to them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from runner.errors import EnvironmentWrong

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import Literal

    from runner.schemes import Backend

    # Why each source before the one that is used had nothing, in order: ``(source, "AWS_ACCESS_KEY_ID is not set")``.
    Tried = tuple[tuple["Source", str], ...]

T = TypeVar("T")
EVERY_IMAGE = "every"
_QUOTES = ("'", '"', "`")
# As most are: checked without urllib.parse, which imports ipaddress and costs a start milliseconds.
_PLAIN_URL = r"https?://[a-z0-9][a-z0-9.-]*(:([1-9]\d{0,3}|[1-5]\d{4}))?/?"
_HOST = r"[\w.-]+|[0-9a-fA-F:.]+(%\w+)?"  # a name, or an address of version 6


def without_repr(kind: type[T]) -> type[T]:
    """Let a tuple that holds secrets show none of them: not in an error, nor in a log."""
    kind.__repr__ = object.__repr__  # type: ignore[method-assign]
    return kind


class Source(NamedTuple):
    """One place where credentials may be.

    ``way`` is ``fast`` where runner or obstore reads it without an SDK and comes to the same answer, ``SDK`` where the
    cloud's own library is asked. ``images`` are those in which the source works.
    """

    name: str
    reads: str
    way: Literal["fast", "SDK"]
    images: str


class ChosenSource(NamedTuple):
    """The source that is used, and why those before it were not.

    ``expires_at`` returns when its credentials expire, as far as is known when it is called; None: never, or not known.
    """

    source: Source
    tried: Tried = ()
    expires_at: Callable[[], datetime | None] = lambda: None


def format_tried(tried: Tried) -> str:
    """Return in one line why each source was passed over; it never holds a secret's value."""
    return "; ".join(f"{source.name}: {reason}" for source, reason in tried)


def check_variables(backend: Backend, environ: Mapping[str, str]) -> None:
    """Refuse values that a cloud would be sent as they stand, and cannot understand. Raises EnvironmentWrong."""
    for name in backend.sent_variables:
        check_value(name, environ.get(name, ""))


def check_value(name: str, text: str) -> str:
    """Return a key, token, region or name as it is, which never has what its storage or copying may have added.

    A Secret of Kubernetes keeps a newline, Docker's ``--env-file`` quotes, an editor adds a byte order mark. Libraries
    send them, or end with an error that does not name them, and obstore panics.

    Raises EnvironmentWrong, which shows nothing of the text.
    """
    if text and (fault := _fault(text)):
        message = f"{name} {fault}"
        raise EnvironmentWrong(message, hint="Set it again, without: printf %s and not echo, no quotes in an env file.")
    return text


def check_endpoint(name: str, text: str) -> str:
    """Return a URL that is asked, if it can be. Raises EnvironmentWrong, which shows nothing of it but its scheme."""
    check_value(name, text)
    if re.fullmatch(_PLAIN_URL, text):
        return text
    from urllib.parse import urlsplit

    fault = ""
    try:
        url = urlsplit(text)
        if url.scheme not in {"http", "https"}:
            fault = "is no URL that begins with http:// or https://"
        elif not re.fullmatch(_HOST, url.hostname or "") or url.port == 0:
            fault = "names no host that there can be"
    except ValueError:
        fault = "names no host, or no port, that there can be"
    if fault:
        raise EnvironmentWrong(
            f"{name} {fault}", hint="Write it as http://127.0.0.1:9000 or https://storage.example.com."
        )
    return text


def _fault(text: str) -> str:
    if text.startswith("\ufeff"):
        return "begins with a byte order mark"
    if text != text.strip():
        return "begins or ends with whitespace, or a line end"
    if text.startswith(_QUOTES) or text.endswith(_QUOTES):
        return "begins or ends with a quote"
    if not (text.isascii() and text.isprintable()):
        return "has a line end, or a character that is none of ASCII, in it"
    return ""
