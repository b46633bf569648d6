"""When what failed is tried again, and when not."""

from __future__ import annotations

import random
import time
from typing import NoReturn

import pytest

from runner import errors
from runner.backends import retry
from runner.backends.retry import persistently

PASSING = [errors.Unreachable, errors.ReadFailed, errors.TooSlow, errors.WriteFailed]
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RunnerError)]


class Clock:
    """Time that goes on only while something sleeps."""

    def __init__(self) -> None:
        self.now, self.pauses = 1000.0, list[float]()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(retry, "time", made)
    return made


class Action:
    """Fails so many times, then gives its number."""

    def __init__(self, failures: int, kind: type[errors.RunnerError] = errors.WriteFailed) -> None:
        self.failures, self.kind, self.tries = failures, kind, 0

    def __call__(self) -> int:
        self.tries += 1
        if self.tries <= self.failures:
            raise self.kind(f"failure {self.tries}")
        return self.tries


def test_what_passes_is_tried_until_it_has_passed(clock: Clock) -> None:
    assert persistently(Action(0), 10) == 1
    assert clock.pauses == []
    assert persistently(Action(5), 10) == 6
    assert len(clock.pauses) == 5


def test_only_what_may_pass_is_tried_again(clock: Clock) -> None:
    assert [kind for kind in KINDS if kind.transient] == sorted(PASSING, key=KINDS.index)
    for kind in KINDS:
        action = Action(1, kind)
        if kind in PASSING:
            assert persistently(action, 10) == 2
        else:
            with pytest.raises(kind):
                persistently(action, 10)
            assert action.tries == 1
    assert len(clock.pauses) == len(PASSING)


def test_a_failure_that_knows_better_is_not_tried_again(clock: Clock) -> None:
    def full() -> NoReturn:
        raise errors.WriteFailed("no space left", transient=False)

    with pytest.raises(errors.WriteFailed):
        persistently(full, 10)
    assert clock.pauses == []


def test_the_last_try_begins_at_the_deadline_and_its_error_is_raised(clock: Clock) -> None:
    action = Action(1_000_000)
    with pytest.raises(errors.WriteFailed, match=r"failure \d+") as refusal:
        persistently(action, 60)
    assert str(refusal.value) == f"failure {action.tries}"
    assert clock.now == pytest.approx(1060)


def test_without_time_there_is_one_try(clock: Clock) -> None:
    action = Action(1)
    with pytest.raises(errors.WriteFailed):
        persistently(action, 0)
    assert action.tries == 1
    assert clock.pauses == []


@pytest.mark.parametrize(("drawn", "pauses"), [(1.0, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]), (0.0, [0.0] * 8)])
def test_pauses_may_double_up_to_five_seconds(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, drawn: float, pauses: list[float]
) -> None:
    monkeypatch.setattr(retry, "_random", lambda: drawn)
    persistently(Action(8), 60)
    assert clock.pauses == pytest.approx(pauses)


def test_pauses_are_spread_over_all_of_their_time(clock: Clock) -> None:
    for _ in range(200):
        persistently(Action(1), 60)
    assert len(set(clock.pauses)) > 190
    assert min(clock.pauses) < 0.02
    assert 0.08 < max(clock.pauses) <= 0.1


def test_a_try_that_takes_long_is_not_cut() -> None:
    began, seconds = time.monotonic(), random.uniform(0.1, 0.2)

    def slow() -> NoReturn:
        time.sleep(seconds)
        raise errors.TooSlow("slow")

    with pytest.raises(errors.TooSlow):
        persistently(slow, 0.05)
    assert seconds <= time.monotonic() - began < seconds + 0.2
