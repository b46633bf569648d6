"""What this start is asked for: where the run's documents lie, and what the run that is named was begun with."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from runner import naming
from runner.backends import open_storage
from runner.bundle.archive import Bundle
from runner.errors import BucketMissing, EnvironmentWrong, WriteFailed
from runner.location import Location
from runner.model.verdict import LONGEST_MESSAGE, Verdict
from runner.runs import claims
from runner.runs.claims import same_json
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from runner.schemes import backend_of
from runner.secrets.named import known_secrets_present, resolve
from runner.secrets.parts import known_secrets

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.bundle.archive import ForeignObject
    from runner.schema.documents import BundleReference, EndDocument, Reuse, RunRequest
    from runner.secrets.named import Credentials
    from runner.settings import Settings


class RunStores:
    """Opens runs: beside the bundle, or below RUNNER_RESULTS, whose storage is opened once.

    Beside a bundle in an image nothing can be written, so without RUNNER_RESULTS they lie in the temporary folder.
    """

    def __init__(self, settings: Settings, credentials: Credentials, storage: Storage) -> None:
        self._settings, self._credentials, self._storage = settings, credentials, storage
        self._elsewhere: Storage | None = None
        self._opened: dict[RunLayout, RunStore] = {}

    def open(self, key: str, run_id: str) -> RunStore:
        """Return the one store of a run of the bundle under a key. Raises as `open_storage`, and EnvironmentWrong."""
        settings, home = self._settings, key.rpartition("/")[0]
        results = settings.results or (_in_container() if settings.baked else None)
        if results is None:
            return self._store(self._storage, RunLayout(home, run_id))
        flow = home.rpartition("/")[2] or naming.slugify(key)
        root = results.as_root()
        if self._elsewhere is None:
            self._elsewhere = open_storage(root, self._credentials, settings.environ)
            self._elsewhere.warn_of_writers()
        return self._store(self._elsewhere, RunLayout(f"{root.key}/{flow}".lstrip("/"), run_id))

    def _store(self, storage: Storage, layout: RunLayout) -> RunStore:
        return self._opened.setdefault(layout, RunStore(storage, layout))


def find_begun(settings: Settings, stores: RunStores, key: str) -> tuple[RunRequest | None, EndDocument | None]:
    """Look for the run that is named, if it was begun with a bundle that lies where this key does.

    Returns its request, and its outcome if it has one and is asked for with the same parameters, or none.
    """
    if settings.run_id is None or settings.trusted_keys:  # then nothing that is not signed says what runs
        return None, None
    store = stores.open(key, settings.run_id)
    try:
        begun = store.read_request()
    except BucketMissing:
        return None, None
    if begun is None or settings.bundle_sha256 not in {None, begun["bundle"]["sha256"]}:
        return begun, None  # its outcome would be that of another bundle
    if not (settings.parameters is None or same_json(settings.parameters, begun["parameters"])):
        return begun, None
    return begun, store.read_outcome()


def bundle_location(location: Location, begun: RunRequest | None) -> Location:
    """Return where the bundle lies that a run was begun with, beside the run, or the one that is asked for."""
    if begun is None:
        return location
    return replace(location, key=f"{location.key}/{begun['bundle']['url'].rpartition('/')[2]}", alias="")


def check_heartbeat(settings: Settings, store: RunStore) -> None:
    """Refuse an interval that the storage of the run cannot keep. Raises EnvironmentWrong."""
    backend = backend_of(store.storage.scheme)
    if settings.heartbeat < (least := backend.seconds_between_writes):
        rate = "a second" if least == 1 else f"in {least:g} seconds"
        message = f"RUNNER_HEARTBEAT is {settings.heartbeat:g}, and {backend.title} takes one write {rate}"
        raise EnvironmentWrong(message, hint=f"Set it to {least:g} or more.")


def new_request(
    run_id: str,
    bundle: BundleReference,
    settings: Settings,
    opened: Bundle | ForeignObject | None,
    reuse: Reuse | None,
) -> RunRequest:
    """Return what this start asks for; an object that runner did not write says nothing of labels and image."""
    manifest = opened.manifest if isinstance(opened, Bundle) else None
    return claims.new_request(
        run_id,
        bundle=bundle,
        parameters=settings.parameters or {},
        executor=settings.executor,
        reuse=reuse,
        labels=manifest["labels"] if manifest else [],
        image=manifest["image"] if manifest else None,
    )


def secrets_of(opened: Bundle | ForeignObject | None) -> list[str]:
    """Return the names of the secrets that a bundle says it uses."""
    return opened.manifest["secrets"] if isinstance(opened, Bundle) else []


def hide_listed(opened: Bundle | ForeignObject | None, settings: Settings) -> None:
    """Mask the secrets that a bundle says it uses, as far as they are found; those named were, when they were read."""
    for name in secrets_of(opened):
        if name not in settings.secrets:
            with suppress(EnvironmentWrong):  # where there is none, the flow tells
                resolve((name,), settings.environ)


def unnamed_secrets(opened: Bundle | ForeignObject | None, settings: Settings) -> list[str]:
    """Return the secrets that a bundle says it uses and RUNNER_SECRETS does not name.

    Those that open a storage are among them only if they are set here: without them the cloud's own chain opens it.
    """
    listed = [name for name in secrets_of(opened) if name not in settings.secrets]
    if not listed:
        return listed
    present = known_secrets_present(settings.environ)
    return [name for name in listed if name in present or name not in known_secrets()]


def repeated(store: RunStore, outcome: EndDocument) -> Verdict:
    """Return the outcome of a run that is over as the verdict on this start, which does not run it.

    Raises WriteFailed if it succeeded and it, or a result that it lists, is not there.
    """
    if outcome["exit_code"] == 0:
        from runner.runs.stored_results import missing_result

        if store.read_outcome() is None:  # this start wrote it, as there was only the attempt's end, or so it was told
            message = (
                f"{store.storage.url(store.layout.outcome)} is not there, whatever was answered when it was stored"
            )
            raise WriteFailed(message, hint="Look what answers in the storage's place, and start the run again.")
        if lost := missing_result(store, outcome, {}):
            message = f"run {outcome['run_id']} succeeded, but {lost}, which it lists, is not there"
            raise WriteFailed(message, hint="Take another run id; runner retry makes again only what is lost.")
    error = outcome["error"]
    message = f"run {outcome['run_id']} is over since {outcome['ended']}: {outcome['state']}; nothing is run again"
    message += f". {error['message']}" if error else ""
    return Verdict(outcome["state"], outcome["exit_code"], message[:LONGEST_MESSAGE], error["type"] if error else None)


def _in_container() -> Location:
    from tempfile import gettempdir

    try:
        return Location("file", gettempdir(), "runner-results")
    except FileNotFoundError as error:
        message = "RUNNER_RESULTS is not set, and this container has no folder that can be written to"
        raise EnvironmentWrong(message, hint="Set it to a storage's URL, or run with --tmpfs /tmp.") from error
