"""The parent: forks the process that runs the flow, passes signals on, keeps the time, and has the last word.

The child tells through a pipe what the parent must know when it is gone: ``run`` (where its documents lie),
``unpacked`` (a folder to remove), ``claim`` (the attempt that needs an end; None once it has one), ``facts`` (for that
end), ``began`` (the flow's first line is near) and ``last`` (exit code and reason). A child that dies without a last
word ended its own process, or was killed. Whatever it said: the end that stands in the storage decides the exit code.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO

from runner.errors import InternalError, RunnerError, WriteFailed
from runner.settings import Settings, with_files_read

if TYPE_CHECKING:
    from collections.abc import Mapping

# Windows has no SIGHUP; nothing is run there, but flows are built by a command line that imports this
ASKED = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))
_LONGEST_WAIT = 3600.0  # seconds; then the clock is looked at again


@dataclass(frozen=True)
class Finished:
    """How a start went: its exit code, and ``scheme``, ``container``, ``home`` and ``run_id`` of its run."""

    code: int
    run: dict[str, str] | None


def supervise(environ: Mapping[str, str], log_to: TextIO | None) -> Finished:
    """Run the flow that the environment names in a child process; both log to the stream, if there is one.

    The signals that ask to stop stay blocked: when this returns all is done, and the exit code is settled.
    """
    log_to = log_to or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - it is the log until the end
    environ = with_files_read(environ)
    reader, writer = os.pipe()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as some launchers leave it, a child's death is not told
    # one that is ignored stays so, as nohup has it, and a script for SIGINT of what it starts with &
    heeded = {number for number in ASKED if signal.getsignal(number) is not signal.SIG_IGN}
    signal.pthread_sigmask(signal.SIG_BLOCK, {*heeded, signal.SIGCHLD})
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_child(environ, writer, log_to, heeded)
    os.close(writer)
    status, asked, late = _wait(child, environ, heeded)
    told = _told(reader)
    os.close(reader)
    if folder := told.get("unpacked"):
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
    end = _spoken(told["last"], told) if "last" in told else _verdict(status, asked, late=late)
    code = _last_word(told, end, environ, log_to)
    _let_go(log_to)
    return Finished(code, told.get("run"))


def _be_child(environ: Mapping[str, str], writer: int, log_to: TextIO, heeded: set[signal.Signals]) -> None:
    """Run the flow and leave; never returns."""
    try:
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*heeded, signal.SIGCHLD})
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # what a flow prints is there, in order, however it ends
        pipe = os.fstat(writer)

        def tell(**fact: Any) -> None:
            with suppress(OSError):  # a flow may close what it did not open, or have another file of that number
                if os.path.samestat(os.fstat(writer), pipe):
                    os.write(writer, json.dumps(fact, ensure_ascii=False).encode(errors="surrogatepass") + b"\n")

        try:
            from runner.run import run

            last = run(environ, tell, log_to)
        except Exception as error:  # noqa: BLE001 - it cannot even be imported
            last = {"code": InternalError.code, "error": "InternalError", "message": f"a bug in runner: {error!r}"}
        tell(last=last)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # closed, or nobody reads any more
                stream.flush()
        os._exit(1)  # native code that never returns, in a thread, must not hold the process


def _wait(child: int, environ: Mapping[str, str], heeded: set[signal.Signals]) -> tuple[int, int | None, bool]:
    """Wait for the child; give its status, the signal that asked it to stop, and whether it took too long."""
    limit, grace = _limits(environ)
    deadline = None if limit is None else time.monotonic() + limit
    asked: int | None = None
    late = False
    while True:
        left = _LONGEST_WAIT if deadline is None else min(max(0.0, deadline - time.monotonic()), _LONGEST_WAIT)
        got = signal.sigtimedwait({*heeded, signal.SIGCHLD}, left)
        if got is not None and got.si_signo in heeded:
            os.kill(child, got.si_signo)
            if asked is None and not late:  # asking again gives it no more time
                deadline = time.monotonic() + grace
            asked = asked or got.si_signo
        elif got is None and deadline is not None and time.monotonic() >= deadline:
            stopping = late or asked is not None
            os.kill(child, signal.SIGKILL if stopping else signal.SIGTERM)
            late = late or not stopping
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
    with suppress(BlockingIOError):
        while chunk := os.read(reader, 65536):
            data += chunk
    facts: dict[str, Any] = {}
    for line in data.splitlines():
        with suppress(ValueError):  # half a line of a process that was killed, or what a flow wrote here
            fact = json.loads(line)
            facts |= fact if isinstance(fact, dict) else {}
    return facts


def _spoken(last: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Give the child's own last word, with the state in which that leaves an attempt that has no end yet."""
    if last["code"] == 0 and told.get("claim"):  # a flow garbled what was told, so the storage is asked
        return _word("crashed", InternalError.code, "InternalError", "it is not known how the run ended")
    crashed = "began" in told or last["code"] in {InternalError.code, WriteFailed.code}
    return {"state": "crashed" if crashed else "refused", **last}


def _verdict(status: int, asked: int | None, *, late: bool) -> dict[str, Any]:
    """Give state, exit code and reason of a child that died without a word."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    asked = asked or (number if number in ASKED else None)
    if late:
        return _word("timed_out", 124, "TimedOut", "the run took longer than RUNNER_TIMEOUT")
    if asked is not None:
        return _word("cancelled", 128 + asked, "Cancelled", f"the run was asked to stop by {_name(asked)}")
    if number is not None:
        likely = " (out of memory is the usual reason)" if number == signal.SIGKILL else ""
        return _word("crashed", 128 + number, "Crashed", f"the flow's process was ended by {_name(number)}{likely}")
    code = os.WEXITSTATUS(status)
    return _word("failed", 1, "FlowFailed", f"the flow ended its own process, with exit status {code}")


def _word(state: str, code: int, error: str, message: str) -> dict[str, Any]:
    return {"state": state, "code": code, "error": error, "message": message}


def _name(number: int) -> str:
    try:
        return f"signal {number}, {signal.Signals(number).name}"
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _last_word(told: dict[str, Any], end: dict[str, Any], environ: Mapping[str, str], log_to: TextIO) -> int:
    """End the attempt if the child left one without an end, log how it all ended, once, and give the exit code."""
    from runner import logs

    settings = Settings(environ=environ, log_format=environ.get("RUNNER_LOG_FORMAT"))
    with suppress(RunnerError):  # what is wrong with the environment is the child's last word
        settings = Settings.from_environ(environ, needs_location=False)
    logs.begin(log_to, settings.log_level, settings.log_format)
    log = logs.logger("run")
    run, claim, facts = (told.get(name) or {} for name in ("run", "claim", "facts"))
    if facts and "run_id" in run:
        logs.run_context(run_id=run["run_id"], flow=facts["flow"])
    if claim or told.get("attempt"):
        logs.run_context(attempt=claim.get("attempt") or told["attempt"])
    if claim:
        try:
            end = _settled(run, claim, facts, end, settings)
        except Exception as error:  # noqa: BLE001 - whatever it is, the last word must still be said
            log.warning("the attempt's end could not be written: %s", error)
    details = {name: end[name] for name in ("code", "error", "exception") if end.get(name) is not None}
    log.log(logs.ERROR if end["code"] else logs.INFO, "%s", end["message"], extra=details)
    return int(end["code"])


def _settled(
    run: dict[str, Any], claim: dict[str, Any], facts: dict[str, Any], end: dict[str, Any], settings: Settings
) -> dict[str, Any]:
    """Write the end of the attempt, or find the one that the child committed before it died, and give what stands."""
    from runner import claims
    from runner.credentials import resolve
    from runner.records import RunFolder
    from runner.storage import Location, open_storage

    location = Location(run["scheme"], run["container"], "")
    storage = open_storage(location, resolve(settings.secrets, settings.environ), settings.environ)
    held = claims.Claim(RunFolder(run["home"], run["run_id"]), claim["attempt"], claim["started"], claim["token"])
    error = {"type": end["error"], "message": end["message"]}
    document = {**facts, "state": end["state"], "exit_code": end["code"], "error": error, "tasks": []}
    stands = claims.settle_attempt(storage, held, document)
    if stands is None or stands["error"] == error:
        return end
    told = stands["error"] or {"type": None, "message": f"run {held.folder.run_id} {stands['state']}"}
    return _word(stands["state"], stands["exit_code"], told["type"], told["message"])


def _let_go(log_to: TextIO) -> None:
    """Give up what could not be written: a reader that went away must not change the exit code when Python flushes."""
    try:
        log_to.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), log_to.fileno())
