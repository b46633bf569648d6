"""A run's launches, as commands show them: where, as what, and what became of each in the platform's words."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypedDict

from runner.cli.format import echo, echo_field, print_table
from runner.errors import BundleCorrupt, TooLarge
from runner.launchers.remedies import last_words, remedy_for

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
    return [
        {
            "launch": number,
            "claim": _readable(partial(store.read_launch, number)),
            "handle": _readable(partial(store.read_launch_handle, number)),
            "end": _readable(partial(store.read_launch_end, number)),
        }
        for number in store.list_launches()
    ]


def print_launches(launches: list[ShownLaunch], *, is_over: bool) -> None:
    """Print a row a launch, and of the last one what the platform said, and what to do about it."""
    if not launches:
        return
    rows = []
    for shown in launches:
        claim, end = shown["claim"], shown["end"]
        began = [claim["kind"], claim["name"], claim["launched"]] if claim else [None] * 3
        unsaid = "nobody looked" if is_over else "under way" if shown["handle"] else "asked for, and not answered"
        rows.append([shown["launch"], *began, _text(end) if end else unsaid])
    echo("")
    print_table(["LAUNCH", "ON", "NAME", "AT", "BECAME"], rows)
    if (last := launches[-1]["end"]) and last["state"] != "ended":
        for event in last["events"]:
            echo_field("event", event)
    if last and (words := last_words(last["log"]).removeprefix(": ")):
        echo_field("said", words)
    if last and (remedy := remedy_for(last["reason"] or "")):
        echo_field("remedy", remedy)


def _text(end: LaunchEnd) -> str:
    code = "" if end["exit_code"] is None else f" with {end['exit_code']}"
    said = ": ".join(part for part in (end["reason"], end["message"]) if part)
    return f"{end['state']}{code}{f' ({said})' if said else ''}"


def _readable(read: Callable[[], T]) -> T | None:
    """Return a document; None for one that somebody else put there, and that is none."""
    try:
        return read()
    except (BundleCorrupt, TooLarge):
        return None
