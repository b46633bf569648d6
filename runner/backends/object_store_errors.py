"""What obstore's exceptions mean: they give the status and body of an answer, and why there is none, as text alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from obstore.exceptions import AlreadyExistsError

from runner.backends.errors import PASSING, default_error, make_error, no_credentials, seconds
from runner.errors import (
    AlreadyExists,
    BucketMissing,
    CredentialsRefused,
    Denied,
    NotFound,
    RunnerError,
    TooSlow,
    Unreachable,
)

if TYPE_CHECKING:
    from runner.backends.base import Storage

_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|specified container does not exist")
_WRONG_KEYS = re.compile(
    r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|TokenRefreshRequired|RequestTimeTooSkewed"
    r"|AuthenticationFailed|InvalidAuthenticationInfo|Server failed to authenticate|Invalid Access Key"
)
# What a source of ours that has to give new keys says, through obstore.
_NO_NEW_KEYS = re.compile(r"External \w+ credential provider: (?:(\w+): )?(.+)")
# Asked before the bucket is, of the machine or the pod; and what obstore says where it is not even asked.
_NO_KEYS = re.compile(
    r"\w+ https?://[^/ ]+/(latest/(api|meta-data|dynamic)|v\d/credentials|metadata/identity)/?"
    r"|\w+ https?://sts\.|POST REDACTED |Generic \w+ error: Failed to read (\w+ )?token file"
)
# A delete is answered inside a list: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_NOT_DELETED = re.compile(r'code: "(\w+)",\s+(?:reason|message): "([^"]*)"')
_BUSY = re.compile(r"status code: (?:429|5\d\d)")
_TOKEN = re.compile(r"\w+ https?://\S+/oauth2/v2\.0/token ")  # Azure's, asked before the storage is


def error_for_response(
    error: Exception, storage: Storage, what: str, key: str, *, waited: float, patience: float
) -> RunnerError:
    """Turn an exception into the error that it means.

    In seconds, ``waited`` is how long it took to come, and ``patience`` how long an answer may take.
    """
    # what stands before may hold the key, which may hold anything; the URL after it is encoded
    text = str(error).rpartition("Error performing ")[2]
    if found := _NO_NEW_KEYS.search(text or str(error)):
        return make_error(
            Unreachable if found[1] == "Unreachable" else CredentialsRefused, storage, what, key, found[2]
        )
    if _NO_KEYS.match(text):
        return _passing(no_credentials(storage, _said(text)), _BUSY.search(text) is not None)
    if isinstance(error, AlreadyExistsError):
        return make_error(AlreadyExists, storage, what, key)
    if refused := _NOT_DELETED.findall(text or str(error)):  # in what stands last the key is quoted
        return _not_deleted(storage, key, *refused[-1])
    status = found[1] if (found := re.search(r"non-2xx status code: (\d+)", text)) else ""
    if not status and "HTTP error" in text:
        kind, detail = _unanswered(what, text, waited, patience)
        return _passing(make_error(kind, storage, what, key, detail), "InvalidCertificate" not in text)
    if status == "404":
        return make_error(BucketMissing if _NO_BUCKET.search(text) else NotFound, storage, what, key)
    if refused_us := _refused(storage, what, key, status, text):
        return refused_us
    may_pass = not status.startswith("4") or int(status) in PASSING
    return _passing(make_error(default_error(what), storage, what, key, text or error), may_pass)


def _passing(error: RunnerError, may_pass: bool) -> RunnerError:  # noqa: FBT001  (it is all that is told)
    error.transient = may_pass
    return error


def _refused(storage: Storage, what: str, key: str, status: str, text: str) -> RunnerError | None:
    """Tell whether an answer is about who asks; Azure says why in it, S3 for whom."""
    of_azure = storage.scheme == "azure"
    grounds = _grounds(text) if of_azure else ""
    if of_azure and _TOKEN.match(text):
        return make_error(CredentialsRefused, storage, what, key, grounds or text)
    if (code := _WRONG_KEYS.search(text)) or status == "401":
        detail = f"{code[0] if code else ''} {grounds}".strip()
        return make_error(CredentialsRefused, storage, what, key, detail + _skew(text) if detail else text)
    return make_error(Denied, storage, what, key, grounds if of_azure else text) if status == "403" else None


def _grounds(text: str) -> str:
    """Find why Azure refuses: what its answer says beside the code, and what the token endpoint's does; no value."""
    if found := re.search(r'"error_description"\s*:\s*"((?:[^"\\]|\\.)*)"', text):
        return re.split(r"\\[rn]| Trace ID", found[1])[0]
    if found := re.search(r"<AuthenticationErrorDetail>([^<]*)<", text):
        # of a wrong key it holds what was signed
        return "" if "signature" in found[1].lower() and "time frame" not in found[1] else found[1]
    found = re.search(r"<Message>([^<\n]*)", text)
    return found[1].strip() if found else ""


def _not_deleted(storage: Storage, key: str, code: str, reason: str) -> RunnerError:
    if code == "404":
        return make_error(BucketMissing if _NO_BUCKET.search(reason) else NotFound, storage, "delete", key)
    kind = Denied if code in {"403", "AccessDenied"} else default_error("delete")
    return make_error(kind, storage, "delete", key, f"{reason} ({code})")


def _said(text: str) -> str:
    """Find what AWS's own servers of credentials say in an answer, if it is one."""
    found = re.search(r"<Code>(\w+)</Code>\s*<Message>([^<]+)", text)
    return f"{found[1]}: {found[2]}" if found else ""


def _skew(text: str) -> str:
    """Say how far this machine's clock is from S3's, if S3 tells both times.

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


def _unanswered(what: str, text: str, waited: float, patience: float) -> tuple[type[RunnerError], str]:
    if re.search(r"\bConnect,", text):
        return Unreachable, _cause(text)
    took = re.search(r" in ([\d.]+)s\b", text)
    if "kind: Timeout" in text or (took and float(took[1]) >= patience):
        return TooSlow, seconds(waited)
    # a writer's errors don't say why: they have no «kind»
    return default_error(what) if "kind: " in text else Unreachable, _cause(text)


def _cause(text: str) -> str:
    """Find the system's own words in obstore's: ``Connection refused``, ``UnknownIssuer`` and their like."""
    if found := re.search(r"InvalidCertificate\(\s*(\w+)", text):
        return f"its certificate is not trusted ({found[1]})"
    words = re.findall(r'(?:message|error): "([^"]+)"|kind: (TimedOut)|(IncompleteMessage)', text)
    return next((word for match in reversed(words) for word in match if word), text)
