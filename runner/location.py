"""Locations: a storage's scheme, its container and a key in it, read from ``bucket/key``, a path or a URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import UsageError

if TYPE_CHECKING:
    from typing import Literal

    Scheme = Literal["file", "s3", "gs", "azure"]

# By RUNNER_STORAGE's words; what is baked into an image lies in a folder of it.
SCHEMES: dict[str, Scheme] = {"local": "file", "s3": "s3", "gcs": "gs", "azure": "azure", "docker": "file"}


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


LONGEST_KEY = 1024  # bytes of UTF-8: the limit of S3 and GCS; Azure's is 1,024 characters


def check_key(key: str) -> None:
    """Refuse a key that some backend would take for another one. Raises UsageError."""
    if reason := invalid_key(key):
        message = f"key {key!r} cannot be used: {reason}"
        raise UsageError(message, hint="Choose plain names separated by single slashes.")


def invalid_key(key: str) -> str:
    """Say why a key cannot be used; empty if it can."""
    parts = key.split("/")
    reason = ""
    if not key:
        reason = "it is empty"
    elif any("\ud800" <= char <= "\udfff" for char in key):
        reason = "it is not valid Unicode"
    elif len(key.encode()) > LONGEST_KEY:
        reason = f"it is longer than {LONGEST_KEY} bytes"
    elif any(part in {"", ".", ".."} for part in parts):
        reason = "it has an empty, '.' or '..' part"
    elif any(ord(char) < ord(" ") or char in "\x7f\\" for char in key):
        reason = "it has a control character or a backslash"
    return reason
