"""Moto's server, one request at a time: `python moto_layer.py PORT`.

Moto looks for a key and then stores it in two steps; two threads that both pass the first would both create it.
"""

import io
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple
from werkzeug.wsgi import get_input_stream

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_application = DomainDispatcherApplication(create_backend_app)
_turn = threading.Lock()


def _serve(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    # Read before the turn begins, lest one slow client stops all others.
    environ["wsgi.input"] = io.BytesIO(get_input_stream(environ).read())
    with _turn:
        return list(_application(environ, start_response))


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), _serve, threaded=True, request_handler=MotoRequestHandler)
