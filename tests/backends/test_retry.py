"""When what failed is tried again, and when not; and what the threads of one storage know of each other's failures."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest

from runner import errors
from runner.backends import retry
from runner.backends.retry import Retries

PASSING = [errors.Unreachable, errors.ReadFailed, errors.TooSlow, errors.WriteFailed]
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RunnerError)]


class Clock:
    """Time that goes on only while something waits."""

    def __init__(self) -> None:
        self.now, self.pauses = 1000.0, list[float]()

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(retry, "time", made)
    monkeypatch.setattr(Retries, "_wait", lambda _retries, seconds: made.wait(seconds))
    return made


class Action:
    """Fails so many times, then gives its number; each try takes some seconds."""

    def __init__(
        self,
        failures: int,
        kind: type[errors.RunnerError] = errors.WriteFailed,
        clock: Clock | None = None,
        takes: float = 0,
    ) -> None:
        self.failures, self.kind, self.tries = failures, kind, 0
        self.clock, self.takes = clock, takes

    def __call__(self) -> int:
        self.tries += 1
        if self.clock:
            self.clock.now += self.takes
        if self.tries <= self.failures:
            raise self.kind(f"failure {self.tries}")
        return self.tries


def test_what_passes_is_tried_until_it_has_passed(clock: Clock) -> None:
    retries = Retries()
    assert retries.persistently(Action(0), 10) == 1
    assert clock.pauses == []
    assert retries.persistently(Action(5), 10) == 6
    assert len(clock.pauses) == 5


def test_only_what_may_pass_is_tried_again(clock: Clock) -> None:
    assert [kind for kind in KINDS if kind.transient] == sorted(PASSING, key=KINDS.index)
    for kind in KINDS:
        action = Action(1, kind)
        if kind in PASSING:
            assert Retries().persistently(action, 10) == 2
        else:
            with pytest.raises(kind):
                Retries().persistently(action, 10)
            assert action.tries == 1
    assert len(clock.pauses) == len(PASSING)


def test_a_failure_that_knows_better_is_not_tried_again(clock: Clock) -> None:
    def full() -> NoReturn:
        raise errors.WriteFailed("no space left", transient=False)

    with pytest.raises(errors.WriteFailed):
        Retries().persistently(full, 10)
    assert clock.pauses == []


def test_the_last_try_begins_at_the_deadline_and_its_error_is_raised(clock: Clock) -> None:
    action = Action(1_000_000)
    with pytest.raises(errors.WriteFailed, match=r"failure \d+") as refusal:
        Retries().persistently(action, 60)
    assert str(refusal.value) == f"failure {action.tries}"
    assert clock.now == pytest.approx(1060)


def test_without_time_there_is_one_try(clock: Clock) -> None:
    action = Action(1)
    with pytest.raises(errors.WriteFailed):
        Retries().persistently(action, 0)
    assert action.tries == 1
    assert clock.pauses == []


def test_after_a_try_that_took_all_of_the_time_there_is_one_more(clock: Clock) -> None:
    """A request hung for 70 s while the storage was down for 20: it is well again when the next one is made."""
    assert Retries().persistently(Action(1, errors.TooSlow, clock, takes=70), 60) == 2
    two = Action(2, errors.TooSlow, clock, takes=70)
    with pytest.raises(errors.TooSlow, match="failure 2"):
        Retries().persistently(two, 60)
    within = Action(1, errors.TooSlow, clock, takes=70)
    with pytest.raises(errors.TooSlow, match="failure 1"):
        Retries().persistently(within, 60, one_more=False)


@pytest.mark.parametrize(("drawn", "pauses"), [(1.0, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]), (0.0, [])])
def test_pauses_may_double_up_to_five_seconds(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, drawn: float, pauses: list[float]
) -> None:
    monkeypatch.setattr(retry, "_random", lambda: drawn)
    Retries().persistently(Action(8), 60)
    assert clock.pauses == pytest.approx(pauses)


def test_pauses_are_shorter_where_there_is_little_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_random", lambda: 1.0)
    Retries().persistently(Action(4), 2)
    assert clock.pauses == pytest.approx([0.1, 0.2, 0.4, 0.5])


def test_pauses_are_spread_over_all_of_their_time(clock: Clock) -> None:
    for _ in range(200):
        Retries().persistently(Action(1), 60)
    assert len(set(clock.pauses)) > 190
    assert min(clock.pauses) < 0.02
    assert 0.08 < max(clock.pauses) <= 0.1


def test_a_try_that_takes_long_is_not_cut() -> None:
    began, seconds = time.monotonic(), random.uniform(0.1, 0.2)

    def slow() -> NoReturn:
        time.sleep(seconds)
        raise errors.TooSlow("slow")

    with pytest.raises(errors.TooSlow):
        Retries().persistently(slow, 0.05, one_more=False)
    assert seconds <= time.monotonic() - began < seconds + 0.2


def test_thirty_threads_find_out_together_what_one_would_find_out_alone() -> None:
    """Storage that asks to slow down for two seconds got 30 times as many requests as one thread makes."""
    retries, turn, tried = Retries(), threading.Lock(), list[float]()
    well = time.monotonic() + 2

    def attempt() -> None:
        with turn:
            tried.append(time.monotonic())
        if time.monotonic() < well:
            raise errors.WriteFailed("SlowDown")

    with ThreadPoolExecutor(30) as pool:
        for done in [pool.submit(retries.persistently, attempt, 20) for _ in range(30)]:
            done.result()
    in_vain = [moment for moment in tried if moment < well]
    assert len(tried) - len(in_vain) == 30
    assert len(in_vain) < 30 + 25, len(in_vain)


def test_a_try_that_hangs_does_not_hold_the_others_for_ever(clock: Clock) -> None:
    retries = Retries()
    with pytest.raises(errors.WriteFailed):
        retries.persistently(Action(1), 0)
    retries._take_turn(clock.now + 60, 5)  # and never comes back
    began = clock.now
    assert retries.persistently(Action(0), 60) == 1
    assert clock.now - began <= 5


def test_an_end_that_is_set_meanwhile_wakes_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 30.0)
    monkeypatch.setattr(retry, "LONGEST_PAUSE_SECONDS", 30.0)
    monkeypatch.setattr(retry, "_random", lambda: 1.0)
    retries, failed = Retries(), threading.Event()

    def fail() -> NoReturn:
        failed.set()
        raise errors.WriteFailed("down")

    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(retries.persistently, fail, 600)
        assert failed.wait(20)
        retries.end_within(0.1)
        with pytest.raises(errors.WriteFailed):
            waiting.result()
    assert time.monotonic() - began < 20
