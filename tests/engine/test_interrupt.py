"""Time limits for code in a thread."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from runner.engine.interrupt import TaskTimeout, time_limit

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.unmeasured


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns all the time, and not every 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_a_block_that_takes_too_long_is_interrupted() -> None:
    begin = time.monotonic()
    with pytest.raises(TaskTimeout), time_limit(0.05):
        spin(30)
    assert time.monotonic() - begin < 5


def test_a_block_in_another_thread_is_interrupted_there_and_nowhere_else() -> None:
    caught: list[BaseException] = []

    def work() -> None:
        try:
            with time_limit(0.05):
                spin(30)
        except TaskTimeout as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert len(caught) == 1


def test_none_sets_no_limit_and_starts_no_clock() -> None:
    before = threading.active_count()
    with time_limit(None):
        assert threading.active_count() == before


def test_a_block_that_ends_in_time_is_left_alone_ever_after() -> None:
    with time_limit(0.05):
        pass
    spin(0.1)


def test_what_the_block_raises_comes_through() -> None:
    with pytest.raises(ZeroDivisionError), time_limit(60):
        _ = 1 / 0


@pytest.mark.usefixtures("eager_threads")
def test_after_the_block_no_interruption_comes_however_close_its_end_was() -> None:
    """The limit runs out right at the block's end; it is raised by the end of the block, or never."""
    interrupted = 0
    for number in range(500):
        try:
            with time_limit(0.002):
                spin(0.002 + (number % 50 - 10) / 25_000)
        except TaskTimeout:
            interrupted += 1
        sum(range(200))  # an interruption that came now would fail the test
    assert 0 < interrupted < 500


def test_a_clock_that_runs_out_after_the_block_does_nothing() -> None:
    limit = time_limit(60)
    with limit:
        pass
    limit.interrupt(TaskTimeout)
    spin(0.01)
