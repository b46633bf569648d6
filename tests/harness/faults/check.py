"""What must hold of a run that was driven to its conclusion, looked at from outside with the cloud's own SDK."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from harness.faults.flows import ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.faults.ground import Run

Label = tuple[str, "int | None"]
Left = Literal["nothing", "last", "anything"]

KEPT: list[Label] = [
    ("begin", None),
    *(("work", index) for index in range(ELEMENTS)),
    ("small", None),
    ("large", None),
    ("finish", None),
]
TERMINAL_STATES = {"succeeded", "failed", "timed_out"}
TRAILER = 44
_ATTEMPT = re.compile(r"attempts/(\d{4})/(.+)")


def trailer_fits(data: bytes) -> bool:
    pickled, trailer = data[:-TRAILER], data[-TRAILER:]
    return trailer == b"RNR1" + len(pickled).to_bytes(8, "big") + hashlib.sha256(pickled).digest()


def durable(run: Run, attempt: str = r"\d{4}") -> set[Label]:
    """List the tasks and elements whose results lie whole in any attempt's folder, or in those that match."""
    found: set[Label] = set()
    for key in run.listed():
        matched = re.search(rf"/attempts/{attempt}/results/([^/]+)(?:/(\d+))?\.pkl$", key)
        if matched:
            label = (matched[1], int(matched[2]) if matched[2] else None)
            if label not in found and trailer_fits(run.ground.place.read(key)):
                found.add(label)
    return found


def digests(outcome: dict[str, Any]) -> dict[Label, str]:
    """Give the digest of every result that an outcome lists; two pickles of one flow's equal values are equal."""
    return {(task["task"], task["index"]): task["result"]["sha256"] for task in outcome["tasks"] if task["result"]}


def violations(run: Run, code: int, undisturbed: Mapping[Label, str], left: Left) -> list[str]:
    """Say what does not hold; `code` is the last start's, `left` what may be left behind.

    nothing: of any start, as the last one was an attempt that nobody hurt · last: temporary files of the last attempt,
    which none came after to sweep · anything: one that was superseded woke when the run was over.
    """
    read = run.ground.place.read
    keys = [key.removeprefix(run.prefix) for key in run.listed()]
    outcomes = [key for key in keys if key.endswith("outcome.json")]
    if outcomes != ["outcome.json"]:
        return [f"there is not one outcome, but {outcomes}"]
    data = read(f"{run.prefix}outcome.json")
    outcome = json.loads(data)
    found = []
    if (outcome["state"], outcome["exit_code"], code) != ("succeeded", 0, 0):
        found.append(f"the outcome is {outcome['state']}, {outcome['exit_code']}; the last start's code {code}")
    found += _results(run, outcome, undisturbed)
    found += _attempts(run, keys, data)
    found += _run_again(run)
    found += _left(run, left) if left != "anything" else []
    return found


def _results(run: Run, outcome: dict[str, Any], undisturbed: Mapping[Label, str]) -> list[str]:
    found = []
    for task in outcome["tasks"]:
        if (result := task["result"]) is None:
            continue
        label = f"{task['task']}[{task['index']}] in {result['key']}"
        try:
            data = run.ground.place.read(result["key"])
        except Exception as error:  # noqa: BLE001 - each SDK has its own
            found.append(f"the result of {label} cannot be read: {error!r}"[:500])
            continue
        offset = result.get("offset", 0)
        data = data[offset : offset + result.get("length", len(data))]
        said = result["size"], result["sha256"]
        if (len(data) - TRAILER, hashlib.sha256(data[:-TRAILER]).hexdigest()) != said or not trailer_fits(data):
            found.append(f"the result of {label} is not what the outcome says")
    listed = digests(outcome)
    if missing := [label for label in KEPT if label not in listed]:
        found.append(f"the outcome has no result of {missing}")
    if other := [label for label in KEPT if label in listed and listed[label] != undisturbed[label]]:
        found.append(f"other values than those of an undisturbed run: {other}")
    return found


def _attempts(run: Run, keys: list[str], outcome: bytes) -> list[str]:
    found, read = [], run.ground.place.read
    held: dict[int, set[str]] = {}
    for key in keys:
        if matched := _ATTEMPT.fullmatch(key):
            held.setdefault(int(matched[1]), set()).add(matched[2])
    if sorted(held) != list(range(1, len(held) + 1)):
        found.append(f"the attempts have gaps: {sorted(held)}")
    concluding = []
    for number, names in sorted(held.items()):
        if ("claim.json" in names) != ("end.json" in names):
            found.append(f"attempt {number} has {sorted(names & {'claim.json', 'end.json'})} alone, of {sorted(names)}")
        if "end.json" in names:
            data = read(f"{run.prefix}attempts/{number:04d}/end.json")
            if json.loads(data)["state"] in TERMINAL_STATES:
                concluding.append((number, data))
    if [number for number, _ in concluding] != [max(held, default=0)]:
        found.append(f"the ends that conclude are those of {[number for number, _ in concluding]}, of {sorted(held)}")
    elif concluding[0][1] != outcome:
        found.append("the outcome is not a copy of the end that concluded the run")
    return found


def _run_again(run: Run) -> list[str]:
    again = [
        f"{name}[{index}] ran again in start {number}"
        for number, name, index in run.calls()
        if (name, index) in run.durable.get(number, ())
    ]
    twice = [f"{call} was called {times} times" for call, times in Counter(run.calls()).items() if times > 1]
    return again + [text for text in twice if "loading" not in text]


def _left(run: Run, allowed: Left) -> list[str]:
    left: list[Path] = []
    if run.folder:
        last = f"{max(run.attempts()):04d}"
        left = [path for path in run.folder.rglob(".tmp-*") if allowed == "nothing" or last not in path.parts]
    if allowed == "nothing":
        # an end that could not be stored is kept there, and said to be
        left += [path for path in run.temporary.iterdir() if not re.fullmatch(r"runner-.+-\d+\.json", path.name)]
    return [f"left behind: {[str(path) for path in left]}"] if left else []
