"""What the death of a flow's process means for its attempt."""

from __future__ import annotations

import os
import resource
import signal

import pytest

from runner.supervisor.exit_status import ExitStatus
from runner.supervisor.usage import UsageMeter

# 1.5 s in user code, 0.5 s in the kernel, 5 kiB of memory at the most
USED = resource.struct_rusage((1.5, 0.5, 5, *[0] * 13))


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
    verdict = ExitStatus(signal.SIGSEGV, trace="Fatal Python error", tail=["one", "two"], used=USED).verdict
    assert verdict.death == {"trace": "Fatal Python error", "log": "one\ntwo", "peak_memory": 5 * 1024, "memory": None}
    assert "trace shows where" in verdict.message


def test_of_a_kill_for_memory_the_kernels_words_are_told() -> None:
    assert ExitStatus(signal.SIGKILL, memory="the limit is 5").verdict.message.endswith("SIGKILL: the limit is 5")


def test_what_a_process_has_used_that_died_is_the_kernels_count_and_its_last_heartbeats() -> None:
    status = ExitStatus(signal.SIGKILL, used=USED)
    usage = status.usage(None)
    assert usage
    assert (usage["cpu"], usage["memory"], usage["read"], usage["sent"]) == (2.0, 5 * 1024, None, None)
    series = UsageMeter(os.getpid()).read()
    told = status.usage(series | {"read": [1, 2], "written": [3, 4], "received": [5, 6], "sent": [7, None]})
    assert told
    assert [told[name] for name in ("read", "written", "received", "sent")] == [2, 4, 6, None]
    assert ExitStatus(signal.SIGKILL).usage(series) is None
