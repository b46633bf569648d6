"""What a storage's failures are called: one message and one remedy each, the same for every backend."""

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

if TYPE_CHECKING:
    from runner.backends.base import Storage

# By class: what failed, and what to do; `root` is the bucket's URL, `where` the object's.
_TEXTS: dict[type[RunnerError], tuple[str, str]] = {
    BucketMissing: ("there is no bucket {root}", "Check its name and the account."),
    NotFound: ("there is no object {where}", ""),
    AlreadyExists: ("{where} exists already", "Choose another key."),
    CredentialsRefused: ("{root} refused the credentials: {detail}", "Check the keys in use."),
    Denied: ("not allowed to {what} {where}{told}", "{permission}"),
    Unreachable: ("{root} cannot be reached: {detail}", "Check the endpoint's address, the network and the proxy."),
    TooSlow: ("{where}: no answer within {detail} s to {what}", "Try again."),
    ReadFailed: ("{what} {where} failed: {detail}", "Try again; if it stays, ask the provider."),
    WriteFailed: ("{what} {where} failed: {detail}", "Try again; if it stays, ask the provider."),
}
PASSING = {408, 409, 425, 429}  # of the statuses that blame who asks, those that another try may not get
_EITHER = " Without s3:ListBucket this is also what S3 answers when there is no such object."
_PERMISSIONS = {
    ("s3", "read"): "s3:GetObject." + _EITHER,
    ("s3", "write"): "s3:PutObject.",
    ("s3", "list"): "s3:ListBucket.",
    ("s3", "delete"): "s3:DeleteObject.",
    ("gs", "read"): "storage.objects.get.",
    ("gs", "write"): "storage.objects.create.",
    ("gs", "list"): "storage.objects.list.",
    ("gs", "delete"): "storage.objects.delete.",
}
_NAME_THEM = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a secret AWS_CREDENTIALS in RUNNER_SECRETS.",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS, or name a secret GCP_CREDENTIALS in RUNNER_SECRETS.",
    "azure": "Set AZURE_STORAGE_CONNECTION_STRING, or name a secret of that name in RUNNER_SECRETS.",
}
_CLOCK = "Check the clock of this machine: it is wrong by minutes, or what was signed has expired."
# What a detail says by itself about the remedy.
_HINTS = {
    "RequestTimeTooSkewed": "Check the clock of this machine.",
    "Request date header": _CLOCK,  # Azure, of a key
    "AADSTS700024": _CLOCK,  # Azure, of an assertion
    "specified time frame": _CLOCK,  # Azure, of a SAS
    "reasonable timeframe": _CLOCK,  # Google, of a service account's assertion
    "This request is not authorized to perform this operation.": "Let this network through the account's firewall.",
    "certificate": "Name the authority's file in AWS_CA_BUNDLE (S3) or SSL_CERT_FILE.",
}


def make_error(kind: type[RunnerError], storage: Storage, what: str, key: str, detail: object = "") -> RunnerError:
    """Give the error of a kind that tells of a key to ``read``, ``write``, ``list`` or ``delete``."""
    permission = _PERMISSIONS.get((storage.scheme, what), "the role Storage Blob Data Contributor.")
    # every start is told of some object that it is not there, and need not be searched for a principal
    who, missing, why = _refused(str(detail)) if kind is Denied else ("", "", "")
    words = {
        "root": storage.url(""),
        "where": storage.url(key),
        "what": what,
        "detail": _line(detail),
        "told": f": {_line(detail)}" if detail and storage.scheme != "s3" else "",  # S3's words are in the remedy
        "permission": f"Give {who} {missing}{why}." if who else f"Give the identity {permission}",
    }
    message, hint = _TEXTS[kind]
    hint = next((told for word, told in _HINTS.items() if word in words["detail"]), hint)
    message = message.format(**words) + (_opened_by(storage) if issubclass(kind, CredentialsRefused) else "")
    return kind(message, hint=hint.format(**words))


def seconds(waited: float) -> str:
    """Write how long an answer was waited for."""
    return f"{waited:.1f}".removesuffix(".0") if waited >= 1 else f"{waited:.2f}"


def _line(detail: object) -> str:
    return str(detail).partition("\n")[0].strip()[:300]


def _refused(detail: str) -> tuple[str, str, str]:
    """Find in AWS's words whom it refused, what, and why.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """
    found = re.search(r"User: (\S+) is not authorized to perform: ([\w:]+)", detail)
    why = re.search(r",?( because no | with an )[^<]+", detail)
    return (found[1], found[2], why[0].rstrip(". ") if why else "") if found else ("", "", "")


def _opened_by(storage: Storage) -> str:
    """Say which credentials were used, and what the sources before them said."""
    if not storage.credential_source:
        return ""
    before = format_tried(storage.credential_source.tried)
    return f" (credentials used: {storage.credential_source.source.name}{f'; before it, {before}' if before else ''})"


def no_credentials(storage: Storage, said: str = "") -> CredentialsRefused:
    """Give the error of a storage whose source gave no credentials; ``said`` is what was answered instead."""
    message = f"no credentials for {storage.url('')} found{f': {said}' if said else ''}{_opened_by(storage)}"
    return CredentialsRefused(message, hint=_NAME_THEM.get(storage.scheme, ""))


def default_error(what: str) -> type[RunnerError]:
    """Give the class of what went wrong in no way that has a name of its own."""
    return WriteFailed if what in {"write", "delete"} else ReadFailed
