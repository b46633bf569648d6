"""What obstore's exceptions mean, whose text alone has an answer's status and body, or why there is no answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from obstore.exceptions import AlreadyExistsError

from runner.backends.errors import (
    default_error,
    elsewhere,
    format_seconds,
    is_transient,
    make_error,
    no_credentials,
)
from runner.errors import (
    AlreadyExists,
    BucketMissing,
    CredentialsRefused,
    Denied,
    NotFound,
    ReadFailed,
    RunnerError,
    TooSlow,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.backends.base import Storage

    # Of the storage, what was done, the key, an answer's status and obstore's text: see `runner.backends.aws.errors`.
    Refusal = Callable[[Storage, str, str, str, str], RunnerError | None]

# Patterns are text, which `re` compiles and keeps when it is needed: a start without an error needs none.

_NO_BUCKET = r"NoSuchBucket|ContainerNotFound|specified container does not exist"
# What a credential provider of ours says, through obstore, where it has no new keys.
_NO_NEW_KEYS = r"External \w+ credential provider: (?:(\w+): )?(.+)"
# Requests for credentials to the machine or the pod, before the bucket's own; and obstore's words where it makes none.
_NO_KEYS = (
    r"\w+ https?://[^/ ]+/(latest/(api|meta-data|dynamic)|v\d/credentials|metadata/identity)/?"
    r"|\w+ https?://sts\.|POST REDACTED |Generic \w+ error: Failed to read (\w+ )?token file"
)
# A delete is answered inside a list: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
_NOT_DELETED = r'code: "(\w+)",\s+(?:reason|message): "([^"]*)"'
# Of creates of one key at once: S3 asks the loser to try again.
_CONFLICT = r"<Code>(ConditionalRequestConflict|OperationAborted)<"
_NO_ANSWER_OF_ITS = r"Received redirect|Header missing from response"
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList, and Azure's name for the same.
_ARCHIVED = r"InvalidObjectState|BlobArchived"
# Of a listing, where one key is none to obstore: https://github.com/developmentseed/obstore/issues/429
_UNREADABLE_KEY = r'(?s)invalid path: (?:Error parsing )?Path "(.*?)"(?: contained|: Encountered|$)'
_BUSY = r"status code: (?:429|5\d\d)"


def error_for_response(
    error: Exception, storage: Storage, what: str, key: str, *, waited: float, patience: float, refusal: Refusal
) -> RunnerError:
    """Return the error that an exception of obstore's means.

    Args:
        error: the exception.
        storage: where the key lies.
        what: ``read``, ``write``, ``list`` or ``delete``.
        key: the object's key, or the prefix of a listing.
        waited: seconds until the exception came.
        patience: seconds that an answer may take.
        refusal: recognises the cloud's own words for credentials or an identity that it refuses.
    """
    # what stands before may hold the key, which may hold anything; the URL after it is encoded
    text = str(error).rpartition("Error performing ")[2]
    if found := re.search(_NO_NEW_KEYS, text or str(error)):
        no_keys = Unreachable if found[1] == "Unreachable" else CredentialsRefused
        return make_error(no_keys, storage, what, key, found[2])
    if re.match(_NO_KEYS, text):
        return no_credentials(storage, _words_of_aws(text), transient=re.search(_BUSY, text) is not None)
    if unusable := _unusable_object(storage, what, key, str(error), text):
        return unusable
    if isinstance(error, AlreadyExistsError) and what == "write":
        return make_error(AlreadyExists, storage, what, key, transient=re.search(_CONFLICT, str(error)) is not None)
    if not_deleted := re.findall(_NOT_DELETED, text or str(error)):  # in what stands last the key is quoted
        return _not_deleted(storage, key, *not_deleted[-1])
    status = found[1] if (found := re.search(r"non-2xx status code: (\d+)", text)) else ""
    if not status and "HTTP error" in text:
        kind, detail = _unanswered(what, text, waited, patience)
        return make_error(kind, storage, what, key, detail, transient="InvalidCertificate" not in text)
    if status == "404":
        return make_error(BucketMissing if re.search(_NO_BUCKET, text) else NotFound, storage, what, key)
    may_pass = is_transient(int(status) if status else None, text)
    if not may_pass and (refused := refusal(storage, what, key, status, text)):
        return refused
    if status.startswith("3") or re.search(_NO_ANSWER_OF_ITS, str(error)):
        return elsewhere(storage, what, key, _lack(str(error)))
    return make_error(default_error(what), storage, what, key, text or error, transient=may_pass)


def _lack(text: str) -> str:
    """Return which header of the storage's an answer lacks; empty if it is another thing."""
    found = re.search(r"(\S+) Header missing from response", text)
    return f"it has no {found[1]}" if found else ""


def _unusable_object(storage: Storage, what: str, key: str, whole: str, text: str) -> RunnerError | None:
    """Return the error of an object that is there and cannot be used, whoever asks and however often."""
    detail = hint = ""
    if unreadable := re.search(_UNREADABLE_KEY, whole):
        detail, hint = f"the object {unreadable[1]!r} has a key that cannot be read", "Remove or rename it."
    elif archived := re.search(_ARCHIVED, text):
        detail, hint = f"it is archived ({archived[0]})", "Restore it first."
    return make_error(ReadFailed, storage, what, key, detail, hint=hint, transient=False) if detail else None


def stops_listing(error: RunnerError) -> bool:
    """Return whether a listing came to no end in obstore, and might by other means: it has a key that is none there."""
    cause = error.__cause__
    return isinstance(cause, TimeoutError) or re.search(_UNREADABLE_KEY, str(cause)) is not None


def _not_deleted(storage: Storage, key: str, code: str, reason: str) -> RunnerError:
    if code == "404":
        return make_error(BucketMissing if re.search(_NO_BUCKET, reason) else NotFound, storage, "delete", key)
    kind = Denied if code in {"403", "AccessDenied"} else default_error("delete")
    return make_error(kind, storage, "delete", key, f"{reason} ({code})")


def _words_of_aws(text: str) -> str:
    """Return what AWS's own servers of credentials say in an answer; empty if it is none of theirs."""
    found = re.search(r"<Code>(\w+)</Code>\s*<Message>([^<]+)", text)
    return f"{found[1]}: {found[2]}" if found else ""


def _unanswered(what: str, text: str, waited: float, patience: float) -> tuple[type[RunnerError], str]:
    """Return the class and the detail of a request that got no answer."""
    if re.search(r"\bConnect,", text):
        return Unreachable, _cause(text)
    took = re.search(r" in ([\d.]+)s\b", text)
    if "kind: Timeout" in text or (took and float(took[1]) >= patience):
        return TooSlow, format_seconds(waited)
    # a writer's errors don't say why: they have no «kind»
    return default_error(what) if "kind: " in text else Unreachable, _cause(text)


def _cause(text: str) -> str:
    """Return the system's own words in obstore's: ``Connection refused``, ``UnknownIssuer`` and their like."""
    if found := re.search(r"InvalidCertificate\(\s*(?:Other\(\s*OtherError\(\s*)?(\w+)", text):
        return f"its certificate is not trusted ({found[1]})"
    words = re.findall(r'(?:message|error): "([^"]+)"|kind: (TimedOut)|(IncompleteMessage)', text)
    return next((word for match in reversed(words) for word in match if word), text)
