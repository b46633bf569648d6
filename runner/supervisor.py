"""The parent: forks the process that runs the flow, passes signals on, keeps the time, and ends what died.

The child tells through a pipe what the parent must know if it dies: ``unpacked`` (a folder to remove), ``claimed``
(which attempt needs an end), ``committed`` (the exit code that stands in the bucket), ``leaving`` (the code it is
about to exit with). A child that dies without a word ended its own process, or was killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from runner.errors import InternalError, RunnerError
from runner.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

ASKED = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Finished:
    """How a start went: its exit code, and ``scheme``, ``container``, ``home`` and ``run_id`` of its run."""

    code: int
    run: dict[str, str] | None


def supervise(environ: Mapping[str, str], log_to: TextIO) -> Finished:
    """Run the flow that the environment names in a child process; both log to the stream."""
    reader, writer = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, {*ASKED, signal.SIGCHLD})
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_child(environ, writer, log_to)
    os.close(writer)
    status, asked, late = _wait(child, environ)
    told = _told(reader)
    os.close(reader)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*ASKED, signal.SIGCHLD})
    if folder := told.get("unpacked"):
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
    if "committed" in told:
        return Finished(int(told["committed"]), told["run"])
    state, code, message = _verdict(status, asked, told.get("leaving"), late=late)
    if "leaving" not in told or ("claimed" in told and code == InternalError.code):
        _bury(told, environ, log_to, {"state": state, "exit_code": code, "error": {"type": state, "message": message}})
    return Finished(code, told.get("run"))


def _be_child(environ: Mapping[str, str], writer: int, log_to: TextIO) -> None:
    """Run the flow and leave; never returns."""
    code = 70
    try:
        for number in ASKED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*ASKED, signal.SIGCHLD})
        from runner.run import run

        def tell(**fact: Any) -> None:  # noqa: ANN401
            os.write(writer, json.dumps(fact).encode() + b"\n")

        code = run(environ, tell, log_to)
        tell(leaving=code)
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)  # native code that never returns, in a thread, must not hold the process


def _wait(child: int, environ: Mapping[str, str]) -> tuple[int, int | None, bool]:
    """Wait for the child; give its status, the signal that asked it to stop, and whether it took too long."""
    limit, grace = _limits(environ)
    deadline = None if limit is None else time.monotonic() + limit
    asked: int | None = None
    late = False
    while True:
        left = 3600.0 if deadline is None else max(0.0, deadline - time.monotonic())
        got = signal.sigtimedwait({*ASKED, signal.SIGCHLD}, left)
        if got is not None and got.si_signo in ASKED:
            os.kill(child, got.si_signo)
            asked = asked or got.si_signo
            deadline = deadline if late else time.monotonic() + grace
        elif got is None and deadline is not None and time.monotonic() >= deadline:
            stopping = late or asked is not None
            os.kill(child, signal.SIGKILL if stopping else signal.SIGTERM)
            late = late or asked is None
            deadline = None if stopping else time.monotonic() + grace
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status, asked, late


def _limits(environ: Mapping[str, str]) -> tuple[float | None, float]:
    try:
        settings = Settings.from_environ(environ, needs_location=False)
    except RunnerError:
        return None, Settings.grace  # the child tells what is wrong, and leaves
    return settings.timeout, settings.grace


def _told(reader: int) -> dict[str, Any]:
    """Read what the child told; a grandchild may still hold the pipe open, so nothing is waited for."""
    os.set_blocking(reader, False)
    data = b""
    while True:
        try:
            chunk = os.read(reader, 65536)
        except BlockingIOError:
            break
        if not chunk:
            break
        data += chunk
    facts: dict[str, Any] = {}
    for line in data.splitlines():
        facts |= json.loads(line)
    return facts


def _verdict(status: int, asked: int | None, leaving: int | None, *, late: bool) -> tuple[str, int, str]:
    """Give state, exit code and reason of an attempt that its child did not bring to an end."""
    if late:
        return "timed_out", 124, "the run took longer than RUNNER_TIMEOUT"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if asked is not None:
            return "cancelled", 128 + asked, f"asked to stop by {signal.Signals(asked).name}"
        return (
            "crashed",
            128 + number,
            f"the flow's process was ended by signal {number}, {signal.Signals(number).name}",
        )
    if leaving is None:
        return "failed", 1, f"the flow ended its own process with os._exit({os.WEXITSTATUS(status)})"
    return "crashed", leaving, "the run could not be brought to its end; the log says why"


def _bury(told: dict[str, Any], environ: Mapping[str, str], log_to: TextIO, end: dict[str, Any]) -> None:
    """Say why the child died, and write the end of its attempt if it held one."""
    from runner import claims, logs
    from runner.credentials import resolve
    from runner.records import RunFolder
    from runner.storage import Location, open_storage

    log = logs.logger("supervisor")
    try:
        settings = Settings.from_environ(environ, needs_location=False)
        logs.begin(log_to, settings.log_level, settings.log_format)
        run, claimed = told.get("run"), told.get("claimed")
        if run and claimed:
            logs.run_context(run_id=run["run_id"], flow=claimed["facts"]["flow"], attempt=claimed["attempt"])
        if "leaving" not in told:
            log.error("%s", end["error"]["message"], extra={"code": end["exit_code"]})
        if run and claimed:
            storage = open_storage(
                Location(run["scheme"], run["container"], ""), resolve(settings.secrets, environ), environ
            )
            claim = claims.Claim(RunFolder(run["home"], run["run_id"]), claimed["attempt"], claimed["started"])
            claims.end_attempt(storage, claim, {**claimed["facts"], **end, "tasks": []})
    except RunnerError as error:
        log.error("the attempt's end could not be written: %s", error)  # noqa: TRY400 - ours, no traceback
