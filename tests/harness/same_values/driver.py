"""Processes that run flows of the corpus here and there, a few at a time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from harness.same_values.designs import PRODUCT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from harness.same_values.corpus import Case

EXECUTORS = ("threads", "sequential")
_TESTS = Path(__file__).parents[2]


class Driver:
    """A process that runs flows, one after the other: see `harness.same_values.drive`.

    Args:
        python: the interpreter, and so the environment, in which they run.
        executors: with which ones they run.
        design: what travels of their files; see `harness.same_values.designs`.
    """

    def __init__(
        self, python: str = sys.executable, executors: Sequence[str] = EXECUTORS, design: str = PRODUCT
    ) -> None:
        self._fixed = {"executors": list(executors), "design": design}
        # the same order of sets in all processes, and no measuring, which would take most of the time
        environ = {"PATH": os.environ["PATH"], "PYTHONHASHSEED": "1", "PYTHONPATH": str(_TESTS)}
        command = [python, "-m", "harness.same_values.drive"]
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def run(self, case: Case, work: Path) -> dict[str, Any]:
        """Run a flow at home and, from a bundle, in a container's way; return what was told of it."""
        root = work / "author"
        if case.unit.is_dir():
            shutil.copytree(case.unit, root, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            root.mkdir()
            shutil.copy(case.unit, root)
        file = root / case.file.relative_to(case.unit if case.unit.is_dir() else case.unit.parent)
        request = {
            "file": str(file),
            "root": str(root),
            "work": str(work),
            "arguments": case.arguments,
            "script": case.script,
            **self._fixed,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "failed" in told:
            raise RuntimeError(told["failed"])
        return told

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@contextmanager
def run_all(
    cases: Iterable[Case], make_folder: Callable[[], Path], make_driver: Callable[[], Driver] = Driver
) -> Iterator[dict[str, Future[Any]]]:
    """Run flows, each in a folder of its own, and yield what will be told of each, by name.

    A few run at a time: most of what takes time are processes of their own.
    """
    workers = min(4, os.cpu_count() or 1)
    drivers: SimpleQueue[Driver] = SimpleQueue()
    for _ in range(workers):
        drivers.put(make_driver())

    def run(case: Case) -> dict[str, Any]:
        driver = drivers.get()
        try:
            return driver.run(case, make_folder())
        finally:
            drivers.put(driver)

    with ThreadPoolExecutor(workers) as pool:
        yield {case.name: pool.submit(run, case) for case in cases}
    for _ in range(workers):
        drivers.get().close()
