"""Every document that the tests produce is validated against its JSON Schema in ``docs/schemas/``."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from runner.bundle import archive

if TYPE_CHECKING:
    from support.places import Place

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
MANY = 500  # tasks from each end of a long list: enough of what is all alike
DOCUMENTS = ("run", "cancel", "claim", "end", "outcome")
OTHERS = {
    r"/launches/\d{4}\.json$": "launch",
    r"/launches/\d{4}\.handle\.json$": "handle",
    r"/launches/\d{4}\.end\.json$": "launch-end",
    r"_agents/[^/]+/agent\.json$": "agent",
    r"_agents/[^/]+/runs/": "marker",
    r"_queue/sets/": "labels",
    r"_queue/([0-9a-f]{16}|at)/": "entry",
    r"/runs/_slots/": "slot",
}


@cache
def validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def validate(name: str, document: Any) -> None:
    validator(name).validate(document)


def kind_of(document: dict[str, Any]) -> str:
    """Name the schema of a document by what only its kind has."""
    of_others = {"why": "cancel", "launched": "launch", "handle": "handle", "events": "launch-end"}
    if kinds := [kind for name, kind in of_others.items() if name in document]:
        return kinds[0]
    return "run" if "requested" in document else "claim" if "beat" in document else "end"


def validate_place(place: Place) -> int:
    """Validate all documents of runs in a place, that they agree with each other, and say how many there are."""
    keys = {key for key in place.keys() if "/.tmp-" not in f"/{key}"}  # noqa: SIM118 - what writers left that were killed
    checked = 0
    for key in sorted(keys):
        folder, _, file = key.rpartition("/")
        name = file.removesuffix(".json")
        if file == "beat":
            validate("beat", json.loads(place.read(key)))
        for kind in (kind for pattern, kind in OTHERS.items() if re.search(pattern, key)):
            validate(kind, json.loads(place.read(key)))
        if key.endswith(".jsonl"):
            assert all(isinstance(json.loads(line), dict) for line in place.read(key).splitlines())
        if name not in DOCUMENTS or file == name:
            continue
        checked += 1
        document = json.loads(data := place.read(key))
        tasks = document.get("tasks", [])
        validate(name, document | ({"tasks": tasks[:MANY] + tasks[-MANY:]} if len(tasks) > 2 * MANY else {}))
        if name == "outcome":
            assert data == place.read(f"{folder}/attempts/{document['attempt']:04d}/end.json")
            for task in document["tasks"]:
                assert task["result"] is None or task["result"]["key"] in keys
        if name == "end":
            claim = json.loads(place.read(f"{folder}/claim.json"))
            assert (claim["started"], claim["attempt"]) == (document["started"], document["attempt"])
        if name != "run":
            assert f"runs/{document['run_id']}/" in key
    return checked


def validate_bundle(data: bytes) -> None:
    validate("manifest", archive.read_bundle(data).manifest)
