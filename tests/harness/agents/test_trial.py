"""No run is lost or doubled, and nothing is left behind, whenever an agent is killed: some of `make queue-trial`."""

from __future__ import annotations

import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from harness.agents.scenarios import SCENARIOS
from harness.agents.trial import Case, Kill, kills_of
from support.places import azure_place, gcs_place, local_place, s3_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.places import Place

ALL = os.environ.get("RUNNER_TEST_KILLS") == "all"  # as make queue-trial has it
WORKERS = 6  # cases at once: most of a case is waiting
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
MADE_ON = {"s3": (s3_place, "moto"), "azure": (azure_place, "azurite"), "gcs": (gcs_place, "gcs_emulator")}
# Without make queue-trial: what the tests of agents do not have, as two agents or two runs are needed for it.
SOME = {("local", "adopt what was not launched"): [Kill("after", "replace _agents/victim/runs/RUN", 1)]}
TRIALS = [*(("local", name) for name in BY_NAME), *((cloud, name) for cloud in MADE_ON for name in list(BY_NAME)[::3])]
struck: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def _total() -> Iterator[None]:
    yield
    print(f"\nin all {struck.total()} agents killed: {dict(struck)}")


@pytest.fixture
def new_place(
    request: pytest.FixtureRequest, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Place]:
    """What makes a fresh place, by its name."""
    if backend == "local":
        return lambda name: local_place(tmp_path / name / "storage")
    make, server = MADE_ON[backend]
    started = request.getfixturevalue(server)
    for name, text in started.environ.items():
        monkeypatch.setenv(name, text)
    return lambda _: make(started)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("backend", "name"), TRIALS if ALL else SOME)
def test_runs_of_agents_that_are_killed_are_neither_lost_nor_doubled(
    new_place: Callable[[str], Place], backend: str, name: str, tmp_path: Path
) -> None:
    scenario = BY_NAME[name]

    def case(number: int, kill: Kill) -> Case:
        folder = f"case-{number}"
        beside = kill.number > 1
        files = tmp_path / folder / "files"
        return Case(scenario, kill, new_place(folder), files, others=1 + beside, beside=beside)

    if ALL:
        undisturbed = case(0, Kill("never", "", 1)).run()
        assert not undisturbed.violations, "\n".join(undisturbed.violations)
        kills = kills_of(undisturbed.steps)
    else:
        kills = SOME[backend, name]
    cases = [case(number, kill) for number, kill in enumerate(kills, 1)]  # publishing loads a module: in one thread
    with ThreadPoolExecutor(WORKERS) as pool:
        told = list(pool.map(Case.run, cases))
    wrong = ["\n".join([each.name, *each.violations]) for each in told if each.violations]
    dead = [each for each in told if each.is_struck]
    steps = {re.sub(r"( \d+)?(, beside others)?$", "", each.name) for each in dead}
    struck[backend] += len(dead)
    print(
        f"{backend}, {name}: {len(dead)} of {len(told)} agents killed, at {len(steps)} kinds of steps; "
        f"{len(wrong)} with something lost, doubled or left"
    )
    assert not wrong, "\n\n".join(wrong)
    assert len(dead) >= len(kills) / 2  # others may be quicker, or the step is not made each time
