"""A flow of every kind of task, which says what it runs in a file that whoever breaks it can watch.

Each call is a line of ``FAULTS_CALLS``: the start that it belongs to, the task, the element's index, the process.
Some tasks keep a ``sleep`` in a session of its own, which must not outlive the flow either.
"""

import hashlib
import os
import subprocess
import time

from runner import Flow, Parameter, task, unmapped

ELEMENTS = 8


def called(name: str, index: int | None = None) -> None:
    if file := os.environ.get("FAULTS_CALLS"):
        line = f"{os.environ['FAULTS_START']} {name} {'-' if index is None else index} {os.getpid()}\n"
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, line.encode())
        os.close(descriptor)


def take(milliseconds: float, pace: float, *, beside: bool = False) -> None:
    """Take some time, perhaps with a process of one's own beside."""
    other = subprocess.Popen(["sleep", "600"], start_new_session=True) if beside else None
    time.sleep(milliseconds * pace / 1000)
    if other:
        other.kill()
        other.wait()


def arrive() -> None:
    """Say that the file is imported where a flow runs, which is so while it is loaded."""
    if os.environ.get("FAULTS_CALLS"):
        called("loading")
        time.sleep(0.02)  # so that it can be hit


@task
def begin(seed: int, pace: float) -> list[int]:
    called("begin")
    take(20, pace, beside=True)
    return [seed * ELEMENTS + index for index in range(ELEMENTS)]


@task
def work(item: int, pace: float) -> str:
    index = item % ELEMENTS
    called("work", index)
    take(10 + 5 * index, pace, beside=index % 4 == 0)
    return hashlib.sha256(str(item).encode()).hexdigest()


@task(checkpoint=False)
def glue(parts: list[str]) -> str:
    called("glue")
    return "".join(parts)


@task
def small(whole: str, pace: float) -> str:
    called("small")
    take(20, pace)
    return whole[::2]


@task
def large(whole: str, size: int, pace: float) -> bytes:
    called("large")
    take(20, pace)
    return (whole.encode() * (size // len(whole) + 1))[:size]


@task
def finish(one: str, other: bytes, pace: float) -> str:
    called("finish")
    take(20, pace)
    return hashlib.sha256(one.encode() + other).hexdigest()


arrive()
with Flow("faults") as flow:
    seed = Parameter("seed", default=1)
    pace = Parameter("pace", default=1.0)
    size = Parameter("size", default=2_000_000)
    whole = glue(work.map(begin(seed, pace), unmapped(pace)))
    finish(small(whole, pace), large(whole, size, pace), pace)
