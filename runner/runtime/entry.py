"""The flow's process, as the supervisor starts it: its streams and signals, the run, and how it leaves."""

from __future__ import annotations

import atexit
import faulthandler
import os
import signal
import sys
import threading
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

_FINISHED = {"zipfile": "ZipFile", "shelve": "Shelf"}  # they write more when Python's own end deletes them
_WRITTEN, _KIND, _REGULAR = 0o200, 0o170000, 0o100000  # modes of files: of a descriptor's link, and as in ``stat``


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
        _forget_exit_functions()
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
        _finish_as_python_does(spec.trace)
    finally:
        for printed in (sys.stdout, sys.stderr):
            with suppress(Exception):  # closed, or nobody reads any more
                printed.flush()
        os._exit(1)  # native code that never returns, in a thread, must not hold the process


def _forget_exit_functions() -> None:
    """Leave what was registered before the fork to the process that did; ``multiprocessing`` does the same."""
    atexit._clear()  # noqa: SLF001 - as that does
    if logging := sys.modules.get("logging"):
        atexit.register(logging.shutdown)  # which it does for itself where it is imported later


def _finish_as_python_does(trace: int) -> None:
    """Wait for the threads that the flow left, call what it registered with ``atexit``, and close its files.

    The interpreter's own end would destroy all objects, too: that takes long, and it aborts the process where a thread
    is still inside obstore. What is raised here is printed, and changes nothing about how the run ended.
    """
    left = [each.name for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
    if left:
        from runner import logs

        logs.logger("run").info("the flow is over, and waited for are the threads that it left: %s", ", ".join(left))
    join_threads = threading._shutdown  # type: ignore[attr-defined] # noqa: SLF001 - what Python's own end calls
    call_exit_functions = atexit._run_exitfuncs  # noqa: SLF001 - as above
    for finish in (join_threads, call_exit_functions, lambda: _close_files(trace)):
        try:
            finish()
        except BaseException:  # noqa: BLE001 - also what a flow's handler of signals raises
            sys.excepthook(*sys.exc_info())


def _close_files(trace: int) -> None:
    """Close the flow's files that are open for writing, so that what they still hold is written.

    All objects are looked through only where the kernel knows of such a file, or shelves may be open, which need none.
    """
    written = {int(name) for name in os.listdir("/proc/self/fd") if _is_written_file(name)} - {trace}  # noqa: PTH208 - as below
    if not written and "shelve" not in sys.modules:
        return
    import gc
    import io

    def depth(file: io.IOBase) -> int:
        """Return how far within others a file may lie: closed before them, it would lose what they still hold."""
        return next(number for number, kind in enumerate(kinds) if isinstance(file, kind))

    kinds = (io.RawIOBase, io.BufferedWriter | io.BufferedRandom, io.BufferedIOBase, io.IOBase)
    objects = gc.get_objects()
    finished = {getattr(sys.modules[home], name) for home, name in _FINISHED.items() if home in sys.modules}
    for each in objects:
        if finished.intersection(type(each).__mro__):
            with suppress(Exception):  # it is closed
                each.close()
    files: list[io.IOBase] = [each for each in objects if io.IOBase.__base__ in type(each).__mro__]
    for file in sorted(files, key=depth, reverse=True):
        with suppress(Exception):  # it is closed, or has no descriptor
            if file.fileno() in written:
                file.close()


def _is_written_file(descriptor: str) -> bool:
    path = f"/proc/self/fd/{descriptor}"  # pathlib, fcntl and stat cost the end of each run
    try:
        return bool(os.lstat(path).st_mode & _WRITTEN) and os.stat(path).st_mode & _KIND == _REGULAR  # noqa: PTH116
    except OSError:  # that of the listing itself
        return False
