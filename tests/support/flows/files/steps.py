"""Steps of which each notes that it ran, and the last one does as a parameter says."""

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

from runner import Flow, Parameter, secret, task, unmapped

LINE = b"x" * 99 + b"\n"


def note(folder: str, text: str) -> None:
    with Path(folder, "calls").open("a") as file:
        file.write(f"{text} {os.getpid()}\n")


@task
def first(folder: str) -> int:
    note(folder, "first")
    return 10


@task
def each(folder: str, number: int, base: int) -> int:
    note(folder, f"each[{number}]")
    return base + number


@task(checkpoint=False)
def unkept(folder: str, numbers: list[int]) -> int:
    note(folder, "unkept")
    return sum(numbers)


@task
def after(folder: str, total: int) -> int:
    note(folder, "after")
    return total * 2


def go_on(_folder: str) -> None:
    """Do no more."""


def hold(folder: str) -> None:
    """Wait in Python, interruptibly, until a file says to go on."""
    Path(folder, "holding").write_text(str(os.getpid()))
    while not Path(folder, "go on").exists():
        time.sleep(0.01)


def hold_in_native_code(folder: str) -> None:
    """Never give the interpreter back: the lock of it is held as well."""
    hold(folder)
    Path(folder, "native").touch()
    ctypes.PyDLL(None).sleep(100)


def hold_asleep(folder: str) -> None:
    Path(folder, "holding").write_text(str(os.getpid()))
    time.sleep(100)


def leave_processes(folder: str) -> None:
    """Start processes, one of them in a session of its own, and hold."""
    subprocess.Popen(["sleep", "1001"])
    subprocess.Popen(["sleep", "1002"], start_new_session=True)
    hold(folder)


def write_everywhere(_folder: str) -> None:
    """Write by Python, by native code and by another process, a line without an end last, and be killed."""
    print("printed")
    print("to standard error", file=sys.stderr)
    ctypes.CDLL(None).dprintf(1, b"from native code\n")
    subprocess.run(["echo", "from another process"], check=True)
    os.write(1, b"not UTF-8: \xff\n")
    os.write(1, b"the last bytes")
    os.kill(os.getpid(), 9)


def print_json(_folder: str) -> None:
    for line in (
        '{"rows": 6, "stream": "x"}',
        '{"rows": 5, "last": true}',
        '{"exception": ["a"]}',
        '{"a": 1}\r{"b": 2}',
    ):
        print(line)


def flood(_folder: str) -> None:
    """Print 30 MB as fast as it can be taken."""
    for _ in range(3000):
        os.write(1, LINE * 100)


def tell_a_secret_in_halves(_folder: str) -> None:
    value = secret("PASSWORD")
    assert isinstance(value, str)
    os.write(1, b"it is " + value[:5].encode())
    time.sleep(0.2)
    os.write(1, value[5:].encode() + b" indeed\n")


def overflow_the_stack(_folder: str) -> None:
    sys.setrecursionlimit(10**9)

    def deeper(function: object) -> object:
        return sorted([1], key=lambda _each: deeper(function))

    deeper(None)


def abort(_folder: str) -> None:
    os.abort()


def hold_and_abort(folder: str) -> None:
    hold(folder)
    os.abort()


def leave_at_once(_folder: str) -> None:
    os._exit(3)


KINDS = (
    go_on,
    hold,
    hold_in_native_code,
    hold_asleep,
    leave_processes,
    write_everywhere,
    flood,
    print_json,
    tell_a_secret_in_halves,
    overflow_the_stack,
    abort,
    hold_and_abort,
    leave_at_once,
)


@task
def last(folder: str, kind: str, total: int) -> int:
    note(folder, "last")
    next(function for function in KINDS if function.__name__ == kind.replace(" ", "_"))(folder)
    return total


with Flow("steps") as flow:
    folder = Parameter("folder")
    kind = Parameter("kind", default="go on")
    base = first(folder)
    numbers = each.map(unmapped(folder), [0, 1, 2, 3], unmapped(base))
    total = after(folder, unkept(folder, numbers))
    last(folder, kind, total)
