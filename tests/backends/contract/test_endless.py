"""What every backend promises of servers that come to no end: pages that repeat, and bytes that hardly come."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from runner import errors
from runner.backends import object_store, retry
from runner.backends.background import in_time
from runner.backends.gcp import gcs
from support.contract import CLOUDS, MB, endpoint, impatient, noise, through

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.backends.base import Storage
    from support.places import Place

EVER = [cloud for cloud in CLOUDS if cloud != "fake-gcs"]
END = r"(?:no|without an) end"
HELD_SECONDS = 120.0  # after which whoever is still there is held for ever
TIME = "2026-01-01T00:00:00.000Z"


class Liar(BaseHTTPRequestHandler):
    """Answers every listing with one page, or an empty one, after which another one is said to follow."""

    protocol_version = "HTTP/1.1"
    cloud = ""
    keys: tuple[str, ...] = ()
    tokens = itertools.repeat("again")
    over: threading.Event

    def do_GET(self) -> None:
        if self.over.is_set():  # whoever was left to itself
            self.close_connection = True
            return
        body = page(self.cloud, self.keys, next(self.tokens))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json" if self.cloud == "gcs" else "application/xml")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name in the base class)
        """Say nothing."""


def page(cloud: str, keys: tuple[str, ...], token: str) -> bytes:
    """A page of a listing that has these keys and goes on at the token."""
    if cloud == "gcs":
        items = [{"name": key, "size": "1", "updated": TIME} for key in keys]
        return json.dumps({"items": items, "nextPageToken": token}).encode()
    if cloud == "s3":
        rows = [
            f"<Contents><Key>{key}</Key><LastModified>{TIME}</LastModified><ETag>x</ETag><Size>1</Size></Contents>"
            for key in keys
        ]
        head = f"<Name>b</Name><IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
        return f"<ListBucketResult>{head}{''.join(rows)}</ListBucketResult>".encode()
    facts = "<Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified><Content-Length>1</Content-Length>"
    facts += "<Content-Type>x/y</Content-Type><Etag>1</Etag><BlobType>BlockBlob</BlobType>"
    rows = [f"<Blob><Name>{key}</Name><Properties>{facts}</Properties></Blob>" for key in keys]
    return (
        f'<EnumerationResults ContainerName="c"><Blobs>{"".join(rows)}</Blobs><NextMarker>{token}</NextMarker>'
        "</EnumerationResults>"
    ).encode()


@contextlib.contextmanager
def serving(place: Place, kind: type[BaseHTTPRequestHandler], **how: object) -> Iterator[Storage]:
    over = threading.Event()
    handler = type("Handler", (kind,), {"over": over, **how})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield through(place, server.server_address[1], endpoint(place)).open()
        finally:
            over.set()
            server.shutdown()


LISTINGS: dict[str, Callable[[Storage], object]] = {
    "walk": lambda storage: list(storage.list_recursive("etl/")),
    "folder": lambda storage: storage.list_folder("etl/"),
}


@pytest.mark.parametrize("how", LISTINGS)
@pytest.mark.parametrize("keys", [(), ("etl/a", "etl/b")], ids=["empty", "the same page"])
@pytest.mark.parametrize("backend", EVER)
def test_a_server_that_repeats_a_page_for_ever_is_told(
    place: Place, keys: tuple[str, ...], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever listed there was held for ever, and of a folder its memory was filled."""
    monkeypatch.setattr(object_store, "LISTING_SECONDS", 2.0)
    with serving(place, Liar, cloud=place.word, keys=keys) as storage:
        with pytest.raises(errors.ReadFailed, match=END) as refusal:
            in_time(HELD_SECONDS, lambda: LISTINGS[how](storage))
        assert not refusal.value.transient


@pytest.mark.parametrize("how", LISTINGS)
@pytest.mark.parametrize("backend", ["gcs"])
def test_a_server_that_repeats_a_page_with_new_tokens_is_told(place: Place, how: str) -> None:
    answers = serving(place, Liar, cloud="gcs", keys=("etl/a", "etl/b"), tokens=map(str, itertools.count()))
    with answers as storage, pytest.raises(errors.ReadFailed, match=END):
        LISTINGS[how](storage)


class Dripping(BaseHTTPRequestHandler):
    """Sends the body of each answer in pieces, with a pause after each."""

    protocol_version = "HTTP/1.1"
    body = b""
    piece = 1
    pause = 0.1
    status = 200
    over: threading.Event

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("ETag", '"1"')
        self.send_header("x-goog-generation", "1")
        self.end_headers()
        with contextlib.suppress(OSError):
            for start in range(0, len(self.body), self.piece):
                self.wfile.write(self.body[start : start + self.piece])
                if self.over.wait(self.pause):
                    return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name in the base class)
        """Say nothing."""


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("backend", EVER)
def test_a_small_read_is_over_though_each_byte_comes_in_time(
    place: Place, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(gcs, "CONNECT_TIMEOUT_SECONDS", 1.0)
    impatient(monkeypatch, 0)
    drips = serving(place, Dripping, body=b"x" * 5000, status=status)  # all of it would take 500 s
    with drips as storage, pytest.raises(errors.TooSlow):
        in_time(HELD_SECONDS, lambda: storage.read("object", limit=10_000))


@pytest.mark.parametrize("backend", EVER)
def test_a_slow_network_may_take_its_time_for_what_is_large(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times longer than an answer may, but with more bytes a second than the least."""
    monkeypatch.setattr(retry, "ANSWER_SECONDS", 0.4)
    impatient(monkeypatch, 0)
    data = noise(MB)
    with serving(place, Dripping, body=data, piece=MB // 40, pause=0.1) as storage:
        assert storage.read("object", limit=MB) == data
