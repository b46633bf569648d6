"""A task that misbehaves as a parameter says."""

import ctypes
import logging
import logging.config
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import runner
from runner import Flow, Parameter, task


class Connection:
    def __init__(self) -> None:
        self.name = "db"
        self.lock = threading.Lock()


def fail(file: str) -> None:
    raise ValueError(file or "no such day")


def leave() -> None:
    sys.exit(3)


def leave_at_once() -> None:
    os._exit(0)


def generate() -> Iterator[int]:
    return (number for number in range(3))


def give_a_lock() -> dict[str, Connection]:
    return {"db": Connection()}


def give_an_open_file() -> object:
    return Path(sys.executable).open("rb")


def segfault() -> None:
    ctypes.string_at(0)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait(file: str) -> None:
    partial = Path(f"{file}.part")
    partial.write_text(str(os.getpid()))
    partial.rename(file)
    threading.Event().wait()


def wait_deaf(file: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait(file)


def leave_orphans_and_wait(file: str) -> None:
    subprocess.run(["sh", "-c", "for each in 1 2 3; do sleep 0.1 & done"], check=True)
    wait(file)


def give_much() -> bytes:
    return os.urandom(4_000_000)


def tell_a_secret() -> None:
    value = runner.secret("DB_PASSWORD")
    runner.logger().warning("the password is %s", value)
    logging.getLogger("elsewhere").warning("and again: %s", value)
    raise ValueError(value)


def log() -> None:
    runner.logger().info("a line for %s", "you")
    logging.getLogger("elsewhere").warning("another")
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        logging.getLogger().exception("it broke")
    runner.logger().info("does not fit %d", "words")  # noqa: RUF100
    runner.logger().debug("not shown")


def take_logging_down() -> None:
    logging.config.dictConfig({"version": 1})
    logging.getLogger().handlers.clear()


def close_descriptors(file: str) -> None:
    time.sleep(1)  # what is under way to the storage must not lose its file
    os.closerange(3, 256)
    mine = os.open(file, os.O_CREAT | os.O_WRONLY)
    for number in range(3, 64):
        os.dup2(mine, number)


def write_into_descriptors() -> None:
    for number in range(3, 64):
        try:
            os.write(number, b"not json\n[1]\n{half")
        except OSError:
            continue


def leave_a_child() -> None:
    subprocess.Popen(["sleep", "20"])


def leave_a_thread() -> None:
    threading.Thread(target=threading.Event().wait, args=(20,)).start()


def change_folder() -> None:
    os.chdir("/")


def interrupt() -> None:
    raise KeyboardInterrupt


def fail_with_half_a_surrogate() -> None:
    raise ValueError(os.fsdecode(b"caf\xe9"))


def fail_at_length() -> None:
    raise ValueError("long \U0001f600\0 long" * 50_000)


def do_well() -> str:
    return "well"


ALONE = (
    leave,
    leave_at_once,
    generate,
    give_a_lock,
    give_an_open_file,
    segfault,
    be_killed,
    give_much,
    tell_a_secret,
    log,
    take_logging_down,
    write_into_descriptors,
    leave_a_child,
    leave_a_thread,
    change_folder,
    interrupt,
    fail_with_half_a_surrogate,
    fail_at_length,
    do_well,
)
WITH_FILE = (fail, wait, wait_deaf, leave_orphans_and_wait, close_descriptors)


@task
def calm() -> str:
    return "calm"


@task
def misbehave(kind: str, file: str) -> object:
    alone = {function.__name__: function for function in ALONE}
    name = kind.replace(" ", "_")
    if name in alone:
        return alone[name]()
    return {function.__name__: function for function in WITH_FILE}[name](file)


with Flow("trouble") as flow:
    kind = Parameter("kind")
    file = Parameter("file", default="")
    misbehave(kind, file, upstream_tasks=[calm()])
