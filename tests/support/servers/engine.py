"""A Docker engine, with buildx: the one that runs already, or one that is started for the tests."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import ServerError

_LONGEST = 60  # seconds until a started engine must answer


class NoEngine(Exception):
    """There is no engine, and none can be started; the message says what to do."""


def answers() -> bool:
    """Whether an engine does."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def start_engine() -> Iterator[None]:
    """Make an engine answer while the block runs. Raises NoEngine and ServerError."""
    if answers():
        yield
    elif os.geteuid() == 0 and shutil.which("dockerd") and shutil.which("docker"):
        # it may leave a mount in its folder, and that is no fault
        with (
            tempfile.TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as folder,
            _started(Path(folder)),
        ):
            yield
    else:
        message = "no Docker engine answers; start one, or run make as root on Debian, which installs and starts it"
        raise NoEngine(message)


@contextlib.contextmanager
def _started(folder: Path) -> Iterator[None]:
    leash = ["setpriv", "--pdeathsig", "TERM", "--"]  # it goes with the test process, also when that is killed
    # with the usual files of an engine that was killed, whose numbers other processes have now, it would not start
    own = [f"--pidfile={folder}/docker.pid", f"--exec-root={folder}/exec"]
    log = folder / "dockerd.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*leash, "dockerd", *own], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        end = time.monotonic() + _LONGEST
        while not answers():
            if process.poll() is not None or time.monotonic() > end:
                message = f"dockerd did not come up; it logged:\n{log.read_text(errors='replace')[-4000:]}"
                raise ServerError(message)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        yield
    finally:
        process.terminate()
        process.wait(60)
