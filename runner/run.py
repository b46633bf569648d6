"""Storage → outcome: settings → credentials → storage → fetch → verify → load → claim → execute → end.

This is the child's side; `runner.supervisor` starts it, and writes the end when it cannot.
"""

from __future__ import annotations

import hashlib
import threading
from typing import TYPE_CHECKING, Any, Generic, TextIO, TypeVar

from runner import claims, logs, records
from runner.credentials import present, resolve
from runner.errors import CredentialsRefused, Denied, FlowFailed, InternalError, RunnerError, WriteFailed
from runner.fetch import fetch
from runner.records import RunFolder
from runner.redact import redact
from runner.settings import Settings
from runner.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.claims import Claim, Concluded
    from runner.credentials import Credentials
    from runner.load import Loaded
    from runner.storage.base import Storage

    Tell = Callable[..., None]  # tells the supervisor what it must know if this process dies: see `Supervisor`

T = TypeVar("T")
log = logs.logger("run")


def run(environ: Mapping[str, str], tell: Tell, log_to: TextIO) -> int:
    """Run the flow that the environment names, and give the exit code. Never raises an `Exception`."""
    warm = _Background(_import_what_loading_needs)
    logs.begin(log_to, "INFO", None)
    settings = Settings(environ=environ)
    try:
        settings = Settings.from_environ(environ)
        logs.begin(log_to, settings.log_level, settings.log_format)
        return _run(settings, warm, tell)
    except RunnerError as error:
        return _refused(error, settings)
    except Exception as error:
        log.exception("a bug in runner: %r", error, extra={"code": InternalError.code})  # noqa: TRY401
        return InternalError.code


def _run(settings: Settings, warm: _Background[None], tell: Tell) -> int:
    location = settings.location
    assert location is not None  # noqa: S101 - settings without one were refused
    credentials = resolve(settings.secrets, settings.environ)
    storage = open_storage(location, credentials, settings.environ)
    key, data = fetch(storage, location.key)

    run_id = settings.run_id or records.new_run_id()
    logs.run_context(run_id=run_id)
    documents, home = _results_home(settings, credentials, storage, key)
    folder = RunFolder(home, run_id)
    tell(run={"scheme": documents.scheme, "container": documents.container, "home": home, "run_id": run_id})
    asked = {
        "bundle": {"url": storage.url(key), "sha256": hashlib.sha256(data).hexdigest()},
        "parameters": settings.parameters,
    }
    begun = _Background(lambda: claims.begin_run(documents, folder, asked))
    claiming = _Background(lambda: claims.claim_run(documents, folder, fresh=settings.run_id is None))
    loaded: Loaded | RunnerError
    try:
        warm.result()
        from runner.load import load

        loaded = load(data, location.scheme, settings, lambda path: tell(unpacked=path))
    except RunnerError as error:
        loaded = error

    claim = _claimed(begun, claiming)
    if isinstance(claim, claims.Concluded):
        return _repeated(claim)
    flow = None if isinstance(loaded, RunnerError) else loaded.flow.name
    logs.run_context(flow=flow, attempt=claim.attempt)
    facts = {"flow": flow, "bundle": asked["bundle"]}
    tell(claimed={"attempt": claim.attempt, "started": claim.started, "facts": facts})
    if isinstance(loaded, RunnerError):
        _commit(documents, claim, tell, {**facts, **_end("refused", loaded)})
        raise loaded
    secret = credentials.used_by(location.scheme)
    log.info("run %s begins: %s, opened with %s", run_id, storage.url(key), secret or "the ambient credentials")
    return _execute(loaded, settings, documents, claim, facts, tell)


def _execute(
    loaded: Loaded, settings: Settings, documents: Storage, claim: Claim, facts: dict[str, Any], tell: Tell
) -> int:
    """Run the flow, commit its end, and give the exit code that was committed."""
    from runner.engine import Engine, failure
    from runner.executors import open_executor
    from runner.results import Results

    results = Results(documents, claim.folder, claim.attempt)
    engine = Engine(loaded.flow, loaded.parameters, open_executor(settings.executor), save=results.save)
    try:
        report = engine.run()
    except RunnerError as error:
        refusal = error if isinstance(error, WriteFailed) else WriteFailed(f"a result could not be written: {error}")
        _try_to_commit(documents, claim, tell, {**facts, **_end("crashed", refusal)})
        raise refusal from error
    failed = FlowFailed(failure(report)) if report.failed else None
    _commit(documents, claim, tell, {**facts, **_end(report.state, failed), "tasks": report.tasks})
    if failed:
        raise failed
    log.info("run %s succeeded: %s", claim.folder.run_id, documents.url(claim.folder.outcome), extra={"code": 0})
    return 0


def _results_home(settings: Settings, credentials: Credentials, storage: Storage, key: str) -> tuple[Storage, str]:
    """Give the storage and the folder that hold the run's documents: beside the bundle, or below RUNNER_RESULTS."""
    home = key.rpartition("/")[0]
    if settings.results is None:
        return storage, home
    flow = home.rpartition("/")[2] or records.slugify(key)
    root = settings.results.as_root()
    return open_storage(root, credentials, settings.environ), f"{root.key}/{flow}".lstrip("/")


def _claimed(begun: _Background[None], claiming: _Background[Claim | Concluded]) -> Claim | Concluded:
    try:
        begun.result()
        return claiming.result()
    except Denied as error:
        raise WriteFailed(f"the run cannot be written down: {error.message}", hint=error.hint) from error


def _repeated(concluded: Concluded) -> int:
    """Repeat the outcome of a run that is over, without running it."""
    outcome = concluded.outcome
    code: int = outcome["exit_code"]
    message = "run %s is over since %s: %s; nothing is run again"
    log.log(
        logs.ERROR if code else logs.INFO,
        message,
        outcome["run_id"],
        outcome["ended"],
        outcome["state"],
        extra={"code": code},
    )
    return code


def _end(state: str, error: RunnerError | None) -> dict[str, Any]:
    told = error and {"type": type(error).__name__, "message": redact(str(error))}
    return {"state": state, "exit_code": error.code if error else 0, "error": told, "tasks": []}


def _commit(documents: Storage, claim: Claim, tell: Tell, end: dict[str, Any]) -> None:
    try:
        claims.end_attempt(documents, claim, end)
    except RunnerError as error:
        raise WriteFailed(f"the end of the run could not be written: {error.message}", hint=error.hint) from error
    tell(committed=end["exit_code"])


def _try_to_commit(documents: Storage, claim: Claim, tell: Tell, end: dict[str, Any]) -> None:
    """Commit an end after storage failed already: it may fail again, and the first failure is the one to tell."""
    try:
        _commit(documents, claim, tell, end)
    except RunnerError as error:
        log.warning("nor could the attempt's end: %s", error)


def _refused(error: RunnerError, settings: Settings) -> int:
    """Log why, once, and give the exit code."""
    text = str(error)
    unused = [
        name for name in present(settings.environ) if name not in settings.secrets and name.endswith("CREDENTIALS")
    ]
    if isinstance(error, CredentialsRefused) and unused:
        text += f" {', '.join(unused)} is set, but not named in RUNNER_SECRETS, and so was not used."
    log.error("%s", text, extra={"code": error.code, "error": type(error).__name__})
    return error.code


def _import_what_loading_needs() -> None:
    """Import while the bundle is fetched what is needed right after it."""
    import cloudpickle  # noqa: F401 - the modules are wanted, not their names

    import runner.engine
    import runner.executors
    import runner.load
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
