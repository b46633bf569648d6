"""What a request to S3, Azure or GCS asks for: which object, and what is to become of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import unescape
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

Verb = Literal["read", "list", "begin", "part", "write", "delete"]

_NAME = re.compile(rb'"name":\s*("(?:[^"\\]|\\.)*")')
_DELETED = re.compile(rb"<Key>([^<]+)</Key>")
_GCS = re.compile(r"/b/[^/]+/o(?:/(.+))?$")


@dataclass(frozen=True)
class Asked:
    """One request: `key` is the object's full key, empty where none is named; a `write` makes an object be there."""

    backend: str
    verb: Verb
    key: str
    method: str
    path: str


class Reader:
    """Reads the requests of one backend; of GCS it remembers which upload is of which object."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._uploads: dict[str, str] = {}

    def read(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Asked:
        target = urlsplit(path)
        query = parse_qs(target.query, keep_blank_values=True)
        if self.backend == "gcs":
            verb, key = self._gcs(method, target.path, query, headers, body)
        else:
            skipped = 2 if self.backend == "azure" else 1  # account and container, or bucket
            key = unquote("/".join(target.path.lstrip("/").split("/")[skipped:]))
            verb = _azure(method, key, query) if self.backend == "azure" else _s3(method, key, query)
            if verb == "delete" and (named := _DELETED.findall(body)):  # of many, the last one
                key = unescape(named[-1].decode())
        return Asked(self.backend, verb, key, method, path)

    def answered(self, asked: Asked, location: str | None) -> None:
        """Take the address of an upload that was begun."""
        if asked.verb == "begin" and location:
            self._uploads[parse_qs(urlsplit(location).query).get("upload_id", [""])[0]] = asked.key

    def _gcs(
        self, method: str, path: str, query: dict[str, list[str]], headers: dict[str, str], body: bytes
    ) -> tuple[Verb, str]:
        found = _GCS.search(path)
        key = unquote(found[1]) if found and found[1] else ""
        if upload := query.get("upload_id"):
            whole = not headers.get("content-range", "").endswith("/*")
            return "write" if whole and method == "PUT" else "part", self._uploads.get(upload[0], "")
        if method == "POST" and "uploadType" in query:
            named = query.get("name") or [str(json.loads(name[1])) for name in [_NAME.search(body[:4000])] if name]
            return "begin" if query["uploadType"] == ["resumable"] else "write", named[0] if named else ""
        if method == "DELETE":
            return "delete", key
        return "read" if key else "list", key


def _s3(method: str, key: str, query: dict[str, list[str]]) -> Verb:
    if method == "PUT":
        return "part" if "partNumber" in query else "write"
    if method == "POST":
        return "begin" if "uploads" in query else "write" if "uploadId" in query else "delete"
    if method == "DELETE":
        return "delete"
    return "read" if key else "list"


def _azure(method: str, key: str, query: dict[str, list[str]]) -> Verb:
    if method == "PUT":
        return "part" if query.get("comp") == ["block"] else "write"
    if method == "DELETE":
        return "delete"
    return "read" if key else "list"
