"""Flows that the tests publish and run, each in a file of its own as an author has it, in a folder of no package."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import Flow
from runner.authoring.storages import declare
from runner.cli.build import load_file
from runner.environments import LocalEnvironment

if TYPE_CHECKING:
    from support.places import Place

HERE = Path(__file__).parent / "files"


def publish(place: Place, file: str, concurrency: Any = None, image: str | None = None, **declared: Any) -> str:
    """Publish the flow that a file of this folder defines, and give its bundle's URL."""
    path, modules = list(sys.path), set(sys.modules)
    try:
        module = load_file(HERE / file)
        flow = next(value for value in vars(module).values() if isinstance(value, Flow))
        flow.concurrency = concurrency
        if image:
            flow.environment = LocalEnvironment(metadata={"image": image})
        storage = declare(place.url)
        for name, value in declared.items():
            setattr(storage, name, value)
        flow.storage = storage
        return flow.storage.build()
    finally:  # nothing of one flow reaches the next
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(HERE)):
                del sys.modules[name]


def located(place: Place, key: str) -> dict[str, str]:
    """Give the environment that runs what lies at a key of a place."""
    location = f"{place.url}/{key}".rstrip("/").partition("://")[2]
    return {**place.environ, "RUNNER_STORAGE": place.word, "RUNNER_LOCATION": location}


def outcome_of(place: Place, run_id: str, home: str) -> dict[str, Any]:
    """Read a run's outcome with the cloud's own SDK."""
    found: dict[str, Any] = json.loads(place.read(f"{home}/runs/{run_id}/outcome.json".lstrip("/")))
    return found
