"""A client in a task asks a server in a thread: airflow #47873."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx

from runner import Flow, task

TIMEOUT, HEADERS = httpx.Timeout(5, connect=2), httpx.Headers({"X-Shop": "b"})


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/ok" else 404)
        self.end_headers()
        self.wfile.write(self.headers["X-Shop"].encode())


@task
def asked():
    with HTTPServer(("127.0.0.1", 0), Handler) as server, httpx.Client(timeout=TIMEOUT, headers=HEADERS) as client:
        Thread(target=server.serve_forever).start()
        answers = [client.get(f"http://127.0.0.1:{server.server_port}/{path}") for path in ("ok", "no")]
        server.shutdown()
        return [(answer.status_code, answer.text) for answer in answers], TIMEOUT


with Flow("client and server") as flow:
    asked()
