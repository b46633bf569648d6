"""What 0.1.0 wrote, in a copy, and how it is used: by the command, the variables and the public imports alone."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.serialization.pickling import load_result

if TYPE_CHECKING:
    from collections.abc import Mapping

from support.starting import Ran, start

DATA = Path(__file__).parents[1] / "data" / "v0.1"
FITS = sys.version_info[:2] == (3, 11)
OLD = 1_760_000_000.0  # when the copies were last written to: long ago, as everything was in a bucket of then

FINISHED = {"succeeded": 0, "failed": 1}
STOPPED = ["cut-off", "cancelled"]
KEPT = {"extract", "price[0]", "price[1]", "price[2]", "stock", "names", "places"}  # what those two had done
ROWS = [{"row": 0, "by": "then"}, {"row": 1, "by": "then"}, {"row": 2, "by": "then"}]
NAMES = ["Flow", "FlowFailed", "Parameter", "Task", "build_flow", "logger", "secret", "task", "unmapped"]
PLACES = {
    "urls": ["file:///mnt/archive", "s3://archive/old", "gs://archive/old", "azure://archive/old"],
    "labels": ["s3-flow-storage", "gcs-flow-storage", "azure-flow-storage"],
    "image": "org/runner:aws",
    "registry": "registry.example.com/team",
    "error": "no such row. Look again.",
}
SUM = {"sum": 600, "flow": "etl", "is a Flow": True, "task": "<Task extract>"}
GIVEN = {"extract": ROWS, "price": [100, 200, 300], "stock": 30, "names": NAMES, "places": PLACES, "gate": "open"}
VALUES = {
    "succeeded": {**GIVEN, "sum-up": SUM},
    "failed": {**GIVEN, "alert": "ValueError: cannot sum up: the books are shut"},
}
STATES = {
    "succeeded": {"sum-up": "succeeded", "alert": "skipped", "clean-up": "succeeded"},
    "failed": {"sum-up": "failed", "alert": "succeeded", "clean-up": "succeeded"},
    "cancelled": {"gate": "cancelled", "sum-up": "cancelled", "alert": "cancelled", "clean-up": "cancelled"},
}


@dataclass(frozen=True)
class Etl:
    """The flow's folder in a copy of the data, and the variables that say whom to trust there."""

    home: Path
    trust: Mapping[str, str]

    def run_folder(self, run_id: str) -> str:
        return str(self.home / "runs" / run_id)

    def call(self, *arguments: str, **more: str) -> Ran:
        """Call a command."""
        return start({**self.trust, **more}, *arguments)

    def json(self, *arguments: str, **more: str) -> Any:
        """Call a command that succeeds, and give the JSON that it prints."""
        ran = self.call(*arguments, "--json", **more)
        assert ran.code == 0, ran
        return json.loads(ran.stdout)

    def run(self, run_id: str, parameters: Mapping[str, Any] | None = None, **more: str) -> Ran:
        """Start the flow as a container does."""
        asked = {
            "RUNNER_STORAGE": "local",
            "RUNNER_LOCATION": str(self.home),
            "RUNNER_RUN_ID": run_id,
            "RUNNER_PARAMETERS": json.dumps({"count": 3} | dict(parameters or {})),
        }
        return self.call(**asked, **self.traced, **more)

    @property
    def traced(self) -> dict[str, str]:
        """The variables by which tasks tell that they run, and what stands in the results of those that do so now."""
        return {"ETL_TRACE": str(self.home.parent / "trace"), "ETL_BY": "now"}

    @property
    def ran(self) -> list[str]:
        """The tasks that ran since the copy was made, sorted; a mapped one once for each try of an element."""
        trace = self.home.parent / "trace"
        return sorted(trace.read_text("utf-8").split()) if trace.exists() else []

    def tasks(self, run_id: str) -> dict[str, dict[str, Any]]:
        """Give the tasks of a run that is over, or of its last attempt, as ``show`` has them."""
        reported = self.json("show", self.run_folder(run_id))
        return {
            task["task"] if task["index"] is None else f"{task['task']}[{task['index']}]": task
            for task in reported["tasks"]
        }

    def value(self, run_id: str, task: str) -> Any:
        return self.json("result", self.run_folder(run_id), task)


def written(folder: Path) -> dict[str, str]:
    """Give the digests of all files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def assert_refused(ran: Ran) -> None:
    """See that this Python is refused, clearly, and that the remedy is told."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert ran.code == 76, ran
    assert "the flow was built with Python 3.11.7, and this image has Python " + here in ran.stdout + ran.stderr
    assert f"or build the flow with Python {here}" in ran.stdout + ran.stderr


def loaded(path: Path) -> Any:
    """Read a result as runner does, since objects of its own may have moved."""
    with path.open("rb") as file:
        return load_result(file)
