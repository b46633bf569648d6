"""A flow that has been there for long, with everything that pruning must tell apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runner.agents.queue import Queue
from runner.agents.register import Register
from runner.naming import new_token
from support.agents import agent_of
from support.command_line import printed_json, run_command
from support.run_documents import write_run

if TYPE_CHECKING:
    from support.places import Place

YOUNG = "2026-11-27T06:00:00.000000+00:00"


def version(number: int) -> str:
    """The name of a version, of which there is one a month."""
    return f"2026-{number:02d}-01t06-00-00-000000-00-00"


def write_versions(place: Place, *numbers: int, home: str = "etl") -> None:
    for number in numbers:
        place.write(f"{home}/{version(number)}", b"a bundle" * number)


def prune(place: Place, *arguments: str, url: str = "") -> Any:
    """What `runner prune --json` says, which everything before this month is old enough for."""
    given = arguments or ("--older-than", "2026-11-01")
    return printed_json(run_command(place.environ, "prune", url or place.url, *given, "--yes", "--json"))


def names(listed: list[dict[str, Any]]) -> list[str]:
    """The runs, versions and files of a part of the document, by their last names."""
    return sorted(one["url"].rpartition("/")[2] for one in listed)


def reasons(document: dict[str, Any]) -> dict[str, str]:
    """Why what is kept is."""
    return {one["url"].rpartition("/")[2]: one["reason"] for one in document["kept"]}


def folder_of(place: Place, run_id: str, home: str = "etl") -> list[str]:
    return [key for key in place.keys() if key.startswith(f"{home}/runs/{run_id}/")]  # noqa: SIM118


def wait_in_queue(place: Place, run_id: str, home: str = "etl") -> None:
    """Have a run wait, as a submit does whose agent has not come yet."""
    storage = place.open()
    queue = Queue(storage, "")
    request = json.loads(place.read(f"{home}/runs/{run_id}/run.json"))
    key = queue.key_of(request, ["gpu"], priority=0, at=None)
    entry: Any = {"format": 1, "token": new_token(), "run_id": run_id, "home": home, "queued": YOUNG}
    queue.add(key, entry, ["gpu"])


def mark(place: Place, run_id: str, home: str = "etl") -> None:
    """Have an agent look after a run."""
    register = Register(place.open(), "")
    if "a" not in register.folders():
        register.enter(agent_of("a", "local"))
    marker: Any = {
        "format": 1,
        "token": new_token(),
        "run_id": run_id,
        "home": home,
        "entry": f"_queue/0123456789abcdef/5020261127060000000000-{run_id}",
        "kind": "local",
        "taken": YOUNG,
        "taken_by": "a",
    }
    register.mark(marker)


def write_pointer(place: Place, number: int, alias: str | None = None, home: str = "etl") -> None:
    document = {
        "format": 1,
        "alias": alias,
        "flow": home,
        "place": home,
        "version": version(number),
        "sha256": "0" * 64,
        "made": YOUNG,
    }
    place.write(f"{home}/aliases/{alias}.json" if alias else f"{home}/latest.json", json.dumps(document).encode())


def write_everything(place: Place) -> dict[str, list[str]]:
    """Write what pruning must tell apart, and return which runs and versions of it go, and which stay."""
    write_versions(place, *range(1, 10))
    write_run(place, "old", version=version(1))
    write_run(place, "failed", state="failed", version=version(2))
    write_run(place, "young", began=YOUNG, version=version(3))
    write_run(place, "crashed", state="crashed", version=version(4))
    write_run(place, "asked", state=None, version=version(4))
    write_run(place, "first", version=version(2))
    write_run(place, "second", reuse="first", version=version(2))
    write_run(place, "third", reuse="second", began=YOUNG, version=version(2))
    write_run(place, "lonely", reuse="old", version=version(1))
    for run_id in ("waits", "watched"):
        write_run(place, run_id, version=version(1))
    wait_in_queue(place, "waits")
    mark(place, "watched")
    write_pointer(place, 5)
    write_pointer(place, 6, "prod")
    for key in ("etl/notes.txt", "etl/2026-01-01t06.csv", "etl/runs/old/mine.txt", "etl/runs/-x/run.json", "README"):
        place.write(key, b"somebody else's")
    place.write("etl/runs/_slots/0/000001.json", b"{}")
    place.write("etl/aliases/notes", b"x")
    return {
        "gone": ["failed", "lonely", "old", version(7), version(8)],
        "kept": ["asked", "crashed", "first", "second", "waits", "watched", *(version(each) for each in range(1, 7))],
    }
