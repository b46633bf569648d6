"""The parent: starts the process that runs the flow, passes signals on, keeps the time, and has the last word.

What is not needed before that process is started is imported after it.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TextIO

from runner import process
from runner.errors import RunnerError
from runner.process import STOP_SIGNALS
from runner.runtime.channel import Channel, decode, encode
from runner.runtime.entry import ChildSpec, run_child
from runner.secrets.named import resolve
from runner.settings import Settings, with_files_read
from runner.supervisor import reaper
from runner.supervisor.backlog import LogBuffer
from runner.supervisor.child_report import ChildReport
from runner.supervisor.output import OutputReader, new_mark

if TYPE_CHECKING:
    from collections.abc import Mapping
    from resource import struct_rusage

    from runner.runs.layout import RunPlace
    from runner.runtime.messages import Message
    from runner.schema.documents import CancelRecord, Reuse
    from runner.schema.progress import HeartbeatNews
    from runner.supervisor.confirmation import Confirmation
    from runner.supervisor.exit_status import ExitStatus
    from runner.supervisor.heartbeat import Heartbeat
    from runner.supervisor.log_shipper import LogShipper
    from runner.supervisor.settle import Settlement
    from runner.supervisor.usage import UsageMeter

_LONGEST_WAIT_SECONDS = 3600.0  # then the clock is looked at again
_SAFE_POINT_SHARE = 0.8  # of the grace in which the flow may come to a safe point; the rest is for writing its end
_CHUNK = 64 * 1024  # bytes: what a pipe holds
_HEARD_SECONDS = 1.0  # at most, to hear what the flow's process has told before it is taken for not begun
_STUCK_SECONDS = 5.0  # after which a pipe that somebody else still holds open is given up
_UNREAD_SECONDS = 15.0  # without a byte after which nobody is waited for who should take the log


class SupervisedRun(NamedTuple):
    """How a start went: its exit code, and where its run lies, if it came to one."""

    code: int
    place: RunPlace | None


def supervise(environ: Mapping[str, str], log_to: TextIO | None, reuse: Reuse | None = None) -> SupervisedRun:
    """Run the flow that the environment names in a child process; both log to the stream, if there is one.

    ``reuse`` is as in `runner.runtime.run.run`. The signals that ask to stop stay blocked: when this returns all is
    done, and the exit code is settled.
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
    """Supervises one start.

    Args:
        environ: the environment, with the files of ``NAME_FILE`` read.
        log_to: the stream to log to.
    """

    def __init__(self, environ: Mapping[str, str], log_to: TextIO) -> None:
        self.environ, self.log_to = environ, log_to
        self.settings = Settings(environ=environ, log_format=environ.get("RUNNER_LOG_FORMAT"))
        with suppress(RunnerError):  # the child tells what is wrong, and leaves
            self.settings = Settings.from_environ(environ, needs_location=False)
        self.report = ChildReport()
        self.stop_signals = set[int]()
        self.buffer = LogBuffer()
        self.secret = os.urandom(32)  # by which an end of the flow's process is known from any other
        self.heartbeat: Heartbeat | None = None
        self.meter: UsageMeter | None = None
        self.shipper: LogShipper | None = None
        self.confirmation: Confirmation | None = None  # that what succeeded is stored
        self.stop_signal: int | None = None  # that asked to stop
        self.cancel: CancelRecord | None = None  # by whom the run was asked to end
        self.timed_out = False
        self.over: float | None = None  # when all must be over, as somebody asked to stop
        self.opened: list[int] = []
        self.hearing = threading.Lock()  # held while what the flow's process tells is taken in
        self.reaper = 0
        self.reaper_started = 0  # as the kernel counts
        self.failure: BaseException | None = None  # why the flow must not go on

    def run(self, reuse: Reuse | None) -> SupervisedRun:
        """See `supervise`."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as some launchers leave it, a death is not told
        # one that is ignored stays so, as nohup has it, and a script for SIGINT of what it starts with &
        self.stop_signals = {number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN}
        signal.pthread_sigmask(signal.SIG_BLOCK, {*self.stop_signals, *process.WAITED_SIGNALS})
        try:
            output, listener = self._start(reuse)
        except (OSError, RuntimeError) as error:  # no more processes, threads or files
            for descriptor in self.opened:  # to import what says so takes one as well
                with suppress(OSError):
                    os.close(descriptor)
            from runner.supervisor.exit_status import ExitStatus

            self._fail(error)
            return SupervisedRun(self._settle(ExitStatus(0), None), None)
        from runner import cgroup
        from runner.supervisor.exit_status import ExitStatus

        kills = cgroup.count_oom_kills()
        status, used = self._wait()
        if os.WIFSIGNALED(status):  # perhaps the reaper itself was killed, and then what it kept is here
            reaper.kill_children(self.reaper_started)
        listener.join(_STUCK_SECONDS)
        _finish(output)
        if folder := self.report.folder:
            import shutil

            shutil.rmtree(folder, ignore_errors=True)
        exit_status = ExitStatus(
            status, self.stop_signal, self.timed_out, self._read_trace(), list(output.tail), used, cancel=self.cancel
        )
        code = self._settle(exit_status, kills)
        _discard_unwritten(self.log_to)
        return SupervisedRun(code, self.report.place)

    def _pipe(self) -> tuple[int, int]:
        pipe = os.pipe()
        self.opened += pipe
        return pipe

    def _start(self, reuse: Reuse | None) -> tuple[OutputReader, threading.Thread]:
        """Start the flow's process, and the threads that take what it writes and tells."""
        self.messages, tells = self._pipe()
        hears, self.orders = self._pipe()
        out, writes_out = self._pipe()
        err, writes_err = self._pipe()
        self.trace = os.memfd_create("trace")
        ours, flows = (self.messages, self.orders, out, err), (tells, hears, writes_out, writes_err)
        supervisor, mark = os.getpid(), new_mark()
        gc.freeze()  # what is there stays, and none of the three processes looks at it again, which would copy it
        gc.enable()
        self.reaper = os.fork()
        if self.reaper == 0:

            def flow() -> NoReturn:
                for descriptor in ours:
                    os.close(descriptor)
                spec = ChildSpec(
                    self.environ, self.log_to, (writes_out, writes_err), self.trace, self.stop_signals, reuse
                )
                run_child(spec, Channel(tells, hears, os.getppid(), self.secret, mark.decode()))

            reaper.reap_descendants(supervisor, flow, tells, (*ours, *flows))
        self.opened = []  # from now on others use them
        process.adopt_orphans()
        self.reaper_started = reaper.start_ticks(self.reaper)
        for descriptor in flows:
            os.close(descriptor)
        with suppress(RunnerError):  # it hides their values
            resolve(self.settings.secrets, self.environ)
        output = OutputReader({out: (1, "stdout"), err: (2, "stderr")}, self.buffer, mark)
        listener = threading.Thread(target=self._read_messages, args=(self.messages,), name="messages", daemon=True)
        output.start()
        listener.start()
        return output, listener

    # While it runs

    def _read_messages(self, messages: int) -> None:
        """Read what the flow's process tells, until it is gone."""
        rest = b""
        while _is_readable(messages, None):
            with self.hearing:
                data = os.read(messages, _CHUNK)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if (message := decode(line)) is not None:
                        try:
                            self._on_message(message)
                        except Exception as error:  # noqa: BLE001 - a flow without a heartbeat must not go on
                            self._fail(error)
            if not data:
                return

    def _hear(self) -> None:
        """Wait until it is taken in what the flow's process has told: perhaps that it has begun."""
        until = time.monotonic() + _HEARD_SECONDS
        while not self.report.has_begun and time.monotonic() < until:
            if self.hearing.acquire(timeout=_HEARD_SECONDS):
                is_left = _is_readable(self.messages, 0)
                self.hearing.release()
                if not is_left:
                    return
            time.sleep(0.001)

    def _on_message(self, message: Message) -> None:
        self.report.take(message)
        match message["kind"]:
            case "bundle verified":
                for name in message["secrets"]:  # those that RUNNER_SECRETS names are hidden already
                    with suppress(RunnerError):
                        resolve((name,), self.environ)
            case "claim held":
                self._watch_over_attempt()
            case "progress":
                self.report.progress = message["progress"]
            case "flow began" if self.heartbeat and self.shipper:
                self.heartbeat.on_started()
                self.shipper.on_started()
            case "attempt ended" | "claim withdrawn" if self.heartbeat and self.shipper:
                self.heartbeat.stop_beating()
                self.shipper.on_ended()
        if message["kind"] == "attempt ended" and message["verdict"] and message["verdict"].exit_code == 0:
            self.confirmation = self._settlement().confirm(self.shipper)

    def _watch_over_attempt(self) -> None:
        """Begin with heartbeats and with shipping the log."""
        from runner.supervisor.heartbeat import Heartbeat
        from runner.supervisor.log_shipper import LogShipper

        place, claim = self.report.place, self.report.claim
        if place and claim:
            settlement = self._settlement()
            self.heartbeat = Heartbeat(
                self.settings,
                claim,
                self._cancel,
                self._fail,
                self._read_news,
                settlement.open_store,
                settlement.open_log,
            )
            self.shipper = LogShipper(self.settings, place, claim.attempt, self.buffer, self._fail)

    def _read_news(self) -> HeartbeatNews:
        """Return what a heartbeat tells of the flow."""
        from runner.supervisor.usage import UsageMeter

        self.meter = self.meter or UsageMeter(self.reaper)
        news: HeartbeatNews = {"series": self.meter.read()}
        if self.report.progress:
            news["progress"] = self.report.progress
        return news

    def _fail(self, reason: BaseException) -> None:
        """Kill a flow that must not go on."""
        self.failure = self.failure or reason
        self._kill()

    def _cancel(self, cancel: CancelRecord) -> None:
        """Have the run stopped, as by SIGTERM, but for good: somebody asked for that."""
        self.cancel = cancel
        os.kill(os.getpid(), signal.SIGCHLD)  # `_wait` looks

    def _kill(self) -> None:
        if self.reaper:
            with suppress(ProcessLookupError):
                os.kill(self.reaper, signal.SIGTERM)

    def _wait(self) -> tuple[int, struct_rusage]:
        """Wait for the flow's process; return its status, and what it has used."""
        limit = self.settings.timeout
        deadline = None if limit is None else time.monotonic() + limit
        while True:
            left = _LONGEST_WAIT_SECONDS
            if deadline is not None:
                left = min(max(0.0, deadline - time.monotonic()), left)
            got = signal.sigtimedwait({*self.stop_signals, signal.SIGCHLD, signal.SIGUSR1}, left)
            if got is not None:
                deadline = self._on_signal(got.si_signo, deadline)
            if self.cancel and self.stop_signal is None:
                deadline = self._stop(deadline, signal.SIGTERM)
            elif got is None and deadline is not None and time.monotonic() >= deadline:
                deadline = self._on_deadline()
            # as the container's first process it is everybody's parent
            ended, status, usage = os.wait4(-1 if os.getpid() == 1 else self.reaper, os.WNOHANG)
            while ended not in {0, self.reaper}:
                ended, status, usage = os.wait4(-1, os.WNOHANG)
            if ended:
                return status, usage

    def _on_signal(self, number: int, deadline: float | None) -> float | None:
        """Pass a signal on; return the time when all must be over."""
        if number == signal.SIGUSR1:
            os.kill(self.reaper, signal.SIGUSR1)
        elif number in self.stop_signals and self.stop_signal is None:
            return self._stop(deadline, number)
        elif number in self.stop_signals:  # asked a second time
            self._kill()
        return deadline

    def _on_deadline(self) -> float | None:
        """Stop what took too long, or kill what was asked to stop and did not; return the next deadline."""
        if self.timed_out or self.stop_signal is not None:
            self._kill()
            return None
        return self._stop(None, None)

    def _stop(self, deadline: float | None, stop_signal: int | None) -> float | None:
        """Ask the flow to come to a safe point, or end it if it has not begun; return the time when it must be over."""
        is_stopping = self.timed_out
        if stop_signal is not None:
            self.over = time.monotonic() + self.settings.grace
        self.stop_signal, self.timed_out = stop_signal, self.timed_out or stop_signal is None
        self._hear()
        if not self.report.has_begun:
            self._kill()
            return None
        if is_stopping:  # asking again gives it no more time
            return deadline
        from runner.supervisor.exit_status import TIMED_OUT, cancelled

        verdict = TIMED_OUT if stop_signal is None else cancelled(stop_signal, self.cancel)
        with suppress(OSError):
            within = _SAFE_POINT_SHARE * self.settings.grace
            os.write(self.orders, encode({"kind": "stop", "verdict": verdict, "signal": stop_signal, "within": within}))
        return time.monotonic() + self.settings.grace

    # When it is over

    def _read_trace(self) -> str:
        with open(self.trace, "rb") as file:  # noqa: PTH123 - a descriptor
            file.seek(0)
            return file.read().decode(errors="backslashreplace")

    def _left(self) -> float | None:
        """Return the seconds that are left of the grace; None if nobody asked to stop yet."""
        if self.over is None and self.stop_signals & signal.sigpending():
            self.over = time.monotonic() + self.settings.grace
        return None if self.over is None else self.over - time.monotonic()

    def _settlement(self) -> Settlement:
        from runner.supervisor.settle import Settlement

        return Settlement(self.settings, self.environ, self.log_to, self.report, self.buffer, self.secret, self._left)

    def _settle(self, exit_status: ExitStatus, kills: int | None) -> int:
        """End the attempt if it was left without an end, log how it all ended, once, and return the exit code."""
        settlement = self._settlement()
        verdict = settlement.verdict(exit_status, kills, self.failure)
        if self.report.claim and verdict.usage is None:
            verdict = verdict._replace(usage=exit_status.usage(self.meter.series if self.meter else None))
        return settlement.conclude(verdict, self.failure, self.heartbeat, self.shipper, self.confirmation)


def _is_readable(descriptor: int, milliseconds: int | None) -> bool:
    """Wait for something to read, or the end; without a time for as long as it takes."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(milliseconds))


def _finish(output: OutputReader) -> None:
    """Wait until all that was written is passed on, as long as somebody takes it."""
    passed = -1
    while output.is_alive() and output.passed != passed:
        passed = output.passed
        output.join(_UNREAD_SECONDS)
    output.finish()


def _discard_unwritten(log_to: TextIO) -> None:
    """Discard what could not be written: a reader that went away must not change the exit code when Python flushes."""
    try:
        log_to.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), log_to.fileno())
