"""Real servers for the tests, on free loopback ports.

Each one is a context manager that yields when the server answers, and that stops it: also when the test process dies.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
_ATTEMPTS = 3
# Straight to the server, whatever proxy the environment names.
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Server:
    """A server that answers at `url`, and the variables with which clients find it."""

    url: str
    environ: dict[str, str]


class ServerError(Exception):
    """A server did not come up; the message ends with what it logged."""


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def request(method: str, url: str, body: bytes | None = None, timeout: float = 10) -> tuple[int, bytes]:
    """One HTTP request without an SDK and without a proxy: status and body, whatever the status."""
    headers = {"Content-Type": "application/json"}
    message = urllib.request.Request(url, body, headers, method=method)
    try:
        with _direct.open(message, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read()


@contextlib.contextmanager
def spawn(
    command: Callable[[int, Path], Sequence[str]], *, ready_path: str = "/", deadline: float = 30
) -> Iterator[str]:
    """Start `command(port, folder)`, wait until `ready_path` answers at all, yield its URL, stop it.

    `folder` is temporary and the server's alone; its output goes to `server.log` in it.
    Raises ServerError when it ends or stays silent for `deadline` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="server-", ignore_cleanup_errors=True) as folder:
        for attempt in range(1, _ATTEMPTS + 1):
            port = free_port()
            process, log = _start(command(port, Path(folder)), Path(folder))
            try:
                _await_answer(process, log, f"http://{HOST}:{port}{ready_path}", deadline)
            except BaseException as error:
                _stop(process)
                # Between `free_port` and the server's own bind, anybody may take the port.
                taken = "ddress already in use" in str(error) or "EADDRINUSE" in str(error)
                if not (isinstance(error, ServerError) and taken) or attempt == _ATTEMPTS:
                    raise
                continue
            try:
                yield f"http://{HOST}:{port}"
            finally:
                _stop(process)
            return


def _start(command: Sequence[str], folder: Path) -> tuple[subprocess.Popen[bytes], Path]:
    # The kernel kills it with the thread that started it, so that a killed test process leaves nothing behind.
    leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*leash, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    return process, log


def _await_answer(process: subprocess.Popen[bytes], log: Path, url: str, deadline: float) -> None:
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        try:
            request("GET", url, timeout=1)
        except OSError:
            # Waits for the process to end and, if it lives, is the pause between two questions.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
        else:
            if process.poll() is None:
                return
        if process.poll() is not None:
            raise ServerError(_report(process, log, f"ended with {process.returncode} before it answered"))
    raise ServerError(_report(process, log, f"gave no answer at {url} in {deadline:g} s"))


def _report(process: subprocess.Popen[bytes], log: Path, what: str) -> str:
    output = log.read_text(errors="replace")[-4000:]
    return f"{process.args!r} {what}; it logged:\n{output}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
