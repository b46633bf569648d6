"""Podman's service, which speaks Docker's API on a socket of its own, with its own storage."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import ServerError
from .engine import NoEngine

_LONGEST = 60  # seconds until it must answer
_RUNTIME = Path(__file__).parents[2] / "images/runc_without_rlimits.sh"
_CAP_SYS_RESOURCE = 1 << 24


@contextlib.contextmanager
def start_podman(*images: str) -> Iterator[str]:
    """Yield the address of a service that has these images of the Docker engine. Raises NoEngine and ServerError."""
    if os.geteuid() != 0 or not shutil.which("podman"):
        message = "there is no podman, or no right to start it; run make as root on Debian, which does both"
        raise NoEngine(message)
    with tempfile.TemporaryDirectory(prefix="podman-", ignore_cleanup_errors=True) as folder:
        command = ["podman", f"--root={folder}/root", f"--runroot={folder}/run", f"--tmpdir={folder}/tmp"]
        command += ["--cgroup-manager=cgroupfs", "--events-backend=file", *_runtime()]
        try:
            with _started(command, Path(folder)) as address:
                copy_images(address, *images)
                yield address
        finally:
            subprocess.run([*command, "rm", "--all", "--force", "--time=0"], capture_output=True, check=False)
            subprocess.run(["umount", f"{folder}/root/overlay"], capture_output=True, check=False)


def _runtime() -> list[str]:
    bounding = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd"))
    may_set_limits = int(bounding.split()[1], 16) & _CAP_SYS_RESOURCE
    return [] if may_set_limits else [f"--runtime={_RUNTIME}"]


@contextlib.contextmanager
def _started(command: list[str], folder: Path) -> Iterator[str]:
    address = f"unix://{folder}/podman.sock"
    leash = ["setpriv", "--pdeathsig", "TERM", "--"]
    log = folder / "podman.log"
    with log.open("wb") as output:
        service = [*leash, *command, "system", "service", "--time=0", address]
        # what watches a container leaves files where it stands
        process = subprocess.Popen(service, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        end = time.monotonic() + _LONGEST
        while subprocess.run(["docker", f"--host={address}", "version"], capture_output=True, check=False).returncode:
            if process.poll() is not None or time.monotonic() > end:
                message = f"podman did not come up; it logged:\n{log.read_text(errors='replace')[-4000:]}"
                raise ServerError(message)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(60)


def copy_images(address: str | None, *images: str) -> None:
    """Copy images of the Docker engine to the service, unless it is that engine itself."""
    if address is None:
        return
    saved = subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE)
    loaded = subprocess.run(
        ["docker", f"--host={address}", "load"], stdin=saved.stdout, capture_output=True, text=True, check=False
    )
    if saved.wait() or loaded.returncode:
        message = f"the images could not be copied: {loaded.stderr}"
        raise ServerError(message)
