"""What an agent is in the middle of when it is killed: runs, what becomes of them, and who was there before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

GIVEN_UP = "given up"  # what died without an outcome, and is not launched again
CLAIM = "create run/launches/N.json"


@dataclass(frozen=True)
class Scenario:
    """One kind of work of an agent.

    Args:
        name: what it is called.
        kinds: what each run does, by its id; those of a `late` id are submitted when the others work.
        states: what each run comes to, where that is not ``succeeded``.
        concurrency: of the flow.
        options: of all agents.
        first: the step after which another agent was killed that had the runs before; `RUNNING` while they work.
        at: whether the runs wait for a time that has come.
        stops: whether it is asked to stop while the runs work.
        cancels: the run that a person cancels while it works, if it was not before.
        launches: how many launches each run has had.
    """

    name: str
    kinds: dict[str, str]
    states: dict[str, str] = field(default_factory=dict)
    concurrency: Any = None
    options: tuple[str, ...] = ()
    first: tuple[str, int] | None = None
    at: bool = False
    stops: bool = False
    late: tuple[str, ...] = ()
    cancels: str = ""
    launches: int = 1

    def state(self, run_id: str) -> str:
        return self.states.get(run_id, "succeeded")

    @property
    def held(self) -> list[str]:
        """The runs that work until they are stopped."""
        return [run_id for run_id, kind in self.kinds.items() if kind in {"hold", "ignore everything"}]


RUNNING = ("running", 0)
ONE_AT_ONCE = {"max_runs": 1, "on_conflict": "wait"}
NEWEST = {"max_runs": 1, "on_conflict": "cancel_old"}
CANCELLED = {"r": "cancelled"}

SCENARIOS = [
    Scenario("take", {"r": "ok"}),
    Scenario("at", {"r": "ok"}, at=True),
    Scenario("fail", {"r": "fail"}, {"r": "failed"}),
    Scenario("die", {"r": "segfault"}, {"r": GIVEN_UP}, options=("--restarts", "1"), launches=2),
    Scenario("cancel", {"r": "ignore everything"}, CANCELLED, cancels="r"),
    Scenario("hand over", {"r": "hold"}, CANCELLED, stops=True, cancels="r"),
    Scenario("adopt", {"r": "hold"}, CANCELLED, first=RUNNING, cancels="r"),
    Scenario("adopt what was not launched", {"r": "ok"}, first=(CLAIM, 1)),
    Scenario("slots", {"a": "ok", "b": "ok"}, concurrency=ONE_AT_ONCE),
    Scenario(
        "adopt without a slot",
        {"a": "ok", "b": "ok"},
        concurrency=ONE_AT_ONCE,
        first=("replace _agents/first/runs/RUN", 2),
    ),
    Scenario("cancel old", {"a": "hold", "b": "ok"}, {"a": "cancelled"}, concurrency=NEWEST, late=("b",)),
]
