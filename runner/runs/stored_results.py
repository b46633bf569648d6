"""Which results of a run lie in its storage, and whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import Untrusted
from runner.runs.trailer import TRAILER, read_trailer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.backends.base import Entry
    from runner.runs.store import RunStore
    from runner.schema.documents import TaskRecord

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
