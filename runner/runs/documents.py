"""Documents of a run as they are stored: one line of JSON, checked when it is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    Kind = Literal["run", "claim", "end"]  # an outcome is an end

FORMAT: Final = 1


def encode(document: Mapping[str, object]) -> bytes:
    """Return a document's bytes: one line of JSON in UTF-8."""
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, as in the name of a file that is no UTF-8
        return json.dumps(document, allow_nan=False).encode() + b"\n"


def decode(data: bytes, kind: Kind | None = None) -> Any:
    """Return the document that bytes hold; without a kind it may be of any.

    Raises ValueError if it is none that this version knows.
    """
    try:
        document = json.loads(data)
    except RecursionError as error:
        message = "a document that is nested deeper than any of runner's"
        raise ValueError(message) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        message = "not a document of this version of runner"
        raise ValueError(message)
    from runner.schema.validation import first_violation

    if fault := first_violation(document, kind):
        message = f"a document whose {fault} is not as runner writes it"
        raise ValueError(message)
    return document
