"""Makes what `test_compatibility.py` reads: bundles, runs and results of the version that is checked out here.

No test runs this. What lies in ``v0.1`` was made by 0.1.0, and is never made again: it stands for what people have in
their buckets. For another version, name another folder, at a checkout of that version, as root of a Linux machine::

    unshare --uts sh -c 'hostname worker && .venv/bin/python tests/data/make.py 0.1.0 tests/data/v0.1'

so that the machine is called ``worker`` in all that is written. With Python 3.11: bundles are bound to it. Runner is
installed below ``/tmp/x``, and publishes the project from there: that is what stands in tracebacks and URLs.

======================= ================================================================================
``unsigned/etl``         a bundle of ``project/etl.py``, and its runs ``succeeded``, ``failed``, ``cut-off``
                         (killed at its gate: it has no end) and ``cancelled`` (stopped there by SIGTERM)
``signed/etl``           the same, all signed with ``keys/private.pem``, which was made for this alone
``unsigned/nightly``     a function, ``unsigned/like-prefect`` an object like a flow of Prefect 1
``unsigned/attributes``  a task that says ``runner`` and has attributes with the names of runner's modules
``unsigned/values``      a run whose results are objects of runner's classes; ``unsigned/endings``: errors of its engine
``raw``                  pickles that no runner wrote: ``flow``, ``by-name``, ``function``, and Prefect's ``envelope``
======================= ================================================================================
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HERE = Path(__file__).parent
WORK = Path("/tmp/x")
PYTHON = str(WORK / "venv" / "bin" / "python")
AT_THE_GATE = ["extract", "price/0", "price/1", "price/2", "stock", "names", "places"]


def main(version: str, target: Path) -> None:
    """Make everything in a folder with a short name, and move it to its place."""
    assert platform.node() == "worker", "the docstring says how to call it"
    assert sys.version_info[:2] == (3, 11), "bundles are bound to the version of Python that the tests expect"
    assert not target.exists(), f"{target} is never made again"
    shutil.rmtree(WORK, ignore_errors=True)
    shutil.copytree(HERE / "project", WORK / "project", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.check_call([sys.executable, "-m", "venv", str(WORK / "venv")])
    subprocess.check_call([PYTHON, "-m", "pip", "install", "--quiet", str(HERE.parents[1])])
    assert call({}, "version").split()[:2] == ["runner", version], call({}, "version")
    made = WORK / "made"
    made.joinpath("keys").mkdir(parents=True)
    key = made / "keys" / "private.pem"
    made.joinpath("keys", "public").write_text(call({}, "keygen", str(key)), "utf-8")
    key.chmod(0o644)

    make_etl(made / "unsigned", {})
    make_etl(made / "signed", {"RUNNER_SIGNING_KEY_FILE": str(key)})
    script("nightly.py", made / "unsigned")
    script("raw.py", made / "raw")
    call({}, "build", "attributes.py", "--storage", str(made / "unsigned"))
    for name, code in (("values", 0), ("endings", 1)):
        call({}, "build", f"values.py:{name}", "--storage", str(made / "unsigned"))
        run(made / "unsigned" / name, "made", {}, code)

    for path in made.rglob("*"):
        assert not path.is_file() or str(HERE.parents[1]).encode() not in path.read_bytes(), path
    shutil.copytree(made, target)
    shutil.rmtree(WORK)


def make_etl(root: Path, more: Mapping[str, str]) -> None:
    """Publish the flow and make its four runs."""
    call(more, "build", "etl.py", "--storage", str(root))
    home = root / "etl"
    run(home, "succeeded", more)
    run(home, "failed", {**more, "RUNNER_PARAMETERS": '{"count": 3, "broken": "the books are shut"}'}, 1)
    run_to_the_gate(home, "cut-off", more, kill)
    run_to_the_gate(home, "cancelled", more, stop)


def run(home: Path, run_id: str, more: Mapping[str, str], code: int = 0) -> None:
    """Run a flow to its end."""
    done = begin(home, run_id, more)
    assert done.wait(60) == code, run_id


def run_to_the_gate(
    home: Path, run_id: str, more: Mapping[str, str], end: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    """Run the flow until it waits for its gate and all that it gave is durable; then end it."""
    process = begin(home, run_id, {**more, "ETL_GATE": "closed", "RUNNER_HEARTBEAT": "0.3"})
    attempt = home / "runs" / run_id / "attempts" / "0001"
    wanted = [attempt / "results" / f"{name}.pkl" for name in AT_THE_GATE]
    wanted += [attempt / "beat", attempt / "logs" / "000001.jsonl"]
    while not all(path.exists() for path in wanted):
        assert process.poll() is None, run_id
        time.sleep(0.01)
    time.sleep(1)  # in which the rest of the log is shipped
    end(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Take the supervisor away; the kernel then ends what it began, and nobody writes an end."""
    process.kill()
    process.wait()


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, as the platforms do."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM


def begin(home: Path, run_id: str, more: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a flow's run as a container does."""
    needed = {"count": 3} if home.name == "etl" else {}
    asked = {
        "RUNNER_STORAGE": "local",
        "RUNNER_LOCATION": str(home),
        "RUNNER_RUN_ID": run_id,
        "RUNNER_PARAMETERS": str(needed).replace("'", '"'),
        "ETL_BY": "then",
    }
    command = [PYTHON, "-m", "runner"]
    return subprocess.Popen(command, cwd=WORK, env=environ(asked | dict(more)), stdout=subprocess.DEVNULL)


def call(more: Mapping[str, str], *arguments: str) -> str:
    """Call a command of runner's in the project's folder, and give what it prints."""
    command = [PYTHON, "-m", "runner", *arguments]
    return subprocess.check_output(command, cwd=WORK / "project", env=environ(more), text=True)


def script(name: str, folder: Path) -> None:
    """Run a script of the project."""
    subprocess.check_call([PYTHON, name, str(folder)], cwd=WORK / "project", env=environ({}))


def environ(more: Mapping[str, str]) -> dict[str, str]:
    """Give an environment with nothing of this machine's."""
    return {"PATH": os.defpath, "HOME": str(WORK), "PYTHONDONTWRITEBYTECODE": "1", **more}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).absolute())
