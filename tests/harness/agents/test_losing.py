"""No run is lost or doubled, and nothing is left behind, whatever answer of the storage an agent or a submit misses."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from harness.agents.losing import AWAY, LosingCase, Loss
from harness.agents.test_trial import ALL, BY_NAME, WORKERS
from support.places import s3_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.servers import Server

# Without make queue-trial: each kind of step once, and the storage away after those that decide whose a run is.
SOME = {
    "take": [
        Loss("", 1),
        Loss("write _queue/SET/ENTRY", 1, AWAY),
        Loss("write run/launches/N.json", 1, AWAY),
        Loss("delete _queue/SET/ENTRY", 1, AWAY),
        Loss("write run/launches/N.end.json", 1, AWAY),
        Loss("delete _agents/victim/runs/RUN", 1, AWAY),
    ],
    "adopt": [Loss("delete _agents/first/runs/RUN", 1, AWAY)],
}
lost: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def _total() -> Iterator[None]:
    yield
    print(f"\nin all {lost.total()} answers lost, at {len(lost)} kinds of steps")


def losses_of(steps: list[str]) -> list[Loss]:
    """Return for each kind of step that was made: its first answer lost, the second, and the storage away after it."""
    counts = Counter(steps)
    return [
        *(Loss(step, number, 0.0) for step, most in counts.items() for number in (1, 2) if number <= most),
        *(Loss(step, 1, AWAY) for step in counts),
    ]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", list(BY_NAME) if ALL else list(SOME))
def test_runs_whose_storage_loses_answers_are_neither_lost_nor_doubled(
    moto: Server, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, text in moto.environ.items():
        monkeypatch.setenv(variable, text)

    def case(number: int, loss: Loss) -> LosingCase:
        beside = loss.number > 1
        folder = tmp_path / f"case-{number}"
        return LosingCase(BY_NAME[name], loss, s3_place(moto), moto, folder, others=1 + beside, beside=beside)

    if ALL:
        undisturbed = case(0, Loss("none", 0)).run()
        assert not undisturbed.violations, "\n".join(undisturbed.violations)
        losses = losses_of(undisturbed.steps)
    else:
        losses = SOME[name]
    cases = [case(number, loss) for number, loss in enumerate(losses, 1)]  # publishing loads a module: in one thread
    with ThreadPoolExecutor(WORKERS) as pool:
        told = list(pool.map(LosingCase.run, cases))
    wrong = ["\n".join([each.name, *each.violations]) for each in told if each.violations]
    met = Counter(re.sub(r"^\w+ ", "", step) for each in cases for step in each.lost)
    lost.update(met)
    print(
        f"{name}: {met.total()} answers lost in {len(told)} cases, at {len(met)} kinds of steps; "
        f"{len(wrong)} with something lost, doubled or left"
    )
    assert not wrong, "\n\n".join(wrong)
    assert sum(bool(each.lost) for each in cases) >= len(losses) / 2  # others may be quicker
