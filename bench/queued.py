"""What agents and their queue cost: requests, launches a second, and the wait for a first line.

    python bench/queued.py [idle] [run] [many] [first-line] [--write]

idle: an agent that has nothing to do, for as long as its longest pause, ten minutes. run: one run after the other, from
``runner submit`` on, in a bucket that is empty but for them, and in one with ``--finished`` runs; what the runs ask for
themselves goes past the proxy. many: 20 agents and 10,000 runs that are waiting, with a launcher that writes down what
a run's container would, and does nothing. first-line: from the start of ``runner submit`` to the flow's first line,
beside ``runner launch local``.

With ``--write`` the tables are put into ``docs/scheduling.md``.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.faults.asked import Asked
    from support.places import Place

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from harness.faults.proxy import Proxy  # noqa: E402 - from the folders above
from runner.agents.queue import Queue  # noqa: E402 - see above
from runner.agents.submit import Turn, submit  # noqa: E402 - see above
from runner.authoring.storages import declare  # noqa: E402 - see above
from runner.launchers.launch import find  # noqa: E402 - see above
from runner.location import parse_location  # noqa: E402 - see above
from runner.settings import Settings  # noqa: E402 - see above
from support.places import local_place, s3_place  # noqa: E402 - see above
from support.servers.moto import start_moto  # noqa: E402 - see above

BEGIN, END = "<!-- printed by bench/queued.py {} -->", "<!-- as far as here -->"
KNOWN_SECONDS = 35.0  # after which all agents know one another: a heartbeat and a little
FLOW = "first-line"  # the slug of the flow in first_line.py
AT_ONCE = 8  # threads that fill a bucket
PATTERNS = {
    r"_queue/ring": "the doorbell",
    r"_queue/sets/.*": "a set's labels",
    r"_queue/at/.*": "what waits for a time",
    r"_queue/": "the queue",
    r"_queue/.*/": "a set",
    r"_queue/.*": "an entry",
    r"_agents/": "the register",
    r"_agents/.*/beat": "an agent's beat",
    r"_agents/.*/agent.json": "agent.json",
    r"_agents/.*/runs/.*": "a marker",
    r".*/launches/\d+.json": "launches/1.json",
    r".*/launches/\d+.(\w+).json": r"launches/1.\1.json",
    r".*/attempts/\d+/(.*)": r"attempts/1/\1",
    r".*/(attempts/|launches/)": r"\1",
    r".*/(outcome|run|cancel)\.json": r"\1.json",
    r"[^/]*/?|[^/]*/20[^/]*": "the bundle",
}
IDLE = {"GET the doorbell", "GET an agent's beat", "PUT an agent's beat"}  # are made whether anything runs or not


class Counted:
    """The requests that pass a proxy, by what they are of."""

    def __init__(self, proxy: Proxy | None) -> None:
        self.requests: Counter[str] = Counter()
        if proxy:
            proxy.fault = self._note

    def _note(self, asked: Asked) -> None:
        verb = {"list": "LIST", "delete": "DELETE"}.get(asked.verb, asked.method)
        key = parse_qs(urlsplit(asked.path).query).get("prefix", [""])[0] if asked.verb == "list" else asked.key
        found = ((re.fullmatch(pattern, key), word) for pattern, word in PATTERNS.items())
        known = (match.expand(word) for match, word in found if match)
        self.requests[verb if verb == "DELETE" else f"{verb} {next(known, key)}"] += 1

    def during(self, work: Callable[[], object]) -> Counter[str]:
        """Return the requests that are made while something is done."""
        before = self.requests.copy()
        work()
        return self.requests - before


def of_class(requests: Counter[str], *verbs: str) -> float:
    """Return how many of the requests are of these kinds."""
    return sum(number for what, number in requests.items() if what.partition(" ")[0] in verbs)


class Site:
    """A place with a flow whose first line notes the time, and agents, which a proxy may count the requests of."""

    def __init__(self, place: Place, folder: Path, proxy: Proxy | None) -> None:
        self.place, self.storage = place, place.open()  # past the proxy
        self.folder, self.out = folder, folder / "noted"
        self.direct = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": str(ROOT), **place.environ}
        self.environ = self.direct | ({"AWS_ENDPOINT_URL": proxy.url} if proxy else {})
        self.counted = Counted(proxy)
        self.labels = [f"--label={label}" for label in declare(place.url).labels]
        self.runner(self.direct, "build", str(ROOT / "bench" / "first_line.py"), "--storage", place.url)
        self.url = f"{place.url}/{FLOW}"

    def runner(self, environ: dict[str, str], *arguments: str) -> None:
        """Have a command of runner done."""
        command = [sys.executable, "-P", "-m", "runner", *arguments]
        subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @property
    def of_launches(self) -> list[str]:
        """The options of what is launched on this machine: its requests are its own, and not counted."""
        past = f"AWS_ENDPOINT_URL={self.direct.get('AWS_ENDPOINT_URL')}"
        return ["-O", f"folder={self.folder}/launches", "-e", past, "-e", f"BENCH_OUT={self.out}"]

    @contextmanager
    def agents(self, number: int, *program: str, rest: float = 5.0) -> Iterator[None]:
        """Have agents at work, with the pace that they have by default; wait until they have come to rest."""
        command = [sys.executable, "-P", *(program or ("-m", "runner")), "agent", "start", "local"]
        environ = self.environ | {
            "BENCH_OUT": str(self.out),
            "BENCH_ENDPOINT": self.direct.get("AWS_ENDPOINT_URL", ""),
        }
        started = [
            subprocess.Popen(
                [*command, "--storage", self.place.url, *self.labels, *self.of_launches],
                env=environ,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(number)
        ]
        try:
            self.until(lambda: sum(key.endswith("/beat") for key in self.keys("_agents/")) == number)
            time.sleep(rest)
            yield
        finally:
            for agent in started:
                agent.terminate()
            for agent in started:
                agent.wait(60)

    def keys(self, prefix: str) -> list[str]:
        """Return what lies below a folder."""
        return [entry.key for entry in self.storage.list_recursive(prefix)]

    @staticmethod
    def until(holds: Callable[[], bool], pause: float = 0.02) -> None:
        """Wait until something holds."""
        while not holds():
            time.sleep(pause)

    def first_line(self, work: Callable[[], object]) -> float:
        """Return the seconds from the beginning of some work to the flow's first line."""
        self.out.unlink(missing_ok=True)
        began = time.time()
        work()
        self.until(lambda: self.out.exists() and bool(self.out.read_text("utf-8")))
        return float(self.out.read_text("utf-8")) - began

    def submit(self, run_id: str) -> None:
        """Have a run wait for an agent."""
        self.runner(self.environ, "submit", self.url, "--run-id", run_id)

    def submit_many(self, number: int) -> None:
        """Have so many runs wait, in this process, and past the proxy."""
        found = find(parse_location(self.url), Settings.from_environ(self.direct, needs_location=False))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda each: submit(found, {}, f"run-{each:06d}", Turn()), range(number)))

    def fill(self, finished: int) -> None:
        """Put so many finished runs into the bucket, and a tenth of that of other objects."""
        keys = [f"{FLOW}/runs/old-{number}/outcome.json" for number in range(finished)]
        keys += [f"others/{number}" for number in range(finished // 10)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda key: self.storage.replace(key, b"{}"), keys))


@contextmanager
def site() -> Iterator[Site]:
    """Open a bucket of its own."""
    with start_moto() as server, Proxy("s3", server.url) as proxy, tempfile.TemporaryDirectory() as folder:
        yield Site(s3_place(server), Path(folder), proxy)


def idle(seconds: float) -> list[str]:
    """Count what an agent asks for that has nothing to do, in an hour: two of them look after each other."""
    number = 2
    with site() as here, here.agents(number):
        found = here.counted.during(lambda: time.sleep(seconds))
    share = 3600 / seconds / number
    lines = ["| an idle agent asks, in an hour | times |", "| --- | ---: |"]
    lines += [f"| {what} | {count * share:.0f} |" for what, count in sorted(found.items())]
    gets, lists = of_class(found, "GET") * share, of_class(found, "LIST") * share
    return [*lines, "", f"{gets:.0f} GET and {lists:.0f} LIST an hour, counted for {seconds:g} s."]


def run(finished: int, rounds: int) -> list[str]:
    """Count what a run costs beside its own requests, in a bucket with few objects and in one with many."""
    counts: dict[int, tuple[Counter[str], Counter[str]]] = {}
    for filled in (0, finished):
        with site() as here:
            here.fill(filled)
            with here.agents(1):
                _one(here, "warm")
                claimed, over = Counter[str](), Counter[str]()
                for number in range(rounds):
                    until_claimed, until_over = _one(here, f"run-{number}")
                    claimed, over = claimed + until_claimed, over + until_over
                counts[filled] = claimed, over
    lines = [
        f"| a run costs | to its claim | to its end | to its claim, beside {finished:,} finished runs | to its end |"
    ]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    columns = [column for pair in counts.values() for column in pair]
    lines += [
        f"| {what} | {' | '.join(f'{column[what] / rounds:.1f}' for column in columns)} |"
        for what in sorted(set().union(*columns))
    ]
    paid = [f"{of_class(column, 'PUT', 'LIST', 'POST') / rounds:.1f}" for column in columns]
    return [*lines, f"| **paid: PUT and LIST** | {' | '.join(f'**{each}**' for each in paid)} |"]


def _one(here: Site, run_id: str) -> tuple[Counter[str], Counter[str]]:
    attempt, outcome = f"{FLOW}/runs/{run_id}/attempts/0001/claim.json", f"{FLOW}/runs/{run_id}/outcome.json"

    def claim() -> None:
        here.submit(run_id)
        here.until(lambda: here.storage.read_or_none(attempt) is not None)

    def end() -> None:
        here.until(lambda: here.storage.read_or_none(outcome) is not None)
        here.until(lambda: not any("/runs/" in key for key in here.keys("_agents/")))

    to_claim = here.counted.during(claim)
    to_end = to_claim + here.counted.during(end)
    for what in IDLE:
        del to_claim[what], to_end[what]
    return to_claim, to_end


def many(agents: int, runs: int) -> list[str]:
    """Have many agents take many runs, on S3 and in a folder."""
    what = [
        "launches a second",
        "LIST, claims and DELETE a run",
        "all requests a run",
        "lost claims",
        "lost",
        "doubled",
    ]
    lines = [f"| {agents} agents, {runs:,} runs | {' | '.join(what)} |", f"| --- |{' ---: |' * len(what)}"]
    with site() as here:
        lines.append(f"| S3 | {_many(here, agents, runs)} |")
    with tempfile.TemporaryDirectory() as folder:
        here = Site(local_place(Path(folder, "bucket")), Path(folder), None)
        lines.append(f"| a folder | {_many(here, agents, runs)} |")
    return lines


def _many(here: Site, agents: int, runs: int) -> str:
    here.submit_many(runs)
    [labels] = here.keys("_queue/sets/")
    data = here.storage.read(labels)
    here.storage.delete(labels)  # without them nobody knows whose runs these are
    with here.agents(agents, str(ROOT / "bench" / "agent_of_nothing.py"), rest=KNOWN_SECONDS):
        here.storage.create(labels, data)
        Queue(here.storage, "").ring()
        here.until(lambda: here.out.exists() and len(here.out.read_text("utf-8").splitlines()) >= runs, 0.5)
        here.until(lambda: not any("/runs/" in key for key in here.keys("_agents/")), 0.5)
        found = here.counted.requests.copy()
    for what in IDLE:
        del found[what]
    noted = [line.split() for line in here.out.read_text("utf-8").splitlines()]
    times = sorted(float(when) for when, _ in noted)
    keys = Counter(key.partition("/runs/")[2].partition("/")[2] for key in here.keys(f"{FLOW}/"))
    claims = found["PUT launches/1.json"]
    counted = [f"{(of_class(found, 'LIST', 'DELETE') + claims) / runs:.2f}", f"{found.total() / runs:.1f}"]
    counted.append(f"{claims - runs:,}")
    doubled = len(noted) - len({name for _, name in noted}) + keys["launches/0002.json"]
    figures = [f"{runs / (times[-1] - times[0]):.0f}", *(counted if claims else ["", "", ""])]
    return " | ".join([*figures, str(runs - keys["outcome.json"]), str(doubled)])


def first_line(rounds: int) -> list[str]:
    """Compare the time to a first line with that of a launch without an agent."""
    with site() as here, here.agents(1):
        launch = ("launch", "local", here.url, "--detach", *here.of_launches)
        times: dict[str, list[float]] = {"launch": [], "submit": []}
        for number in range(rounds + 1):
            launched = here.first_line(lambda: here.runner(here.environ, *launch))
            submitted = here.first_line(partial(here.submit, f"first-{number}"))
            if number:
                times["launch"].append(launched)
                times["submit"].append(submitted)
    launched, submitted = (statistics.median(times[name]) for name in ("launch", "submit"))
    return [
        "| to the first line, median | seconds |",
        "| --- | ---: |",
        f"| `runner launch local` | {launched:.2f} |",
        f"| `runner submit`, and an agent that looks every 2 s | {submitted:.2f} |",
        "",
        f"{submitted / launched:.2f} times as long, {max(times['submit']) - launched:.2f} s more at the longest.",
    ]


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures = ("idle", "run", "many", "first-line")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(figures))
    parser.add_argument("--seconds", type=float, default=600.0, help="of an idle agent")
    parser.add_argument("--finished", type=int, default=20_000, help="runs in the bucket")
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    measures: dict[str, Callable[[], list[str]]] = {
        "idle": lambda: idle(given.seconds),
        "run": lambda: run(given.finished, given.rounds),
        "many": lambda: many(given.agents, given.runs),
        "first-line": lambda: first_line(given.rounds),
    }
    for name in given.figures or figures:
        table = "\n".join(measures[name]())
        print(table, flush=True)
        if given.write:
            page, begin = ROOT / "docs" / "scheduling.md", BEGIN.format(name)
            before, _, rest = page.read_text("utf-8").partition(begin)
            page.write_text(f"{before}{begin}\n\n{table}\n\n{END}{rest.partition(END)[2]}", "utf-8")


if __name__ == "__main__":
    main()
