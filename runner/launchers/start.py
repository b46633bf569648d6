"""One launch of a run: claimed in the storage, made on the platform, and written down; each step may be repeated."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from runner import naming
from runner.errors import AlreadyExists, BundleCorrupt, CredentialsRefused, EnvironmentWrong, RunHeld, Unreachable
from runner.launchers.base import Launcher, Order, object_name
from runner.runs.documents import FORMAT, requester

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.launchers.base import Sighting
    from runner.runs.store import RunStore
    from runner.schema.documents import HandleDocument, LaunchDocument, LaunchEnd, LaunchState, LaunchStem

_LONGEST, _LONGEST_LINE, _MOST_LINES = 2000, 500, 30  # characters, and lines, of a platform's words that are kept


class Launch(NamedTuple):
    """A launch of a run: its number, counted from 1, and what the platform's object is called."""

    number: int
    name: str


def last_launch(store: RunStore, kind: str) -> Launch | None:
    """Return the run's last launch, if it has one that nobody has told the end of.

    Raises EnvironmentWrong when it is on another platform, and BundleCorrupt when it names what is no launch of the
    run: whatever is called so would be stopped and removed.
    """
    return _if_open(store, kind, store.list_launches())


def _if_open(store: RunStore, kind: str, numbers: Sequence[int]) -> Launch | None:
    document = store.read_launch(numbers[-1]) if numbers else None
    if document is None or store.read_launch_end(numbers[-1]):
        return None
    if document["kind"] != kind:
        message = f"run {store.run_id} was launched on {document['kind']}, as {document['name']}"
        raise EnvironmentWrong(message, hint=f"Look after it there: runner launch {document['kind']} …, or cancel it.")
    name = object_name(store.url, store.run_id, numbers[-1])
    if document["name"] != name:
        message = f"launch {numbers[-1]} of {store.url} is written down as {document['name']!r}, and not as {name!r}"
        hint = "Launch it by the URL by which it was launched first; else somebody put that there: take another run id."
        raise BundleCorrupt(message, hint=hint)
    return Launch(numbers[-1], name)


def next_launch(store: RunStore, launcher: Launcher, image: str | None) -> Launch | None:
    """Claim the run's next launch, or find the one that somebody else has just claimed; None if the run is over.

    The outcome is looked for after the last launch was seen to have an end: whoever wrote that saw the run over.
    Raises as `last_launch`.
    """
    while True:
        numbers = store.list_launches()
        if found := _if_open(store, launcher.kind, numbers):
            return found
        if numbers and store.read_outcome():
            return None
        with suppress(AlreadyExists):
            return _claim_launch(store, launcher, image, len(numbers) + 1)


def take_launch(store: RunStore, launcher: Launcher, image: str | None) -> Launch | None:
    """Claim the run's next launch for this process alone: one request, if it is the first; None if the run is over.

    Raises RunHeld when somebody else has claimed one that is not over.
    """
    number = 1
    while True:
        with suppress(AlreadyExists):
            return _claim_launch(store, launcher, image, number)
        if store.read_launch_end(number) is None:
            message = f"run {store.run_id} was launched by somebody else, who looks after it"
            raise RunHeld(message, hint="runner show tells where.")
        if store.read_outcome():  # see `next_launch`
            return None
        number += 1


def _claim_launch(store: RunStore, launcher: Launcher, image: str | None, number: int) -> Launch:
    document: LaunchDocument = {
        **_stem(store, number),
        "kind": launcher.kind,
        "name": object_name(store.url, store.run_id, number),
        "image": image,
        "launched": naming.now(),
        "by": requester(),
    }
    store.create_launch(document)
    return Launch(number, document["name"])


def make_object(
    store: RunStore, launcher: Launcher, launch: Launch, make_order: Callable[[Launch], Order]
) -> dict[str, str]:
    """Have the platform make the object of a launch, unless it has, and write down what it answered.

    Raises what `Launcher.launch` raises.
    """
    if known := store.read_launch_handle(launch.number):
        return known["handle"]
    answer = launcher.launch(make_order(launch))
    handle: HandleDocument = {**_stem(store, launch.number), "handle": answer, "taken": naming.now()}
    with suppress(AlreadyExists):  # another launcher has made the same step
        store.create_launch_handle(handle)
    return answer


def remove_left(store: RunStore, launcher: Launcher) -> None:
    """Remove what is left of a run's last launch if its end is told: whoever told it may have died just then."""
    numbers = store.list_launches()
    document = store.read_launch(numbers[-1]) if numbers else None
    if document and document["kind"] == launcher.kind and store.read_launch_end(numbers[-1]):
        with suppress(Unreachable, CredentialsRefused):
            launcher.remove(object_name(store.url, store.run_id, numbers[-1]))


def end_of_given_up(store: RunStore) -> LaunchEnd | None:
    """Return the end of a run's last launch, if the run was given up with it; reads cost less than a listing."""
    number = 1
    while end := store.read_launch_end(number):
        number += 1
        if end["given_up"] and store.read_launch(number) is None:
            return end
    return None


def end_launch(
    store: RunStore, launch: Launch, state: LaunchState, sighting: Sighting, log: list[str], *, given_up: bool = False
) -> LaunchEnd:
    """Write down what became of a launch, and whether no other follows; or return what somebody else has."""
    end: LaunchEnd = {
        **_stem(store, launch.number),
        "state": state,
        "reason": sighting.reason[:_LONGEST] or None,
        "message": sighting.message[:_LONGEST] or None,
        "exit_code": sighting.exit_code,
        "events": [text[:_LONGEST_LINE] for text in sighting.events[-_MOST_LINES:]],
        "log": [text[:_LONGEST_LINE] for text in log[-_MOST_LINES:]],
        "ended": naming.now(),
        "given_up": given_up,
    }
    try:
        store.create_launch_end(end)
    except AlreadyExists:
        return store.read_launch_end(launch.number) or end
    return end


def _stem(store: RunStore, number: int) -> LaunchStem:
    """Return what each document of a launch begins with."""
    return {"format": FORMAT, "token": naming.new_token(), "run_id": store.run_id, "launch": number}
