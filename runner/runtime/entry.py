"""The flow's process, as the supervisor starts it: its streams and signals, the run, and how it leaves."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, NamedTuple, NoReturn, TextIO

from runner import process
from runner.errors import InternalError
from runner.model.verdict import Verdict
from runner.process import STOP_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from runner.runtime.channel import Channel
    from runner.schema.documents import Reuse


class ChildSpec(NamedTuple):
    """What the flow's process is started with.

    Args:
        environ: the environment, with the files of ``NAME_FILE`` read.
        log_to: the stream to log to.
        streams: descriptors of the pipes that become standard output and standard error.
        trace: the descriptor of the file for the trace of a crash.
        stop_signals: those that ask to stop, and are not ignored here.
        reuse: as in `runner.runtime.run.run`.
    """

    environ: Mapping[str, str]
    log_to: TextIO
    streams: tuple[int, int]
    trace: int
    stop_signals: AbstractSet[int]
    reuse: Reuse | None


def run_child(spec: ChildSpec, channel: Channel) -> NoReturn:
    """Run the flow and leave; never returns."""
    try:
        for number, stream in enumerate(spec.streams, 1):
            os.dup2(stream, number)
            os.close(stream)
        faulthandler.enable(file=spec.trace)
        faulthandler.register(signal.SIGUSR1, file=2)
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL if number in spec.stop_signals else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*spec.stop_signals, *process.WAITED_SIGNALS})
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # what a flow prints is there, in order, however it ends
        try:
            from runner.runtime.run import run

            verdict = run(spec.environ, channel, spec.log_to, spec.reuse)
        except Exception as error:  # noqa: BLE001 - it cannot even be imported
            verdict = Verdict("crashed", InternalError.code, f"a bug in runner: {error!r}", "InternalError")
        channel.send({"kind": "finished", "verdict": verdict})
    finally:
        for printed in (sys.stdout, sys.stderr):
            with suppress(Exception):  # closed, or nobody reads any more
                printed.flush()
        os._exit(1)  # native code that never returns, in a thread, must not hold the process
