"""What ``flow.run()`` gives here, a container gives there, or ``build`` refuses and names the line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.same_values.corpus import LIBRARIES, Case, collect, differences, judge
from harness.same_values.describe import describe
from harness.same_values.driver import run_all
from harness.same_values.still_open import STILL_OPEN, marked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

CASES = {case.name: case for case in collect()}


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """What will be told of each flow that is asked for."""
    names = [item.callspec.id for item in request.session.items if hasattr(item, "callspec")]
    cases = [CASES[name] for name in names if name in CASES]
    with run_all(cases, lambda: tmp_path_factory.mktemp("flow")) as told:
        yield told


@pytest.mark.parametrize("case", [marked(case) for case in CASES.values()])
def test_a_flow_gives_the_same_there_or_is_refused(case: Case, running: dict[str, Future[Any]]) -> None:
    wrong = judge(case, running[case.name].result())
    assert not wrong, wrong


def test_every_flow_is_as_it_should_be() -> None:
    assert [breach for case in CASES.values() for breach in case.breaches] == []


def test_all_that_is_still_open_is_there() -> None:
    assert STILL_OPEN.keys() <= CASES.keys() | {case.name for case in collect(LIBRARIES)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0.0, -0.0),
        ((1,), [1]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([[], []], [[]] * 2),
        ({"a": {1}}, {"a": frozenset({1})}),
        (ValueError("a"), KeyError("a")),
        (ValueError("a"), ValueError("b")),
        (Case, "Case"),
    ],
)
def test_what_is_not_the_same_is_told_apart(one: object, other: object) -> None:
    assert differences(describe(one), describe(other), "value")
    assert not differences(describe(one), describe(one), "value")
