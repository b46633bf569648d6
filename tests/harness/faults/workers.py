"""What runs the cases: processes, each with a place of its own in every storage, as waiting is most of it."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import traceback
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.faults import check
from harness.faults.drive import Told
from harness.faults.ground import BEAT, Ground, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from support.servers import Server

_worker: Worker


class Case(Protocol):
    """Something that is done to one run; by its name it can be made again."""

    @property
    def name(self) -> str: ...

    @property
    def backend(self) -> str: ...

    def run(self, worker: Worker) -> Told:
        """Do it, and tell what became of the run."""


class Worker:
    """One process's grounds, and what an undisturbed run of the flow gives."""

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="faults-"))
        self.servers = servers
        self._grounds: dict[str, Ground] = {}
        self._undisturbed: dict[tuple[int, int], Mapping[check.Label, str]] = {}
        self._count = 0

    def new_run(self, backend: str, name: str, parameters: Mapping[str, float], beat: float | None = None) -> Run:
        if backend not in self._grounds:
            self._grounds[backend] = Ground.make(backend, self.servers.get(backend), self.folder)
        self._count += 1
        scratch = self.folder / f"run-{self._count}"
        return Run(self._grounds[backend], name.replace("/", "-"), scratch, parameters, beat or BEAT[backend])

    def undisturbed(self, seed: int, size: int) -> Mapping[check.Label, str]:
        """Give the digests of the results of a run that nobody disturbs."""
        if (seed, size) not in self._undisturbed:
            parameters = {"seed": seed, "size": size, "pace": 0.1}
            with self.new_run("local", f"undisturbed/{seed}/{size}", parameters) as run:
                start = run.begin()
                assert start.process.wait(60) == 0, start.output.read_text()
                outcome = json.loads(run.ground.place.read(f"{run.prefix}outcome.json"))
                self._undisturbed[seed, size] = check.digests(outcome)
                run.clear()
        return self._undisturbed[seed, size]


def _begin(servers: Mapping[str, Server]) -> None:
    global _worker  # noqa: PLW0603 - a process of the pool has no other place for what is its own
    _worker = Worker(servers)
    atexit.register(shutil.rmtree, _worker.folder, ignore_errors=True)


def _do(case: Case) -> Told:
    try:
        return case.run(_worker)
    except Exception:  # noqa: BLE001 - a fault of the harness counts, lest anything is passed over
        return Told(case.name, case.backend, violations=["the harness failed"], details=traceback.format_exc())


def run_cases(
    servers: Mapping[str, Server], workers: int, cases: Iterator[Case], enough: Callable[[], bool] = lambda: False
) -> Iterator[Told]:
    """Run cases until there are no more, or it is enough, and give what became of each as it comes."""
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin, (dict(servers),)) as pool:
        running: set[Future[Told]] = set()
        while True:
            while len(running) < workers and not enough() and (case := next(cases, None)):
                running.add(pool.submit(_do, case))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def environment_for_starts() -> None:
    """Take away what would reach the starts from this machine, or lead them elsewhere."""
    for name in list(os.environ):
        if name.startswith(("RUNNER_", "AWS_", "GOOGLE_", "GCP_", "AZURE_", "STORAGE_EMULATOR", "CLOUDSDK_")):
            del os.environ[name]
