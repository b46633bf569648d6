"""Storage that fails in ways that were met: each is done to a run once, and what becomes of the run is known before.

The storage is well again when the start that met it has ended, so the next one brings the run to its end.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.faults import check, processes
from harness.faults.drive import HELD, PATIENCE, TROUBLE, Told, evidence, finish
from harness.faults.proxy import Fault
from harness.faults.stages import of_call
from harness.faults.storage import CLOUDS
from support.places import unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.faults.asked import Asked
    from harness.faults.ground import Run, Start
    from harness.faults.workers import Worker

BEAT = 1.0
GRACE = 5.0
STORED_OVER = 78  # what a storage is refused with that stores over what was to be created
ASKED_TO_STOP = 143
FOREVER = 1e9
SIZE = 2_000_000  # of the large result


@dataclass
class Spell:
    """From the first write of a key on, for so many seconds, requests meet a fault."""

    begins: str
    fault: Fault
    seconds: float = FOREVER
    times: int = 1_000_000_000
    hits: Callable[[Asked], bool] = lambda _asked: True
    turn: threading.Lock = field(default_factory=threading.Lock)
    until: float | None = None

    def __call__(self, asked: Asked) -> Fault | None:
        with self.turn:
            if self.until is None and asked.verb in {"write", "begin"} and re.search(self.begins, asked.key):
                self.until = time.monotonic() + self.seconds
            if self.until is None or time.monotonic() >= self.until or self.times < 1 or not self.hits(asked):
                return None
            self.times -= 1
            return self.fault


@dataclass(frozen=True)
class Trouble:
    """Its words in the table, what the requests of the start that meets it meet, with which codes that may end."""

    words: str
    spell: Callable[[float], Spell] | None = None
    ends: frozenset[int] = frozenset({0})
    clouds: tuple[str, ...] = CLOUDS
    seconds: float = 0.0
    environ: tuple[tuple[str, str], ...] = ()


def _written(key: str) -> Callable[[Asked], bool]:
    return lambda asked: asked.method in {"PUT", "POST"} and bool(re.search(key, asked.key))


def _of_upload(asked: Asked) -> bool:
    return asked.method == "PUT" and "upload_id" in asked.path


TOLD = frozenset({0, *TROUBLE})
SHORT = (("RUNNER_PATIENCE", "10"),)
TROUBLES: dict[str, Trouble] = {
    "eaten": Trouble(
        "S1: all writes are answered with 200, and nothing is stored",
        lambda seconds: Spell(r"results/begin", Fault("eaten"), seconds, hits=_written("")),
        TOLD,
        seconds=FOREVER,
        environ=SHORT,
    ),
    "eaten-result": Trouble(
        "S1: so is one result",
        lambda _: Spell(r"results/small", Fault("eaten"), times=1, hits=_written(r"results/small\.pkl$")),
        TOLD,
        environ=SHORT,
    ),
    "eaten-end": Trouble(
        "S1: so are end and outcome",
        lambda _: Spell(r"end\.json", Fault("eaten"), hits=_written(r"(end|outcome)\.json$")),
        TOLD,
        environ=SHORT,
    ),
    "late": Trouble("S2: every answer is late by a quarter of the heartbeat", seconds=0.5),
    "down": Trouble(
        "S3: 503 to all while a large result is stored",
        lambda seconds: Spell(r"results/large", Fault("503"), seconds),
        seconds=12.0,
    ),
    "gone": Trouble(
        "S3: 410 to an upload in parts",
        lambda _: Spell(r"results/large", Fault("410"), times=1, hits=_of_upload),
        clouds=("gcs",),
    ),
    "hang": Trouble(
        "S4: no answer to any small request",  # a large upload may take 280 s where the network is slow
        lambda seconds: Spell(r"results/small", Fault("hang"), seconds, hits=lambda asked: "large" not in asked.key),
        seconds=35.0,
    ),
    "careless": Trouble("S5: a second create is not refused: three starts at once", ends=frozenset({STORED_OVER})),
    "refused": Trouble(
        "S6: the credentials are refused",
        lambda seconds: Spell(r"results/begin", Fault("403"), seconds),
        seconds=12.0,
    ),
    "request-timeout": Trouble(
        "S7: 400 RequestTimeout",
        lambda _: Spell(r"results/", Fault("400"), times=3, hits=_written(r"results/")),
        clouds=("s3",),
    ),
    "resumed": Trouble("S8: 503 to a resumed run that reads its results", seconds=12.0),
    "stopped": Trouble("S9: SIGTERM while storage is down", ends=frozenset({73, ASKED_TO_STOP})),
}


@dataclass(frozen=True)
class TroubleCase:
    """One trouble on one storage."""

    name: str
    backend: str
    kind: str
    seconds: float

    @property
    def trouble(self) -> Trouble:
        return TROUBLES[self.kind]

    def run(self, worker: Worker) -> Told:
        """Do it, and start again until the run is over."""
        reported = Told(self.name, self.backend)
        pace = {"late": 120.0, "stopped": 40.0}.get(self.kind, 4.0)
        beat = 2.0 if self.kind == "late" else BEAT
        with worker.new_run(self.backend, self.name, {"seed": 1, "pace": pace, "size": SIZE}, beat) as run:
            run.environ.update(self.trouble.environ)
            doing = {
                "eaten-result": self._lacking,
                "late": self._late,
                "careless": self._careless,
                "resumed": self._resumed,
                "stopped": self._stopped,
            }
            doing.get(self.kind, self._met)(run, reported, worker)
            reported.starts = len(run.starts)
            if reported.violations:
                reported.details = reported.details or evidence(run)
            else:
                run.clear()
        return reported

    def _met(self, run: Run, reported: Told, worker: Worker, first: int = 1) -> None:
        """Let the start with this number meet it, and the next ones bring the run to its end."""
        assert run.proxy is not None
        proxy, trouble = run.proxy, self.trouble

        def disturb(start: Start) -> None:
            if start.number == first and trouble.spell:
                proxy.fault = trouble.spell(self.seconds)
            else:
                proxy.fault = lambda _asked: None

        def allowed(start: Start, code: int) -> bool:
            # what is not alive any more is found out by the starts after it
            return code in trouble.ends if start.number == first else code == HELD

        finish(run, reported, worker.undisturbed(1, SIZE), disturb, allowed)

    def _lacking(self, run: Run, reported: Told, worker: Worker) -> None:
        """Lose a result that was answered for: only a run that has all ends with 0, and others say what is lost."""
        assert run.proxy is not None
        assert self.trouble.spell is not None
        run.proxy.fault = self.trouble.spell(self.seconds)
        for number in (1, 2):
            run.durable[number] = set()
            start = run.begin()
            reported.codes.append(_code(start))
            if reported.codes[-1] == 0:
                reported.violations += check.violations(run, 0, worker.undisturbed(1, SIZE), "nothing")
                return
            if reported.codes[-1] not in self.trouble.ends or "results/small.pkl" not in start.output.read_text():
                reported.violations.append(f"start {number} ended with {reported.codes[-1]}, and names no lost result")

    def _late(self, run: Run, reported: Told, worker: Worker) -> None:
        """Answer late, and start once more meanwhile: the second is held off, and the first works on."""
        assert run.proxy is not None
        run.durable = {1: set(), 2: set()}
        run.proxy.fault = lambda _asked: Fault("stall", self.seconds)
        first = run.begin()
        claimed = of_call(run, first, "begin")
        while not claimed() and first.process.poll() is None:
            time.sleep(0.01)
        second = run.begin()
        reported.codes = [_code(start) for start in (first, second)]
        if reported.codes != [0, HELD]:
            reported.violations.append(f"the two starts ended with {reported.codes}")
        reported.violations += check.violations(run, 0, worker.undisturbed(1, SIZE), "nothing")

    def _careless(self, run: Run, reported: Told, worker: Worker) -> None:
        """Start three times at once, and none of them claims the run."""
        assert run.proxy is not None
        run.environ.update(unsigned(run.ground.place).environ)
        run.proxy.fault = lambda asked: Fault("unconditional") if asked.method in {"PUT", "POST"} else None
        begun = [run.begin() for _ in range(3)]
        run.durable = {start.number: set() for start in begun}
        codes = [_code(start) for start in begun]
        if set(codes) != self.trouble.ends:
            reported.violations.append(f"the three starts ended with {codes}")
        if claims := [key for key in run.listed() if key.endswith("claim.json")]:
            reported.violations.append(f"the run was claimed: {claims}")
        run.proxy.fault = lambda _asked: None
        self._met(run, reported, worker, first=0)
        reported.codes = codes + reported.codes

    def _resumed(self, run: Run, reported: Told, worker: Worker) -> None:
        """Kill the run when it has results, and fail the reads of the next start when it looks for them."""
        assert run.proxy is not None
        run.durable[1] = set()
        first = run.begin()
        reached = of_call(run, first, "finish")
        while not reached() and first.process.poll() is None:
            time.sleep(0.001)
        processes.send(first.process.pid, "both")
        first.process.wait()
        first.hurt = True
        down = Spell("claim", Fault("503"), self.seconds, hits=lambda asked: bool(re.search("results/", asked.key)))
        run.proxy.fault = down

        def allowed(_start: Start, code: int) -> bool:
            return code == HELD

        finish(run, reported, worker.undisturbed(1, SIZE), lambda _start: None, allowed)

    def _stopped(self, run: Run, reported: Told, worker: Worker) -> None:
        """Ask a start to stop whose storage is down, and look how long it takes, and what it tells."""
        assert run.proxy is not None
        run.environ["RUNNER_GRACE"] = str(GRACE)
        run.durable[1] = set()
        run.proxy.fault = Spell(r"results/begin", Fault("503"))
        first = run.begin()
        reached = of_call(run, first, "work")
        while not reached() and first.process.poll() is None:
            time.sleep(0.01)
        time.sleep(1)
        first.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        code = _code(first)
        took = time.monotonic() - began
        reported.codes.append(code)
        if took > 2 * GRACE:
            reported.violations.append(f"asked to stop, with {GRACE:g} s of grace, it took {took:.1f} s")
        if code not in self.trouble.ends:
            reported.violations.append(f"it ended with {code}")
        if not any(_is_end(line) for line in first.output.read_text().splitlines()):
            reported.violations.append("its end was not printed")
        run.proxy.fault = lambda _asked: None
        codes, reported.codes = reported.codes, []
        self._met(run, reported, worker, first=0)
        reported.codes = codes + reported.codes


def _code(start: Start) -> int:
    """Give the exit code of a start, -1 if it did not end in time."""
    try:
        return start.process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return -1


def _is_end(line: str) -> bool:
    try:
        document = json.loads(line)
    except ValueError:
        return False
    return isinstance(document, dict) and {"state", "tasks", "token"} <= document.keys()


def trouble_case(seed: int, kind: str, backend: str) -> TroubleCase:
    return TroubleCase(f"trouble/{seed}/{kind}/{backend}", backend, kind, TROUBLES[kind].seconds)


def trouble_cases(seed: int, backends: tuple[str, ...]) -> list[TroubleCase]:
    """Give each trouble on each storage that can have it."""
    return [
        trouble_case(seed, kind, backend)
        for kind, trouble in TROUBLES.items()
        for backend in trouble.clouds
        if backend in backends
    ]
