"""What every backend promises of sizes: what is too large is refused before it is read, whatever a server says."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from runner.errors import AlreadyExists, RunnerError, TooLarge
from support.contract import CLOUDS, MB, endpoint, noise, relayed, through

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.contract import Root
    from support.places import Place

HUGE = 10**12  # bytes


def test_a_limit_is_the_last_size_that_is_read(root: Root) -> None:
    data = noise(1000)
    root.write("object", data)
    storage, key = root.open(), f"{root.prefix}object"
    assert storage.read(key, limit=1000) == b"".join(storage.stream(key, limit=1000)) == data
    assert b"".join(storage.stream(key, 990, limit=1000)) == data[990:]
    for action in (
        lambda: storage.read(key, limit=999),
        lambda: list(storage.stream(key, limit=999)),
        lambda: list(storage.stream(key, 990, limit=999)),
    ):
        with pytest.raises(TooLarge, match="object has 1,000 bytes, and no more than 999 are read"):
            action()


@pytest.mark.parametrize("size", [8 * MB, 16 * MB + 1])
def test_large_objects_have_limits_too(root: Root, size: int) -> None:
    data = noise(size)
    root.write("large", data)
    storage, key = root.open(), f"{root.prefix}large"
    assert storage.read(key, limit=size) == data
    for limit in (0, size - 1):
        with pytest.raises(TooLarge, match=f"{size:,} bytes"):
            storage.read(key, limit=limit)


def test_a_large_object_in_the_place_of_a_small_one_is_another_s(root: Root) -> None:
    root.write("taken", noise(MB))
    with pytest.raises(AlreadyExists):
        root.open().create(f"{root.prefix}taken", b"mine")


@pytest.mark.parametrize("backend", CLOUDS)
def test_it_takes_one_request_to_refuse_an_object(place: Place) -> None:
    place.write("large", noise(20 * MB))
    with relayed(place) as (relay, storage):
        with pytest.raises(TooLarge):
            storage.read("large", limit=10 * MB)
        assert len([path for _, path in relay.requests if "large" in path]) == 1  # Google's library asks for the bucket


class Endless(BaseHTTPRequestHandler):
    """Answers each request with zeros until the other side has enough."""

    headers_of_all: ClassVar[dict[str, str]] = {}
    status: ClassVar[int] = 200
    sent: ClassVar[list[int]] = []
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(self.status)
        for name, value in self.headers_of_all.items():
            self.send_header(name, value)
        self.end_headers()
        block = bytes(65536)
        if "Transfer-Encoding" in self.headers_of_all:
            block = b"%x\r\n%s\r\n" % (len(block), block)
        if not self.path.partition("?")[0].endswith("object"):  # Google's library asks for the bucket
            self.close_connection = True
            return
        self.sent.append(0)
        with contextlib.suppress(OSError):
            while self.sent[-1] < 512 * MB:
                self.wfile.write(block)
                self.sent[-1] += len(block)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name in the base class)
        """Say nothing."""


COMMON = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "ETag": '"1"'}
LIES = {
    "a length": (200, {"Content-Length": str(HUGE)}),
    "no length": (200, {"Transfer-Encoding": "chunked"}),
    "a range": (206, {"Content-Length": str(HUGE), "Content-Range": f"bytes 0-{HUGE - 1}/{HUGE}"}),
    "a small whole": (206, {"Content-Length": str(HUGE), "Content-Range": "bytes 0-9/10"}),
}


@contextlib.contextmanager
def endless(place: Place, lie: str) -> Iterator[tuple[list[int], Place]]:
    status, headers = LIES[lie]
    handler = type("Handler", (Endless,), {"status": status, "headers_of_all": COMMON | headers, "sent": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield handler.sent, through(place, server.server_address[1], endpoint(place))  # type: ignore[attr-defined]
        server.shutdown()


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("backend", CLOUDS)
def test_a_server_that_sends_without_end_is_cut_off(place: Place, lie: str) -> None:
    with endless(place, lie) as (sent, there):
        storage = there.open()
        with pytest.raises(RunnerError):
            storage.read("object", limit=1000)
        assert sum(sent) < 64 * MB
