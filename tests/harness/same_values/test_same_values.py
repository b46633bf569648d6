"""What ``flow.run()`` gives here, a container gives there, or ``build`` refuses and names the line."""

from __future__ import annotations

import ast
import os
import re
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

from harness.same_values.corpus import Case, Driver, collect, differences, judge
from harness.same_values.describe import describe
from harness.same_values.still_open import STILL_OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = {case.name: case for case in collect()}
REPORT = re.compile(r"\b[\w.-]+(?:/[\w.-]+)? #\d+")


def marked(case: Case) -> Any:
    if case.name not in STILL_OPEN:
        return pytest.param(case, id=case.name)
    mark = pytest.mark.xfail(strict=True, raises=AssertionError, reason=STILL_OPEN[case.name])
    return pytest.param(case, id=case.name, marks=mark)


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """All flows that are asked for, a few at a time: most of what takes time are processes of their own."""
    names = [item.callspec.id for item in request.session.items if hasattr(item, "callspec")]
    cases = [CASES[name] for name in names if name in CASES]
    workers = min(4, os.cpu_count() or 1)
    drivers: SimpleQueue[Driver] = SimpleQueue()
    for _ in range(workers):
        drivers.put(Driver())

    def run(case: Case) -> dict[str, Any]:
        driver = drivers.get()
        try:
            return driver.run(case, tmp_path_factory.mktemp("flow"))
        finally:
            drivers.put(driver)

    with ThreadPoolExecutor(workers) as pool:
        yield {case.name: pool.submit(run, case) for case in cases}
    for _ in range(workers):
        drivers.get().close()


@pytest.mark.parametrize("case", [marked(case) for case in CASES.values()])
def test_a_flow_gives_the_same_there_or_is_refused(case: Case, running: dict[str, Future[Any]]) -> None:
    wrong = judge(case, running[case.name].result())
    assert not wrong, wrong


def test_every_flow_names_the_report_after_which_it_was_made() -> None:
    assert [
        name for name, case in CASES.items() if not REPORT.search(ast.get_docstring(ast.parse(case.text)) or "")
    ] == []


def test_every_flow_is_read_at_a_glance() -> None:
    assert [name for name, case in CASES.items() if sum(map(bool, case.text.splitlines())) > 25] == []


def test_what_is_refused_says_where() -> None:
    assert [name for name, case in CASES.items() if case.refused and not case.refused_lines] == []


def test_all_that_is_still_open_is_there() -> None:
    assert STILL_OPEN.keys() <= CASES.keys()


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
