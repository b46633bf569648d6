"""Places for bundles and results: from a location's scheme to the backend that serves it.

``Local``, ``S3``, ``GCS``, ``Azure`` and ``Docker`` are what an author writes; `open_storage` is what a run uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from runner.credentials import Credentials
    from runner.docker_image import Docker
    from runner.storage.azure import Azure
    from runner.storage.base import Storage
    from runner.storage.declared import Declared
    from runner.storage.gcs import GCS
    from runner.storage.local import Local
    from runner.storage.s3 import S3

    Scheme = Literal["file", "s3", "gs", "azure"]

__all__ = ["GCS", "S3", "Azure", "Docker", "Local", "Location", "declare", "open_storage", "parse_location"]

# By RUNNER_STORAGE's words; what is baked into an image lies in a folder of it.
SCHEMES: dict[str, Scheme] = {"local": "file", "s3": "s3", "gcs": "gs", "azure": "azure", "docker": "file"}
_HOMES = {
    "Local": "runner.storage.local",
    "S3": "runner.storage.s3",
    "GCS": "runner.storage.gcs",
    "Azure": "runner.storage.azure",
    "Docker": "runner.docker_image",
}


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a storage: scheme, bucket (container, or absolute folder) and key, which may be empty."""

    scheme: Scheme
    container: str
    key: str

    @property
    def url(self) -> str:
        """The location as a URL."""
        if self.scheme == "file":
            from pathlib import Path

            return Path(self.container, self.key).as_uri()
        return f"{self.scheme}://{self.container}/{self.key}".rstrip("/")

    def as_root(self) -> Location:
        """Give the same place as a storage's root: keys of a folder's own files then begin inside it."""
        if self.scheme != "file":
            return self
        from pathlib import Path

        return Location("file", str(Path(self.container, self.key)), "")

    def as_run(self) -> Location:
        """Give a run's folder with its key beginning, as in its documents, with the folder that holds the bundle."""
        if self.scheme != "file":
            return self
        from pathlib import Path

        folder = Path(self.container, self.key)
        root = folder.parents[min(2, len(folder.parents) - 1)]
        return Location("file", str(root), folder.relative_to(root).as_posix())


def declare(url: str) -> Declared:
    """Turn a root's URL or path into what an author would have written. Raises ValueError."""
    location = parse_location(url)
    match location.scheme:
        case "file":
            from runner.storage.local import Local

            return Local(location.as_root().container)
        case "s3":
            from runner.storage.s3 import S3

            return S3(location.container, prefix=location.key)
        case "gs":
            from runner.storage.gcs import GCS

            return GCS(location.container, prefix=location.key)
        case "azure":
            from runner.storage.azure import Azure

            return Azure(location.container, prefix=location.key)
        case _:
            assert_never(location.scheme)


def parse_location(text: str, storage: str = "") -> Location:
    """Read ``bucket/key`` or a path with the storage's word beside it, or a whole URL.

    Raises ValueError with a sentence that names what is wrong.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        if storage not in SCHEMES and storage:
            message = f"unknown storage {storage!r}: choose one of {', '.join(SCHEMES)}"
            raise ValueError(message)
        found: Scheme | None = SCHEMES[storage or "local"]
        rest = text
    else:
        found = next((known for known in SCHEMES.values() if known == scheme), None)
    if found is None:
        message = f"unknown scheme {scheme!r} in {text!r}: choose one of {', '.join(dict.fromkeys(SCHEMES.values()))}"
        raise ValueError(message)
    if storage and SCHEMES.get(storage) != found:
        message = f"the storage is {storage!r}, but {text!r} is a location of another one"
        raise ValueError(message)
    if found == "file":
        return _local(rest, is_url=bool(separator))
    container, _, key = rest.strip("/").partition("/")
    if not container or rest.startswith("/"):
        message = f"{text!r} names no bucket or container"
        raise ValueError(message)
    return Location(found, container, key)


def _local(text: str, *, is_url: bool) -> Location:
    """Split a path so that keys begin with the folder that holds a flow's bundles, as they do in a bucket.

    Then what an outcome lists stays true when the folder is mounted elsewhere.
    """
    from pathlib import Path

    if is_url:
        from urllib.parse import unquote

        text = unquote(text)
    if not text:
        message = "the location is empty"
        raise ValueError(message)
    path = Path(text).expanduser().absolute()
    root = path.parent.parent if path.is_file() else path.parent
    return Location("file", str(root), path.relative_to(root).as_posix())


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
            from runner.storage.local import LocalStorage

            return LocalStorage("file", location.container)
        case "s3":
            from runner.storage.s3 import open_s3

            return open_s3(location.container, credentials, environ, patience)
        case "gs":
            from runner.storage.gcs import open_gcs

            return open_gcs(location.container, credentials, environ, patience)
        case "azure":
            from runner.storage.azure import open_azure

            return open_azure(location.container, credentials, environ, patience)
        case _:
            assert_never(location.scheme)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module 'runner.storage' has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
