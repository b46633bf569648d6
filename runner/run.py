"""Storage → outcome: settings → credentials → storage → fetch → verify → load → claim → execute → end.

This is the child's side; `runner.supervisor` starts it, says its last word, and writes the end when it did not.
"""

from __future__ import annotations

import hashlib
import threading
import traceback
from typing import TYPE_CHECKING, Any, Generic, TextIO, TypeVar

from runner import claims, logs, records
from runner.bundle import Bundle
from runner.credentials import present, resolve
from runner.errors import (
    BucketMissing,
    CredentialsRefused,
    EnvironmentWrong,
    FlowFailed,
    InternalError,
    RunnerError,
    WriteFailed,
)
from runner.fetch import fetch
from runner.load import load, verify
from runner.records import RunFolder
from runner.redact import redact
from runner.settings import Settings
from runner.storage import Location, open_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.claims import Claim, Concluded
    from runner.credentials import Credentials
    from runner.load import Loaded
    from runner.storage.base import Storage

    Tell = Callable[..., None]  # tells the supervisor what it must know if this process dies: see `runner.supervisor`

T = TypeVar("T")
_LONGEST = 2000  # characters of a last word: the pipe that it goes through holds 64 KiB until somebody reads
log = logs.logger("run")


def run(environ: Mapping[str, str], tell: Tell, log_to: TextIO) -> dict[str, Any]:
    """Run the flow that the environment names, and give the last word: ``code``, ``error``, ``message``."""
    logs.begin(log_to, "INFO", environ.get("RUNNER_LOG_FORMAT"))
    settings = Settings(environ=environ)
    try:
        settings = Settings.from_environ(environ)
        logs.begin(log_to, settings.log_level, settings.log_format)
        return _run(settings, tell)
    except RunnerError as error:
        return _word(error, _advice(error, settings))
    except Exception as error:  # noqa: BLE001 - told with its traceback
        bug = InternalError(f"a bug in runner: {error!r}", hint="Please report it.")
        return {**_word(bug), "exception": redact(traceback.format_exc())[-_LONGEST:]}


def _run(settings: Settings, tell: Tell) -> dict[str, Any]:
    location = settings.location
    assert location is not None  # noqa: S101 - settings without one were refused
    credentials = resolve(settings.secrets, settings.environ)
    storage = open_storage(location, credentials, settings.environ)
    warm = _Background(_import_what_loading_needs)  # while the network is waited for
    key, data = fetch(storage, _begun_key(settings, credentials, storage) or location.key)

    run_id = settings.run_id or records.new_run_id()
    logs.run_context(run_id=run_id)
    documents, home = _results_home(settings, credentials, storage, key)
    bundle = {"url": storage.url(key), "sha256": hashlib.sha256(data).hexdigest()}
    facts: dict[str, Any] = {"flow": None, "bundle": bundle}
    tell(
        run={"scheme": documents.scheme, "container": documents.container, "home": home, "run_id": run_id}, facts=facts
    )
    opened = _tried(lambda: verify(data))
    said = opened.manifest if isinstance(opened, Bundle) else {"labels": [], "image": None}
    asked = {"bundle": bundle, "parameters": settings.parameters, "labels": said["labels"], "image": said["image"]}
    claiming = _Background(lambda: _claim(documents, RunFolder(home, run_id), settings, asked, tell))
    warm.result()
    loaded = (
        opened
        if isinstance(opened, RunnerError)
        else _tried(lambda: load(data, opened, location.scheme, settings, lambda path: tell(unpacked=path)))
    )

    claim = claiming.result()
    if isinstance(claim, claims.Concluded):
        return _repeated(claim.outcome)
    logs.run_context(attempt=claim.attempt)
    if isinstance(loaded, RunnerError):
        raise loaded
    facts = {"flow": loaded.flow.name, "bundle": bundle}
    logs.run_context(flow=loaded.flow.name)
    tell(facts=facts, began=True)
    if settings.baked and settings.results is None:
        log.warning("RUNNER_RESULTS is not set: the results of this run lie in the container, and go with it")
    log.info("run %s begins: %s%s", run_id, storage.url(key), _opened_with(credentials, location.scheme))
    return _execute(loaded, settings, documents, claim, facts, tell)


def _claim(
    documents: Storage, folder: RunFolder, settings: Settings, asked: dict[str, Any], tell: Tell
) -> Claim | Concluded:
    """Write down what is asked for and claim an attempt at it; of a run id of our own nobody else can know."""
    fresh = settings.run_id is None

    def announce(claim: Claim | None) -> None:
        held = claim and {"attempt": claim.attempt, "started": claim.started, "token": claim.token}
        tell(claim=held, attempt=claim.attempt if claim else None)

    beginning = _Background(lambda: claims.begin_run(documents, folder, asked))
    if not fresh:
        beginning.result()  # a run of other parameters must not be claimed
    claim = claims.claim_run(documents, folder, announce, fresh=fresh, image=settings.image)
    beginning.result()
    return claim


def _execute(
    loaded: Loaded, settings: Settings, documents: Storage, claim: Claim, facts: dict[str, Any], tell: Tell
) -> dict[str, Any]:
    """Run the flow, commit its end, and give the last word on it."""
    from runner.engine import Engine, failure
    from runner.executors import open_executor
    from runner.results import Results

    results = Results(documents, claim.folder, claim.attempt)
    engine = Engine(loaded.flow, loaded.parameters, open_executor(settings.executor), save=results.save)
    try:
        report = engine.run()
    except (InternalError, WriteFailed):
        raise
    except RunnerError as refusal:
        raise WriteFailed(f"a result could not be written: {refusal.message}", hint=refusal.hint) from refusal
    if report.failed:
        last = _word(FlowFailed(failure(report)))
        error = {"type": last["error"], "message": last["message"]}
    else:
        outcome = documents.url(claim.folder.outcome)
        last, error = {"code": 0, "message": f"run {claim.folder.run_id} succeeded: {outcome}"}, None
    end = {**facts, "state": report.state, "exit_code": last["code"], "error": error, "tasks": report.tasks}
    try:
        claims.end_attempt(documents, claim, end)
    except RunnerError as refusal:
        raise WriteFailed(f"the end of the run could not be written: {refusal.message}", hint=refusal.hint) from refusal
    tell(claim=None, last=last)
    return last


def _begun_key(settings: Settings, credentials: Credentials, storage: Storage) -> str | None:
    """Give the key of the bundle that a run of the named flow was begun with, though newer ones may have come since."""
    location = settings.location
    if settings.run_id is None or location is None:
        return None
    documents, home = _results_home(settings, credentials, storage, f"{location.key}/")
    try:
        begun = claims.begun_with(documents, RunFolder(home, settings.run_id))
    except BucketMissing:
        return None
    return begun and f"{location.key}/{begun.rpartition('/')[2]}"


def _tried(action: Callable[[], T]) -> T | RunnerError:
    """Do something whose failure must wait until it is known who tells of it: the attempt that is being claimed."""
    try:
        return action()
    except RunnerError as error:
        return error


def _results_home(settings: Settings, credentials: Credentials, storage: Storage, key: str) -> tuple[Storage, str]:
    """Give the storage and the folder that hold the run's documents: beside the bundle, or below RUNNER_RESULTS.

    Beside a bundle in an image nothing can be written, so without RUNNER_RESULTS they lie in the temporary folder.
    """
    home = key.rpartition("/")[0]
    results = settings.results or (_in_container() if settings.baked else None)
    if results is None:
        return storage, home
    flow = home.rpartition("/")[2] or records.slugify(key)
    root = results.as_root()
    return open_storage(root, credentials, settings.environ), f"{root.key}/{flow}".lstrip("/")


def _in_container() -> Location:
    from tempfile import gettempdir

    try:
        return Location("file", gettempdir(), "runner-results")
    except FileNotFoundError as error:
        message = "RUNNER_RESULTS is not set, and this container has no folder that can be written to"
        raise EnvironmentWrong(message, hint="Set it to a storage's URL, or run with --tmpfs /tmp.") from error


def _repeated(outcome: dict[str, Any]) -> dict[str, Any]:
    """Repeat the outcome of a run that is over, without running it."""
    error = outcome["error"] or {}
    message = f"run {outcome['run_id']} is over since {outcome['ended']}: {outcome['state']}; nothing is run again"
    message += f". {error['message']}" if error else ""
    return {"code": outcome["exit_code"], "error": error.get("type"), "message": message[:_LONGEST]}


def _word(error: RunnerError, advice: str = "") -> dict[str, Any]:
    return {"code": error.code, "error": type(error).__name__, "message": redact(f"{error}{advice}")[:_LONGEST]}


def _advice(error: RunnerError, settings: Settings) -> str:
    """Say when a known secret is here that nobody named: the usual reason for a refusal."""
    unused = [
        name for name in present(settings.environ) if name not in settings.secrets and name.endswith("CREDENTIALS")
    ]
    if not isinstance(error, CredentialsRefused) or not unused:
        return ""
    return f" {', '.join(unused)} is set, but not named in RUNNER_SECRETS, and so was not used."


def _opened_with(credentials: Credentials, scheme: str) -> str:
    if scheme == "file":
        return ""
    return f", opened with {credentials.used_by(scheme) or 'the ambient credentials'}"


def _import_what_loading_needs() -> None:
    """Import while the bundle is fetched what is needed right after it."""
    import cloudpickle  # noqa: F401 - the modules are wanted, not their names
    import pythonjsonlogger.json  # noqa: F401 - for the line that says that the run begins

    import runner.engine
    import runner.executors
    import runner.results  # noqa: F401


class _Background(threading.Thread, Generic[T]):
    """Does one thing in a thread of its own; `result` waits for it, and raises what it raised."""

    def __init__(self, action: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self._action = action
        self._value: T
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._value = self._action()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
            self._error = error

    def result(self) -> T:
        self.join()
        if self._error is not None:
            raise self._error
        return self._value
