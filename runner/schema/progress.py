"""What a heartbeat carries of how far its attempt is; as `runner.schema.documents`."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class TaskProgress(TypedDict):
    """How many elements of a mapped task, or of a task itself, have come how far; what is in none of them waits.

    ``total`` is None as long as nobody knows over how many elements it will be mapped.
    """

    task: str
    total: int | None
    running: int
    succeeded: int
    failed: int
    skipped: int


class RunningTask(TypedDict):
    """A task, or an element, that runs, and since when."""

    task: str
    index: int | None
    since: str


class Progress(TypedDict):
    """How far a flow is: its tasks in their order, how many more there was no room for, and what runs longest."""

    tasks: list[TaskProgress]
    more: int
    longest: RunningTask | None


class Heartbeat(TypedDict):
    """``beat``: that an attempt lives; counted from 1, with the token of its claim."""

    format: Literal[1]
    token: str
    beat: int
    time: str
    progress: NotRequired[Progress]
