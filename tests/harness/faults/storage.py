"""Storage that fails at random: each request, or connection, meets a fault with some probability; and whole outages."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.faults.drive import HELD, TROUBLE, Told, finish
from harness.faults.proxy import KINDS, Fault

if TYPE_CHECKING:
    from harness.faults.asked import Asked
    from harness.faults.ground import Start
    from harness.faults.proxy import Proxy
    from harness.faults.workers import Worker

CLOUDS = ("s3", "azure", "gcs")
OUTAGE = "outage"
GIVES_UP_AFTER = 8  # starts after which the storage is well again, so that the run comes to an end


@dataclass(frozen=True)
class FaultCase:
    """A run whose storage fails at a rate; an outage begins at a request, counted from 1 in each start."""

    name: str
    backend: str
    rate: float
    outage_at: int | None
    outage: float  # seconds

    def run(self, worker: Worker) -> Told:
        """Run, break the storage, and start again until it is over."""
        reported = Told(self.name, self.backend, faults=Counter())
        parameters = {"seed": 1, "pace": 1.0, "size": 2_000_000}
        with worker.new_run(self.backend, self.name, parameters, beat=1.0) as run:
            assert run.proxy is not None
            proxy = run.proxy

            def disturb(start: Start) -> None:
                weather = Weather(self, proxy, start.number)
                proxy.fault, proxy.refuses = weather.fault, weather.refuses

            try:
                finish(
                    run, reported, worker.undisturbed(1, 2_000_000), disturb, lambda _, code: code in {HELD, *TROUBLE}
                )
            finally:
                reported.faults = proxy.counted
            if not reported.violations:
                run.clear()
        return reported


def fault_case(seed: int, index: int, clouds: tuple[str, ...] = CLOUDS) -> FaultCase:
    name = f"storage/{seed}/{index}"
    chance = random.Random(name)
    outage_at = chance.randrange(1, 40) if chance.random() < 0.12 else None
    return FaultCase(
        name, clouds[index % len(clouds)], chance.choice([0.1, 0.2, 0.3]), outage_at, chance.uniform(1, 12)
    )


class Weather:
    """What happens to the requests of one start, by its seed."""

    def __init__(self, case: FaultCase, proxy: Proxy, number: int) -> None:
        self._case, self._proxy = case, proxy
        self._chance = random.Random(f"{case.name}/{number}")
        self._turn = threading.Lock()
        self._well = number > GIVES_UP_AFTER
        self._left = None if self._well or number > 1 else case.outage_at

    def fault(self, _asked: Asked) -> Fault | None:
        with self._turn:
            if self._left is not None:
                self._left -= 1
                if self._left == 0:
                    self._left = None
                    self._break_down()
            if self._well or self._chance.random() >= self._case.rate:
                return None
            return Fault(self._chance.choice(KINDS), self._chance.uniform(0.2, 1.5))

    def refuses(self) -> bool:
        with self._turn:
            return not self._well and self._chance.random() < self._case.rate / 2

    def _break_down(self) -> None:
        self._proxy.count(OUTAGE)
        self._proxy.go_down()

        def mend() -> None:
            time.sleep(self._case.outage)
            self._proxy.come_up()

        threading.Thread(target=mend, daemon=True).start()
