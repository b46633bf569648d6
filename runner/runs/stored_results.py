"""Which results of a run lie in its storage, and whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import NotFound, Untrusted
from runner.location import invalid_key
from runner.runs.trailer import TRAILER, read_trailer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.backends.base import Entry
    from runner.runs.store import RunStore
    from runner.schema.documents import EndDocument, ResultRecord, TaskRecord

    Key = tuple[str, int | None]  # a task's slug, and the element's index


def list_results(store: RunStore) -> Iterator[tuple[Key, Entry]]:
    """Yield task, element and object of every result of a run's attempts.

    Of two for the same, the later attempt's comes last. None of them was read yet.
    """
    prefix = store.layout.attempts
    found = list(store.storage.list_recursive(prefix))
    for entry in sorted(found, key=lambda entry: entry.key):
        attempt, _, name = entry.key.removeprefix(prefix).partition("/results/")
        slug, _, index = name.removesuffix(".pkl").partition("/")
        if attempt.isdecimal() and name.endswith(".pkl") and (not index or index.isdecimal()):
            yield (slug, int(index) if index else None), entry


def result_sizes(store: RunStore, folder: str) -> dict[str, int]:
    """Return the sizes of all objects in a folder of results, by their keys."""
    return {entry.key: entry.size for entry in store.storage.list_recursive(folder)}


def missing_result(store: RunStore, end: EndDocument, listing: dict[str, int]) -> str:
    """Return the URL of a result that an end lists and the storage does not hold in its size; empty if it has all.

    ``listing`` has the sizes that are known; of further attempts and runs the folders are listed here. What a listing
    lacks is asked for by its key: no listing need be up to date. Raises what the storage raises.
    """
    results = [task["result"] for task in end["tasks"] if task["result"]]
    listing = dict(listing)
    for folder in sorted({_folder(result["key"]) for result in results if result["key"] not in listing}):
        if folder and not invalid_key(folder.removesuffix("/")):
            listing |= result_sizes(store, folder)
    for result in results:
        is_listed = listing.get(result["key"]) == result["size"] + TRAILER.size and "offset" not in result
        if not is_listed and not _is_stored(store, result):
            return ascii(result["key"]) if invalid_key(result["key"]) else store.storage.url(result["key"])
    return ""


def _folder(key: str) -> str:
    """Return the folder of the results of the attempt that a result is of."""
    home, found, _ = key.rpartition("/results/")
    return home + found


def _is_stored(store: RunStore, result: ResultRecord) -> bool:
    """Return whether a result's trailer lies where it must."""
    if invalid_key(result["key"]):
        return False
    start = result.get("offset", 0) + result["size"]
    try:
        found = read_trailer(b"".join(store.storage.stream(result["key"], start, TRAILER.size)))
    except NotFound:
        return False
    return found == (result["size"], result["sha256"])


def describe_results(store: RunStore) -> list[TaskRecord]:
    """Return the tasks of a process that died, as the results that it left tell of them by their trailers."""
    tasks: list[TaskRecord] = []
    found_all = sorted(dict(list_results(store)).items(), key=lambda each: (each[0][0], each[0][1] or 0))
    for (slug, index), entry in found_all:
        start = max(0, entry.size - TRAILER.size)
        found = read_trailer(b"".join(store.storage.stream(entry.key, start, TRAILER.size)))
        if found and found[0] == start and _is_signed(store, (slug, index), entry.key, *found):
            tasks.append(
                {
                    "task": slug,
                    "name": slug,
                    "index": index,
                    "mapped": index is not None,
                    "state": "succeeded",
                    "tries": 0,
                    "started": None,
                    "ended": None,
                    "error": None,
                    "result": {"key": entry.key, "size": found[0], "sha256": found[1], "type": None},
                }
            )
    return tasks


def check_result_signature(store: RunStore, task: Key, key: str, size: int, sha256: str) -> None:
    """Refuse a result that is not signed as the run's signer demands. Raises Untrusted and what the storage raises."""
    if store.signer:
        store.signer.check_result(store.run_id, *task, size, sha256, store.read_signature(key))


def _is_signed(store: RunStore, task: Key, key: str, size: int, sha256: str) -> bool:
    try:
        check_result_signature(store, task, key, size, sha256)
    except Untrusted:
        return False
    return True
