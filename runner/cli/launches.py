"""A run's launches, as commands print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.cli.format import echo, echo_field, print_table
from runner.launchers.remedies import last_words, remedy_for
from runner.runs.launches import became

if TYPE_CHECKING:
    from runner.runs.launches import ShownLaunch


def print_launches(launches: list[ShownLaunch], *, is_over: bool) -> None:
    """Print a row a launch, and of the last one what the platform said, and what to do about it."""
    if not launches:
        return
    rows = []
    for shown in launches:
        claim = shown["claim"]
        began = [claim["kind"], claim["name"], claim["launched"]] if claim else [None] * 3
        rows.append([shown["launch"], *began, became(shown, is_over=is_over)])
    echo("")
    print_table(["LAUNCH", "ON", "NAME", "AT", "BECAME"], rows)
    if (last := launches[-1]["end"]) and last["state"] != "ended":
        for event in last["events"]:
            echo_field("event", event)
    if last and (words := last_words(last["log"]).removeprefix(": ")):
        echo_field("said", words)
    if last and (remedy := remedy_for(last["reason"] or "")):
        echo_field("remedy", remedy)
