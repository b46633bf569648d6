"""What lies directly in a flow's folder: its versions, other objects, and the ids of its runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runner import naming
from runner.bundle import pointers

if TYPE_CHECKING:
    from runner.backends.base import Entry, Storage


class FlowFolder(NamedTuple):
    """A flow's folder, or what may be one.

    Args:
        folders: the names of the folders in it, sorted.
        versions: the objects that are named like a version, the oldest first.
        others: the other objects but the pointer to the newest version.
        has_pointer: whether that is there.
        runs: the names of the folders in ``runs/``, sorted; what doctor and slots left there is none.
        is_flow: whether it is a flow's, as far as names tell, and not one that flows lie in.
    """

    folders: list[str]
    versions: list[Entry]
    others: list[Entry]
    has_pointer: bool
    runs: list[str]
    is_flow: bool


def look_into(storage: Storage, home: str) -> FlowFolder:
    """Return what lies in a folder, by its key (empty for the storage's top). Raises what the storage raises."""
    prefix = f"{home}/".lstrip("/")
    folders, entries = storage.list_folder(prefix)
    versions = [entry for entry in entries if _is_version(entry, prefix)]
    others = [entry for entry in entries if not _is_version(entry, prefix)]
    unpointed = [entry for entry in others if not pointers.is_pointer(entry.key)]
    runs, beside = storage.list_folder(f"{prefix}runs/") if "runs" in folders else ([], [])
    is_a_flow_called_so = any(_is_version(entry, f"{prefix}runs/") for entry in beside)
    is_flow = bool(versions) or not folders or ("runs" in folders and not is_a_flow_called_so)
    runs = [name for name in runs if not name.startswith("_")]
    return FlowFolder(folders, versions, unpointed, unpointed != others, runs, is_flow)


def _is_version(entry: Entry, prefix: str) -> bool:
    return naming.VERSION.fullmatch(entry.key.removeprefix(prefix)) is not None
