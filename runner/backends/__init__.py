"""Where bundles and results lie: from a location's scheme to the backend that serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from runner.location import Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.backends.base import Storage
    from runner.secrets.named import Credentials

__all__ = ["GCS", "S3", "Azure", "Docker", "Local", "Location", "declare", "open_storage", "parse_location"]
_HOMES = {
    "Local": "runner.backends.local.files",
    "S3": "runner.backends.aws.s3",
    "GCS": "runner.backends.gcp.gcs",
    "Azure": "runner.backends.azure.blob",
    "Docker": "runner.publishing.docker_engine",
}


def open_storage(
    location: Location, credentials: Credentials, environ: Mapping[str, str], *, patience: float | None = None
) -> Storage:
    """Open the storage that a location lies in. Raises CredentialsRefused and EnvironmentWrong.

    With ``patience`` every read, create, replace and listing of what is small is over within that many seconds, its
    retries included: it ends with Unreachable, TooSlow or the last failure. One request has `SHARE` of that time, so
    what is large is moved by a storage without. Not cut are the time that a cloud's own SDK takes for new keys, the
    system's search for a host of Google's, and anything that a folder's file system does: a read from a mount that
    hangs cannot be given up.
    """
    match location.scheme:
        case "file":
            from runner.backends.local.files import LocalStorage

            return LocalStorage("file", location.container)
        case "s3":
            from runner.backends.aws.s3 import open_s3

            return open_s3(location.container, credentials, environ, patience)
        case "gs":
            from runner.backends.gcp.gcs import open_gcs

            return open_gcs(location.container, credentials, environ, patience)
        case "azure":
            from runner.backends.azure.blob import open_azure

            return open_azure(location.container, credentials, environ, patience)
        case _:
            assert_never(location.scheme)
