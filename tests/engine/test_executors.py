"""Where tasks run."""

from __future__ import annotations

import os
import random
import threading
from functools import partial
from queue import SimpleQueue

import pytest

from runner.engine import executors
from runner.engine.executors import Sequential, Threads, open_executor

PATIENCE_SECONDS = 20


@pytest.mark.parametrize(("spec", "kind", "slots"), [("sequential", Sequential, 1), ("threads:8", Threads, 8)])
def test_an_executor_is_what_its_word_says(spec: str, kind: type, slots: int) -> None:
    executor = open_executor(spec)
    assert type(executor) is kind
    assert executor.slots == slots


def test_the_number_of_threads_follows_from_the_cpus_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_executor("threads").slots == min(32, len(os.sched_getaffinity(0)) + 4)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert open_executor("threads").slots == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert open_executor("threads").slots == 5
    monkeypatch.setattr(os, "cpu_count", lambda: 99)
    assert open_executor("threads").slots == executors.MOST_THREADS


def test_threads_are_used_again() -> None:
    executor, done = Threads(4), SimpleQueue[int]()
    for _ in range(100):

        def job() -> bool:
            done.put(threading.get_ident())
            return True

        executor.submit(job)
        done.get(timeout=PATIENCE_SECONDS)
        while executor._idle._value < executor._started:  # until its thread is free again
            pass
    assert executor._started == 1
    executor.close()


def test_an_unwanted_job_takes_its_thread_with_it_and_the_next_gets_another() -> None:
    executor, done = Threads(1), SimpleQueue[threading.Thread]()

    def job(wanted: bool) -> bool:  # noqa: FBT001
        done.put(threading.current_thread())
        return wanted

    executor.submit(lambda: job(False))  # noqa: FBT003
    first = done.get(timeout=PATIENCE_SECONDS)
    first.join(PATIENCE_SECONDS)
    executor.submit(lambda: job(True))  # noqa: FBT003
    second = done.get(timeout=PATIENCE_SECONDS)
    assert second is not first
    executor.close()
    second.join(PATIENCE_SECONDS)
    assert not second.is_alive()


def numbered(number: int, done: SimpleQueue[int], free: threading.Semaphore, *, wanted: bool) -> bool:
    done.put(number)
    free.release()
    return wanted


def test_every_job_runs_once_and_all_threads_end_when_it_is_closed() -> None:
    dice = random.Random(3)
    before = threading.active_count()
    for _ in range(30):
        executor, done = Threads(3), SimpleQueue[int]()
        free = threading.Semaphore(executor.slots)
        for number in range(40):
            assert free.acquire(timeout=PATIENCE_SECONDS)
            executor.submit(partial(numbered, number, done, free, wanted=dice.random() < 0.9))
        assert sorted(done.get(timeout=PATIENCE_SECONDS) for _ in range(40)) == list(range(40))
        executor.close()
    for thread in threading.enumerate():
        if thread.name.startswith("task-"):
            thread.join(PATIENCE_SECONDS)
    assert threading.active_count() <= before
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("task-"))


def test_sequential_runs_a_job_where_it_is_submitted() -> None:
    ran: list[threading.Thread] = []

    def job() -> bool:
        ran.append(threading.current_thread())
        return True

    executor = Sequential()
    executor.submit(job)
    executor.close()
    assert ran == [threading.current_thread()]
