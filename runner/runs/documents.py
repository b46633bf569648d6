"""Documents of a run as they are stored: one line of JSON, checked when it is read.

`decode` is for `RunStore`, which reads every document of a run.
"""

from __future__ import annotations

import os
from json import dumps, loads
from typing import TYPE_CHECKING, Any, Final

from runner.process import host_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from runner.schema.documents import Requester

    Kind = Literal[
        "run",
        "claim",
        "beat",
        "end",
        "cancel",
        "launch",
        "handle",
        "launch-end",
        "entry",
        "labels",
        "agent",
        "marker",
        "slot",
    ]  # an outcome is an end

FORMAT: Final = 1
TERMINAL_STATES = frozenset({"succeeded", "failed", "timed_out"})  # ends after which no attempt follows


def concludes(end: Mapping[str, Any]) -> bool:
    """Return whether no attempt follows after an end: also one that somebody asked for, by name and not by a signal."""
    return end["state"] in TERMINAL_STATES or "cancel" in end


def encode(document: Mapping[str, object]) -> bytes:
    """Return a document's bytes: one line of JSON in UTF-8."""
    try:
        return dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, as in the name of a file that is no UTF-8
        return dumps(document, allow_nan=False).encode() + b"\n"


def decode(data: bytes, kind: Kind | None = None) -> Any:
    """Return the document that bytes hold; without a kind it may be of any.

    Raises ValueError if it is none that this version knows.
    """
    from runner.schema.outline import is_large

    large = is_large(data)
    try:
        if large:  # then no part is left of it that was not seen
            _check(_outline(data), kind)
        document = loads(data)
    except RecursionError as error:
        message = "a document that is nested deeper than any of runner's"
        raise ValueError(message) from error
    if not large:
        _check(document, kind)
    return document


def _outline(data: bytes) -> Any:
    from runner.schema.outline import outline
    from runner.schema.validation import entry_violation

    return outline(data, "tasks", entry_violation)


def _check(document: Any, kind: Kind | None) -> None:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        message = "not a document of this version of runner"
        raise ValueError(message)
    from runner.schema.validation import first_violation

    if fault := first_violation(document, kind):
        message = f"a document whose {fault} is not as runner writes it"
        raise ValueError(message)


def requester() -> Requester:
    """Return who this process is for those who read what it asks for."""
    return {"host": host_name(), "uid": os.getuid() if hasattr(os, "getuid") else None}


def own_token(end: Mapping[str, Any], secret: bytes) -> str:
    """Return the token that an end has if a process with this secret wrote it, and nobody changed a value since."""
    import hashlib
    import hmac

    parts = {name: part for name, part in end.items() if name not in {"token", "signature"}}
    text = dumps(parts, sort_keys=True).encode()
    return hmac.new(secret, text, hashlib.sha256).hexdigest()[:32]


def is_own(end: Mapping[str, Any], secret: bytes) -> bool:
    """Return whether an end is, value for value, what a process with this secret wrote.

    Everybody who may read the bucket knows the token of an end; nobody else can make one that fits other values.
    """
    import hmac

    return hmac.compare_digest(end["token"].encode(errors="replace"), own_token(end, secret).encode())
