"""The GCS emulator as GCS is: `python gcs_layer.py PORT`.

What the emulator leaves out, and what this adds inside its process:

- `ifGenerationMatch` (create if absent) and `generation`, on every request for an object, without a race;
- an object's bytes and its metadata change in one step;
- listings in pages, in the order of the keys;
- keys taken as they are (`a//b`, `../a`, a backslash), bodies taken as they are (JSON, empty, any line ends);
- resumable uploads that stay linear in their size, tell the truth about what has arrived, repeat their answer,
  and can be cancelled;
- 416, suffix ranges, and errors that say in GCS's words whether it is the object or the bucket that is missing.

The rest (routes, buckets, metadata, checksums, copies) is the emulator's. Sources, all under
https://cloud.google.com/storage/docs/: json_api/v1/objects, request-preconditions, performing-resumable-uploads
"""

import base64
import http
import io
import json
import re
import sys
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterator
from email.message import Message
from http.server import ThreadingHTTPServer
from typing import Any, BinaryIO

from gcp_storage_emulator import server as emulator
from gcp_storage_emulator.exceptions import BadRequest, NotFound
from gcp_storage_emulator.handlers import objects
from gcp_storage_emulator.storage import RESUMABLE_DIR, Storage

Handler = Callable[..., None]
_PAGE = 1000
# What GCS answers to a cancelled upload, and `http.HTTPStatus` lacks.
_CLIENT_CLOSED_REQUEST = types.SimpleNamespace(value=499, phrase="Client Closed Request")


class PreconditionFailedError(Exception):
    """The object isn't of the generation that the request demands; 0 stands for «there is none»."""


class ExactFiles:
    """Bytes by their exact name; what the emulator calls a file store, without its idea of paths."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def makedirs(self, name: str) -> None:
        """Nothing: there are no folders."""

    def write_bytes(self, name: str, content: bytes) -> None:
        """Replace the file."""
        self._files[name] = content

    def read_bytes(self, name: str) -> bytes:
        """The file's content; raises FileNotFoundError."""
        if name not in self._files:
            raise FileNotFoundError(name)
        return self._files[name]

    def remove_file(self, name: str) -> None:
        """Remove the file; raises FileNotFoundError."""
        if self._files.pop(name, None) is None:
            raise FileNotFoundError(name)

    def remove_tree(self, name: str) -> None:
        """Remove all of a bucket."""
        self._files = {file: content for file, content in self._files.items() if not file.startswith(f"{name}/")}

    def listdir(self, name: str) -> list[str]:
        """The buckets."""
        del name
        return sorted({file.partition("/")[0] for file in self._files})


class ExactStorage(Storage):  # type: ignore[misc]
    """The emulator's storage with preconditions; whoever calls it holds `turn`."""

    def __init__(self) -> None:
        super().__init__(use_memory_fs=True, data_dir="/")
        self._store = ExactFiles()
        self.turn = threading.Lock()
        self.condition: str | None = None
        self.finished: dict[str, dict[str, Any]] = {}
        self._conditions: dict[str, str | None] = {}
        self._arrived: dict[str, bytearray] = {}

    def check(self, bucket: str, name: str) -> None:
        """Raise PreconditionFailedError if the request's `ifGenerationMatch` doesn't hold."""
        there = self.objects.get(bucket, {}).get(name, {}).get("generation", "0")
        if self.condition is not None and there != self.condition:
            raise PreconditionFailedError

    def demand(self, bucket: str, name: str, generation: str | None) -> None:
        """Raise NotFound if the object isn't of this generation any more; None is any."""
        if generation not in (None, self.objects[bucket][name]["generation"]):
            raise NotFound

    def create_file(
        self, bucket_name: str, file_name: str, content: bytes, file_obj: dict[str, Any], file_id: str | None = None
    ) -> None:
        """See `Storage.create_file`; raises PreconditionFailedError too, and then the upload is over."""
        if file_id is not None:
            self.condition = self._conditions.pop(file_id)
            self._arrived.pop(file_id, None)
        try:
            self.check(bucket_name, file_name)
        except PreconditionFailedError:
            self.resumable.pop(file_id, None)
            raise
        # The emulator numbers an upload when it begins; its last byte decides.
        before, now = str(file_obj["generation"]), str(time.time_ns())
        file_obj.update({key: file_obj[key].replace(before, now) for key in ("generation", "id", "mediaLink")})
        super().create_file(bucket_name, file_name, content, file_obj, file_id)
        if file_id is not None:
            self.finished[file_id] = file_obj

    def create_resumable_upload(self, bucket_name: str, file_name: str, file_obj: dict[str, Any]) -> str:
        """See `Storage.create_resumable_upload`; the id is unique where the emulator's is as fine as its clock."""
        del file_name
        if bucket_name not in self.buckets:
            raise NotFound
        file_id = uuid.uuid4().hex
        self.resumable[file_id] = file_obj
        self._conditions[file_id] = self.condition
        return file_id

    def get_resumable_byte_count(self, file_id: str) -> int:
        """See `Storage.get_resumable_byte_count`."""
        return len(self._arrived.get(file_id, b""))

    def add_to_resumable_upload(
        self, file_id: str, content: bytes, total_size: int | None = None, expected_start: int | None = None
    ) -> bytes | None:
        """See `Storage.add_to_resumable_upload`; bytes that are there already are passed over."""
        arrived = self._arrived.setdefault(file_id, bytearray())
        skip = len(arrived) - (len(arrived) if expected_start is None else expected_start)
        if skip < 0:
            message = f"{-skip} bytes are missing before {expected_start}"
            raise BadRequest(message)
        if not arrived and len(content) == total_size:
            return content
        arrived += memoryview(content)[skip:]
        return bytes(arrived) if total_size is not None and len(arrived) >= total_size else None

    def cancel(self, file_id: str) -> None:
        """Forget an upload; raises NotFound."""
        self.delete_resumable_file_obj(file_id)
        self._conditions.pop(file_id, None)
        self._arrived.pop(file_id, None)

    def _object_path(self, bucket_name: str, file_name: str) -> str:
        return f"{bucket_name}/{file_name}"

    def _delete_file(self, bucket_name: str, file_name: str) -> None:
        if bucket_name != RESUMABLE_DIR:
            super()._delete_file(bucket_name, file_name)

    def _bucket_soft_delete_retention_seconds(self, bucket_name: str) -> int:
        del bucket_name
        return 0

    def _write_config_to_file(self) -> None:
        # The emulator writes down all it has at every change.
        pass


def _list(request: Any, response: Any, storage: ExactStorage) -> None:
    def one(name: str) -> str | None:
        values: list[str] = request.query.get(name, [])
        return values[0] if values else None

    items, prefixes = storage.get_file_list(
        request.params["bucket_name"], one("prefix"), one("delimiter"), one("matchGlob")
    )
    # A page holds items and prefixes in one order; the token is the last name of the page before.
    found: dict[str, Any] = dict.fromkeys(prefixes) | {item["name"]: item for item in items}
    after = base64.urlsafe_b64decode(one("pageToken") or "").decode()
    start, end = one("startOffset") or "", one("endOffset")
    names = sorted(name for name in found if name > after and name >= start and (end is None or name < end))
    page = names[: min(int(one("maxResults") or _PAGE), _PAGE)]
    answer: dict[str, Any] = {"kind": "storage#objects"}
    answer["items"] = [found[name] for name in page if found[name]]
    answer["prefixes"] = [name for name in page if not found[name]]
    if len(page) < len(names):
        answer["nextPageToken"] = base64.urlsafe_b64encode(page[-1].encode()).decode()
    response.json(answer)


def _download(request: Any, response: Any, storage: ExactStorage) -> None:
    bucket, name = request.params["bucket_name"], request.params["object_id"]
    content, about = storage.get_file(bucket, name, show_error=False), storage.get_file_obj(bucket, name)
    response["x-goog-generation"] = about["generation"]
    response["x-goog-hash"] = f"crc32c={about['crc32c']},md5={about['md5Hash']}"
    response["x-goog-stored-content-length"] = str(len(content))
    response["ETag"] = about["etag"]
    wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", request.get_header("range", ""))
    if wanted and any(wanted.groups()):
        first, last = wanted.groups()
        start = int(first) if first else max(0, len(content) - int(last))
        stop = min(int(last) + 1, len(content)) if first and last else len(content)
        if start >= stop:
            response.status = http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            response["Content-Range"] = f"bytes */{len(content)}"
            response.write_file("Request range not satisfiable", "text/plain")
            return
        response.status = http.HTTPStatus.PARTIAL_CONTENT
        response["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        content = content[start:stop]
    response.write_file(content, about.get("contentType") or "application/octet-stream")


def _upload_chunk(request: Any, response: Any, storage: ExactStorage) -> None:
    upload = request.query["upload_id"][0]
    if upload in storage.finished:
        response.json(storage.finished[upload])
        return
    objects.upload_partial(request, response, storage)
    if response.status == objects.GoogleHTTPStatus.RESUME_INCOMPLETE and not storage.get_resumable_byte_count(upload):
        # Without a byte there is no range; the emulator claims one byte, which the client would then leave out.
        response._headers.pop("Range")


def _cancel_upload(request: Any, response: Any, storage: ExactStorage) -> None:
    # google-cloud-storage's `BlobWriter.terminate` sends this without the id, and ignores the answer.
    storage.cancel(request.query.get("upload_id", [""])[0])
    response.status = _CLIENT_CLOSED_REQUEST


def _error(response: Any, code: int, reason: str, message: str, **where: str) -> None:
    response.status = http.HTTPStatus(code)
    errors = [{"message": message, "domain": "global", "reason": reason, **where}]
    response.json({"error": {"code": code, "message": message, "errors": errors}})


def _one_at_a_time(handler: Handler) -> Handler:
    """`handler` with the storage to itself, the request's preconditions held, and GCS's words for what is missing."""

    def handle(request: Any, response: Any, storage: ExactStorage) -> None:
        bucket, name = request.params.get("bucket_name"), request.params.get("object_id")
        request.data  # noqa: B018  (parsed before the turn begins)
        with storage.turn:
            storage.condition = request.query.get("ifGenerationMatch", [None])[0]
            try:
                if name in storage.objects.get(bucket, ()) and request.method != emulator.POST:
                    storage.check(bucket, name)
                    storage.demand(bucket, name, request.query.get("generation", [None])[0])
                handler(request, response, storage)
            except NotFound:
                response.status = http.HTTPStatus.NOT_FOUND
            except PreconditionFailedError:
                message = "At least one of the pre-conditions you specified did not hold."
                _error(response, 412, "conditionNotMet", message, locationType="header", location="If-Match")
            missing_bucket = bucket not in storage.buckets
        if response.status == http.HTTPStatus.NOT_FOUND:
            message = "The specified bucket does not exist." if missing_bucket else f"No such object: {bucket}/{name}"
            if request.query.get("alt") == ["media"]:
                response.write_file(message, "text/html; charset=UTF-8")
            else:
                _error(response, 404, "notFound", message)

    return handle


def _routes() -> Iterator[tuple[str, dict[str, Handler]]]:
    better = {objects.ls: _list, objects.download: _download, objects.upload_partial: _upload_chunk}
    for pattern, methods in emulator.HANDLERS:
        handlers = {method: better.get(handler, handler) for method, handler in methods.items()}
        if emulator.PUT in handlers and objects.upload_partial in methods.values():
            handlers[emulator.DELETE] = _cancel_upload
        yield pattern, {method: _one_at_a_time(handler) for method, handler in handlers.items()}


def _read_data(request_handler: Any, query: dict[str, list[str]]) -> Any:
    """A body as the handlers want it; uploads untouched, where the emulator parses JSON and takes mail apart."""
    content = request_handler.rfile.getvalue()
    kind = request_handler.headers.get("Content-Type", "")
    if query.get("uploadType") == ["multipart"]:
        return _split_upload(content, kind)
    if query.get("uploadType") == ["media"] or "upload_id" in query or not content:
        return content
    return _their_read_data(request_handler, query)


def _split_upload(content: bytes, kind: str) -> dict[str, Any]:
    """The two parts, metadata and bytes, of a `multipart/related` upload."""
    envelope = Message()
    envelope["Content-Type"] = kind
    mark = b"--" + envelope.get_boundary("").encode()
    start = content.index(mark)
    middle = content.index(b"\r\n" + mark, start)
    about = content[start + len(mark) : middle].partition(b"\r\n\r\n")[2]
    head, _, rest = content[middle + 2 + len(mark) : content.rindex(b"\r\n" + mark + b"--")].partition(b"\r\n\r\n")
    found = re.search(rb"content-type:\s*([^\r\n]+)", head, re.IGNORECASE)
    return {"meta": json.loads(about), "content": rest, "content-type": found[1].decode() if found else None}


class RequestHandler(emulator.RequestHandler):  # type: ignore[misc]
    """Keeps connections, and reads each request to its end before it is looked at."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rfile: BinaryIO

    def _handle(self) -> None:
        socket, self.rfile = self.rfile, io.BytesIO()
        try:
            length = int(self.headers.get("Content-Length", 0))
            chunked = self.headers.get("Transfer-Encoding") == "chunked"
            content = _read_chunks(socket) if chunked else socket.read(length)
            if chunked:
                self.headers["Content-Length"] = str(len(content))
            self.rfile = io.BytesIO(content)
            emulator.Router(self).handle(self.command)
        finally:
            self.rfile = socket

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815


def _read_chunks(stream: Any) -> bytes:
    content = b""
    while size := int(stream.readline().partition(b";")[0], 16):
        content += stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass
    return content


class Server(ThreadingHTTPServer):
    """A thread for each connection, and room for many at once."""

    request_queue_size = 512
    daemon_threads = True


_their_read_data = emulator._read_data

if __name__ == "__main__":
    emulator._read_data = _read_data
    emulator.HANDLERS = tuple(_routes())
    # Reached without a route too: by `alt=media`, and by uploads without `/upload`.
    objects.download, objects.insert = _download, _one_at_a_time(objects.insert)
    storage = ExactStorage()
    with Server(("127.0.0.1", int(sys.argv[1])), lambda *args: RequestHandler(storage, *args)) as server:
        server.serve_forever()
