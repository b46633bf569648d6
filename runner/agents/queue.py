"""The queue: waiting runs, each as an object in the folder of the set of labels that its agent must have.

The key of an entry says when its turn is: priority, then time. Entries are created if absent and removed, by whoever
has launched the run; nothing is ever scanned past. Whoever adds one rings the doorbell, an object that agents ask for
only if it has changed. See section "Where things lie" of ``docs/formats.md``.
"""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, cast

from runner import naming
from runner.agents.stored import create_document, read_document
from runner.errors import BundleCorrupt, NotFound, RunnerError, TooLarge
from runner.location import invalid_key
from runner.runs.documents import FORMAT, encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.backends.base import Storage
    from runner.schema.documents import LabelSet, QueueEntry, RunMarker, RunRequest

FOLDER = "_queue"
HIGHEST_PRIORITY = 49  # and the lowest is as far below 0: a key has two digits for it
_ENTRY = re.compile(r"(?P<priority>\d\d)(?P<time>\d{20})-(?P<run_id>[A-Za-z0-9._-]{1,128})")
_LATER = re.compile(
    r"(?P<time>\d{20})-(?P<set>[0-9a-f]{16})-(?P<priority>\d\d)-(?P<run_id>[A-Za-z0-9][A-Za-z0-9._-]{0,127})"
)
_BELL_SECONDS = 1.1  # after which the doorbell may be rung again: Google's storage takes one write a second
_SETS, _LATER_FOLDER = "sets", "at"


class Waiting(NamedTuple):
    """A run that waits: the key of its entry, what is first in its turn, and the run's id."""

    key: str
    rank: str
    run_id: str


class Queue:
    """The queue below a root.

    Args:
        storage: the bucket.
        root: the folder in it whose flows' runs wait here; empty for its top.
    """

    def __init__(self, storage: Storage, root: str) -> None:
        self.storage, self.root = storage, root
        self.prefix = f"{root}/{FOLDER}/".lstrip("/")
        self._labels: dict[str, tuple[str, ...]] = {}
        self._next = ""  # the time for which the next run waits, when the queue was listed last

    @property
    def url(self) -> str:
        """Where it lies."""
        return self.storage.url(self.prefix.removesuffix("/"))

    def key_of(self, request: RunRequest, labels: Iterable[str], *, priority: int, at: str | None) -> str:
        """Return the key of a run's entry; one that is to wait for a time lies elsewhere until then."""
        name, rank, run_id = set_name(labels), f"{HIGHEST_PRIORITY + 1 - priority:02d}", request["run_id"]
        if at:
            return f"{self.prefix}{_LATER_FOLDER}/{_digits(at)}-{name}-{rank}-{run_id}"
        return f"{self.prefix}{name}/{rank}{_digits(request['requested'])}-{run_id}"

    def add(self, key: str, entry: QueueEntry, labels: Iterable[str]) -> None:
        """Have a run wait under a key of `key_of`, and ring; to do so again has no effect."""
        needed, name = sorted(set(labels)), set_name(labels)
        known: LabelSet = {"format": FORMAT, "token": naming.new_token(), "labels": needed}
        if self._labels_of(name) is None:
            create_document(self.storage, f"{self.prefix}{_SETS}/{name}.json", known)
        create_document(self.storage, key, entry)
        self.ring()

    def put_back(self, marker: RunMarker) -> None:
        """Have a run wait again that was taken."""
        entry: QueueEntry = {
            "format": FORMAT,
            "token": naming.new_token(),
            "run_id": marker["run_id"],
            "home": marker["home"],
            "queued": marker["taken"],
        }
        create_document(self.storage, marker["entry"], entry)

    def ring(self) -> None:
        """Have all agents look; where it fails they look by themselves, later.

        Where somebody else rang just before, that may have been too early; who rang before another try was not.
        """
        with suppress(RunnerError):
            for seconds in (0.0, _BELL_SECONDS):
                time.sleep(seconds)
                data = encode({"format": FORMAT, "token": naming.new_token()})
                if self.storage.replace_unless_busy(f"{self.prefix}ring", data):
                    return

    def rung(self, tag: str) -> str:
        """Return the doorbell's tag of now, by one request: another one than before says that somebody rang."""
        try:
            found = self.storage.read_changed(f"{self.prefix}ring", tag)
        except (NotFound, TooLarge):
            return ""
        return found[1] if found else tag

    def sets(self) -> dict[str, tuple[str, ...]]:
        """Return the sets of labels for which runs wait, with the labels of each, and move what had to wait for now."""
        folders, _ = self.storage.list_folder(self.prefix)
        self._next = ""
        if _LATER_FOLDER in folders:
            folders += self._move_due()
        found = ((name, self._labels_of(name)) for name in folders if name not in {_SETS, _LATER_FOLDER})
        return {name: labels for name, labels in found if labels is not None}

    @property
    def is_due(self) -> bool:
        """Whether a time has come, since the queue was listed, for which a run waited."""
        return bool(self._next) and self._next <= _digits(naming.now())

    def waiting(self, name: str) -> list[Waiting]:
        """Return the runs that wait for an agent with the labels of a set, in their turn."""
        _, entries = self.storage.list_folder(f"{self.prefix}{name}/")
        found = ((entry.key, _ENTRY.fullmatch(entry.key.rpartition("/")[2])) for entry in entries)
        return [Waiting(key, match["priority"], match["run_id"]) for key, match in found if match]

    def run_ids(self) -> set[str]:
        """Return the ids of all runs that wait, also for a time: one listing."""
        names = (entry.key.rpartition("/")[2] for entry in self.storage.list_recursive(self.prefix))
        found = (_ENTRY.fullmatch(name) or _LATER.fullmatch(name) for name in names)
        return {match["run_id"] for match in found if match}

    def read(self, key: str) -> QueueEntry | None:
        """Return an entry; None if the run waits no more. Raises BundleCorrupt for what is none."""
        entry = cast("QueueEntry | None", read_document(self.storage, key, "entry"))
        if entry and not key.endswith(f"-{entry['run_id']}"):
            message = f"{self.storage.url(key)} is the entry of another run: {entry['run_id']}"
            raise BundleCorrupt(message, hint="Look who put it there.")
        if entry and entry["home"] and (wrong := invalid_key(entry["home"])):
            message = f"{self.storage.url(key)} names a folder that is none: {wrong}"
            raise BundleCorrupt(message, hint="Look who put it there.")
        return entry

    def labels_for(self, key: str) -> tuple[str, ...]:
        """Return the labels that the agent of an entry must have, by its key; none for one of no set."""
        return self._labels_of(key.removeprefix(self.prefix).partition("/")[0]) or ()

    def is_there(self, key: str) -> bool:
        """Return whether an entry of `key_of` still waits, also where its time has come meanwhile."""
        return any(self.storage.read_or_none(each) is not None for each in self._keys(key))

    def remove_all(self, key: str) -> None:
        """Remove an entry of `key_of`, also where its time has come meanwhile."""
        for each in self._keys(key):
            self.remove(each)

    def _keys(self, key: str) -> list[str]:
        later = _LATER.fullmatch(key.rpartition("/")[2])
        return [key, self._due_key(later)] if later else [key]

    def time_of(self, key: str) -> str:
        """Return the time for which an entry waits, to the second; empty if it waits for an agent alone."""
        later = _LATER.fullmatch(key.rpartition("/")[2])
        if later is None or self.storage.read_or_none(key) is None:
            return ""
        return re.sub(r"(....)(..)(..)(..)(..)(..).*", r"\1-\2-\3T\4:\5:\6Z", later["time"])

    def remove(self, key: str) -> None:
        """Remove an entry; that there is none is no error."""
        self.storage.delete(key)

    def _labels_of(self, name: str) -> tuple[str, ...] | None:
        """Return the labels of a set, which its name is the hash of; None for what is no set."""
        if name not in self._labels:
            try:
                found = read_document(self.storage, f"{self.prefix}{_SETS}/{name}.json", "labels")
            except (BundleCorrupt, TooLarge):
                return None
            if found is None or set_name(found["labels"]) != name:
                return None
            self._labels[name] = tuple(found["labels"])
        return self._labels[name]

    def _move_due(self) -> list[str]:
        """Let the runs wait for an agent that waited for a time which has come, and return their sets."""
        _, entries = self.storage.list_folder(f"{self.prefix}{_LATER_FOLDER}/")
        now, moved = _digits(naming.now()), set[str]()
        for found in entries:
            match = _LATER.fullmatch(found.key.rpartition("/")[2])
            if match is None:
                continue
            if match["time"] > now:
                self._next = match["time"]
                break
            try:
                entry = read_document(self.storage, found.key, "entry")
            except (BundleCorrupt, TooLarge):
                entry = None
            if entry and entry["run_id"] == match["run_id"]:
                create_document(self.storage, self._due_key(match), entry)
                moved.add(match["set"])
            self.storage.delete(found.key)
        return sorted(moved)

    def _due_key(self, later: re.Match[str]) -> str:
        """Return the key of an entry whose time has come."""
        return f"{self.prefix}{later['set']}/{later['priority']}{later['time']}-{later['run_id']}"


def set_name(labels: Iterable[str]) -> str:
    """Return what the set of these labels is called: 16 hexadecimal digits.

    Example:
        >>> from runner.agents.queue import set_name
        >>> set_name(["gpu", "s3-flow-storage"]) == set_name(["s3-flow-storage", "gpu", "gpu"])
        True
    """
    return hashlib.sha256("\n".join(sorted(set(labels))).encode()).hexdigest()[:16]


def _digits(time: str) -> str:
    """Return a time of `naming.now` as the 20 digits of a key."""
    return re.sub(r"\D", "", time[:26])
