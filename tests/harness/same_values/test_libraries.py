"""Flows with libraries that people use come out the same there, too.

They run in an environment that has these, and with one executor: what a library sets may hold in one thread alone, and
each start of a process imports much. There is no torch: its wheel alone is larger than all others together.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.same_values.corpus import LIBRARIES, Case, collect, judge
from harness.same_values.driver import Driver, run_all
from harness.same_values.still_open import marked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

CASES = {case.name: case for case in collect(LIBRARIES)}
PYTHON = Path(__file__).parents[3] / ".cache/libraries/bin/python"


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """What will be told of each flow that is asked for."""
    if not PYTHON.exists():
        pytest.skip("the libraries are not installed: make .cache/libraries-installed does that")
    names = [item.callspec.id for item in request.session.items if hasattr(item, "callspec")]
    cases = [CASES[name] for name in names if name in CASES]
    make_driver = partial(Driver, str(PYTHON), ["sequential"])
    with run_all(cases, lambda: tmp_path_factory.mktemp("flow"), make_driver) as told:
        yield told


@pytest.mark.parametrize("case", [marked(case) for case in CASES.values()])
def test_a_flow_with_libraries_gives_the_same_there_or_is_refused(case: Case, running: dict[str, Future[Any]]) -> None:
    wrong = judge(case, running[case.name].result())
    assert not wrong, wrong


def test_every_flow_with_libraries_is_as_it_should_be() -> None:
    assert [breach for case in CASES.values() for breach in case.breaches] == []
