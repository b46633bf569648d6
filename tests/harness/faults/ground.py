"""Where the harness works: the servers, a place in each storage with the flow in it, and how a run there is started."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from harness.faults import processes
from harness.faults.proxy import Proxy
from support.flows import located, publish
from support.places import Place, azure_place, gcs_place, local_place, s3_place
from support.servers.azurite import start_azurite
from support.servers.gcs import start_gcs
from support.servers.moto import start_moto
from support.starting import KEPT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.servers import Server

BACKENDS = ("local", "s3", "azure", "gcs")
FLOW = "../../../harness/faults/flows.py"
HOME = "faults"  # the flow's folder
BEAT = {"local": 0.3, "s3": 0.3, "azure": 0.3, "gcs": 1.0}  # seconds; GCS takes one write of an object a second


@contextmanager
def servers() -> Iterator[dict[str, Server]]:
    """Start the emulators, each of which serves all workers."""
    with ExitStack() as stack:
        yield {
            "s3": stack.enter_context(start_moto()),
            "azure": stack.enter_context(start_azurite()),
            "gcs": stack.enter_context(start_gcs()),
        }


@dataclass(frozen=True)
class Ground:
    """One backend as one worker uses it; `url` is the emulator's, `folder` what a local storage lies in."""

    backend: str
    place: Place
    url: str
    folder: Path | None

    @classmethod
    def make(cls, backend: str, server: Server | None, scratch: Path) -> Ground:
        """Make a fresh place and publish the flow in it; the environment of this process must open it."""
        folder = None
        if server is None:
            folder = scratch / "storage"
            place = local_place(folder)
        else:
            make = {"s3": s3_place, "azure": azure_place, "gcs": gcs_place}[backend]
            place = make(server)
            os.environ.update(place.environ)
        publish(place, FLOW)
        return cls(backend, place, server.url if server else "", folder)


@dataclass
class Start:
    """One start of a run: its number from 1, its process, and what it printed into a file."""

    number: int
    mark: str
    process: subprocess.Popen[bytes]
    output: Path
    before: frozenset[int]  # the attempts that were claimed when it began
    hurt: bool = False  # something of it was killed
    turn: threading.RLock = field(default_factory=threading.RLock)  # held by whoever is killing it


@dataclass
class Run:
    """One run, and everything that the harness knows of it; use as a context."""

    ground: Ground
    run_id: str
    scratch: Path
    parameters: Mapping[str, float]
    beat: float
    starts: list[Start] = field(default_factory=list)
    durable: dict[int, set[tuple[str, int | None]]] = field(default_factory=dict)  # before each start
    story: list[str] = field(default_factory=list)
    proxy: Proxy | None = None
    environ: dict[str, str] = field(default_factory=dict)  # besides what every start is given

    def __enter__(self) -> Self:
        self.scratch.mkdir(parents=True)
        self.temporary.mkdir()
        self.calls_file.touch()
        if self.ground.url:
            self.proxy = Proxy(self.ground.backend, self.ground.url).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for begun in self.starts:
            if begun.process.poll() is None:
                begun.process.kill()
                processes.end_all(begun.mark)
            begun.process.wait()
        if self.proxy:
            self.proxy.__exit__()

    @property
    def temporary(self) -> Path:
        """The folder for temporary files of all its starts."""
        return self.scratch / "tmp"

    @property
    def calls_file(self) -> Path:
        return self.scratch / "calls"

    @property
    def prefix(self) -> str:
        return f"{HOME}/runs/{self.run_id}/"

    @property
    def folder(self) -> Path | None:
        """The run's own folder, where the storage is one."""
        return self.ground.folder / self.prefix if self.ground.folder else None

    def listed(self) -> list[str]:
        """Give the full keys of all that is there of it."""
        there = self.ground.place.keys()
        return [key for key in there if key.startswith(self.prefix)]

    def calls(self) -> list[tuple[int, str, int | None]]:
        """What was called: number of the start, task, index."""
        found = []
        for line in self.calls_file.read_text().splitlines():
            number, name, index, _ = line.split()
            found.append((int(number), name, None if index == "-" else int(index)))
        return found

    def begin(self) -> Start:
        """Start runner as a user does, and do not wait for it."""
        number = len(self.starts) + 1
        mark = f"{self.run_id}/{number}"
        given = located(self.ground.place, HOME) | self.environ
        if self.proxy:
            given = {name: value.replace(self.ground.url, self.proxy.url) for name, value in given.items()}
        # what is killed writes no coverage, and to measure it would take the time of what is not
        kept = {name: v for name, v in os.environ.items() if name.startswith(KEPT) and not name.startswith("COV")}
        environ = {
            **kept,
            **given,
            "RUNNER_RUN_ID": self.run_id,
            "RUNNER_HEARTBEAT": str(self.beat),
            "RUNNER_PARAMETERS": json.dumps(self.parameters),
            "RUNNER_EXECUTOR": "threads:3",
            "RUNNER_LOG_FORMAT": "json",
            "TMPDIR": str(self.temporary),
            "FAULTS_CALLS": str(self.calls_file),
            "FAULTS_START": str(number),
            processes.MARK: mark,
        }
        output = self.scratch / f"start-{number}.log"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "runner"],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        begun = Start(number, mark, process, output, frozenset(self.attempts()))
        self.starts.append(begun)
        return begun

    def attempts(self) -> set[int]:
        """Give the numbers of the attempts that are claimed, of a local run."""
        claims = self.folder.glob("attempts/*/claim.json") if self.folder else ()
        return {int(claim.parent.name) for claim in claims}

    def tell(self, text: str) -> None:
        """Add to the story of the run, which a violation is shown with."""
        self.story.append(text)

    def clear(self) -> None:
        """Remove all that the run left, as the emulators keep everything in memory."""
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            storage = self.ground.place.open()
            for key in self.listed():
                storage.delete(key)
        shutil.rmtree(self.scratch, ignore_errors=True)
