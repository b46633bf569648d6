"""What S3's refusals say about whoever makes the request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.backends.errors import make_error
from runner.errors import CredentialsRefused, Denied

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.errors import RunnerError

_WRONG_KEYS = (
    r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|TokenRefreshRequired|RequestTimeTooSkewed"
    r"|Invalid Access Key"
)


def refusal(storage: Storage, what: str, key: str, status: str, text: str) -> RunnerError | None:
    """Return the error of an answer that refuses the credentials or the identity; None if it does neither."""
    if code := re.search(_WRONG_KEYS, text):
        return make_error(CredentialsRefused, storage, what, key, f"{code[0]}{_clock_skew(text)}")
    if status == "401":
        return make_error(CredentialsRefused, storage, what, key, text)
    return make_error(Denied, storage, what, key, hint=_remedy(text)) if status == "403" else None


def _remedy(text: str) -> str:
    """Return the remedy if AWS says whom it refused, what, and perhaps why; empty if it does not.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """
    refused = re.search(r"User: (\S+) is not authorized to perform: ([\w:]+)", text)
    reason = re.search(r",?( because no | with an )[^<]+", text)
    return f"Give {refused[1]} {refused[2]}{reason[0].rstrip('. ') if reason else ''}." if refused else ""


def _clock_skew(text: str) -> str:
    """Return how far this machine's clock is from S3's, if the answer has both times.

    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList, RequestTimeTooSkewed
    """
    from datetime import datetime

    try:
        ours, theirs = (
            datetime.fromisoformat(text.partition(f"<{name}>")[2].partition("<")[0])
            for name in ("RequestTime", "ServerTime")
        )
        minutes = (ours - theirs).total_seconds() / 60
    except (ValueError, TypeError):
        return ""
    return f": this machine's clock is {abs(minutes):.0f} minutes {'ahead' if minutes > 0 else 'behind'}"
