"""Slots: how many runs of a flow work at once, by objects that are created if absent and owned by a run's id.

Each slot has turns, counted from 1, and the run of the greatest turn has it. It is free when that run is over, or was
given up, which is seen by what lies in its folder; so nothing leaks when anything dies, and no clock is asked.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from runner import naming
from runner.agents.stored import create_document, read_document
from runner.errors import BundleCorrupt, TooLarge
from runner.launchers.start import end_of_given_up
from runner.runs.documents import FORMAT
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.backends.base import Storage
    from runner.schema.documents import SlotDocument

_TURN = re.compile(r"(\d{6,})\.json")


class Slots:
    """The slots of one flow.

    Args:
        storage: where its runs lie.
        home: the folder that its bundle is in.
        numbers: which there are, from 0.
    """

    def __init__(self, storage: Storage, home: str, numbers: Sequence[int]) -> None:
        self._storage, self._home, self._numbers = storage, home, numbers
        self._prefix = f"{home}/runs/_slots".lstrip("/")

    def take(self, run_id: str) -> bool:
        """Take a slot for a run, or find that it has one; return whether it has."""
        last = [(slot, *self._last(slot)) for slot in self._numbers]
        if any(document and document["run_id"] == run_id and self._works(document) for _, _, document in last):
            return True
        return any(
            (document is None or not self._works(document)) and self._take_turn(slot, turn + 1, run_id)
            for slot, turn, document in last
        )

    def owners(self) -> list[str]:
        """Return the ids of the runs that have a slot and work, in no order."""
        found = (self._last(slot)[1] for slot in self._numbers)
        return [document["run_id"] for document in found if document and self._works(document)]

    def owners_if_taken(self) -> list[str]:
        """Return the ids of the runs that have the slots; none where one is free."""
        owners = self.owners()
        return owners if len(owners) == len(self._numbers) else []

    @staticmethod
    def of_all(storage: Storage, home: str) -> Slots:
        """Return all slots that a flow has, or has had."""
        names, _ = storage.list_folder(f"{home}/runs/_slots/".lstrip("/"))
        return Slots(storage, home, [int(name) for name in names if re.fullmatch("[0-9]{1,9}", name)])

    def _turns(self, slot: int) -> list[int]:
        _, entries = self._storage.list_folder(f"{self._prefix}/{slot}/")
        names = (_TURN.fullmatch(entry.key.rpartition("/")[2]) for entry in entries)
        return sorted(int(name[1]) for name in names if name)

    def _last(self, slot: int) -> tuple[int, SlotDocument | None]:
        """Return the greatest turn of a slot, and who has it; 0 and None where nobody has had it."""
        turns = self._turns(slot)
        if not turns:
            return 0, None
        try:
            found = cast("SlotDocument | None", read_document(self._storage, self._key(slot, turns[-1]), "slot"))
        except (BundleCorrupt, TooLarge):
            found = None
        return turns[-1], found

    def _take_turn(self, slot: int, turn: int, run_id: str) -> bool:
        given_up = end_of_given_up(self._store(run_id))
        document: SlotDocument = {
            "format": FORMAT,
            "token": naming.new_token(),
            "run_id": run_id,
            "slot": slot,
            "turn": turn,
            "after": given_up["launch"] if given_up else 0,
            "taken": naming.now(),
        }
        if not create_document(self._storage, self._key(slot, turn), document):
            return False
        turns = self._turns(slot)
        for old in turns:
            if old < turn:
                self._storage.delete(self._key(slot, old))
        return turns[-1] == turn  # else it was taken, and its turns before removed, between two requests of this one

    def _works(self, document: SlotDocument) -> bool:
        """Return whether the run of a turn is there and not over, and nobody has given it up since."""
        store = self._store(document["run_id"])
        try:
            if store.read_outcome() or store.read_request() is None:  # nothing is left of a run that was removed
                return False
        except (BundleCorrupt, TooLarge):  # nothing can come of it any more
            return False
        given_up = end_of_given_up(store)
        return given_up is None or given_up["launch"] <= document["after"]

    def _store(self, run_id: str) -> RunStore:
        return RunStore(self._storage, RunLayout(self._home, run_id))

    def _key(self, slot: int, turn: int) -> str:
        return f"{self._prefix}/{slot}/{turn:06d}.json"
