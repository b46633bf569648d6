"""A forward HTTP proxy that remembers what went through it, and that lets nothing leave the loopback."""

import contextlib
import http.client
import select
import socket
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from . import HOST, Server

_HOP_BY_HOP = {"connection", "keep-alive", "proxy-authorization", "proxy-connection", "transfer-encoding"}


@dataclass(frozen=True)
class Passed:
    """What a client asked of the proxy: `CONNECT` and `host:port`, or a method and a whole URL."""

    method: str
    target: str


class Proxy:
    """`CONNECT` and absolute-form requests; `requests` is the record.

    `routes` maps a host name (`bucket.s3.amazonaws.com`) to the loopback port that plays it.
    Every other host but the loopback's is answered with 502, for nothing may leave this machine.
    """

    def __init__(self, routes: dict[str, int] | None = None) -> None:
        self.routes = routes or {}
        self.requests: list[Passed] = []

    def __enter__(self) -> Self:
        """Start to serve."""
        self._httpd = _HTTPServer((HOST, 0), type("Handler", (_Handler,), {"proxy": self}))
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to serve."""
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self._httpd.server_address[1]}"

    @property
    def server(self) -> Server:
        """The variables that make clients use it."""
        names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        return Server(self.url, dict.fromkeys(names, self.url) | {"NO_PROXY": "", "no_proxy": ""})

    def connect(self, host: str, port: int) -> socket.socket | None:
        """A connection to whoever plays `host`; None where that isn't on the loopback, or doesn't listen."""
        if host in self.routes:
            port = self.routes[host]
        elif host not in (HOST, "localhost"):
            return None
        try:
            return socket.create_connection((HOST, port))
        except OSError:
            return None


class _HTTPServer(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def do_CONNECT(self) -> None:
        """Open a tunnel."""
        self.proxy.requests.append(Passed("CONNECT", self.path))
        host, _, port = self.path.rpartition(":")
        upstream = self.proxy.connect(host, int(port))
        self.close_connection = True
        if upstream is None:
            self.send_error(HTTPStatus.BAD_GATEWAY)
            return
        with upstream:
            self.send_response_only(HTTPStatus.OK, "Connection established")
            self.end_headers()
            _tunnel(self.connection, upstream)

    def _forward(self) -> None:
        self.proxy.requests.append(Passed(self.command, self.path))
        target = urlsplit(self.path)
        upstream = self.proxy.connect(target.hostname or "", target.port or 80)
        # The next request may be for somebody else; one connection each keeps this small.
        self.close_connection = True
        if upstream is None:
            self.send_error(HTTPStatus.BAD_GATEWAY)
            return
        body: bytes | None = None
        if "Content-Length" in self.headers:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        connection = http.client.HTTPConnection(HOST)
        connection.sock = upstream
        path = target._replace(scheme="", netloc="").geturl() or "/"
        forwarded = {
            name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP | {"expect"}
        }
        with contextlib.closing(connection):
            connection.request(self.command, path, body, forwarded | {"Connection": "close"})
            answer = connection.getresponse()
            content = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length or "0")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _forward  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name in the base class)
        """Say nothing: `requests` is the record."""


def _tunnel(client: socket.socket, upstream: socket.socket) -> None:
    """Carry bytes both ways until either side has nothing more to say."""
    other = {client: upstream, upstream: client}
    while True:
        readable, _, _ = select.select(list(other), [], [])
        for side in readable:
            data = side.recv(65536)
            if not data:
                return
            other[side].sendall(data)
