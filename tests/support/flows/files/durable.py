"""Tasks that note when they run, and one that waits, and then does to its process what a parameter says, once.

The notes, and the file ``go`` that ends the waiting, lie in a folder that the container is given.
"""

import ctypes
import os
import signal
import tempfile
import threading
import time
from pathlib import Path

from runner import Flow, Parameter, task, unmapped


def note(diary: str, word: str) -> int:
    """Write the word down, and say how often it stands there now."""
    path = Path(diary, "notes")
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{word}\n")
    return path.read_text(encoding="utf-8").splitlines().count(word)


def eat() -> None:
    eaten = []
    while True:
        eaten.append(bytearray(os.urandom(64)) * 65536)


def start_threads() -> None:
    idle = threading.Event()
    for _ in range(1000):
        threading.Thread(target=idle.wait, args=(5,), daemon=True).start()


def fill_the_disk() -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(1 << 30))


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def block() -> None:
    """Sleep without letting any other thread of the interpreter run."""
    ctypes.PyDLL(None).sleep(600)


KINDS = {function.__name__: function for function in (eat, start_threads, fill_the_disk, be_killed, block)}


@task
def first(diary: str) -> list[int]:
    note(diary, "first")
    return [1, 2, 3]


@task
def square(number: int, diary: str) -> int:
    note(diary, f"square {number}")
    return number**2


@task
def trouble(numbers: list[int], kind: str, diary: str) -> int:
    times = note(diary, "trouble")
    while not Path(diary, "go").exists():
        time.sleep(0.02)
    if times == 1 and kind in KINDS:
        note(diary, kind)
        KINDS[kind]()
    return sum(numbers)


@task
def last(total: int, diary: str) -> str:
    note(diary, "last")
    return f"the sum is {total}"


with Flow("durable") as flow:
    kind = Parameter("kind", default="wait")
    diary = Parameter("diary", default="/diary")
    last(trouble(square.map(first(diary), unmapped(diary)), kind, diary), diary)
