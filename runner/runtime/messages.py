"""What the flow's process tells the supervisor, and the order that it gets: one line of JSON each, over two pipes.

A process that dies must leave behind what its end needs, so everything is told when it is known. A process that dies
before it has said `Finished` ended itself, or was killed. Whatever it said: the end that stands in the storage decides
the exit code.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from runner.model.verdict import Verdict
from runner.runs.layout import Claim, RunPlace

if TYPE_CHECKING:
    from runner.schema.documents import BundleReference


@dataclass(frozen=True, slots=True)
class RunLocated:
    """Where the run's documents lie, which bundle it is of, and which flow, once that is known."""

    place: RunPlace
    flow: str | None
    bundle: BundleReference


@dataclass(frozen=True, slots=True)
class BundleVerified:
    """The names of secrets that must not be shown, and what the signature of an end is bound to."""

    secrets: list[str]
    request_digest: str | None


@dataclass(frozen=True, slots=True)
class ModulesUnpacked:
    """A folder to remove."""

    folder: str


@dataclass(frozen=True, slots=True)
class ClaimAnnounced:
    """The attempt that needs an end, if the claim that is being made succeeds."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class ClaimWithdrawn:
    """The attempt is another's."""


@dataclass(frozen=True, slots=True)
class ClaimHeld:
    """The claim was made: the attempt needs heartbeats."""


@dataclass(frozen=True, slots=True)
class FlowBegan:
    """The flow's first line is near; its name."""

    flow: str


@dataclass(frozen=True, slots=True)
class EndAnnounced:
    """The token of the end that is about to be stored."""

    token: str


@dataclass(frozen=True, slots=True)
class EndSavedAside:
    """The end could not be stored, and was saved elsewhere."""


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """The attempt has its end: the one with this verdict or, without one, another's."""

    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Finished:
    """How this process ended."""

    verdict: Verdict


Message: TypeAlias = (
    RunLocated
    | BundleVerified
    | ModulesUnpacked
    | ClaimAnnounced
    | ClaimWithdrawn
    | ClaimHeld
    | FlowBegan
    | EndAnnounced
    | EndSavedAside
    | AttemptEnded
    | Finished
)


@dataclass(frozen=True, slots=True)
class StopOrder:
    """What the supervisor orders: to stop.

    Args:
        verdict: the end that the attempt gets.
        signal: the number of the signal that asked for it, if one did.
        within: seconds in which the flow may come to a safe point.
    """

    verdict: Verdict
    signal: int | None
    within: float


_KINDS = {kind.__name__: kind for kind in (*Message.__args__, StopOrder)}
_PARTS = {"place": RunPlace, "claim": Claim, "verdict": Verdict}


def encode(message: Message | StopOrder) -> bytes:
    """Return a message as a line of JSON."""
    document = {"kind": type(message).__name__, **asdict(message)}
    return json.dumps(document, ensure_ascii=False).encode(errors="surrogatepass") + b"\n"


def decode(line: bytes) -> Message | StopOrder | None:
    """Return the message of a line; None for half a line of a process that was killed, or what a flow wrote there."""
    try:
        fields: dict[str, Any] = json.loads(line.decode(errors="surrogatepass"))
        kind = _KINDS[fields.pop("kind")]
        parts = {name: part(**fields[name]) for name, part in _PARTS.items() if fields.get(name) is not None}
        message: Message | StopOrder = kind(**fields | parts)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return message
