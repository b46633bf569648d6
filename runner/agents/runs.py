"""What an agent launches of a run: the bundle that the run was begun with, verified, and nothing that an entry says."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from runner import logs, naming
from runner.agents.slots import Slots
from runner.errors import (
    BundleCorrupt,
    CredentialsRefused,
    EnvironmentWrong,
    InternalError,
    NotFound,
    RunnerError,
    TooLarge,
    Untrusted,
    WriteFailed,
)
from runner.launchers.base import Order, Sighting
from runner.launchers.launch import find, prepare
from runner.launchers.order import Wishes
from runner.launchers.remedies import not_begun_error
from runner.launchers.start import end_launch, end_of_given_up, last_launch, take_launch
from runner.launchers.watch import Watcher
from runner.location import parse_location
from runner.model.verdict import Verdict
from runner.runs.cancelling import cancel_run
from runner.runs.claims import check_same
from runner.runs.ends import RunFacts, end_document
from runner.runs.layout import Claim, RunLayout
from runner.runs.store import RunStore
from runner.signing.run_signatures import run_signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.backends.base import Storage
    from runner.launchers.base import Launcher
    from runner.launchers.budgets import Budgets
    from runner.launchers.launch import Found
    from runner.launchers.start import Launch
    from runner.schema.documents import ConcurrencyRecord, EndDocument, RunMarker, RunRequest
    from runner.settings import Settings


log = logs.logger("agent")


def may_pass(error: RunnerError) -> bool:
    """Return whether an error says nothing of a run: storage or platform are away, full, or refuse expired keys."""
    return error.transient or isinstance(error, CredentialsRefused | WriteFailed)


def known_error(error: Exception) -> RunnerError:
    """Return an error as one that can be told; what was not expected is logged, and a bug."""
    if isinstance(error, RunnerError):
        return error
    log.error("this was not expected", exc_info=error)
    return InternalError(f"a bug in runner: {error!r}", hint="Please report it.")


class Refused(Exception):
    """A run that this agent never launches, which has been written down."""


class Prepared(NamedTuple):
    """What launches a run and looks after it, and how many runs of its flow may work at once, if that is limited."""

    watcher: Watcher
    concurrency: ConcurrencyRecord | None


class Ended(NamedTuple):
    """What a run has come to: its outcome, or the end of its last attempt, and a key that tells it from any other."""

    end: EndDocument
    key: str


class Runs:
    """Prepares the launches of an agent's runs.

    Args:
        storage: where runs wait, and lie.
        launcher: the platform.
        wishes: what the agent's command line says of all its launches.
        settings: the agent's environment: trusted keys and what else holds for its containers, too.
        budgets: how long a start may take, and how often it is made again.
        tell: given a line for people.
    """

    def __init__(
        self,
        storage: Storage,
        launcher: Launcher,
        wishes: Wishes,
        settings: Settings,
        budgets: Budgets,
        tell: Callable[[str], None],
    ) -> None:
        self._storage, self._launcher, self._wishes = storage, launcher, wishes
        self._settings, self._budgets, self._tell = settings, budgets, tell
        self._found: dict[tuple[str, str], Found] = {}
        self._turn = threading.Lock()

    def prepare(self, marker: RunMarker) -> Prepared | None:
        """Return what is needed to launch a run; None where there is no such run.

        Raises Refused, when the run has been told so, and what the storage raises where it is out of reach.
        """
        store = self._store(marker)
        try:
            request = store.read_request()
        except (BundleCorrupt, TooLarge) as error:
            raise Refused(error.message) from error
        if request is None:
            return None
        try:
            return self._prepare(store, request)
        except RunnerError as error:
            if may_pass(error):
                raise
            if last_launch(store, self._launcher.kind):  # by who is gone: it is looked after as it is
                return Prepared(self._onlooker(store, error), None)
            self.refuse(store, error)
            raise Refused(error.message) from error

    def _onlooker(self, store: RunStore, error: RunnerError) -> Watcher:
        """Return what looks after a launch that is there, and makes no other one, which this agent can't."""

        def order_of(launch: Launch) -> Order:
            if launch.number:
                raise error
            return Order("", "", {}, {}, {}, {}, 0.0)

        self._tell(f"run {store.run_id} is looked after, and not launched again by this agent: {error.message}")
        budgets = self._budgets._replace(start_retries=0, restarts=0)
        return Watcher(store, self._launcher, order_of, budgets, self._settings.grace, self._tell)

    def has_place(self, marker: RunMarker, concurrency: ConcurrencyRecord | None) -> bool:
        """Return whether a run may begin: it has a slot of its flow's, or has just been cancelled for want of one.

        Where the old ones are to be cancelled that is the one which was asked for first, be it this run itself: what
        is newer never loses its place to what has waited for longer. Raises Refused where nobody may be cancelled.
        """
        try:
            return concurrency is None or self._has_place(marker, concurrency)
        except Untrusted as error:
            self.refuse(self._store(marker), error)
            raise Refused(error.message) from error

    def _has_place(self, marker: RunMarker, concurrency: ConcurrencyRecord) -> bool:
        slots = Slots(self._storage, marker["home"], range(concurrency["max_runs"]))
        if self._store(marker).read_outcome() or slots.take(marker["run_id"]):
            return True
        owners = sorted(slots.owners())
        if marker["run_id"] in owners:  # another agent that takes this run has given it one just now
            return True
        if concurrency["on_conflict"] == "skip":
            why = f"skipped: {' and '.join(owners)} of {concurrency['max_runs']} at once"
            self._cancel(marker, why)
            return True  # it is over, and needs none
        if concurrency["on_conflict"] == "cancel_old" and owners:
            oldest = min([*owners, marker["run_id"]], key=lambda run_id: self._asked({**marker, "run_id": run_id}))
            newer = " and ".join(owners) if oldest == marker["run_id"] else marker["run_id"]
            self._cancel({**marker, "run_id": oldest}, f"for {newer}, asked for later")
            return oldest == marker["run_id"]
        return False

    def _asked(self, marker: RunMarker) -> tuple[str, str]:
        """Return when a run was asked for, and its id."""
        request = self._store(marker).read_request()
        return request["requested"] if request else "", marker["run_id"]

    def _cancel(self, marker: RunMarker, why: str) -> None:
        store = self._store(marker)
        if request := store.read_request():
            store.signer = run_signer(self._settings.signing_key, self._settings.trusted_keys, request)
            cancel_run(store, why, within=0.0, interval=self._settings.heartbeat)

    def url_of(self, marker: RunMarker) -> str:
        """Return the URL of a run's folder."""
        return self._store(marker).url

    def ended(self, marker: RunMarker) -> Ended | None:
        """Return what a run has come to; None for one that goes on, or of whose end nothing is to be believed."""
        store = self._store(marker)
        try:
            request = store.read_request()
        except (BundleCorrupt, TooLarge) as error:
            self._tell(error.message)
            return None
        if request is None:
            return None
        store.signer = run_signer(self._settings.signing_key, self._settings.trusted_keys, request)
        try:
            if outcome := store.read_outcome():
                return Ended(outcome, store.url)
            if (launch := end_of_given_up(store)) is None:
                return None
            attempts = store.list_attempts()
            end = store.read_end(attempts[-1]) if attempts else None
            end = end or _refused(store, request, not_begun_error(launch))
            return Ended(end, f"{store.url}/launches/{launch['launch']:04d}")
        except (BundleCorrupt, TooLarge, Untrusted) as error:
            self._tell(error.message)
            return Ended(_refused(store, request, error), store.url)

    def _store(self, marker: RunMarker) -> RunStore:
        return RunStore(self._storage, RunLayout(marker["home"], marker["run_id"]))

    def _prepare(self, store: RunStore, request: RunRequest) -> Prepared:
        found = self._find(request["bundle"]["url"], request["bundle"]["sha256"])
        wishes = Wishes(
            parameters=request["parameters"],
            image=self._wishes.image,
            environ=self._wishes.environ,
            secrets=self._wishes.secrets,
            plain=self._wishes.plain,
            resources=self._wishes.resources,
        )
        watcher, asked = prepare(found, self._launcher, wishes, store.run_id, self._budgets, self._tell)
        if watcher.store.url != store.url:
            message = f"{store.url} is a run of {found.flow.url}, whose runs lie at {watcher.store.url}"
            raise EnvironmentWrong(message, hint="Start the agent with the RUNNER_RESULTS of whoever submits.")
        store.signer = watcher.store.signer
        check_same(store, asked)
        return Prepared(watcher, found.flow.manifest.get("concurrency"))

    def _find(self, url: str, sha256: str) -> Found:
        """Return a bundle that was fetched and verified, once for all runs of it."""
        with self._turn:
            if (url, sha256) not in self._found:
                settings = self._settings._replace(bundle_sha256=self._settings.bundle_sha256 or sha256)
                try:
                    location = parse_location(url)
                except ValueError as error:
                    raise NotFound(f"{url!r} is no location: {error}") from error
                self._found[url, sha256] = find(location, settings)
            return self._found[url, sha256]

    def refuse(self, store: RunStore, error: RunnerError) -> None:
        """Write down a launch that never began, with the reason. Raises RunHeld when somebody else launches the run."""
        if launch := take_launch(store, self._launcher, None):
            self.tell_refused(store, launch, error)

    @staticmethod
    def tell_refused(store: RunStore, launch: Launch, error: RunnerError) -> None:
        """Write down why a launch never began."""
        sighting = Sighting("absent", type(error).__name__, str(error), error.code)
        end_launch(store, launch, "never started", sighting, [], given_up=True)


def _refused(store: RunStore, request: RunRequest, error: RunnerError) -> EndDocument:
    """Return the end that its first attempt would have, of a run that has none to be believed, as the error tells."""
    claim = Claim(1, request["requested"], naming.new_token())
    return end_document(store.run_id, claim, RunFacts(None, request["bundle"]), Verdict.of_error(error, "refused"))
