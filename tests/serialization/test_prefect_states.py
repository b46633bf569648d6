"""Real flows of Prefect 2 and 3: how each ends for Prefect is how it ends for runner, and its value holds no states."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.prefects import TRY_FLOWS, prefect_environ, prefect_python
from support.starting import inherited

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
ONE_FAILED = "the flow ended as Failed: 1/2 states failed; ValueError: boom 1"
ALONE = "the flow ended as Failed: 1/1 states failed; ValueError: boom 1"
DIES = "the flow ended as Failed: Time to die"
SUCCEEDS: dict[str, Any] = {
    "value": 3,
    "futures": [0, 2],
    "dict_of_futures": {"a": 1, "b": [[2]]},
    "dict_with_a_failure": {"a": "ValueError('boom 1')", "b": 2},
    "nested_futures": [["ValueError('boom 1')"], [2]],
    "states": [1, 2],
    "a_state_beside_a_value": 1,
    "made_completed": 5,
    "retried": [2],
    "persisted": {"answer": 42},
    "coroutine": 7,
}
FAILS = {
    "one_of_many_futures": "the flow ended as Failed: 1/3 states failed; ValueError: boom 1",
    "one_future": ALONE,
    "tuple_of_futures": ONE_FAILED,
    "set_of_futures": ALONE,
    "states_of_which_one_failed": ONE_FAILED,
    "a_state": ALONE,
    "raised": "KeyError: 'k'",
    "raised_in_a_task": "failed: ValueError: boom 1",
    "made_failed": DIES,
    "made_cancelled": "the flow ended as Cancelled: I want to skip this",
    "made_crashed": "the flow ended as Crashed: gone",
    "timed_out": "Time",
    "wrong_parameter": "invalid parameters",
    "left": "sys.exit(0)",
    "states_of_a_flow_within": "ValueError: boom 1",
    "raised_in_a_flow_within": "KeyError: 'k'",
    "coroutine_raised": "KeyError: 'k'",
    "coroutine_states": ONE_FAILED,
    "coroutine_made_failed": DIES,
    "partial": "boom 1",
    "calls_a_flow": "boom 1",
    "calls_a_flow_later": DIES,
}
GENERATORS_SUCCEED: dict[str, Any] = {"generator": [1, [2]], "generator_later": [1, 2]}
GENERATORS_FAIL = {
    "generator_raised": "failed: ValueError: boom 1",
    "generator_made_failed": "Time to die",
    "generator_states": "failed: ValueError: boom 1",
    "generator_later_raised": "KeyError: 'k'",
}
# In Prefect 2 a flow that returns nothing failed if one of its tasks did, in Prefect 3 it did not.
CASES = [
    *((2, name, 0, SUCCEEDS[name]) for name in ("value", "futures", "dict_with_a_failure", "persisted", "coroutine")),
    *((2, name, 1, FAILS[name]) for name in ("one_of_many_futures", "raised", "made_failed", "coroutine_states")),
    (2, "nothing_returned", 1, ALONE),
    *((3, name, 0, value) for name, value in (SUCCEEDS | GENERATORS_SUCCEED).items()),
    *((3, name, 1, reason) for name, reason in (FAILS | GENERATORS_FAIL).items()),
    (3, "nothing_returned", 0, None),
]


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], dict[str, Any]]:
    """Return how each flow ended, by Prefect's major version; those of one run in one process, with one server."""

    @cache
    def ended(major: int) -> dict[str, Any]:
        names = [name for number, name, *_ in CASES if number == major]
        python = prefect_python(major, ROOT, ROOT / ".cache")
        environ = inherited() | prefect_environ(python, tmp_path_factory.mktemp("prefect") / "home")
        command = [str(python), str(TRY_FLOWS), "1" if major == 2 else "6", *names]  # the server of 2 is in the process
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=250)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return ended


@pytest.mark.parametrize(
    ("major", "name", "code", "expected"), CASES, ids=[f"{name}-{major}" for major, name, *_ in CASES]
)
def test_a_flow_ends_as_prefect_says(
    prefect: Callable[[int], dict[str, Any]], major: int, name: str, code: int, expected: Any
) -> None:
    ended, found = prefect(major)[name]
    assert ended == code, found
    if code:
        assert expected in found
    else:
        assert found == expected


@pytest.mark.parametrize("major", [2, 3])
def test_the_flows_reach_no_other_machine(prefect: Callable[[int], dict[str, Any]], major: int) -> None:
    assert prefect(major)["reached"] == []
