"""Real Prefect, and flows written by it: what the runner must be able to run.

No two of its major versions can share an environment, nor can they with the project's own, so each gets a virtual
environment, with the runner in it, as in the image of a team that uses it. Its python runs the scripts here.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["HERE", "STORE", "STORE_RAW", "TRY_FLOWS", "prefect_environ", "prefect_python"]

HERE = Path(__file__).resolve().parent
STORE = HERE / "store.py"
STORE_RAW = HERE / "store_raw.py"
TRY_FLOWS = HERE / "try_flows.py"
# Prefect 2 and 3 tell their makers that they are used; the server that they start takes its time on a busy machine.
PRIVATE = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "100",
}


def prefect_python(major: int, project_root: Path, cache: Path) -> Path:
    """Return the python of an environment with a Prefect and this project, making it once (10 to 60 s, 270 MB).

    A marker, written last, tells a finished environment from one whose making was interrupted. A file lock keeps two
    test processes from making the same one; uv holds it too, so that a uv whose parent was killed is waited for.

    Raises `RuntimeError` with the output of what fails.
    """
    project_root = project_root.resolve()
    cache = cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    requirements = HERE / f"requirements-{major}.txt"
    home = cache / f"prefect{major}-{_digest(requirements, project_root)}"
    python, done = home / "bin" / "python", home / "done"
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(home, ignore_errors=True)
            _uv(lock.fileno(), "venv", "--python", sys.executable, str(home))
            _uv(lock.fileno(), "pip", "install", "--python", str(python), "--requirement", str(requirements))
            if (project_root / "pyproject.toml").exists():
                editable = ["--no-deps", "--editable", str(project_root)]
                _uv(lock.fileno(), "pip", "install", "--python", str(python), *editable)
            if major > 1:
                upgrade = [str(python.with_name("prefect")), "server", "database", "upgrade", "--yes"]
                _run(lock.fileno(), upgrade, os.environ | PRIVATE | {"PREFECT_HOME": str(home / "prefect")})
            done.touch()
    return python


def prefect_environ(python: Path, folder: Path) -> dict[str, str]:
    """Return variables with which a Prefect of an environment keeps to itself, with an own database in a new folder.

    To make one takes Prefect up to a minute, so it is a copy.
    """
    shutil.copytree(python.parents[1] / "prefect", folder)
    return PRIVATE | {"PREFECT_HOME": str(folder)}


def _digest(requirements: Path, project_root: Path) -> str:
    """Hash all that an environment depends on: the pins, the project's place (it is editable), the interpreter."""
    parts = [
        requirements.read_bytes(),
        str(project_root).encode(),
        f"{sys.base_prefix} {sys.version}".encode(),
    ]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _uv(lock: int, *arguments: str) -> None:
    """Run uv, isolated (-I) from PYTHONPATH and from the working directory."""
    _run(lock, [sys.executable, "-I", "-m", "uv", "--no-config", "--no-progress", *arguments])


def _run(lock: int, command: list[str], environ: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        pass_fds=[lock],
    )
    if done.returncode != 0:
        msg = f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
        raise RuntimeError(msg)
