"""The named stages of a run at which it is killed, and how each one is seen: in a request, in the folder, in a call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.faults.asked import Asked
    from harness.faults.ground import Run, Start

Part = Literal["early", "middle", "slow", "late"]  # of an attempt; slow stages come only in one that lasts
When = Literal["before", "after", "late", "in"]
RANDOM = "at a random moment"


@dataclass(frozen=True)
class Stage:
    """A moment at one object, or in one call of the flow (then `key` is empty)."""

    name: str
    when: When
    part: Part
    key: str = ""  # a regular expression that the key below the run's folder, or the bundle's, matches
    call: str = ""
    local: bool = True  # whether it can be seen in a folder
    claimed: bool | None = None  # whether the start must have a claim then, or must not

    def __str__(self) -> str:
        return self.name if self.when == "in" else f"{self.when} {self.name}"


def _object(
    part: Part, name: str, key: str, *more: When, local: bool = True, claimed: bool | None = None
) -> list[Stage]:
    whens: tuple[When, ...] = ("before", "after", *more)
    return [Stage(name, when, part, key, local=local and when != "late", claimed=claimed) for when in whens]


_END = r"attempts/\d+/end\.json$"


# in the order in which they come
STAGES = [
    *_object("early", "the fetch", r"\d{4}-\d\d-\d\dt[^/]+$", local=False),
    *_object("early", "run.json", r"run\.json$"),
    *_object("early", "claim.json", r"attempts/\d+/claim\.json$", "late"),
    Stage("loading", "in", "early", call="loading"),
    Stage("the task begin", "in", "early", call="begin"),
    *(Stage(f"the task {name}", "in", "middle", call=name) for name in ("work", "glue", "large", "finish")),
    *_object("middle", "a small result", r"results/(begin|small|finish)\.pkl$", "late"),
    *_object("middle", "an element's result", r"results/work/\d+\.pkl$", "late"),
    *_object("middle", "a streamed result", r"results/large\.pkl$"),
    *_object("slow", "a heartbeat", r"attempts/\d+/beat$"),
    *_object("slow", "a log object", r"attempts/\d+/logs/[^/]+$"),
    *_object("late", "end.json", _END, "late", claimed=True),
    *_object("late", "a lost one's end.json", _END, local=False, claimed=False),
    *_object("late", "outcome.json", r"outcome\.json$"),
]


def of_request(stage: Stage) -> Callable[[Asked], bool]:
    """Give whether a request is the stage's."""
    pattern = re.compile(f"(^|/){stage.key}")
    verb = "read" if stage.name == "the fetch" else "write"
    return lambda asked: asked.verb == verb and bool(pattern.search(asked.key))


def of_call(run: Run, start: Start, name: str) -> Callable[[], bool]:
    """Give whether the start has called it yet."""
    wanted = f"{start.number} {name} "
    position = run.calls_file.stat().st_size

    def reached() -> bool:
        with run.calls_file.open() as file:
            file.seek(position)
            return any(line.startswith(wanted) for line in file)

    return reached


def in_folder(stage: Stage, folder: Path, before: frozenset[int]) -> Callable[[], bool]:
    """Give whether it can be seen in a local run's folder: the object, or before it the temporary file."""
    pattern = re.compile(f"(^|/){stage.key}")
    attempts = folder / "attempts"
    known = {path for path in folder.rglob("*") if path.is_file()} if folder.exists() else set()

    def places() -> list[Path]:
        if not stage.key.startswith(("attempts", "results")):
            return [folder]
        own = [path for path in attempts.iterdir() if path.name.isdecimal() and int(path.name) not in before]
        below = {"a small result": "results", "a streamed result": "results", "a log object": "logs"}
        below["an element's result"] = "results/work"
        return [path / below.get(stage.name, "") for path in own]

    def reached() -> bool:
        try:
            found = [path for place in places() for path in place.iterdir() if path not in known]
            if stage.when == "after":
                return any(pattern.search(f"{path.relative_to(folder)}") for path in found)
            temporary = [path for path in found if path.name.startswith(".tmp-")]
            if places() == [folder]:
                return stage.name == "run.json" or (bool(temporary) and (folder / "run.json").exists())
            if stage.name == "a streamed result":
                return any(path.stat().st_size > 1024 * 1024 for path in temporary)
            if stage.name == "claim.json":
                return bool(places())
            if stage.name in {"end.json", "a heartbeat"}:
                there = {path.name for path in found}
                finished = any(attempts.glob("*/results/finish.pkl"))
                return bool(temporary) and "claim.json" in there and finished == (stage.name == "end.json")
            return bool(temporary)
        except OSError:  # not there yet, or gone meanwhile
            return False

    return reached
