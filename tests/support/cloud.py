"""A stand-in for the internet as far as credentials need it: any host, over TLS through a proxy, or in the clear."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

import trustme

from support.servers import HOST
from support.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Answer = tuple[int, Any]


@dataclass(frozen=True)
class Request:
    """One request, its body a form or JSON; header names in lower case."""

    method: str
    host: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    form: dict[str, str] = field(default_factory=dict)


class Cloud:
    """Answers by the given function: a status, and JSON or bytes. `requests` is the record."""

    def __init__(self, answer: Callable[[Request], Answer], hosts: Sequence[str], folder: Path) -> None:
        self.answer, self.hosts, self.folder = answer, hosts, folder
        self.requests: list[Request] = []
        self.headers: dict[str, str] = {}  # of every answer

    def __enter__(self) -> Self:
        authority = trustme.CA()
        self.authority = self.folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*self.hosts).configure_cert(context)
        self._opened = contextlib.ExitStack()
        self.port = self._serve(None)
        secure = self._serve(context)
        proxy = self._opened.enter_context(Proxy(dict.fromkeys(self.hosts, secure)))
        self.environ = {
            "HTTPS_PROXY": proxy.url,
            "NO_PROXY": HOST,
            "SSL_CERT_FILE": str(self.authority),
            "REQUESTS_CA_BUNDLE": str(self.authority),
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def url(self) -> str:
        """Where it answers in the clear."""
        return f"http://{HOST}:{self.port}"

    def ask(self, cloud: str, environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Let the SDK and runner read an object in a process of that environment: whether each `opened` the storage."""
        del self.requests[:]
        measured = {name: value for name, value in os.environ.items() if name.startswith("COV")}
        script = Path(__file__).with_name("try_credentials.py")
        done = subprocess.run(
            [sys.executable, script, cloud],
            env={"PATH": "/usr/bin:/bin"} | measured | self.environ | dict(environ),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers: dict[str, dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
        return answers

    def of(self, who: str) -> Request:
        """The request of `sdk` or `runner` for its own object."""
        return next(request for request in self.requests if request.path.endswith(who))

    def _serve(self, context: ssl.SSLContext | None) -> int:
        server = ThreadingHTTPServer((HOST, 0), type("Handler", (_Handler,), {"cloud": self}))
        server.daemon_threads, server.block_on_close = True, False
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self._opened.callback(thread.join)
        self._opened.callback(server.server_close)
        self._opened.callback(server.shutdown)
        return server.server_port


class _Handler(BaseHTTPRequestHandler):
    cloud: Cloud
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode("utf-8", "replace")
        target = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        host = headers.get("host", "").partition(":")[0]
        request = Request(self.command, host, target.path, _first(parse_qs(target.query)), headers, _form(body))
        self.cloud.requests.append(request)
        status, answer = self.cloud.answer(request)
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        kind = "text/plain" if isinstance(answer, bytes) else "application/json"
        for name, value in ({"Content-Type": kind, "Content-Length": str(len(content))} | self.cloud.headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def _first(values: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: texts[0] for name, texts in values.items()}


def _form(body: str) -> dict[str, str]:
    if len(body) > 100_000:
        return {}  # a part of an object
    if not body.startswith("{"):
        return _first(parse_qs(body))
    with contextlib.suppress(ValueError):
        return {name: str(value) for name, value in json.loads(body).items()}
    return {}
