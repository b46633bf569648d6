"""The register of agents: who is there, which runs each looks after, and who has died."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

from runner import naming
from runner.agents.queue import FOLDER as QUEUE
from runner.agents.stored import create_document, read_document
from runner.errors import BundleCorrupt, EnvironmentWrong, NotFound, TooLarge
from runner.limits import limit_of
from runner.location import invalid_key
from runner.runs.documents import FORMAT, encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.backends.base import Storage
    from runner.schema.documents import AgentDocument, RunMarker

FOLDER = "_agents"


class Register:
    """The agents below a root; see `runner.agents.queue.Queue`."""

    def __init__(self, storage: Storage, root: str) -> None:
        self.storage, self.root = storage, root
        self.prefix = f"{root}/{FOLDER}/".lstrip("/")

    def folders(self) -> dict[str, dict[str, float]]:
        """Return what lies in each agent's folder, by the agents' ids: one listing.

        Each name has the time at which it was written last, in seconds since 1970 by the storage's clock.
        """
        found: dict[str, dict[str, float]] = {}
        for entry in self.storage.list_recursive(self.prefix):
            agent, slash, name = entry.key.removeprefix(self.prefix).partition("/")
            if slash:
                found.setdefault(agent, {})[name] = entry.modified
        return found

    def read(self, agent: str) -> AgentDocument | None:
        """Return what an agent says of itself; None for one that is gone, or what is none."""
        try:
            found = cast("AgentDocument | None", read_document(self.storage, self._key(agent, "agent.json"), "agent"))
        except (BundleCorrupt, TooLarge):
            return None
        return found if found and found["agent"] == agent else None

    def read_beat(self, agent: str) -> bytes | None:
        """Return an agent's last heartbeat; only that it changes counts."""
        try:
            return self.storage.read(self._key(agent, "beat"), limit=limit_of("beat"))
        except (NotFound, TooLarge):
            return None

    def enter(self, document: AgentDocument) -> None:
        """Enter an agent.

        Raises EnvironmentWrong where there is one of its id, as their runs could not be told apart.
        """
        if not create_document(self.storage, self._key(document["agent"], "agent.json"), document):
            message = f"there is an agent of the id {document['agent']!r}"
            raise EnvironmentWrong(message, hint="Start it again: each start has an id of its own.")

    def enter_again(self, document: AgentDocument) -> None:
        """Enter an agent that somebody took for dead."""
        self.storage.replace(self._key(document["agent"], "agent.json"), encode(document))

    def write_beat(self, document: AgentDocument, number: int) -> None:
        """Show that an agent lives; the number differs from beat to beat."""
        beat = {"format": FORMAT, "token": document["token"], "beat": number, "time": naming.now()}
        self.storage.replace(self._key(document["agent"], "beat"), encode(beat))

    def forget(self, agent: str) -> None:
        """Remove an agent, whose markers stay until somebody has taken its runs.

        What makes it an agent goes last: where only the heartbeat is gone, it is found dead once more.
        """
        for name in ("beat", "agent.json"):
            self.storage.delete(self._key(agent, name))

    def mark(self, marker: RunMarker) -> str:
        """Write down that an agent takes a run, and return the marker's name."""
        name = marker_name(marker["home"], marker["run_id"])
        self.storage.replace(self._key(marker["taken_by"], name), encode(marker))
        return name

    def read_marker(self, agent: str, name: str) -> RunMarker | None:
        """Return which run a marker is of; None for one that is gone, or what is none."""
        try:
            found = cast("RunMarker | None", read_document(self.storage, self._key(agent, name), "marker"))
        except (BundleCorrupt, TooLarge):
            return None
        if found is None or marker_name(found["home"], found["run_id"]) != name or invalid_key(found["home"] or "-"):
            return None
        return found if found["entry"].startswith(f"{self.root}/{QUEUE}/".lstrip("/")) else None  # it will be removed

    def unmark(self, agent: str, name: str) -> None:
        """Write down that an agent has done with a run."""
        self.storage.delete(self._key(agent, name))

    def _key(self, agent: str, name: str) -> str:
        return f"{self.prefix}{agent}/{name}"


def marker_name(home: str, run_id: str) -> str:
    """Return the name of a run's marker in an agent's folder: two flows may have runs of one id."""
    return f"runs/{hashlib.sha256(home.encode()).hexdigest()[:8]}-{run_id}"


def last_sign(names: Mapping[str, float]) -> float | None:
    """Return when an agent last showed that it lives, by what `Register.folders` has of it; None of one that left."""
    return max((names[name] for name in ("agent.json", "beat") if name in names), default=None)


def turn_of(agent: str, agents: list[str], run_id: str) -> int:
    """Return how many of these agents a run belongs to before this one: each gets equal shares, whoever comes or goes.

    https://en.wikipedia.org/wiki/Rendezvous_hashing
    """
    own = _weight(agent, run_id)
    return sum(_weight(each, run_id) > own for each in agents)


def _weight(agent: str, run_id: str) -> bytes:
    return hashlib.sha256(f"{agent}/{run_id}".encode()).digest()
