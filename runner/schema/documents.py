"""Every document that is stored, by its fields; ``docs/schemas/`` describes each, and a test holds the two together.

Times are ISO 8601 in UTC with microseconds, sizes bytes, digests SHA-256 in lower-case hexadecimal.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

from runner.schema.progress import UsageRecord  # noqa: TC001 - the schemas' test asks for the types

JsonObject: TypeAlias = dict[str, Any]  # of names that are an author's, or a platform's
TaskState = Literal["succeeded", "failed", "skipped", "cancelled"]
State = Literal["succeeded", "failed", "timed_out", "cancelled", "crashed", "lost", "refused"]
LaunchState = Literal["ended", "never started", "stopped", "gone"]


class BundleReference(TypedDict):
    """Which bundle a run is of."""

    url: str
    sha256: str


class Requester(TypedDict):
    """Who asked for a run: the machine or container, and the numeric user where there are such."""

    host: str
    uid: int | None


# The run whose results are taken instead of running their tasks, and the task from which on all run again.
Reuse = TypedDict("Reuse", {"run_id": str, "from": str | None})


class RunRequest(TypedDict):
    """``run.json``: what a run was asked to do."""

    format: Literal[1]
    token: str
    run_id: str
    bundle: BundleReference
    parameters: JsonObject
    labels: list[str]
    image: str | None
    executor: NotRequired[str]
    reuse: NotRequired[Reuse | None]
    entry: NotRequired[str]
    requested: str
    by: Requester


class ClaimDocument(TypedDict):
    """``claim.json``: the right of a process to work on a run as one attempt; ``beat``: seconds between heartbeats."""

    format: Literal[1]
    token: str
    run_id: str
    attempt: int
    host: str
    pid: int
    image: str | None
    python: str
    started: str
    beat: float | None
    launch: NotRequired[int]


class ErrorRecord(TypedDict):
    """Why something did not succeed: the class of the error and a sentence."""

    type: str
    message: str


class TaskErrorRecord(TypedDict):
    """What ended a task: the exception's type and message, and its traceback from the author's code on."""

    type: str
    message: str
    traceback: str


class ResultRecord(TypedDict):
    """Where a task's result lies: the pickle's size and digest without its trailer, and the type of its value.

    With ``offset`` and ``length`` it is a part of an object.
    """

    key: str
    size: int
    sha256: str
    type: str | None
    offset: NotRequired[int]
    length: NotRequired[int]


class TaskRecord(TypedDict):
    """What became of a task, or of one element of a mapped task: ``index`` is its place.

    ``cpu`` is the seconds of a processor that its thread has used, in all its tries.
    """

    task: str
    name: str
    index: int | None
    mapped: bool
    state: TaskState
    tries: int
    started: str | None
    ended: str | None
    error: TaskErrorRecord | None
    result: ResultRecord | None
    cpu: NotRequired[float | None]


class DeathRecord(TypedDict):
    """What is known of a process that died: its trace, the end of its log, bytes of memory, the kernel's word."""

    trace: str | None
    log: str
    peak_memory: int | None
    memory: str | None


class CancelRecord(TypedDict):
    """Who asked for a run to end, when, and why."""

    by: Requester
    requested: str
    why: str | None


class SignatureRecord(TypedDict):
    """An Ed25519 signature; ``key`` is the id of the key, ``signature`` the 64 bytes in base64."""

    format: Literal[1]
    algorithm: Literal["ed25519"]
    key: str
    signature: str


class EndDocument(TypedDict):
    """``end.json``: how an attempt ended. ``outcome.json`` is a copy of the one that concluded the run."""

    format: Literal[1]
    token: str
    run_id: str
    attempt: int
    started: str
    ended: str
    host: str
    python: str
    flow: str | None
    bundle: BundleReference
    state: State
    exit_code: int
    error: ErrorRecord | None
    tasks: list[TaskRecord]
    death: NotRequired[DeathRecord]
    cancel: NotRequired[CancelRecord]
    usage: NotRequired[UsageRecord]
    signature: NotRequired[SignatureRecord]


class CancelDocument(CancelRecord):
    """``cancel.json``: that a run is to end, whatever it has come to."""

    format: Literal[1]
    token: str
    run_id: str
    signature: NotRequired[SignatureRecord]


class LaunchStem(TypedDict):
    """What each document of a launch begins with."""

    format: Literal[1]
    token: str
    run_id: str
    launch: int


class LaunchDocument(LaunchStem):
    """``launches/<nnnn>.json``: that a platform is about to be asked for an object of this name, to work on the run."""

    kind: str
    name: str
    image: str | None
    launched: str
    by: Requester


class HandleDocument(LaunchStem):
    """``launches/<nnnn>.handle.json``: by what the platform knows the object that it made."""

    handle: dict[str, str]
    taken: str


class LaunchEnd(LaunchStem):
    """``launches/<nnnn>.end.json``: what became of the object, in the platform's words, and its last lines."""

    state: LaunchState
    reason: str | None
    message: str | None
    exit_code: int | None
    events: list[str]
    log: list[str]
    ended: str
    given_up: bool


class QueueEntry(TypedDict):
    """``_queue/<set>/<priority><time>-<run-id>``: a run that waits; ``home`` is its flow's folder."""

    format: Literal[1]
    token: str
    run_id: str
    home: str
    queued: str


class LabelSet(TypedDict):
    """``_queue/sets/<set>.json``: the labels of a set of waiting runs."""

    format: Literal[1]
    token: str
    labels: list[str]


class AgentDocument(TypedDict):
    """``_agents/<id>/agent.json``: which runs an agent takes, and where it is; ``beat``: seconds between heartbeats."""

    format: Literal[1]
    token: str
    agent: str
    kind: str
    labels: list[str]
    concurrency: int
    beat: float
    version: str
    pid: int
    started: str
    by: Requester


class RunMarker(TypedDict):
    """``_agents/<id>/runs/<run>``: that an agent is about to launch a run, or looks after it; ``entry`` is its key."""

    format: Literal[1]
    token: str
    run_id: str
    home: str
    entry: str
    kind: str
    taken: str
    taken_by: str


class SlotDocument(TypedDict):
    """``runs/_slots/<slot>/<turn>.json``: that a run has one of the places of a flow; the last turn's is who has it."""

    format: Literal[1]
    token: str
    run_id: str
    slot: int
    turn: int
    after: int
    taken: str


class FlowReference(TypedDict):
    """Which flow a bundle holds; ``key`` is the whole key that it was built for, below the bucket or folder.

    It is missing from what was written before this was so, or is the own key that the author chose below the root.
    """

    name: str
    version: str
    key: NotRequired[str]


class PythonReference(TypedDict):
    """Which Python built a bundle: ``X.Y.Z``, and ``sys.implementation.name``."""

    version: str
    implementation: str


class Requirement(TypedDict):
    """A module that loading or running a flow imports, and the distribution that brought it where it was built."""

    module: str
    distribution: str
    version: str


class ParameterRecord(TypedDict):
    """A parameter of a flow; a default that JSON cannot hold is ``default_repr``."""

    name: str
    required: bool
    default: NotRequired[Any]
    default_repr: NotRequired[str]


class TaskUse(TypedDict):
    """One use of a task in a flow: its slug, the slugs of those that it waits for, and a digest of its arguments."""

    task: str
    name: str
    mapped: bool
    upstream: list[str]
    arguments: NotRequired[str]


class MemberRecord(TypedDict):
    """A member of a bundle: its path, size and digest."""

    name: str
    size: int
    sha256: str


class ResourcesRecord(TypedDict):
    """What a flow's container gets: cores, bytes, and a number of GPUs."""

    cpu: NotRequired[float]
    memory: NotRequired[int]
    gpu: NotRequired[int]
    disk: NotRequired[int]


class EnvironmentRecord(TypedDict):
    """What a flow's environment asks launchers for, besides image and labels; ``options`` by the launcher's kind."""

    resources: ResourcesRecord
    options: JsonObject


OnConflict = Literal["wait", "skip", "cancel_old"]


class ConcurrencyRecord(TypedDict):
    """How many runs of a flow agents let work at once, and what becomes of one too many."""

    max_runs: int
    on_conflict: OnConflict


class ManifestFacts(TypedDict):
    """All of a manifest that is known of a flow before its bundle is written."""

    flow: FlowReference
    python: PythonReference
    cloudpickle: str
    runner: str
    requires: list[Requirement]
    parameters: list[ParameterRecord]
    tasks: list[TaskUse]
    labels: list[str]
    image: str | None
    secrets: list[str]
    environment: NotRequired[EnvironmentRecord]
    concurrency: NotRequired[ConcurrencyRecord]


class Manifest(ManifestFacts):
    """``manifest.json``: what a bundle says about itself."""

    format: Literal[1]
    members: list[MemberRecord]


class PointerDocument(TypedDict):
    """``latest.json`` and ``aliases/*.json``: which version of a flow is the newest, or what an alias stands for.

    ``place`` is the key of the flow's folder; ``alias`` is None in ``latest.json``.
    """

    format: Literal[1]
    alias: str | None
    flow: str
    place: str
    version: str
    sha256: str
    made: str
    signature: NotRequired[SignatureRecord]
