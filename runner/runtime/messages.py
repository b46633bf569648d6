"""What the flow's process tells the supervisor, and the order that it gets: one line of JSON each, over two pipes.

A process that dies must leave behind what its end needs, so everything is told when it is known. A process that dies
before it has said ``finished`` ended itself, or was killed. Whatever it said: the end that stands in the storage
decides the exit code.

The types stand alone, as no process needs them to run: `channel` writes and reads messages, which are dictionaries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from runner.model.verdict import Verdict
    from runner.runs.layout import Claim, RunPlace
    from runner.schema.documents import BundleReference
    from runner.schema.progress import Progress


class RunLocated(TypedDict):
    """Where the run's documents lie, which bundle it is of, and which flow, once that is known."""

    kind: Literal["run located"]
    place: RunPlace
    flow: str | None
    bundle: BundleReference


class BundleVerified(TypedDict):
    """The names of secrets that must not be shown, and what the signature of an end is bound to."""

    kind: Literal["bundle verified"]
    secrets: list[str]
    request_digest: str | None


class ModulesUnpacked(TypedDict):
    """A folder to remove."""

    kind: Literal["modules unpacked"]
    folder: str


class ClaimAnnounced(TypedDict):
    """The attempt that needs an end, if the claim that is being made succeeds."""

    kind: Literal["claim announced"]
    claim: Claim


class ClaimWithdrawn(TypedDict):
    """The attempt is another's."""

    kind: Literal["claim withdrawn"]


class ClaimHeld(TypedDict):
    """The claim was made: the attempt needs heartbeats."""

    kind: Literal["claim held"]


class FlowBegan(TypedDict):
    """The flow's first line is near; its name."""

    kind: Literal["flow began"]
    flow: str


class EndSavedAside(TypedDict):
    """The end could not be stored, and was saved elsewhere."""

    kind: Literal["end saved aside"]


class AttemptEnded(TypedDict):
    """The attempt has its end: the one with this verdict or, without one, another's."""

    kind: Literal["attempt ended"]
    verdict: Verdict | None


class ProgressMade(TypedDict):
    """How far the flow is."""

    kind: Literal["progress"]
    progress: Progress


class Finished(TypedDict):
    """How this process ended."""

    kind: Literal["finished"]
    verdict: Verdict


class StopOrder(TypedDict):
    """What the supervisor orders: to stop.

    ``verdict`` is the end that the attempt gets, ``signal`` the number of the signal that asked for it, if one did, and
    ``within`` the seconds in which the flow may come to a safe point.
    """

    kind: Literal["stop"]
    verdict: Verdict
    signal: int | None
    within: float


Message: TypeAlias = (
    RunLocated
    | BundleVerified
    | ModulesUnpacked
    | ClaimAnnounced
    | ClaimWithdrawn
    | ClaimHeld
    | FlowBegan
    | EndSavedAside
    | AttemptEnded
    | ProgressMade
    | Finished
    | StopOrder
)
