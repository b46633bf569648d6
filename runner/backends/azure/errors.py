"""What Azure's refusals say about whoever makes the request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.backends.errors import make_error
from runner.errors import CredentialsRefused, Denied

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.errors import RunnerError

_WRONG_KEYS = r"AuthenticationFailed|InvalidAuthenticationInfo|Server failed to authenticate"
_ENDPOINT_OF_KEYS = r"\w+ https?://\S+/oauth2/v2\.0/token "  # a request to it comes before the storage's


def refusal(storage: Storage, what: str, key: str, status: str, text: str) -> RunnerError | None:
    """Return the error of an answer that refuses the credentials or the identity; None if it does neither."""
    reason = _reason(text)
    if re.match(_ENDPOINT_OF_KEYS, text):
        return make_error(CredentialsRefused, storage, what, key, reason or text)
    if (code := re.search(_WRONG_KEYS, text)) or status == "401":
        detail = f"{code[0] if code else ''} {reason}".strip()
        return make_error(CredentialsRefused, storage, what, key, detail or text)
    return make_error(Denied, storage, what, key, reason) if status == "403" else None


def _reason(text: str) -> str:
    """Return what an answer of the storage, or of the token endpoint, says beside its code; it holds no secret."""
    if description := re.search(r'"error_description"\s*:\s*"((?:[^"\\]|\\.)*)"', text):
        return re.split(r"\\[rn]| Trace ID", description[1])[0]
    if detail := re.search(r"<AuthenticationErrorDetail>([^<]*)<", text):
        # of a wrong key it holds what was signed
        return "" if "signature" in detail[1].lower() and "time frame" not in detail[1] else detail[1]
    message = re.search(r"<Message>([^<\n]*)", text)
    return message[1].strip() if message else ""
