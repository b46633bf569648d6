"""The other agents of a register: who lives, and whose runs nobody looks after any more.

Each agent looks at the heartbeat of one other, the next one by their ids, so that it costs each the same however many
there are; of one that is dead its successor finds the next.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from runner.agents.register import turn_of
from runner.errors import RunnerError
from runner.runs.claims import MISSED_HEARTBEATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.agents.queue import Queue
    from runner.agents.register import Register
    from runner.schema.documents import AgentDocument, RunMarker

LIST_SECONDS = 600.0  # between two looks at the register when nobody comes or goes
LONGEST_BEAT = 300.0  # seconds between two heartbeats that another agent is believed


class Neighbours:
    """See the module. Of two threads one asks for the living, and the other for what was left behind."""

    def __init__(self, register: Register, own: AgentDocument, queue: Queue) -> None:
        self._register, self._id, self._queue = register, own["agent"], queue
        self._own_beat = own["beat"]
        self._documents: dict[str, AgentDocument | None] = {self._id: own}
        self._markers: dict[str, list[str]] = {}
        self.living = [self._id]
        self.is_entered = True  # False where somebody took this one for dead, as it was held up
        self._orphans: list[str] = []  # agents that have left, and whose markers are there
        self._listed = float("-inf")
        self._watched: tuple[str, bytes | None, float] | None = None  # an agent, its beat, and since when it is that

    def look_soon(self) -> None:
        """Look at the register with the next heartbeat: somebody may have come, or gone."""
        self._listed = float("-inf")

    def left_behind(self) -> Iterator[RunMarker]:
        """Yield its share of the markers of agents that have left or died; whoever takes a run removes its marker."""
        if time.monotonic() - self._listed > LIST_SECONDS:
            self.look()
        if dead := self._dead():
            self._register.forget(dead)
            self._queue.ring()
            self.look()
        orphans, self._orphans = self._orphans, []
        for agent in orphans:
            for name in self._markers[agent]:
                marker = self._register.read_marker(agent, name)
                able = self.able(self._queue.labels_for(marker["entry"]), marker["kind"]) if marker else self.living
                if self._id not in able or turn_of(self._id, able, name):
                    continue
                if marker:
                    self.look_soon()  # until it is taken
                    yield marker
                else:
                    self._register.unmark(agent, name)

    def able(self, labels: Iterable[str], kind: str | None = None) -> list[str]:
        """Return who of the living has these labels, and launches on this platform, where one is named."""
        needed, found = set(labels), []
        for agent in self.living:
            if agent not in self._documents:
                self._documents[agent] = self._register.read(agent)
            document = self._documents[agent]
            if document and kind in {None, document["kind"]} and needed.issubset(document["labels"]):
                found.append(agent)
        return found

    def look(self) -> None:
        """Look at the register now: who is there, and whose markers are left."""
        found = self._register.folders()
        self._listed, self.is_entered = time.monotonic(), "agent.json" in found.get(self._id, ())
        self._markers = {agent: [name for name in names if name.startswith("runs/")] for agent, names in found.items()}
        self.living = sorted({self._id, *(agent for agent, names in found.items() if "agent.json" in names)})
        self._orphans = sorted(
            agent for agent, markers in self._markers.items() if markers and agent not in self.living
        )

    def _dead(self) -> str | None:
        """Return the agent that is looked at, if it has missed three of its own heartbeats by this process's clock."""
        place = self.living.index(self._id)
        watched = self.living[(place + 1) % len(self.living)]
        if watched == self._id:
            return None
        try:
            beat, now = self._register.read_beat(watched), time.monotonic()
        except RunnerError:
            self._watched = None  # a storage that is away for this agent is so for the other one, too
            raise
        if self._watched is None or self._watched[:2] != (watched, beat):
            self._watched = watched, beat, now
            return None
        document = self._register.read(watched)
        interval = min(document["beat"], LONGEST_BEAT) if document else self._own_beat
        return watched if now - self._watched[2] > MISSED_HEARTBEATS * interval else None
