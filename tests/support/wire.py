"""What can go wrong between a client and its storage: nobody listens, nobody accepts, and a relay that misbehaves."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import struct
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

from support.servers import HOST

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from email.message import Message
    from types import TracebackType

_HEAD = 2000  # bytes of a body in which the name of its object stands
_NAME = re.compile(rb'"name":\s*"([^"]+)"')
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s; the close is then a reset


@contextlib.contextmanager
def refused() -> Iterator[int]:
    """A port that refuses, and that nobody else can take meanwhile."""
    with socket.socket() as held:
        held.bind((HOST, 0))
        yield held.getsockname()[1]


@contextlib.contextmanager
def blackhole() -> Iterator[int]:
    """A port where no connection is ever answered: its queue is full, so that the kernel drops what comes."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((HOST, 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@dataclass(frozen=True)
class Fault:
    """What happens to requests of this method whose path, or object's name, has these words.

    It happens to `times` of them after the first `after`, and to none that has a header of the name `without`.

    lose: acted upon, then the connection is reset · cut: half of the answer's body, then the same ·
    short: half of the answer's body, then the connection is closed in order ·
    drop: the connection is reset, and the server is not reached · silent: no answer, ever ·
    slow: the request is read at 2 MB/s · late: passed on after `seconds` ·
    answer: `status`, `headers` and `body`, and the server is not reached ·
    unconditional: passed on without what makes a create fail where there is something ·
    eat: answered as if it were stored, and the server is not reached · halve: passed on with half of its body ·
    cache: answered as it was answered first, unless that answer said no-store.
    """

    how: Literal[
        "lose", "drop", "cut", "short", "silent", "slow", "late", "answer", "unconditional", "eat", "cache", "halve"
    ]
    method: str
    words: str = ""
    times: int = 1_000_000
    after: int = 0
    status: int = 0
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    without: str = ""


class Relay:
    """Stands before a real server, and is it as long as there is no fault."""

    def __init__(self, url: str, *faults: Fault, context: ssl.SSLContext | None = None) -> None:
        """Take the server's URL; faults may be changed at any time. With a context it speaks TLS."""
        self.context = context
        self.upstream = urlsplit(url).netloc
        self.faults = list(faults)
        self.requests: list[tuple[str, str]] = []
        self.over = threading.Event()
        self.cached: dict[str, tuple[int, list[tuple[str, str]], bytes]] = {}
        self._seen: dict[Fault, int] = {}
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        """Start to serve."""
        self._httpd = _HTTPServer((HOST, 0), type("Handler", (_Handler,), {"relay": self}))
        if self.context:
            self._httpd.socket = self.context.wrap_socket(
                self._httpd.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and let go of all that wait."""
        self.over.set()
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """Where it answers."""
        return int(self._httpd.server_address[1])

    def fault(self, method: str, path: str, name: str, headers: Message) -> Fault | None:
        """Note a request, and find what is to happen to it."""
        with self._turn:
            self.requests.append((method, path))
            for fault in self.faults:
                has_words = fault.words in path or fault.words in name
                if method == fault.method and has_words and (not fault.without or fault.without not in headers):
                    number = self._seen[fault] = self._seen.get(fault, 0) + 1
                    if fault.after < number <= fault.after + fault.times:
                        return fault
        return None


class _HTTPServer(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: broken connections are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    relay: Relay
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        # the objects that go to Google's storage are named in their requests' bodies
        early = b"" if "uploadType=multipart" not in self.path else self._body(slowly=False)
        found = _NAME.search(early[:_HEAD])
        name = found[1].decode() if found else ""
        fault = self.relay.fault(self.command, self.path, name, self.headers)
        body = early or self._body(slowly=fault is not None and fault.how == "slow")
        if fault and fault.how == "silent":
            self.relay.over.wait()
            self.close_connection = True
            return
        if fault and fault.how == "answer":
            self._answer(fault.status, list(fault.headers), fault.body)
            return
        if fault and fault.how == "eat":
            told = json.dumps({"name": name, "size": "1", "generation": "1"}).encode() if name else b""
            status = 201 if "x-ms-version" in self.headers else 200
            self._answer(status, [("ETag", '"0x8D4BCC2E4835CD0"')], told)
            return
        if fault and fault.how == "drop":
            self._reset()
            return
        if fault and fault.how == "late":
            self.relay.over.wait(fault.seconds)
        status, headers, content = self._pass_on(body, fault)
        if fault and fault.how == "lose":
            self._reset()
        elif fault and fault.how == "cut":
            self._answer(status, headers, content, sent=len(content) // 2)
            self._reset()
        elif fault and fault.how == "short":
            self._answer(status, headers, content, sent=len(content) // 2)
            self.close_connection = True
        else:
            self._answer(status, headers, content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    def _pass_on(self, body: bytes, fault: Fault | None) -> tuple[int, list[tuple[str, str]], bytes]:
        how = fault.how if fault else None
        if how == "cache" and self.path in self.relay.cached:
            return self.relay.cached[self.path]
        answer = self._ask(body[: len(body) // 2] if how == "halve" else body, unconditional=how == "unconditional")
        if how == "cache" and ("cache-control", "no-store") not in [(name.lower(), value) for name, value in answer[1]]:
            self.relay.cached[self.path] = answer
        return answer

    def _body(self, *, slowly: bool) -> bytes:
        length = int(self.headers.get("Content-Length", 0))
        if not slowly:
            return self.rfile.read(length)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        parts = []
        while length:
            self.relay.over.wait(0.05)
            parts.append(self.rfile.read(min(length, 100_000)))
            length -= len(parts[-1])
        return b"".join(parts)

    def _ask(self, body: bytes, *, unconditional: bool = False) -> tuple[int, list[tuple[str, str]], bytes]:
        with contextlib.closing(http.client.HTTPConnection(self.relay.upstream)) as connection:
            left_out = {"connection", "if-none-match"} if unconditional else {"connection"}
            forwarded = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
            path = self.path.replace("ifGenerationMatch=0", "") if unconditional else self.path
            connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            if "Content-Length" in forwarded:
                forwarded["Content-Length"] = str(len(body))
            for name, value in (forwarded | {"Connection": "close"}).items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, sent: int | None = None) -> None:
        self.send_response_only(status)
        length = str(len(content))
        for name, value in headers:
            if name.lower() == "content-length":
                length = value  # of what a HEAD is about
            elif name.lower() not in {"connection", "transfer-encoding", "keep-alive"}:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content[:sent])

    def _reset(self) -> None:
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name in the base class)
        """Say nothing: `requests` is the record."""
