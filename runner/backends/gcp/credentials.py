"""What opens a bucket of Google's: what ``google.auth.default`` finds, after a named secret, and in its order.

https://cloud.google.com/docs/authentication/application-default-credentials
"""

from __future__ import annotations

import json
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.backends.credential_sources import ChosenSource, Source, format_tried, without_repr
from runner.backends.errors import first_line
from runner.errors import CredentialsRefused
from runner.schemes import GCS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.secrets.named import Credentials

_WITH_SDK = "gcp, all_extras"
EMULATOR = Source("emulator, anonymous", "STORAGE_EMULATOR_HOST", "fast", _WITH_SDK)
SECRET = Source("named secret", "GCP_CREDENTIALS, a service account's key", "SDK", _WITH_SDK)
FILE = Source(
    "credentials file",
    "GOOGLE_APPLICATION_CREDENTIALS: service account, authorized user, external account, impersonated service account",
    "SDK",
    _WITH_SDK,
)
GCLOUD = Source(
    "gcloud's credentials",
    "application_default_credentials.json in CLOUDSDK_CONFIG or ~/.config/gcloud",
    "SDK",
    _WITH_SDK,
)
METADATA = Source("metadata server", "metadata.google.internal, GCE_METADATA_HOST, GCE_METADATA_IP", "SDK", _WITH_SDK)
SOURCES: tuple[Source, ...] = (EMULATOR, SECRET, FILE, GCLOUD, METADATA)
SCOPES = ["https://www.googleapis.com/auth/devstorage.read_write"]
METADATA_SECONDS = 4.0  # in which the metadata server is searched for; the library's own search may take 12


@without_repr
class GcpAccess(NamedTuple):
    """What opens a bucket: ``credentials`` are the library's own."""

    source: ChosenSource
    credentials: Any


def find_gcp(bucket: str, credentials: Credentials, environ: Mapping[str, str]) -> GcpAccess:
    """Find the credentials. Raises CredentialsRefused, which says why each source was passed over.

    The files are read by what the mapping names. What is beside them (the metadata server's address, the keys of an
    external account of AWS) is read by the library itself, from the process.
    """
    from google.auth.credentials import AnonymousCredentials, with_scopes_if_required
    from google.auth.exceptions import GoogleAuthError

    if environ.get("STORAGE_EMULATOR_HOST"):
        return GcpAccess(ChosenSource(EMULATOR), AnonymousCredentials())
    tried = [(EMULATOR, "STORAGE_EMULATOR_HOST is not set")]
    quota = environ.get("GOOGLE_CLOUD_QUOTA_PROJECT")
    source = SECRET
    try:
        if secret := credentials.gcp():
            chosen = _of_secret(secret, quota)
        else:
            tried.append((SECRET, "none is named in RUNNER_SECRETS"))
            source, path = _file(environ, tried)
            chosen = _of_file(path, quota) if path else _of_metadata(environ, quota)
    except (GoogleAuthError, ValueError, TypeError, AttributeError, KeyError, OSError) as error:
        tried.append((source, _describe(error)))
        reasons = format_tried(tuple(tried))
        if source is METADATA:
            raise CredentialsRefused(
                f"no credentials for gs://{bucket} found: {reasons}", hint=GCS.credentials_hint
            ) from error
        message = f"the credentials for gs://{bucket} cannot be used: {reasons}"
        remedy = "Use the service account's JSON key as Google gave it." if source is SECRET else GCS.credentials_hint
        raise CredentialsRefused(message, hint=remedy) from error
    chosen = with_scopes_if_required(chosen, SCOPES)
    return GcpAccess(ChosenSource(source, tuple(tried), lambda: _token_expiry(chosen)), chosen)


def _file(environ: Mapping[str, str], tried: list[tuple[Source, str]]) -> tuple[Source, Path | None]:
    """Return the file to read, if there is one; a file that is named must be there, but for gcloud's own."""
    folder = environ.get("CLOUDSDK_CONFIG")
    try:
        known = Path(folder) if folder is not None else Path(environ.get("HOME") or Path.home(), ".config", "gcloud")
    except RuntimeError:  # no HOME, and a user whom the system does not know
        known = Path("/nonexistent")
    known /= "application_default_credentials.json"
    named = environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if named and named != str(known):
        return FILE, Path(named)
    reason = "names gcloud's own" if named else "is not set"
    tried.append((FILE, f"GOOGLE_APPLICATION_CREDENTIALS {reason}"))
    if known.is_file():
        return GCLOUD, known
    tried.append((GCLOUD, f"there is no {known}"))
    return METADATA, None


def _of_secret(secret: Mapping[str, str], quota: str | None) -> Any:
    from google.oauth2 import service_account

    chosen = service_account.Credentials.from_service_account_info(secret)
    return chosen.with_quota_project(quota) if quota else chosen


def _of_file(path: Path, quota: str | None) -> Any:
    import google.auth

    with warnings.catch_warnings():
        # the library warns of files of unknown origin, and of a user without a quota project: both were chosen here
        warnings.simplefilter("ignore")
        chosen, _ = google.auth.load_credentials_from_file(str(path), quota_project_id=quota)
    return chosen


def _of_metadata(environ: Mapping[str, str], quota: str | None) -> Any:
    """Return the credentials of this machine, if it is Google's; the library, which is called, finds no file here."""
    import logging

    import google.auth
    from google.auth import exceptions
    from google.auth.transport.requests import Request

    until = time.monotonic() + METADATA_SECONDS

    class Quick(Request):
        def __call__(self, url: str, method: str = "GET", *args: Any, timeout: float = 3, **options: Any) -> Any:
            left = until - time.monotonic()
            if left <= 0:
                raise exceptions.TransportError("it did not answer in time")
            options["timeout"] = min(timeout, left, 1.5)
            return super().__call__(url, method, *args, **options)

    library = logging.getLogger("google.auth")
    level = library.level
    library.setLevel(logging.ERROR)  # it would warn of each attempt, and what it found stands in the error
    try:
        chosen, _ = google.auth.default(request=Quick(), quota_project_id=quota)
    except exceptions.DefaultCredentialsError as error:
        host = environ.get("GCE_METADATA_IP") or "169.254.169.254"
        raise exceptions.DefaultCredentialsError(f"{host} is no metadata server, or does not answer") from error
    finally:
        library.setLevel(level)
    return chosen


def _token_expiry(chosen: Any) -> datetime | None:
    """Return when the last token expires; the library has it in UTC, without a time zone."""
    expiry = getattr(chosen, "expiry", None)
    return expiry.replace(tzinfo=UTC) if isinstance(expiry, datetime) else None


def _describe(error: BaseException) -> str:
    """Return the library's words in one line, with those of an error inside it."""
    inner = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], Exception) else None
    text = first_line(error.args[0] if inner and error.args else error)
    # a value of a JSON file may stand in what a parser says of it
    return text if inner is None or isinstance(inner, json.JSONDecodeError) else f"{text} {first_line(inner)}"
