"""A private package index on loopback, with a password, over HTTP or with a certificate of a private authority."""

import base64
import contextlib
import functools
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from . import HOST


class _Index(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, laid out as PEP 503 says, to whoever knows the password."""

    password = ""

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(f"user:{self.password}".encode()).decode()
        if self.headers.get("Authorization") == wanted:
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Basic realm=index")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def start_index(folder: Path, password: str, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve ``folder``; yield host and port, for a URL such as ``http://user:password@HOST:PORT/simple``."""
    handler = type("Index", (_Index,), {"password": password})
    server = http.server.ThreadingHTTPServer((HOST, 0), functools.partial(handler, directory=str(folder)))
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
