"""The run's own way up to its claim: is the flow there, signed, of this Python, can it be loaded, is its run over?"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from runner import naming
from runner.backends import open_storage
from runner.bundle.fetch import fetch
from runner.bundle.load import try_loading
from runner.bundle.trust import Admitted, admit
from runner.doctor.checks import Check, error_with_code, run_check
from runner.errors import RunHeld
from runner.runs.claims import check_same
from runner.runs.documents import concludes
from runner.runs.status import run_status
from runner.runtime.request import (
    RunStores,
    bundle_location,
    check_heartbeat,
    find_begun,
    hide_listed,
    new_request,
    repeated,
    secrets_of,
    unnamed_secrets,
)
from runner.signing.run_signatures import run_signer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.bundle.archive import Bundle, ForeignObject
    from runner.doctor.checks import State
    from runner.location import Location
    from runner.runs.store import RunStore
    from runner.schema.documents import EndDocument
    from runner.secrets.named import Credentials
    from runner.settings import Settings

ABOUT = "the run"
OVER = "not tried: a start with this RUNNER_RUN_ID only repeats what became of its run"
RUNS_LIE = "results"  # the check whose message is the folder that holds the flow's runs


def run_checks(settings: Settings, credentials: Credentials) -> Iterator[Check]:
    """Yield the checks of what a run does before it writes anything, in its order.

    What comes after the first that fails, or after what tells that the run is over, is not tried.
    """
    way = _Way(settings, credentials)
    steps = (
        ("signing key", way.check_signing_key),
        ("open", way.open),
        ("flow", way.find),
        (RUNS_LIE, way.find_runs),
        ("signature", way.admit),
        ("listed secrets", way.compare_secrets),
        ("run id", way.look_at_run),
        ("load", way.load),
    )
    untried = ""
    for name, step in steps:
        check = Check(ABOUT, name, "unknown", untried) if untried else run_check(ABOUT, name, step)
        yield check
        if not untried and (check.state == "FAILED" or way.is_over):
            untried = OVER if check.state == "ok" else "not tried"


class _Way:
    """What the steps before have found."""

    is_over = False  # the run that is named is, so nothing would be loaded

    def __init__(self, settings: Settings, credentials: Credentials) -> None:
        self._settings, self._credentials = settings, credentials
        self._location: Location
        self._data: bytes
        self._store: RunStore
        self._admitted: Admitted
        self._opened: Bundle | ForeignObject | None = None

    def check_signing_key(self) -> str:
        key = self._settings.signing_key
        if key is None:
            return "what the run writes is signed by nobody"
        key.check_role("runs")
        return f"what the run writes is signed by {key.public.id}"

    def open(self) -> str:
        location = self._settings.location
        assert location is not None  # noqa: S101 - without one there is no way to go
        self._location = location
        self._storage = open_storage(location, self._credentials, self._settings.environ)
        self._storage.retry_seconds = min(self._storage.retry_seconds, self._settings.patience)
        self._stores = RunStores(self._settings, self._credentials, self._storage)
        return "the storage can be opened"

    def find(self) -> str:
        settings, location = self._settings, self._location
        begun, outcome = find_begun(settings, self._stores, f"{location.key}/")
        if outcome:
            self._store = self._stores.open(f"{location.key}/", outcome["run_id"])
            return self._told(outcome)
        key, self._data = fetch(self._storage, bundle_location(location, begun), settings)
        if key == location.key:  # which names a bundle, not a flow
            begun, _ = find_begun(settings, self._stores, key)
        if settings.parameters is None:
            self._settings = settings._replace(parameters=begun["parameters"] if begun else {})
        self._location = replace(location, key=key, alias="")
        return f"{self._storage.url(key)}, {len(self._data):,} bytes"

    def find_runs(self) -> str:
        self._store = self._stores.open(self._location.key, self._settings.run_id or naming.new_run_id())
        check_heartbeat(self._settings, self._store)
        return self._store.layout.home

    def admit(self) -> str:
        settings = self._settings
        self._admitted = admit(self._data, self._location, settings)
        self._opened = self._admitted.opened
        hide_listed(self._opened, settings)
        if settings.trusted_keys:
            return "signed by a key that is trusted"
        return "whole, and signed by whomever: RUNNER_TRUSTED_KEYS names nobody"

    def compare_secrets(self) -> str | tuple[State, str]:
        unnamed = unnamed_secrets(self._opened, self._settings)
        if unnamed:
            return "note", f"the flow says that it uses {', '.join(unnamed)}, and RUNNER_SECRETS does not name it"
        return f"{len(secrets_of(self._opened))} that the flow says it uses"

    def look_at_run(self) -> str | tuple[State, str]:
        """Return what became of the run that is named. Raises the error by which a start that names it ends."""
        settings, store = self._settings, self._store
        if settings.run_id is None:
            return "RUNNER_RUN_ID is not set, so each start is a run of its own"
        url, digest = self._storage.url(self._location.key), hashlib.sha256(self._data).hexdigest()
        begun = store.read_request()
        reuse = begun.get("reuse") if begun else None
        request = new_request(settings.run_id, {"url": url, "sha256": digest}, settings, self._opened, reuse)
        if settings.signing_key or settings.trusted_keys:
            store.signer = run_signer(settings.signing_key, settings.trusted_keys, request)
        if begun is None:
            return f"{settings.run_id} is a new run"
        check_same(store, request)
        status = run_status(store)
        if status.end and concludes(status.end):
            return self._told(status.end)
        if status.state == "running":
            message = f"an attempt holds run {store.run_id}: {status.text}"
            raise RunHeld(message, hint="Wait for its end, or use another RUNNER_RUN_ID.")
        return f"{store.run_id} goes on: its last attempt is {status.text}"

    def load(self) -> str:
        flow = try_loading(self._admitted, self._settings)
        return f"flow {flow.name!r}, tasks: {len(flow.nodes)}; it can be run here"

    def _told(self, outcome: EndDocument) -> str:
        """Return what a start says that repeats an outcome. Raises an error of its exit code unless that is 0."""
        self.is_over = True
        if outcome["exit_code"] == 0 and self._store.read_outcome() is None:
            return f"run {self._store.run_id} is over: {outcome['state']}; a start writes its outcome"
        verdict = repeated(self._store, outcome)
        if verdict.exit_code:
            hint = "Give another RUNNER_RUN_ID, or unset it."
            raise error_with_code(verdict.exit_code, verdict.message, hint)
        return verdict.message
