"""What the death of a flow's process means for its attempt."""

from __future__ import annotations

import signal

import pytest

from runner.supervisor.exit_status import ExitStatus


@pytest.mark.parametrize(
    ("status", "stop_signal", "timed_out", "expected"),
    [
        (signal.SIGSEGV, None, False, ("crashed", 139, "SIGSEGV")),
        (signal.SIGKILL, None, False, ("crashed", 137, "not for memory")),
        (40, None, False, ("crashed", 168, "signal 40")),
        (signal.SIGTERM, None, False, ("cancelled", 143, "SIGTERM")),  # somebody asked the child itself
        (signal.SIGKILL, signal.SIGTERM, False, ("cancelled", 143, "SIGTERM")),
        (0, signal.SIGINT, False, ("cancelled", 130, "SIGINT")),  # it was asked, and left by itself
        (signal.SIGTERM, None, True, ("timed_out", 124, "RUNNER_TIMEOUT")),
        (signal.SIGKILL, signal.SIGTERM, True, ("timed_out", 124, "RUNNER_TIMEOUT")),
        (0, None, False, ("failed", 1, "exit status 0")),
        (5 << 8, None, False, ("failed", 1, "exit status 5")),
    ],
)
def test_a_death_without_a_word_is_judged_by_how_it_came(
    status: int, stop_signal: int | None, expected: tuple[str, int, str], *, timed_out: bool
) -> None:
    verdict = ExitStatus(status, stop_signal, timed_out).verdict
    assert (verdict.state, verdict.exit_code) == expected[:2]
    assert expected[2] in verdict.message


def test_what_is_known_of_a_death_stands_in_its_end() -> None:
    verdict = ExitStatus(signal.SIGSEGV, trace="Fatal Python error", tail=["one", "two"], peak=5).verdict
    assert verdict.death == {"trace": "Fatal Python error", "log": "one\ntwo", "peak_memory": 5, "memory": None}
    assert "trace shows where" in verdict.message


def test_of_a_kill_for_memory_the_kernels_words_are_told() -> None:
    assert ExitStatus(signal.SIGKILL, memory="the limit is 5").verdict.message.endswith("SIGKILL: the limit is 5")
