"""A reverse proxy between runner and a storage's emulator, which breaks what it is told to break, and counts it.

It answers on a port of its own, one for each run, so that all its requests are of that run; the `Host` header stays as
it was, so that the addresses of GCS's uploads lead back through it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

from harness.faults.asked import Asked, Reader
from support.servers import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["reset", "stall", "truncate", "500", "503", "429", "lost: 503", "lost: reset"]  # at random
Special = Literal["400", "403", "410", "eaten", "hang", "unconditional"]  # in cases of their own
KINDS: tuple[Kind, ...] = ("reset", "stall", "truncate", "500", "503", "429", "lost: 503", "lost: reset")
REFUSED = "refuse"  # is done to connections, not to requests

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s; the close is then a reset
_CODES = {
    "500": "InternalError",
    "503": "SlowDown",
    "429": "TooManyRequests",
    "400": "RequestTimeout",
    "403": "InvalidAccessKeyId",
    "410": "Gone",
}
_AZURE_CODES = _CODES | {"503": "ServerBusy", "403": "AuthenticationFailed"}


@dataclass(frozen=True)
class Fault:
    """What happens to one request; `seconds` is how long a stall takes.

    eaten: answered with success, and the server is not reached · hang: no answer, ever · unconditional: passed on
    without what makes a create fail where there is something; an account's key of Azure signs that, a SAS does not.
    """

    kind: Kind | Special
    seconds: float = 1.0


@dataclass(frozen=True)
class Hook:
    """Calls a function at the first request that it matches, and answers that request no more if that gives True.

    before: the server has not seen it, and will not · after: the server has acted · late: the server sees it
    `seconds` after the call.
    """

    when: Literal["before", "after", "late"]
    matches: Callable[[Asked], bool]
    call: Callable[[], bool]
    seconds: float = 0.0


class Proxy:
    """Stands before a server, and is it as long as it is not told otherwise; all may be changed at any time.

    `sent` and `stored` are the keys of the objects that a whole write was begun of and acknowledged for, `counted` the
    faults by kind. Whoever holds `turn` knows that nothing is sent meanwhile.
    """

    def __init__(self, backend: str, url: str) -> None:
        self.reader = Reader(backend)
        self.upstream = urlsplit(url).netloc
        self.hooks: list[Hook] = []
        self.fault: Callable[[Asked], Fault | None] = lambda _asked: None
        self.refuses: Callable[[], bool] = lambda: False
        self.turn = threading.RLock()
        self.over = threading.Event()
        self.sent: set[str] = set()
        self.stored: set[str] = set()
        self.counted: Counter[str] = Counter()
        self.requests: list[str] = []

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"proxy": self})
        for attempt in range(5):
            # bound by number: only such a port stays ours while nobody listens
            with contextlib.suppress(OSError):
                self._httpd = _HTTPServer((HOST, free_port()), handler)
                break
            assert attempt < 4, "no port could be had"
        self._httpd.proxy = self
        self.url = f"http://{HOST}:{self._httpd.server_address[1]}"
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()

    def go_down(self) -> None:
        """Refuse every connection, as a machine does where nobody listens; those that are open stay."""
        with contextlib.suppress(OSError):
            self._httpd.socket.shutdown(socket.SHUT_RDWR)

    def come_up(self) -> None:
        """Listen again, unless all is over."""
        with contextlib.suppress(OSError):
            self._httpd.socket.listen(128)

    def forget(self) -> None:
        """Begin a new start's count of what was sent and stored."""
        with self.turn:
            self.sent.clear()
            self.stored.clear()
            self.hooks = []

    def count(self, kind: str) -> None:
        with self.turn:
            self.counted[kind] += 1

    def taken(self, asked: Asked) -> Hook | None:
        """Note a request, and find the hook that it meets, which then is used up."""
        with self.turn:
            self.requests.append(f"{time.time():.3f} {asked.verb} {asked.method} {asked.path}")
            for hook in self.hooks:
                if hook.matches(asked):
                    self.hooks.remove(hook)
                    return hook
        return None


class _HTTPServer(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False
    proxy: Proxy

    def verify_request(self, request: object, client_address: object) -> bool:
        del client_address
        if self.proxy.refuses():
            self.proxy.count(REFUSED)
            assert isinstance(request, socket.socket)
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            request.close()
            return False
        return True

    def shutdown_request(self, request: object) -> None:
        assert isinstance(request, socket.socket)
        with contextlib.suppress(OSError):  # it may be closed already, by a reset
            request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: broken connections are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # the client died in the middle of it
            self.close_connection = True
            return
        proxy = self.proxy
        asked = proxy.reader.read(self.command, self.path, {n.lower(): v for n, v in self.headers.items()}, body)
        hook = proxy.taken(asked)
        fault = proxy.fault(asked) if hook is None else None
        if fault and self._is_over(asked, fault):
            return
        if hook and hook.when != "after" and hook.call():
            if hook.when == "late":
                time.sleep(hook.seconds)
                self._ask(asked, body)
            self._reset()
            return
        unconditional = fault is not None and fault.kind == "unconditional"
        status, headers, content = self._ask(asked, body, unconditional=unconditional)
        if (hook and hook.when == "after" and hook.call()) or (fault and fault.kind == "lost: reset"):
            self._reset()
        elif fault and fault.kind == "lost: 503":
            self._refuse(asked, "503")
        else:
            self._answer(status, headers, content, cut=fault is not None and fault.kind == "truncate")

    def _is_over(self, asked: Asked, fault: Fault) -> bool:
        """Do what is done before the server is asked, and return whether it need not be asked any more."""
        self.proxy.count(fault.kind)
        if fault.kind == "stall":
            time.sleep(fault.seconds)
        elif fault.kind in {"reset", "hang"}:
            if fault.kind == "hang":
                self.proxy.over.wait()
            self._reset()
        elif fault.kind == "eaten":
            self._answer(200, [("ETag", '"nothing"')], b"")
        elif fault.kind in _CODES:
            self._refuse(asked, fault.kind)
        return fault.kind in {"reset", "hang", "eaten", *_CODES}

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    def _ask(
        self, asked: Asked, body: bytes, *, unconditional: bool = False
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        with self.proxy.turn:
            if asked.verb == "write":
                self.proxy.sent.add(asked.key)
        with contextlib.closing(http.client.HTTPConnection(self.proxy.upstream, timeout=60)) as connection:
            left_out = {"connection", "if-none-match"} if unconditional else {"connection"}
            kept = {name: value for name, value in self.headers.items() if name.lower() not in left_out}
            path = self.path.replace("ifGenerationMatch=0", "") if unconditional else self.path
            connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            for name, value in (kept | {"Connection": "close"}).items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            headers, content = answer.getheaders(), answer.read()
        self.proxy.reader.answered(asked, answer.headers.get("Location"))
        with self.proxy.turn:
            if asked.verb == "write" and answer.status < http.client.MULTIPLE_CHOICES:
                self.proxy.stored.add(asked.key)
        return answer.status, headers, content

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, *, cut: bool = False) -> None:
        length = str(len(content))
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, '')}"]
        for name, value in headers:
            if name.lower() == "content-length":
                length = value  # of what a HEAD is about
            elif name.lower() not in {"connection", "transfer-encoding", "keep-alive"}:
                lines.append(f"{name}: {value}")
        head = "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode("latin-1")
        if not cut:
            self.wfile.write(head + content)
            return
        self.wfile.write(head + content[: len(content) // 2] if content else head[: len(head) // 2])
        self.close_connection = True

    def _refuse(self, asked: Asked, kind: str) -> None:
        """Answer in the words of the cloud."""
        status = 401 if (asked.backend, kind) == ("gcs", "403") else int(kind)
        if asked.backend == "gcs":
            error = {"code": status, "message": "an injected fault", "errors": [{"reason": "backendError"}]}
            form, body = "application/json", json.dumps({"error": error}).encode()
        else:
            code = (_AZURE_CODES if asked.backend == "azure" else _CODES)[kind]
            form, body = "application/xml", f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        self._answer(status, [("Content-Type", form)], b"" if self.command == "HEAD" else body)

    def _reset(self) -> None:
        with contextlib.suppress(OSError):  # the client may be gone
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Say nothing: `requests` is the record."""
