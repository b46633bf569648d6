"""Starts runner in every way in which it may show a secret, and collects all that it wrote."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from harness.leaks.canaries import Planted, plant
from harness.leaks.search import Search
from runner.schemes import storage_words
from support.flows import HERE, located
from support.places import local_place, s3_place
from support.starting import Ran, start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from support.places import Place
    from support.servers import Server
    from support.servers.s3_as_aws import S3AsAws

WAYS = ("aside", "raise", "raise from", "leave", "leave at once", "crash", "be killed")  # as the flow has them
AT_ONCE = 3  # starts
_CLOSES_OVER = """
from runner import Flow, task

def make_task(value):
    @task
    def close_over():
        return value
    return close_over

with Flow("closes") as flow:
    make_task({value!r})()
"""


@dataclass
class Sandbox:
    """The folders in which one start may leave something: its working directory, its home and its temporary folder."""

    folder: Path
    ran: Ran

    def files(self) -> dict[str, bytes]:
        paths = [path for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


@dataclass
class Harness:
    """The canaries, the starts, and the places in storages that they wrote to."""

    folder: Path
    planted: Planted
    sandboxes: dict[str, Sandbox] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)

    def start(self, name: str, environ: Mapping[str, str], *arguments: str) -> Ran:
        """Start runner where nothing was written before."""
        folder = self.folder / name.replace("/", " ").replace(":", " ")
        for part in ("here", "home", "tmp"):
            (folder / part).mkdir(parents=True)
        given = dict(environ) | {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
        ran = start(given, *arguments, cwd=folder / "here")
        self.sandboxes[name] = Sandbox(folder, ran)
        return ran

    def search(self) -> Search:
        """Look for the canaries in all that was written."""
        search = Search(self.planted.canaries)
        for name, sandbox in self.sandboxes.items():
            search.add(f"{name}: standard output", sandbox.ran.stdout.encode(errors="surrogateescape"))
            search.add(f"{name}: standard error", sandbox.ran.stderr.encode(errors="surrogateescape"))
            for file, data in sandbox.files().items():
                search.add(f"{name}: file {file}", data)
        for place in self.places:
            for key in place.keys():  # noqa: SIM118 - a place is no mapping
                search.add(f"{place.word}: {key}", place.read(key))
        return search


def run_all(folder: Path, moto: Server, refusing: S3AsAws) -> Harness:
    """Start everything, with new canaries; ``refusing`` is a storage that accepts none of them as credentials."""
    (folder / "planted").mkdir()
    harness = Harness(folder, plant(folder / "planted"))
    harness.places += [local_place(folder / "storage"), s3_place(moto)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for tasks in (_builds(harness), _runs(harness), [*_reading_commands(harness), *_refusals(harness, refusing)]):
            list(pool.map(lambda task: task(), tasks))
    return harness


def _builds(harness: Harness) -> list[Callable[[], object]]:
    """Publish the flow, and have one refused that closes over a secret."""
    tasks: list[Callable[[], object]] = []
    closing = harness.folder / "planted/closes.py"
    closing.write_text(_CLOSES_OVER.format(value=harness.planted.environ["DB_PASSWORD"]))
    for place in harness.places:
        given = harness.planted.naming | _opening(harness, place)
        for file in (HERE / "leaky.py", closing):
            name = f"{place.word} build {file.stem}"
            arguments = ("build", str(file), "--storage", place.url)
            tasks.append(partial(harness.start, name, given, *arguments))
    return tasks


def _opening(harness: Harness, place: Place) -> dict[str, str]:
    """Return what opens a place; its own keys are no canaries, the ambient ones are."""
    ambient = {name: text for name, text in harness.planted.environ.items() if name in place.environ}
    return place.environ | ambient


def _runs(harness: Harness) -> list[Callable[[], object]]:
    """Run the flow in all its ways, each in a run of that name."""
    tasks: list[Callable[[], object]] = []
    for place in harness.places:
        for way in WAYS:
            given = harness.planted.naming | located(place, "leaky") | _opening(harness, place)
            given |= {"RUNNER_PARAMETERS": json.dumps({"way": way}), "RUNNER_RUN_ID": way.replace(" ", "-")}
            given |= {"RUNNER_LOG_FORMAT": "text"} if way == "raise from" else {}
            tasks.append(partial(harness.start, f"{place.word} run {way}", given))
    return tasks


def _reading_commands(harness: Harness) -> list[Callable[[], object]]:
    """Run every command that reads what the runs left."""
    tasks: list[Callable[[], object]] = []
    for place in harness.places:
        flow, given = f"{place.url}/leaky", harness.planted.naming | _opening(harness, place)
        given["HTTPS_PROXY"] = harness.planted.proxy
        looks = [("doctor",), ("doctor", "--json"), ("doctor", flow), ("ls", flow), ("inspect", "--imports", flow)]
        looks += [("check", flow), ("show", f"{flow}/runs/raise"), ("show", "--json", f"{flow}/runs/crash")]
        looks += [("logs", f"{flow}/runs/aside"), ("result", f"{flow}/runs/raise")]
        looks += [("retry", f"{flow}/runs/leave")] if place.word == "local" else []
        for arguments in looks:
            around = located(place, "leaky") if arguments in {("doctor",), ("doctor", "--json")} else {}
            tasks.append(partial(harness.start, f"{place.word} {' '.join(arguments)}", given | around, *arguments))
    return tasks


def _refusals(harness: Harness, refusing: S3AsAws) -> list[Callable[[], object]]:
    """Start with wrong credentials, and with such as cannot be read."""
    planted = harness.planted.environ
    s3 = {"RUNNER_STORAGE": "s3", "RUNNER_LOCATION": f"{refusing.bucket}/leaky"}
    s3 |= {name: text for name, text in refusing.server.environ.items() if "KEY" not in name}
    gcs = {"RUNNER_STORAGE": "gcs", "RUNNER_LOCATION": "bucket/leaky", "RUNNER_SECRETS": "GCP_CREDENTIALS"}
    azure = {"RUNNER_STORAGE": "azure", "RUNNER_LOCATION": "container/leaky", "RUNNER_SECRETS": "AZURE_CREDENTIALS"}
    key = planted["AWS_CREDENTIALS"]
    broken = json.loads(planted["GCP_CREDENTIALS"])
    broken["private_key"] = broken["private_key"].replace("-----BEGIN", "----BEGIN")
    wrong = {
        "refused": s3 | {"RUNNER_SECRETS": "AWS_CREDENTIALS", "AWS_CREDENTIALS": key},
        "ambient ones refused": s3
        | {"AWS_ACCESS_KEY_ID": "AKIDOTHER"}
        | {"AWS_SECRET_ACCESS_KEY": planted["AWS_SECRET_ACCESS_KEY"]},
        "no JSON": s3 | {"RUNNER_SECRETS": "AWS_CREDENTIALS", "AWS_CREDENTIALS": key[:-1]},
        "incomplete": s3 | {"RUNNER_SECRETS": "AWS_CREDENTIALS", "AWS_CREDENTIALS": key.replace('"SECRET_', '"')},
        "no key": gcs | {"GCP_CREDENTIALS": json.dumps(broken)},
        "no connection string": azure | {"AZURE_CREDENTIALS": planted["AZURE_CREDENTIALS"].replace("AccountName", "A")},
        "no base64": azure | {"AZURE_CREDENTIALS": planted["AZURE_CREDENTIALS"].replace("==", "")},
        "no signing key": s3 | {"RUNNER_SIGNING_KEY": planted["RUNNER_SIGNING_KEY"].replace("BEGIN", "BEGIN ANY")},
    }
    tasks: list[Callable[[], object]] = []
    for what, given in wrong.items():
        url = f"{storage_words()[given['RUNNER_STORAGE']]}://{given['RUNNER_LOCATION']}"
        starts: tuple[tuple[str, ...], ...] = ((), ("doctor",), ("ls", url))
        tasks += [
            partial(harness.start, f"{what} {' '.join(arguments[:1])}", given, *arguments) for arguments in starts
        ]
    return tasks
