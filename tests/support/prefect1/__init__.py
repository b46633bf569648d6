"""Real Prefect 1 flows, written by Prefect itself: what the runner must be able to run.

Prefect 1 can't share an environment with today's libraries for long, so it gets a virtual environment of its own, with
the runner in it, as in the image of a team that still runs Prefect 1. Its python runs `store.py` and `store_raw.py`.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import IO

__all__ = ["STORE", "STORE_RAW", "prefect_python"]

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
STORE = HERE / "store.py"
STORE_RAW = HERE / "store_raw.py"


def prefect_python(project_root: Path, cache: Path) -> Path:
    """Return the python of an environment with Prefect 1.4.1 and this project, making it once (about 30 s, 200 MB).

    A marker, written last, tells a finished environment from one whose making was interrupted. A file lock keeps two
    test processes from making the same one; pip holds it too, so that a pip whose parent was killed is waited for.

    Raises `RuntimeError` with pip's output if pip fails.
    """
    project_root = project_root.resolve()
    cache = cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"prefect1-{_digest(project_root)}"
    python, done = home / "bin" / "python", home / "done"
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(home, ignore_errors=True)
            venv.create(home, with_pip=True, symlinks=True)
            _pip_install(python, lock, "--requirement", str(REQUIREMENTS))
            if (project_root / "pyproject.toml").exists():
                _pip_install(python, lock, "--no-deps", "--editable", str(project_root))
            done.touch()
    return python


def _digest(project_root: Path) -> str:
    """Hash all that an environment depends on: the pins, the project's place (it is editable), the interpreter."""
    parts = [
        REQUIREMENTS.read_bytes(),
        str(project_root).encode(),
        f"{sys.base_prefix} {sys.version}".encode(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _pip_install(python: Path, lock: IO[str], *arguments: str) -> None:
    """Install into the environment of `python`, isolated (-I) from PYTHONPATH and from the working directory."""
    command = [str(python), "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *arguments]
    pip = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        pass_fds=[lock.fileno()],
    )
    if pip.returncode != 0:
        msg = f"{' '.join(command)} ended with {pip.returncode}:\n{pip.stdout}"
        raise RuntimeError(msg)
