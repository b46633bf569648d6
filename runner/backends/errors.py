"""The errors of all storages: one message and one remedy each, the same for every backend."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.backends.credential_sources import format_tried
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
    WriteFailed,
)
from runner.schemes import backend_of
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from runner.backends.base import Storage

# By class: the message, and the remedy; `root` is the bucket's URL, `where` the object's.
_TEXTS: dict[type[RunnerError], tuple[str, str]] = {
    BucketMissing: ("there is no bucket {root}", "Check its name and the account."),
    NotFound: ("there is no object {where}", ""),
    AlreadyExists: ("{where} exists already", "Choose another key."),
    CredentialsRefused: ("{root} refused the credentials: {detail}", "Check the keys in use."),
    Denied: ("not allowed to {what} {where}{reason}", "Give the identity {permission}"),
    Unreachable: ("{root} cannot be reached: {detail}", "Check the endpoint's address, the network and the proxy."),
    TooSlow: ("{where}: no answer within {detail} s to {what}", "Try again."),
    ReadFailed: ("{what} {where} failed: {detail}", "Try again; if it stays, ask the provider."),
    WriteFailed: ("{what} {where} failed: {detail}", "Try again; if it stays, ask the provider."),
}
# Statuses that another try may not get: those of botocore, azure-core, azure-storage-blob and google-cloud-storage,
# with which a test compares this; besides 409, as S3 answers one of two writers at once, and 425.
TRANSIENT_STATUSES = frozenset({408, 409, 425, 429, *range(500, 600)} - {501, 505})
# S3's codes of the same kind, some of which come with 400: botocore's, with which a test compares this.
TRANSIENT_CODES = frozenset(
    {
        "BadDigest",
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_CLOCK = "Check the clock of this machine: it is wrong by minutes, or what was signed has expired."
# What a detail says by itself about the remedy, by what is found in it.
_HINTS = {
    "RequestTimeTooSkewed": "Check the clock of this machine.",
    "Request date header": _CLOCK,  # Azure, of a key
    "AADSTS700024": _CLOCK,  # Azure, of an assertion
    "specified time frame": _CLOCK,  # Azure, of a SAS
    "reasonable timeframe": _CLOCK,  # Google, of a service account's assertion
    r"This request is not authorized to perform this operation\.": "Let this network through the account's firewall.",
    "Content-MD5 OR x-amz-checksum-": "The bucket has Object Lock: set AWS_CHECKSUM_ALGORITHM=SHA256.",
    r"\?delete in .* (501|405) ": "What knows no DeleteObjects has each object deleted: AWS_DISABLE_BULK_DELETE=true.",
    "CaUsedAsEndEntity": (
        "The server shows an authority's certificate (CA:TRUE), as «openssl req -x509» makes it, and obstore's TLS"
        " takes none of those, whatever AWS_CA_BUNDLE says: make it with -addext basicConstraints=critical,CA:FALSE."
    ),
    "certificate": "Name the authority's file in AWS_CA_BUNDLE (S3) or SSL_CERT_FILE.",
}


def make_error(
    kind: type[RunnerError],
    storage: Storage,
    what: str,
    key: str,
    detail: object = "",
    *,
    hint: str = "",
    transient: bool | None = None,
) -> RunnerError:
    """Return the error of a kind that says that a key could not be used.

    Args:
        kind: one of the classes of which this module has the texts.
        storage: where the key lies, and what opened it.
        what: ``read``, ``write``, ``list`` or ``delete``.
        key: the object's key, or the prefix of a listing.
        detail: what the storage or its SDK says, of which the first line is quoted.
        hint: the remedy, where more is known than the kind's own says.
        transient: see `RunnerError`.
    """
    words = {
        "root": storage.url(""),
        "where": storage.url(key),
        "what": what,
        "detail": first_line(detail),
        "reason": f": {first_line(detail)}" if detail else "",
        "permission": backend_of(storage.scheme).permissions.get(what, "the right to do so."),
    }
    message, remedy = _TEXTS[kind]
    remedy = hint or next((text for word, text in _HINTS.items() if re.search(word, words["detail"])), remedy).format(
        **words
    )
    message = message.format(**words) + (_credentials_used(storage) if issubclass(kind, CredentialsRefused) else "")
    return kind(message, hint=remedy, transient=transient)


def is_transient(status: int | None, text: str) -> bool:
    """Return whether another try may get another answer than this one; without a status there was none."""
    code = re.search(r"<Code>(\w+)</Code>", text)
    return status is None or status in TRANSIENT_STATUSES or (code is not None and code[1] in TRANSIENT_CODES)


def format_seconds(seconds: float) -> str:
    """Return how long an answer was waited for, as a number of seconds for a message."""
    return f"{seconds:.1f}".removesuffix(".0") if seconds >= 1 else f"{seconds:.2f}"


def first_line(detail: object) -> str:
    """Return the first line of what an SDK says, cut to what a message has room for, and masked before it is cut."""
    return redact(str(detail)).partition("\n")[0].strip()[:300]


def _credentials_used(storage: Storage) -> str:
    """Return which credentials were used, and why the sources before them were not."""
    if not storage.credential_source:
        return ""
    before = format_tried(storage.credential_source.tried)
    return f" (credentials used: {storage.credential_source.source.name}{f'; before it, {before}' if before else ''})"


def no_credentials(storage: Storage, detail: str = "", *, transient: bool | None = None) -> CredentialsRefused:
    """Return the error of a storage whose source gave no credentials; ``detail`` is what was answered instead."""
    message = f"no credentials for {storage.url('')} found{f': {detail}' if detail else ''}{_credentials_used(storage)}"
    return CredentialsRefused(message, hint=backend_of(storage.scheme).credentials_hint, transient=transient)


def default_error(what: str) -> type[RunnerError]:
    """Return the class of a failure that has no class of its own."""
    return WriteFailed if what in {"write", "delete"} else ReadFailed


def elsewhere(storage: Storage, what: str, key: str, why: str = "") -> RunnerError:
    """Return the error of an answer that is none of the storage's, for a reason that is known, or the usual ones."""
    why = why or "it is a page, or a redirect"
    hint = "Check the endpoint's address, and whether a proxy or a login page stands before it."
    return make_error(default_error(what), storage, what, key, f"the answer is not the storage's: {why}", hint=hint)
