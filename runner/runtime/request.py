"""What this start is asked for: where the run's documents lie, and what it was begun with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner import naming
from runner.backends import open_storage
from runner.errors import BucketMissing, EnvironmentWrong
from runner.location import Location
from runner.runs import claims
from runner.runs.layout import RunLayout
from runner.tracebacks import LONGEST

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.secrets.named import Credentials
    from runner.settings import Settings


def read_begun(
    settings: Settings, credentials: Credentials, storage: Storage, key: str
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Look for the run that is named, if it was begun with a bundle that lies where this key does.

    Gives its ``run.json``, and its outcome if it has one and is asked for with the same parameters, or none.
    """
    if settings.run_id is None or settings.trusted_keys:  # then nothing that is not signed says what runs
        return None, None
    documents, home = results_home(settings, credentials, storage, key)
    folder = RunLayout(home, settings.run_id)
    try:
        begun = claims.read_request(documents, folder)
    except BucketMissing:
        return None, None
    if begun is None or not (settings.parameters is None or claims.same_json(settings.parameters, begun["parameters"])):
        return begun, None
    return begun, claims.read_outcome(documents, folder)


def run_place(documents: Storage, home: str, run_id: str) -> dict[str, str]:
    """Tell where a run's documents lie."""
    return {"scheme": documents.scheme, "container": documents.container, "home": home, "run_id": run_id}


def results_home(settings: Settings, credentials: Credentials, storage: Storage, key: str) -> tuple[Storage, str]:
    """Give the storage and the folder that hold the run's documents: beside the bundle, or below RUNNER_RESULTS.

    Beside a bundle in an image nothing can be written, so without RUNNER_RESULTS they lie in the temporary folder.
    """
    home = key.rpartition("/")[0]
    results = settings.results or (_in_container() if settings.baked else None)
    if results is None:
        return storage, home
    flow = home.rpartition("/")[2] or naming.slugify(key)
    root = results.as_root()
    return open_storage(root, credentials, settings.environ), f"{root.key}/{flow}".lstrip("/")


def _in_container() -> Location:
    from tempfile import gettempdir

    try:
        return Location("file", gettempdir(), "runner-results")
    except FileNotFoundError as error:
        message = "RUNNER_RESULTS is not set, and this container has no folder that can be written to"
        raise EnvironmentWrong(message, hint="Set it to a storage's URL, or run with --tmpfs /tmp.") from error


def repeated_outcome(outcome: dict[str, Any]) -> dict[str, Any]:
    """Repeat the outcome of a run that is over, without running it."""
    error = outcome["error"] or {}
    message = f"run {outcome['run_id']} is over since {outcome['ended']}: {outcome['state']}; nothing is run again"
    message += f". {error['message']}" if error else ""
    return {"code": outcome["exit_code"], "error": error.get("type"), "message": message[:LONGEST]}
