"""A run's launches, as they are shown: where, as what, and what became of each in the platform's words."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypedDict

from runner.errors import BundleCorrupt, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from runner.runs.store import RunStore
    from runner.schema.documents import HandleDocument, LaunchDocument, LaunchEnd

    T = TypeVar("T")


class ShownLaunch(TypedDict):
    """A launch with all that is known of it; None for what is not, or cannot be read."""

    launch: int
    claim: LaunchDocument | None
    handle: HandleDocument | None
    end: LaunchEnd | None


def launches_of(store: RunStore) -> list[ShownLaunch]:
    """Return the launches of a run, in order."""
    return [launch_of(store, number) for number in store.list_launches()]


def launch_of(store: RunStore, number: int) -> ShownLaunch:
    """Return one launch of a run."""
    return {
        "launch": number,
        "claim": _readable(partial(store.read_launch, number)),
        "handle": _readable(partial(store.read_launch_handle, number)),
        "end": _readable(partial(store.read_launch_end, number)),
    }


def became(shown: ShownLaunch, *, is_over: bool) -> str:
    """Return what became of a launch, or how far it has come; ``is_over`` is whether its run is."""
    end = shown["end"]
    if end is None:
        return "nobody looked" if is_over else "under way" if shown["handle"] else "asked for, and not answered"
    code = "" if end["exit_code"] is None else f" with {end['exit_code']}"
    said = ": ".join(part for part in (end["reason"], end["message"]) if part)
    return f"{end['state']}{code}{f' ({said})' if said else ''}"


def _readable(read: Callable[[], T]) -> T | None:
    """Return a document; None for one that somebody else put there, and that is none."""
    try:
        return read()
    except (BundleCorrupt, TooLarge):
        return None
