"""What it costs to read something: seconds of this process's own time, and memory beyond the input, measured apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MB = 1024 * 1024
TESTS = Path(__file__).parent.parent

MEASURE = """
import gc, importlib, io, json, re, resource, sys, time
from pathlib import Path

reader, path, sound = sys.argv[1:]
module, _, name = reader.partition(":")
read = getattr(importlib.import_module(module), name)
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))

def status(field):
    return int(re.search(rf"{field}:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

def attempt(data):
    try:
        return f"read: {read(data)}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

attempt(Path(sound).read_bytes())  # so that what is imported, and made once, is not counted
data = Path(path).read_bytes()
gc.collect()
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before, began = status("VmRSS"), time.process_time()
answer = attempt(data)
print(json.dumps([time.process_time() - began, status("VmHWM") - before, answer[:2000]]))
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of processor time, MB of memory beyond the input, and what came of it."""

    seconds: float
    memory: float
    answer: str


def cost_of(reader: str, data: bytes, folder: Path, sound: bytes = b"") -> Cost:
    """Read data with ``module:function`` in a process of its own; something ``sound`` is read before it."""
    (folder / "data").write_bytes(data)
    (folder / "sound").write_bytes(sound)
    command = [sys.executable, "-c", MEASURE, reader, str(folder / "data"), str(folder / "sound")]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(TESTS)}
    costs = []
    for _ in range(3):  # a machine that others use as well may be half as fast for a while
        done = subprocess.run(command, env=environ, capture_output=True, check=False)
        assert done.returncode == 0, (done.returncode, done.stderr.decode()[-2000:])
        costs.append(Cost(*json.loads(done.stdout)))
        if costs[-1].seconds < 1:
            break
    return min(costs, key=lambda cost: cost.seconds)


def cheap(cost: Cost, seconds: float = 1.0, memory: float = 64) -> Cost:
    """The cost, if it is within what is promised of a refusal, whatever the size of the input."""
    assert cost.seconds < seconds, cost
    assert cost.memory < memory, cost
    return cost


# Readers, as `cost_of` names them


def inspect(data: bytes) -> str:
    from runner.serialization.inspection import inspect_pickle
    from runner.serialization.pickle_report import format_report

    found = inspect_pickle(data, sys.version.split()[0])
    text = json.dumps(found.document()) + "\n".join(format_report(found))
    return f"{len(text)} characters, unclear {sorted(found.unclear)[:3]}, {found.broken[:100]}"


def verify(data: bytes) -> object:
    from runner.bundle import trust
    from runner.bundle.archive import ForeignObject
    from runner.serialization import foreign

    opened = trust.verify(data)
    return foreign.open_pickle(opened.data) if isinstance(opened, ForeignObject) else type(opened)


def end(data: bytes) -> object:
    from runner.runs import documents

    return len(documents.decode(data, "end")["tasks"])


def request(data: bytes) -> object:
    from runner.runs import documents

    return len(documents.decode(data, "run"))


def claim(data: bytes) -> object:
    from runner.runs import documents

    return len(documents.decode(data, "claim"))


READERS: dict[str, Callable[[bytes], object]] = {each.__name__: each for each in (inspect, verify, end, request, claim)}
