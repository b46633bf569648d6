"""Servers are started, and end with the test; nothing of them stays."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.servers import ServerError, free_port, request, spawn


def refuses(port: int, within: float) -> bool:
    """Whether nobody listens on `port` any more, or not so within as many seconds."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            continue  # met in the moment of its death
    return False


def test_a_server_that_ends_at_once_shows_its_log() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no license')"]
    with pytest.raises(ServerError, match="no license"), spawn(lambda _port, _folder: command):
        pass


def test_a_silent_server_is_given_up_and_stopped() -> None:
    started: list[Path] = []

    def command(_port: int, folder: Path) -> list[str]:
        started.append(folder)
        return [sys.executable, "-c", "import signal; print('deaf', flush=True); signal.pause()"]

    with pytest.raises(ServerError, match="gave no answer"), spawn(command, deadline=0.3):
        pass
    assert not started[0].exists()


def test_a_port_that_was_taken_in_between_is_replaced() -> None:
    ports: list[int] = []
    code = "raise OSError('Address already in use')"

    def command(port: int, _folder: Path) -> list[str]:
        ports.append(port)
        serve = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
        return serve if len(ports) > 1 else [sys.executable, "-c", code]

    with spawn(command) as url:
        assert url == f"http://127.0.0.1:{ports[1]}"


def test_free_ports_are_on_offer() -> None:
    assert 0 < free_port() < 2**16


def test_a_server_dies_with_a_killed_test_process(tmp_path: Path) -> None:
    code = (
        "import signal; from support.servers.gcs import start_gcs\n"
        "with start_gcs() as server: print(server.url, flush=True); signal.pause()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(tmp_path)},
    )
    assert process.stdout is not None
    with process.stdout:
        url = process.stdout.readline().decode().strip()
    assert request("GET", url)[0] == 200
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert refuses(int(url.rpartition(":")[2]), within=10)
