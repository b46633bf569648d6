"""Locations: a storage's scheme, its container and a key in it, parsed from ``bucket/key``, a path or a URL."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, replace

from runner.errors import UsageError
from runner.schemes import LOCAL, storage_word, storage_words

LONGEST_KEY_BYTES = 1024  # of UTF-8: the limit of S3 and GCS; Azure's is 1,024 characters


# What signs a URL: a SAS, and what S3 and Google's storage call it; and a user or a password before the host.
_SIGNED = r"(?i)[?&](?:sig|(?:x-(?:amz|goog)-)?signature)="
_USER = r"(?<=://)[^/\s]*@"
_PLAIN_PATH = r"(?:/(?!\.(?:/|$))[A-Za-z0-9._~-]+)+"  # absolute, as pathlib and URLs have it, too


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a storage: scheme, bucket (container, or absolute folder) and key, which may be empty.

    ``alias`` is what a location of a flow has after its last ``@``. Of a storage's root, and of a run's folder, that is
    a part of the key.
    """

    scheme: str
    container: str
    key: str
    alias: str = ""

    def __setstate__(self, state: list[str]) -> None:
        """Restore one that was pickled, perhaps before there were aliases."""
        for name, value in zip(self.__slots__, [*state, ""], strict=False):
            object.__setattr__(self, name, value)

    @property
    def url(self) -> str:
        """The location as a URL."""
        key = self._whole_key
        if self.scheme == LOCAL.scheme:
            return file_url(self.container, key)
        return f"{self.scheme}://{self.container}/{key}".rstrip("/")

    @property
    def _whole_key(self) -> str:
        return f"{self.key}@{self.alias}" if self.alias else self.key

    def as_root(self) -> Location:
        """Return the same place as a storage's root: keys of a folder's own files then begin inside it."""
        if self.scheme != LOCAL.scheme:
            return replace(self, key=self._whole_key, alias="")
        from pathlib import Path

        return Location(LOCAL.scheme, str(Path(self.container, self._whole_key)), "")

    def as_run(self) -> Location:
        """Return a run's folder with a key that begins, as in its documents, with the folder that holds the bundle."""
        if self.scheme != LOCAL.scheme:
            return replace(self, key=self._whole_key, alias="")
        from pathlib import Path

        folder = Path(self.container, self._whole_key)
        root = folder.parents[min(2, len(folder.parents) - 1)]
        return Location(LOCAL.scheme, str(root), folder.relative_to(root).as_posix())


Location.__module__ = "runner.storage"  # see runner.model.flow.FlowGraph


def parse_location(text: str, storage: str = "") -> Location:
    """Parse ``bucket/key`` or a path with the storage's word beside it, or a whole URL.

    Args:
        text: what to parse.
        storage: a word of ``RUNNER_STORAGE``; empty where the text is a URL, or a path.

    Raises:
        ValueError: with a sentence that names what is wrong.
    """
    words, storage = storage_words(), storage_word(storage)
    if shown_location(text) != text:
        message = f"{shown_location(text)!r} has a signature or a user in it; what opens a storage has variables"
        raise ValueError(message)
    scheme, separator, rest = text.partition("://")
    if not separator:
        if storage and storage not in words:
            message = f"unknown storage {storage!r}: choose one of {', '.join(words)}"
            raise ValueError(message)
        scheme, rest = words[storage or LOCAL.word], text
    elif scheme not in words.values():
        message = f"unknown scheme {scheme!r} in {text!r}: choose one of {', '.join(dict.fromkeys(words.values()))}"
        raise ValueError(message)
    if storage and words.get(storage) != scheme:
        message = f"the storage is {storage!r}, but {text!r} is a location of another one"
        raise ValueError(message)
    if scheme == LOCAL.scheme:
        return _parse_path(rest, is_url=bool(separator))
    container, _, key = rest.strip("/").partition("/")
    if not container or rest.startswith("/"):
        message = f"{text!r} names no bucket or container"
        raise ValueError(message)
    return Location(scheme, container, *split_alias(key))


parse_location.__module__ = "runner.storage"  # see runner.model.flow.FlowGraph


def file_url(folder: str, key: str) -> str:
    """Return the URL of what lies in a folder, percent-encoded as RFC 8089 has it."""
    path = f"{folder}/{key}"
    if re.fullmatch(_PLAIN_PATH, path):
        return f"file://{path}"
    from pathlib import Path  # which costs the start 5 ms, with urllib

    return Path(folder, key).as_uri()


def shown_location(text: str) -> str:
    """Return what a message may show of what was given for a location: no signature, no user and no password."""
    return re.sub(_USER, "***@", f"{text.partition('?')[0]}?***" if re.search(_SIGNED, text) else text)


def split_digest(text: str) -> tuple[str, str | None]:
    """Return a location without the ``#sha256=…`` at its end, and that digest, if it has one. Raises ValueError."""
    location, mark, digest = text.rpartition("#sha256=")
    return (location, check_sha256(digest)) if mark else (text, None)


def check_sha256(text: str) -> str:
    """Return a SHA-256 in lower case. Raises ValueError for anything else."""
    if len(text) != 64 or not set(text.lower()) <= set("0123456789abcdef"):  # noqa: PLR2004 - digits of a SHA-256
        message = f"{text!r} is no SHA-256: 64 hexadecimal digits"
        raise ValueError(message)
    return text.lower()


def _parse_path(text: str, *, is_url: bool) -> Location:
    """Split a path so that keys begin with the folder that holds a flow's bundles, as they do in a bucket.

    So the keys in an outcome stay true when the folder is mounted elsewhere.
    """
    if is_url and "%" in text:
        from urllib.parse import unquote

        text = unquote(text)
    if not text:
        message = "the location is empty"
        raise ValueError(message)
    plain, alias = split_alias(text)
    path = plain if re.fullmatch(_PLAIN_PATH, plain) else _absolute(plain)
    root = os.path.dirname(os.path.dirname(path) if _is_file(path) else path)
    return Location(LOCAL.scheme, root, path.removeprefix(root).lstrip(os.sep).replace(os.sep, "/") or ".", alias)


def _is_file(path: str) -> bool:
    """Return whether there is a file; what cannot be looked for, as its name is too long, raises OSError."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _absolute(path: str) -> str:
    from pathlib import Path

    return str(Path(path).expanduser().absolute())


def is_alias(text: str) -> bool:
    """Return whether a text can be the name of an alias: ``prod`` in ``my-flows/etl@prod``."""
    return re.fullmatch(r"[a-z][a-z0-9-]{0,62}", text) is not None


def split_alias(key: str) -> tuple[str, str]:
    """Return the key of a flow, and the alias that stands after the last ``@``; an empty one where there is none."""
    flow, _, alias = key.rpartition("@")
    return (flow, alias) if flow.rpartition("/")[2] and is_alias(alias) else (key, "")


def check_key(key: str) -> None:
    """Raise UsageError for a key that some backend would take for another one."""
    if reason := invalid_key(key):
        message = f"key {key!r} cannot be used: {reason}"
        raise UsageError(message, hint="Choose plain names separated by single slashes.")


def check_prefix(prefix: str) -> None:
    """Raise UsageError for what is neither empty nor a folder's key and a slash."""
    if prefix:
        check_key(prefix.removesuffix("/"))


def invalid_key(key: str) -> str:
    """Return why a key cannot be used; an empty text if it can."""
    parts = key.split("/")
    reason = ""
    if not key:
        reason = "it is empty"
    elif any("\ud800" <= char <= "\udfff" for char in key):
        reason = "it is not valid Unicode"
    elif len(key.encode()) > LONGEST_KEY_BYTES:
        reason = f"it is longer than {LONGEST_KEY_BYTES} bytes"
    elif any(part in {"", ".", ".."} for part in parts):
        reason = "it has an empty, '.' or '..' part"
    elif any(ord(char) < ord(" ") or char in "\x7f\\" for char in key):
        reason = "it has a control character or a backslash"
    return reason
