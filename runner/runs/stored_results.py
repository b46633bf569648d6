"""Which results of a run lie in its storage, and whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import NotFound, Untrusted
from runner.location import invalid_key
from runner.runs.layout import SIGNATURE
from runner.runs.trailer import TRAILER, read_trailer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.backends.base import Entry
    from runner.runs.store import RunStore
    from runner.schema.documents import EndDocument, ResultRecord, TaskRecord

    Key = tuple[str, int | None]  # a task's slug, and the element's index


def list_results(store: RunStore) -> Iterator[tuple[Key, Entry]]:
    """Yield task, element and object of every result of a run's attempts.

    Of two for the same, the later attempt's comes last. None of them was read yet. What has not the key that runner
    would give to it is none.
    """
    layout = store.layout
    entries = list(store.storage.list_recursive(layout.attempts))
    found = [(entry.key.removeprefix(layout.attempts).partition("/"), entry) for entry in entries]
    attempts = layout.attempts_among(folder for (folder, _, _), _ in found)
    numbers = {layout.attempt(number).removeprefix(layout.attempts): number for number in attempts}
    theirs = [(numbers[folder], name, entry) for (folder, _, name), entry in found if folder in numbers]
    for attempt, name, entry in sorted(theirs, key=lambda each: each[:2]):
        slug, _, element = name.removeprefix("results/").removesuffix(".pkl").partition("/")
        index = int(element) if element.isdecimal() else None
        if layout.result(attempt, slug, index) == entry.key:
            yield (slug, index), entry


def result_sizes(store: RunStore, folder: str) -> dict[str, int]:
    """Return the sizes of all objects in a folder of results, by their keys."""
    return {entry.key: entry.size for entry in store.storage.list_recursive(folder)}


def missing_result(store: RunStore, end: EndDocument, listing: dict[str, int]) -> str:
    """Return the URL of a result that an end lists and the storage does not hold in its size; empty if it has all.

    ``listing`` has the sizes that are known, and gets those in the folders of further attempts and runs. What it lacks
    is asked for by its key: no listing need be up to date. Raises what the storage raises.
    """
    results = [task["result"] for task in end["tasks"] if task["result"]]
    for folder in sorted({_folder(result["key"]) for result in results if result["key"] not in listing}):
        if folder and not invalid_key(folder.removesuffix("/")):
            listing |= result_sizes(store, folder)
    for result in results:
        is_listed = listing.get(result["key"]) == result["size"] + TRAILER.size and "offset" not in result
        if not is_listed and not _is_stored(store, result):
            return ascii(result["key"]) if invalid_key(result["key"]) else store.storage.url(result["key"])
    return ""


def missing_signature(store: RunStore, end: EndDocument, listing: dict[str, int]) -> str:
    """Return the URL of a signature that lies not beside its result; empty if all are there, or nobody signs here.

    ``listing`` is the one that `missing_result` has completed. Raises what the storage raises.
    """
    if store.signer is None or store.signer.signing_key is None:
        return ""
    keys = [task["result"]["key"] for task in end["tasks"] if task["result"]]
    lacking = (key for key in keys if not listing.get(f"{key}{SIGNATURE}") and not store.read_signature(key))
    return next((store.storage.url(f"{key}{SIGNATURE}") for key in lacking), "")


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
        try:
            found = read_trailer(b"".join(store.storage.stream(entry.key, start, TRAILER.size)))
        except NotFound:  # listings may tell of what is gone
            continue
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
