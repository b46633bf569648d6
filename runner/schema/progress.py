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


class UsageSeries(TypedDict):
    """What the flow's processes use over time, a value a point: all counted from the beginning but ``memory``.

    ``cpu`` is seconds of processors, ``memory`` bytes now, all else bytes: from and to disks, in and out of the network
    of the container or, where it has none of its own, of the machine. ``cpus`` and ``memory_limit`` are what there is.
    """

    cpus: float
    memory_limit: int | None
    seconds: list[float]
    cpu: list[float]
    memory: list[int]
    read: list[int | None]
    written: list[int | None]
    received: list[int | None]
    sent: list[int | None]


class UsageRecord(TypedDict):
    """What an attempt has used in all; as `UsageSeries`, but ``memory``: the most that one of its processes had."""

    cpus: float
    memory_limit: int | None
    cpu: float
    memory: int | None
    read: int | None
    written: int | None
    received: int | None
    sent: int | None


class HeartbeatNews(TypedDict):
    """What a heartbeat carries for people."""

    progress: NotRequired[Progress]
    series: NotRequired[UsageSeries]


class Heartbeat(HeartbeatNews):
    """``beat``: that an attempt lives; counted from 1, with the token of its claim."""

    format: Literal[1]
    token: str
    beat: int
    time: str
