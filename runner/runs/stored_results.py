"""Which results of a run lie in its storage, and whose they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.backends.retry import persistently
from runner.errors import NotFound, Untrusted
from runner.runs.trailer import TRAILER, read_trailer
from runner.signing.run_signatures import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.backends.base import Entry, Storage
    from runner.runs.layout import RunLayout

    Key = tuple[str, int | None]  # a task's slug, and the element's index


def list_results(storage: Storage, folder: RunLayout) -> Iterator[tuple[Key, Entry]]:
    """Give task, element and object of every result of a run's attempts; of two for the same, the later attempt's last.

    None of them was read yet.
    """
    prefix = f"{folder.prefix}/attempts/"
    found = persistently(lambda: list(storage.list_recursive(prefix)), storage.deadline)
    for entry in sorted(found, key=lambda entry: entry.key):
        attempt, _, name = entry.key.removeprefix(prefix).partition("/results/")
        slug, _, index = name.removesuffix(".pkl").partition("/")
        if attempt.isdecimal() and name.endswith(".pkl") and (not index or index.isdecimal()):
            yield (slug, int(index) if index else None), entry


def describe_results(storage: Storage, folder: RunLayout) -> list[dict[str, Any]]:
    """Describe the tasks of a process that died by what it left: the results, with what their trailers say."""
    tasks = []
    found_all = sorted(dict(list_results(storage, folder)).items(), key=lambda each: (each[0][0], each[0][1] or 0))
    for (slug, index), entry in found_all:
        start = max(0, entry.size - TRAILER.size)
        found = read_trailer(b"".join(storage.stream(entry.key, start, TRAILER.size)))
        if found and found[0] == start and _is_signed(storage, folder, (slug, index), entry.key, *found):
            result = {"key": entry.key, "size": found[0], "sha256": found[1], "type": None}
            mapped = index is not None
            task: dict[str, Any] = {"task": slug, "name": slug, "index": index, "mapped": mapped, "state": "succeeded"}
            tasks.append(task | {"tries": 0, "started": None, "ended": None, "error": None, "result": result})
    return tasks


def check_result_signature(storage: Storage, folder: RunLayout, of: Key, key: str, size: int, sha256: str) -> None:
    """Refuse a result that is not signed as the run's seal demands. Raises Untrusted and what the storage raises."""
    if folder.seal:
        try:
            signature = storage.read(f"{key}{SUFFIX}")
        except NotFound:
            signature = None
        folder.seal.check_result(folder.run_id, *of, size, sha256, signature)


def _is_signed(storage: Storage, folder: RunLayout, of: Key, key: str, size: int, sha256: str) -> bool:
    try:
        check_result_signature(storage, folder, of, key, size, sha256)
    except Untrusted:
        return False
    return True
