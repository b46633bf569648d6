"""What this start is asked for: where the run's documents lie, and what the run that is named was begun with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner import naming
from runner.backends import open_storage
from runner.errors import BucketMissing, EnvironmentWrong, WriteFailed
from runner.location import Location
from runner.model.verdict import LONGEST_MESSAGE, Verdict
from runner.runs.claims import same_json
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.schema.documents import EndDocument, RunRequest
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


def repeated(store: RunStore, outcome: EndDocument) -> Verdict:
    """Return the outcome of a run that is over as the verdict on this start, which does not run it.

    Raises WriteFailed if it succeeded and a result that it lists is not there.
    """
    if outcome["exit_code"] == 0:
        from runner.runs.stored_results import missing_result

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
