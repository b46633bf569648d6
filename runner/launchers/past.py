"""What was made of a run's budgets by whoever looked after it before, by what lies in its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runner.launchers.base import Sighting, object_name
from runner.launchers.start import Launch

if TYPE_CHECKING:
    from runner.runs.store import RunStore
    from runner.schema.documents import EndDocument


class Past(NamedTuple):
    """How many launches never began, and how many died, and of the last one, if it has ended, what is known.

    The last is not counted, nor what had been given up before somebody asked for the run again.
    """

    unstarted: int = 0
    died: int = 0
    last: Launch | None = None
    sighting: Sighting = Sighting("absent")
    end: EndDocument | None = None


def past_of(store: RunStore) -> Past:
    """Return what became of a run's launches. Raises what the storage raises."""
    numbers = list(store.list_launches())
    told = {number: found for number in numbers if (found := store.read_launch_end(number))}
    given_up = [number for number in told if told[number]["given_up"] and number != numbers[-1]]
    told = {number: end for number, end in told.items() if number > max(given_up, default=0)}
    if not told:
        return Past()
    claims = ((attempt, store.read_claim(attempt)) for attempt in store.list_attempts())
    attempts = {claim.get("launch"): attempt for attempt, claim in claims if claim}
    last = numbers[-1]
    counted = [number in attempts for number in told if number != last]
    past = Past(len(counted) - sum(counted), sum(counted))
    if last not in told:
        return past
    known = told[last]
    sighting = Sighting("ended", known["reason"] or "", known["message"] or "", known["exit_code"])
    end = store.read_end(attempts[last]) if last in attempts else None
    return past._replace(last=Launch(last, object_name(store.url, store.run_id, last)), sighting=sighting, end=end)
