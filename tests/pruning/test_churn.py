"""Runs that repeat others begin and end beside a prune that never stops: what an outcome lists never goes before it."""

from __future__ import annotations

import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from runner.pruning import plan, removal
from runner.runs.status import run_status
from runner.settings import Settings
from support.memory.storage import BUCKETS
from support.run_documents import write_run

if TYPE_CHECKING:
    from support.places import Place

WRITERS, RUNS = 3, 120


class _Churn:
    """Writes runs as a retry does, and removes all but the newest of them."""

    def __init__(self, place: Place) -> None:
        self.place, self.objects = place, BUCKETS[place.url.partition("://")[2]]
        self.made: list[str] = []
        self.removed = 0
        self.over = threading.Event()

    def write(self, writer: int) -> None:
        """Have runs take the results of one another, each in the order of requests that a retry has."""
        chance = random.Random(writer)
        for number in range(RUNS):
            run_id = f"r{writer}-{number}"
            sources = [source for source in self.made[-30:] if self.is_there(source)]
            source = chance.choice(sources) if sources and chance.random() < 0.7 else None
            write_run(self.place, run_id, reuse=source, state=None)
            time.sleep(chance.random() * 0.004)  # as long as a request or two
            if source is None or self.is_there(source):  # else it is refused: there is no such run
                time.sleep(chance.random() * 0.01)
                write_run(self.place, run_id, reuse=source)
                self.made.append(run_id)

    def is_there(self, run_id: str) -> bool:
        return f"etl/runs/{run_id}/run.json" in self.objects

    def prune(self) -> None:
        where = plan.Place(self.place.open(), "etl", Settings(environ={}), run_status)
        while not self.over.is_set():
            results = list(removal.remove(where, plan.plan_flow(where, plan.Rules(3, ""))))
            assert not [result.error for result in results if result.error]
            self.removed += sum(not result.kept for result in results)

    def lacking(self) -> list[str]:
        """The results that outcomes list, and that are not there."""
        keys = [key for key in self.place.keys() if key.endswith("/outcome.json")]  # noqa: SIM118
        outcomes = [json.loads(self.place.read(key)) for key in keys]
        listed = [task["result"]["key"] for one in outcomes if self.is_there(one["run_id"]) for task in one["tasks"]]
        return [key for key in listed if key not in self.objects]


@pytest.mark.parametrize("backend", ["memory"], indirect=True)
def test_what_an_outcome_lists_is_there_for_as_long_as_that(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "BATCH", 4)
    churn = _Churn(place)
    with ThreadPoolExecutor(WRITERS + 1) as pool:
        pruning = pool.submit(churn.prune)
        writing = [pool.submit(churn.write, writer) for writer in range(WRITERS)]
        for each in writing:
            each.result()
        churn.over.set()
        pruning.result()
    assert churn.lacking() == []
    assert churn.removed > RUNS / 2
