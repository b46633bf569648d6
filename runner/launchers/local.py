"""``Local``: a process of this interpreter on this machine, which goes on when whoever launched it ends.

A small keeper waits for it, and writes down how it ended: whoever asks later is no parent of it.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from runner.environ import process_environ
from runner.errors import EnvironmentWrong, WriteFailed
from runner.launchers.base import LOG_LINES, Launcher, Order, Sighting
from runner.launchers.shell import shell_word
from runner.process import die_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PID, _EXIT, _LOG = "pid", "exit", "log"
_BEGIN_SECONDS = 10.0  # in which the keeper has claimed the name
_LOOK_SECONDS = 0.05


class Local(Launcher):
    """Run flows as processes of this interpreter on this machine.

    A secret's reference is the path of a file. What a flow writes lies in a folder of the temporary one besides, into
    which this user alone may look, until somebody looks after the run. Resources are no limits: none is set.

    Args:
        folder: another folder for that.

    Example:
        >>> from runner.launchers import Local
        >>> Local().kind
        'local'
    """

    kind = "local"

    def __init__(self, *, folder: str | None = None) -> None:
        super().__init__(folder=folder)
        self._folder = Path(folder) if folder else Path(gettempdir(), f"runner-launches-{os.getuid()}")

    @property
    def needs_image(self) -> bool:
        """See `Launcher.needs_image`."""
        return False

    def check(self) -> str:
        """See `Launcher.check`."""
        self._provide_folder()
        return f"what is launched writes to {self._folder}"

    def render(self, order: Order) -> str:
        """See `Launcher.render`; the command line of a shell."""
        given = {name: shell_word(text) for name, text in order.environ_with_files.items()}
        given |= {name: f'"${name}"' for name in order.plain}
        variables = [f"{name}={text}" for name, text in sorted(given.items())]
        return " \\\n  ".join(["env", *variables, shlex.join([sys.executable, "-m", "runner", *order.command])]) + "\n"

    def launch(self, order: Order) -> dict[str, str]:
        """See `Launcher.launch`."""
        folder = self._folder / order.name
        self._provide_folder()
        keeper = None
        with _refusals(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            if not (folder / _PID).exists():
                if order.resources:
                    self.tell(f"local limits nothing: {', '.join(order.resources)} are not held to; docker does")
                keeper = _start_keeper(folder, order)
        until = time.monotonic() + _BEGIN_SECONDS
        while not (pid := _read(folder / _PID)):
            code = keeper.poll() if keeper else None
            if time.monotonic() > until or code is not None:
                message, hint = f"no process could be started in {folder}", "Look whether this machine has room for it."
                raise (WriteFailed if code == WriteFailed.code else EnvironmentWrong)(message, hint=hint)
            time.sleep(_LOOK_SECONDS)
        return {"pid": pid.split()[0], "folder": str(folder)}

    def _provide_folder(self) -> None:
        """Make the folder of all launches. Raises EnvironmentWrong where it is not this user's alone."""
        with _refusals(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self._folder.lstat()
        mode = found.st_mode
        if found.st_uid != os.getuid() or not stat.S_ISDIR(mode) or mode & (stat.S_IWGRP | stat.S_IWOTH):
            message = f"{self._folder} is another user's, a link, or others may write to it"
            raise EnvironmentWrong(message, hint="Remove it, or name a folder of your own: -O folder=PATH.")

    def describe(self, name: str) -> Sighting:
        """See `Launcher.describe`."""
        folder = self._folder / name
        pid = _read(folder / _PID)
        if not pid:
            return Sighting("absent")
        is_alive = _is_alive(pid)  # before the look at how it ended, which is written while it lives
        if status := _read(folder / _EXIT):
            code = os.waitstatus_to_exitcode(int(status))
            return (
                Sighting("ended", exit_code=code)
                if code >= 0
                else Sighting("ended", "Killed", f"signal {-code}", 128 - code)
            )
        if is_alive:
            return Sighting("running")
        return Sighting("ended", "Killed", "the process that kept it was killed")

    def stop(self, name: str, grace: float) -> None:
        """See `Launcher.stop`; it returns when the process is gone."""
        pid = _read(self._folder / name / _PID)
        if not pid or not _is_alive(pid):
            return
        keeper, until = int(pid.split()[0]), time.monotonic() + grace
        with suppress(ProcessLookupError):
            os.kill(keeper, signal.SIGTERM)
        while _is_alive(pid) and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(keeper, signal.SIGKILL)
        while _is_alive(pid):
            time.sleep(_LOOK_SECONDS)

    def remove(self, name: str) -> None:
        """See `Launcher.remove`."""
        shutil.rmtree(self._folder / name, ignore_errors=True)

    def logs(self, name: str, lines: int = LOG_LINES) -> list[str]:
        """See `Launcher.logs`."""
        with suppress(OSError):
            return (self._folder / name / _LOG).read_text("utf-8", errors="replace").splitlines()[-lines:]
        return []


@contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    """Raise what a refusal of the machine means: WriteFailed where there is no room now, else EnvironmentWrong."""
    try:
        yield
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror}"
        hint = "Make room, or name another one: -O folder=PATH."
        has_no_room = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.ENOMEM}
        raise (WriteFailed if has_no_room else EnvironmentWrong)(message, hint=hint) from error


def _start_keeper(folder: Path, order: Order) -> subprocess.Popen[bytes]:
    """Start the keeper; of two, one claims the name, and the other one ends.

    The flow's variables, of which one may be a secret, come to it by a pipe, and lie in no file.
    """
    program = ["-m", "runner", *order.command]
    keeper = subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-m", "runner.launchers.local", str(folder), *program],
        env={name: text for name, text in process_environ().items() if not name.startswith("RUNNER_")},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert keeper.stdin is not None  # noqa: S101 - it is a pipe
    with suppress(BrokenPipeError), keeper.stdin as given:
        given.write(json.dumps(order.environ_with_files).encode())
    return keeper


def _keep(folder: Path, program: list[str], environ: Mapping[str, str]) -> None:
    """Claim the name, run the flow, and write down how that ended."""
    given = {**environ, **json.load(sys.stdin.buffer)}  # no JSON, of a launcher that is gone, claims nothing
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    keeper = os.getpid()
    own = folder / f"{_PID}.{keeper}"
    try:
        own.write_text(f"{keeper} {_started(keeper)}")
        (folder / _PID).hardlink_to(own)  # with all that it says, or not at all
    except FileExistsError:
        return
    except OSError:
        sys.exit(WriteFailed.code)
    finally:
        own.unlink(missing_ok=True)

    def begin() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        die_with(keeper, signal.SIGTERM)

    with (folder / _LOG).open("ab") as log:
        flow = subprocess.Popen(  # noqa: S603 - this interpreter
            [sys.executable, *program],
            env=given,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=begin,  # noqa: PLW1509 - there are no threads
        )
    signal.signal(signal.SIGTERM, lambda number, _frame: flow.send_signal(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    _, status = os.waitpid(flow.pid, 0)
    written = folder / f"{_EXIT}.new"
    written.write_text(str(status))
    written.rename(folder / _EXIT)


def _read(path: Path) -> str:
    with suppress(FileNotFoundError):
        return path.read_text()
    return ""


def _is_alive(pid: str) -> bool:
    """Return whether the keeper lives: its number may be another process's by now, but not with the same start."""
    number, _, started = pid.partition(" ")
    return _started(int(number)) == started != ""


def _started(pid: int) -> str:
    """Return when a process began, in ticks since the machine did; empty if it is gone, or a zombie."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    return ""


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), sys.argv[2:], process_environ())
