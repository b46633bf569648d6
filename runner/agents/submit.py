"""From a published flow to a run that waits for an agent: written down, put into the queue, and the doorbell rung."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from runner import naming
from runner.agents.queue import FOLDER, Queue
from runner.agents.register import Register, last_sign
from runner.agents.slots import Slots
from runner.environ import process_environ
from runner.errors import EnvironmentWrong, UsageError
from runner.launchers.launch import find
from runner.launchers.start import end_of_given_up
from runner.location import parse_location
from runner.model.parameters import check_parameters
from runner.runs.claims import MISSED_HEARTBEATS, begin_run
from runner.runs.documents import FORMAT
from runner.runs.status import duration_text
from runner.runtime.request import new_request
from runner.settings import Settings, with_files_read
from runner.signing.run_signatures import run_signer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.launchers.launch import Found
    from runner.location import Location
    from runner.runs.status import RunStatus
    from runner.runs.store import RunStore
    from runner.schema.documents import BundleReference, JsonObject, LaunchEnd, RunRequest


class Turn(NamedTuple):
    """When a run is to be taken, and by whom.

    Args:
        labels: words that its agent must have, beside those of the flow.
        priority: from -49 to 49; the highest goes first. None is 0 or, of a run that was submitted before, as then.
        at: not before this time, as `naming.now` has it.
        root: whose agents take it; by default the folder in which the flow's own is. It has the runs' bucket.
    """

    labels: tuple[str, ...] = ()
    priority: int | None = None
    at: str | None = None
    root: Location | None = None


class Submitted(NamedTuple):
    """A run that waits, or is over: its store, its labels, the queue that it waits in, and its key there."""

    store: RunStore
    labels: tuple[str, ...]
    queue: Queue
    entry: str


def submit(found: Found, parameters: JsonObject, run_id: str | None, turn: Turn) -> Submitted:
    """Write down what is asked for, and have it wait for an agent; under one run id that may be done again.

    Raises EnvironmentWrong for parameters that the flow does not take, and when the run id stands for something else,
    and UsageError for a root in another bucket, and for what is no label.
    """
    check_parameters(found.flow.manifest["parameters"], parameters)
    settings = found.settings._replace(parameters=parameters)
    store = found.stores.open(found.key, run_id or naming.new_run_id())
    queue = Queue(store.storage, _root_of(store, turn.root))
    bundle: BundleReference = {"url": found.flow.url, "sha256": found.flow.sha256}
    request = new_request(store.run_id, bundle, settings, found.opened, None)
    store.signer = run_signer(settings.signing_key, settings.trusted_keys, request)
    labels = tuple(sorted({*request["labels"], *turn.labels}))
    naming.check_labels(labels)
    request["labels"] = list(labels)
    request["entry"] = queue.key_of(request, labels, priority=turn.priority or 0, at=turn.at)
    begin_run(store, request)
    known = store.known_request or request
    if "entry" not in known:
        message = f"run {store.run_id!r} was begun without a queue"
        raise EnvironmentWrong(message, hint="Launch it, or give another run id.")
    is_same = known["entry"] == queue.key_of(known, labels, priority=turn.priority or 0, at=turn.at)
    if not is_same and (turn.labels or turn.priority is not None or turn.at):
        message = f"run {store.run_id!r} was submitted with other labels, or another priority, time or root"
        raise EnvironmentWrong(message, hint="Submit it with the same ones, or give another run id.")
    if store.read_outcome() is None:
        queue.add(
            known["entry"],
            {
                "format": FORMAT,
                "token": naming.new_token(),
                "run_id": store.run_id,
                "home": store.layout.home,
                "queued": known["requested"],
            },
            known["labels"],
        )
    return Submitted(store, tuple(known["labels"]), queue, known["entry"])


def _root_of(store: RunStore, root: Location | None) -> str:
    """Return the folder of the queue. Raises UsageError for a root whose agents never look where the run lies."""
    if root is None:
        return store.layout.home.rpartition("/")[0]
    if (root.scheme, root.container) != (store.storage.scheme, store.storage.container):
        message = f"the run lies at {store.url}, where no agent of {root.url} looks"
        raise UsageError(
            message, hint=f"Name a root in {store.storage.url('')}, or have the runs there: RUNNER_RESULTS."
        )
    return root.key


def submit_flow(url: str, parameters: JsonObject) -> str:
    """Submit the flow at a URL with the settings of this process, and return the run's URL."""
    settings = Settings.from_environ(with_files_read(process_environ()), needs_location=False)
    return submit(find(parse_location(url), settings), parameters, settings.run_id, Turn()).store.url


def queue_of(store: RunStore, request: RunRequest) -> Queue | None:
    """Return the queue in which a run waits, or has waited; None for one that was begun without."""
    root = queue_root(request.get("entry", ""))
    return None if root is None else Queue(store.storage, root)


def queue_root(entry: str) -> str | None:
    """Return the root of the queue that an entry is in, by its key; None for an empty one."""
    prefix, folder, _ = entry.partition(f"{FOLDER}/")
    return prefix.rstrip("/") if folder else None


def given_up(store: RunStore) -> LaunchEnd | None:
    """Return the end of the launch with which a run was given up; None where nobody has, or it waits again."""
    request = store.read_request()
    queue = queue_of(store, request) if request else None
    if request and queue and queue.is_there(request["entry"]):  # whoever removes it has launched the run again
        return None
    return end_of_given_up(store)


def why_it_waits(register: Register, labels: Iterable[str]) -> str:
    """Return why no agent that is there could ever take a run with these labels; empty where one could.

    One that has shown no sign of life for three of its heartbeats, the storage's clock against this machine's, is not.
    """
    needed, lacking = set(labels), list[str]()
    for agent, names in sorted(register.folders().items()):
        sign, document = last_sign(names), register.read(agent)
        if sign is None or document is None:
            continue
        if missing := sorted(needed - set(document["labels"])):
            lacking.append(f"{agent} has no label {', '.join(map(repr, missing))}")
        elif (silence := time.time() - sign) > MISSED_HEARTBEATS * document["beat"]:
            lacking.append(f"{agent} has shown no sign of life for {duration_text(silence)}")
        else:
            return ""
    if not lacking:
        return f"no agent is there: runner agent start KIND --storage {register.storage.url(register.root)}"
    return "; ".join(lacking)


def what_keeps_it(register: Register, labels: Iterable[str], store: RunStore) -> str:
    """Return what keeps a run waiting though an agent could take it; empty where that is not to be seen.

    Either its flow has as many runs at work as it may, or each such agent has.
    """
    if owners := Slots.of_all(store.storage, store.layout.home).owners_if_taken():
        return f"its flow's places are taken by {' and '.join(sorted(owners))}"
    needed, full = set(labels), list[str]()
    for agent, names in sorted(register.folders().items()):
        document = register.read(agent) if last_sign(names) else None
        if document is None or not needed.issubset(document["labels"]):
            continue
        looked_after = sum(name.startswith("runs/") for name in names)
        if looked_after < document["concurrency"]:
            return ""
        full.append(f"{agent} has as many runs as it may: {looked_after}")
    return "; ".join(full)


def why_run_waits(store: RunStore, status: RunStatus) -> str:
    """Return for what a run waits that nobody has launched yet, or not again; empty where it is no such run."""
    request = store.read_request() if status.state == "asked for" else None
    queue = queue_of(store, request) if request else None
    last = end_of_given_up(store) if queue else None
    if request is None or queue is None or (store.list_launches() and not last):
        return ""
    if not queue.is_there(request["entry"]):
        if last:
            return f"no more: it was given up with launch {last['launch']}; submit it again to have it tried again"
        return "" if store.list_launches() else "in no queue: whoever submitted it did not get so far; submit it again"
    labels, register = ", ".join(request["labels"]), Register(store.storage, queue.root)
    why = why_it_waits(register, request["labels"]) or what_keeps_it(register, request["labels"], store)
    time = f"until {at}, and then " if (at := queue.time_of(request["entry"])) else ""
    return f"{time}for an agent{f' with {labels}' if labels else ''}{f'; {why}' if why else ''}"
