"""The parent: starts the process that runs the flow, passes signals on, keeps the time, and has the last word.

What that process must leave behind when it is gone it tells through a pipe: ``run`` (where its documents lie),
``unpacked`` (a folder to remove), ``secrets`` (names of what must not be shown), ``claim`` (the attempt that needs an
end; None once it has one), ``held`` (the claim was made), ``facts`` (for that end), ``asked`` (what a signature of it
is bound to), ``token`` (of the end that it is about to store), ``began`` (the flow's first line is near), ``kept`` (an
end that could not be stored was kept elsewhere) and ``last`` (exit code and reason). A process that dies without a last
word ended itself, or was killed. Whatever it said: the end that stands in the storage decides the exit code.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from runner import process
from runner.errors import InternalError, RunHeld, RunnerError, WriteFailed
from runner.process import STOP_SIGNALS
from runner.runtime.channel import Channel
from runner.runtime.entry import ChildSpec, run_child
from runner.secrets.named import resolve
from runner.settings import Settings, with_files_read
from runner.supervisor import reaper
from runner.supervisor.backlog import LogBuffer, log_entry
from runner.supervisor.exit_status import ExitStatus, stop_reason, verdict
from runner.supervisor.log_tee import LogTee
from runner.supervisor.output import OutputReader
from runner.supervisor.settle import discard_output, end_fields, verdict_of_child

if TYPE_CHECKING:
    from collections.abc import Mapping
    from logging import Logger

    from runner.signing.run_signatures import RunSigner
    from runner.supervisor.heartbeat import Heart

_LONGEST_WAIT = 3600.0  # seconds; then the clock is looked at again
_SAFELY = 0.8  # of the grace in which the flow may come to a safe point; the rest is for writing its end
_STUCK = 5.0  # seconds after which a pipe that somebody else still holds open is given up
_UNREAD = 15.0  # seconds without a byte after which nobody is waited for who should take the log


@dataclass(frozen=True)
class SupervisedRun:
    """How a start went: its exit code, and ``scheme``, ``container``, ``home`` and ``run_id`` of its run."""

    code: int
    run: dict[str, str] | None


def supervise(environ: Mapping[str, str], log_to: TextIO | None, reuse: dict[str, Any] | None = None) -> SupervisedRun:
    """Run the flow that the environment names in a child process; both log to the stream, if there is one.

    ``reuse`` is as in `run`. The signals that ask to stop stay blocked: when this returns all is done, and
    the exit code is settled.
    """
    environ = with_files_read(environ)
    _open_standard_streams()
    log_to = log_to or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - it is the log until the end
    if log_to.isatty():  # what the flow's process logs to is a pipe
        environ.setdefault("RUNNER_LOG_FORMAT", "text")
    return Supervisor(environ, log_to).run(reuse)


def _open_standard_streams() -> None:
    """Open what was closed, so that no pipe gets its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - standard error
        pass
    os.close(descriptor)


class Supervisor:
    """One start, as the supervisor sees it."""

    def __init__(self, environ: Mapping[str, str], log_to: TextIO) -> None:
        """Take the environment and the stream to log to."""
        self.environ, self.log_to = environ, log_to
        self.settings = Settings(environ=environ, log_format=environ.get("RUNNER_LOG_FORMAT"))
        with suppress(RunnerError):  # the child tells what is wrong, and leaves
            self.settings = Settings.from_environ(environ, needs_location=False)
        self.told: dict[str, Any] = {}
        self.backlog = LogBuffer()
        self.heart: Heart | None = None
        self.asked: int | None = None
        self.late = False
        self.keeper = 0
        self.failed: BaseException | None = None  # why the flow must not go on
        self.born = 0  # when the keeper was started, as the kernel counts

    def run(self, reuse: dict[str, Any] | None) -> SupervisedRun:
        """See `supervise`."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as some launchers leave it, a death is not told
        # one that is ignored stays so, as nohup has it, and a script for SIGINT of what it starts with &
        self.heeded = {number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN}
        signal.pthread_sigmask(signal.SIG_BLOCK, {*self.heeded, *process.WAITED_SIGNALS})
        try:
            pump, hearing = self._begin(reuse)
        except (OSError, RuntimeError) as error:  # no more processes, or threads
            self._fail(error)
            return SupervisedRun(self._last_word(self._end(ExitStatus(0), None)), None)
        from runner import cgroup

        kills = cgroup.count_oom_kills()
        status, peak = self._wait()
        if os.WIFSIGNALED(status):  # perhaps the keeper itself was killed, and then what it kept is here
            reaper.kill_children(self.born)
        hearing.join(_STUCK)
        _finish(pump)
        if folder := self.told.get("unpacked"):
            import shutil

            shutil.rmtree(folder, ignore_errors=True)
        end = self._end(ExitStatus(status, self.asked, self.late, self._trace(), list(pump.tail), peak), kills)
        code = self._last_word(end)
        discard_output(self.log_to)
        return SupervisedRun(code, self.told.get("run"))

    def _begin(self, reuse: dict[str, Any] | None) -> tuple[OutputReader, threading.Thread]:
        """Start the flow's process, and the threads that take what it writes and tells."""
        facts, tells = os.pipe()
        hears, self.orders = os.pipe()
        out, writes_out = os.pipe()
        err, writes_err = os.pipe()
        self.trace = os.memfd_create("trace")
        ours, flows = (facts, self.orders, out, err), (tells, hears, writes_out, writes_err)
        supervisor = os.getpid()
        self.keeper = os.fork()
        if self.keeper == 0:

            def flow() -> NoReturn:
                for descriptor in ours:
                    os.close(descriptor)
                spec = ChildSpec(self.environ, self.log_to, (writes_out, writes_err), self.trace, self.heeded, reuse)
                run_child(spec, Channel(tells, hears, os.getppid()))

            reaper.reap_descendants(supervisor, flow, tells, (*ours, *flows))
        process.adopt_orphans()
        self.born = reaper.start_ticks(self.keeper)
        for descriptor in flows:
            os.close(descriptor)
        with suppress(RunnerError):  # it hides their values
            resolve(self.settings.secrets, self.environ)
        pump = OutputReader({out: (1, "stdout"), err: (2, "stderr")}, self.backlog)
        hearing = threading.Thread(target=self._hear, args=(facts,), name="facts", daemon=True)
        pump.start()
        hearing.start()
        return pump, hearing

    # While it runs

    def _hear(self, facts: int) -> None:
        """Take in what the flow's process tells, until it is gone."""
        with open(facts, "rb") as file:
            for line in file:
                try:
                    fact = json.loads(line)
                except ValueError:  # half a line of a process that was killed, or what a flow wrote here
                    continue
                if isinstance(fact, dict):
                    self.told |= fact
                    try:
                        self._heard(fact)
                    except Exception as error:  # noqa: BLE001 - a flow without a heart must not go on
                        self._fail(error)

    def _heard(self, fact: dict[str, Any]) -> None:
        for name in fact.get("secrets", ()):  # of the manifest; those that RUNNER_SECRETS names are hidden already
            with suppress(RunnerError):
                resolve((name,), self.environ)
        run, claim = self.told.get("run"), self.told.get("claim")
        if "held" in fact and run and claim:
            from runner.supervisor.heartbeat import Heart

            self.heart = Heart(self.settings, run, claim, self.backlog, self._fail, self._log)
        if "began" in fact and self.heart:
            self.heart.begun()
        if self.heart and fact.get("claim", self) is None:
            self.heart.stop()

    def _fail(self, reason: BaseException) -> None:
        """Kill a flow that must not go on."""
        self.failed = self.failed or reason
        self._kill()

    def _kill(self) -> None:
        if self.keeper:
            with suppress(ProcessLookupError):
                os.kill(self.keeper, signal.SIGTERM)

    def _wait(self) -> tuple[int, int | None]:
        """Wait for the flow's process; give its status, and the bytes of memory that it used at the most."""
        limit = self.settings.timeout
        deadline = None if limit is None else time.monotonic() + limit
        while True:
            left = _LONGEST_WAIT if deadline is None else min(max(0.0, deadline - time.monotonic()), _LONGEST_WAIT)
            got = signal.sigtimedwait({*self.heeded, signal.SIGCHLD, signal.SIGUSR1}, left)
            if got is not None and got.si_signo == signal.SIGUSR1:
                os.kill(self.keeper, signal.SIGUSR1)
            elif got is not None and got.si_signo in self.heeded:
                if self.asked is None:
                    deadline = self._stop(deadline, asked=got.si_signo)
                else:
                    self._kill()
            elif got is None and deadline is not None and time.monotonic() >= deadline:
                if self.late or self.asked is not None:
                    self._kill()
                    deadline = None
                else:
                    deadline = self._stop(None, asked=None)
            # as the container's first process it is everybody's parent
            ended, status, usage = os.wait4(-1 if os.getpid() == 1 else self.keeper, os.WNOHANG)
            while ended not in {0, self.keeper}:
                ended, status, usage = os.wait4(-1, os.WNOHANG)
            if ended:
                return status, usage.ru_maxrss * 1024 or None

    def _stop(self, deadline: float | None, asked: int | None) -> float | None:
        """Ask the flow to come to a safe point, or end it if it has not begun; give the time when it must be over."""
        stopping = self.late
        self.asked, self.late = asked, self.late or asked is None
        if "began" not in self.told:
            self._kill()
            return None
        if stopping:  # asking again gives it no more time
            return deadline
        if asked is None:
            order = verdict("timed_out", 124, "TimedOut", "the run took longer than RUNNER_TIMEOUT")
        else:
            order = verdict("cancelled", 128 + asked, "Cancelled", stop_reason(asked))
        with suppress(OSError):
            within = _SAFELY * self.settings.grace
            os.write(self.orders, json.dumps(order | {"signal": asked, "within": within}).encode())
        return time.monotonic() + self.settings.grace

    # When it is over

    def _trace(self) -> str:
        with open(self.trace, "rb") as file:  # noqa: PTH123 - a descriptor
            file.seek(0)
            return file.read().decode(errors="backslashreplace")

    def _end(self, death: ExitStatus, kills: int | None) -> dict[str, Any]:
        """Give the end that an attempt which has none gets: the child's own last word, or what its death means."""
        committed = "last" in self.told and not self.told.get("claim")
        if committed or ("last" in self.told and self.failed is None):
            return verdict_of_child(self.told["last"], self.told)
        from dataclasses import replace

        from runner import cgroup

        if self.failed:
            from runner.tracebacks import failure_message

            bug = InternalError(f"a bug in runner: {self.failed!r}", hint="Please report it.")
            known = self.failed if isinstance(self.failed, RunnerError) else cgroup.process_limit_error(self.failed)
            return verdict_of_child(failure_message(known or bug), self.told)
        return replace(death, memory=cgroup.describe_oom_kill(kills)).verdict()

    def _log(self) -> Logger:
        from runner import logs

        logs.configure(LogTee(self.log_to, self.backlog), self.settings.log_level, self.settings.log_format)
        return logs.logger("run")

    def _last_word(self, end: dict[str, Any]) -> int:
        """End the attempt if it was left without an end, log how it all ended, once, and give the exit code."""
        from runner import logs

        log = self._log()
        run, claim, facts = (self.told.get(name) or {} for name in ("run", "claim", "facts"))
        if facts and "run_id" in run:
            logs.run_context(run_id=run["run_id"], flow=facts["flow"])
        if attempt := claim.get("attempt") or self.told.get("attempt"):
            logs.run_context(attempt=attempt)
        is_ours = not isinstance(self.failed, RunHeld)
        if claim and is_ours:
            try:
                end = self._settled(facts, end)
            except BaseException as error:  # noqa: BLE001 - whatever it is, the last word must still be said
                log.warning("the attempt's end could not be written: %s", error)
                if isinstance(error, RunnerError):
                    end = self._unwritten(facts, end, error)
        if self.heart:
            self.heart.stop()  # only now: until its end is there, an attempt without a beat is taken for dead
        details = {name: end[name] for name in ("code", "error", "exception") if end.get(name) is not None}
        if trace := (end.get("death") or {}).get("trace"):
            details["exception"] = trace
        log.log(logs.ERROR if end["code"] else logs.INFO, "%s", end["message"], extra=details)
        if self.heart and is_ours:
            self.backlog.add(log_entry(f"the log of attempt {attempt} ends", last=True))
            if not self.heart.finish():
                logs.configure(self.log_to, self.settings.log_level, self.settings.log_format)
                log.warning("the end of the log could not be shipped to the storage")
        return int(end["code"])

    def _settled(self, facts: dict[str, Any], end: dict[str, Any]) -> dict[str, Any]:
        """Write the end of the attempt, or find the one that the child committed before it died; give what stands."""
        from runner.backends import open_storage
        from runner.location import Location
        from runner.runs import ends

        run = self.told["run"]
        held = ends.claim_of(run, self.told["claim"], self._seal())
        location = Location(run["scheme"], run["container"], "")
        storage = open_storage(location, resolve(self.settings.secrets, self.environ), self.environ)
        document = end_fields(facts, end)
        stands = ends.finish_dead_attempt(storage, held, document, self.told.get("token"))
        if stands is None or stands["error"] == document["error"]:
            return end
        error = stands["error"] or {"type": None, "message": f"run {held.folder.run_id} {stands['state']}"}
        return verdict(stands["state"], stands["exit_code"], error["type"], error["message"])

    def _seal(self) -> RunSigner | None:
        if (asked := self.told.get("asked")) is None:
            return None
        from runner.signing.run_signatures import RunSigner

        return RunSigner(asked, self.settings.signing_key, self.settings.trusted_keys)

    def _unwritten(self, facts: dict[str, Any], end: dict[str, Any], error: RunnerError) -> dict[str, Any]:
        """Keep an end that cannot be stored where it can be kept, and give the one that this start has then."""
        if isinstance(error, RunHeld):
            return verdict("lost", error.code, "RunHeld", error.message)
        if not self.told.get("kept"):
            from runner.runs import ends, unsaved_ends

            held = ends.claim_of(self.told["run"], self.told["claim"], self._seal())
            unsaved_ends.save(ends.end_document(held, end_fields(facts, end)), self.settings.temporary)
        if end["code"] == WriteFailed.code:
            return end
        message = f"{end['message']}; and the end of the run could not be written: {error}"
        return verdict(end["state"], WriteFailed.code, "WriteFailed", message)


def _finish(pump: OutputReader) -> None:
    """Wait until all that was written is passed on, as long as somebody takes it."""
    passed = -1
    while pump.is_alive() and pump.passed != passed:
        passed = pump.passed
        pump.join(_UNREAD)
    pump.finish()
