"""Storage → outcome: settings → credentials → storage → fetch → verify → load → claim → execute → end.

This is the child's side; `runner.supervisor` starts it, says its last word, and writes the end when it did not.
"""

from __future__ import annotations

import hashlib
import signal
import threading
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TextIO, TypeVar

from runner import claims, logs, records
from runner.bundle import Bundle
from runner.credentials import present, resolve
from runner.errors import (
    BucketMissing,
    CredentialsRefused,
    EnvironmentWrong,
    InternalError,
    RunnerError,
)
from runner.fetch import fetch
from runner.keeper import die_with
from runner.load import load, verify
from runner.records import RunFolder
from runner.redact import redact
from runner.seal import seal_for
from runner.settings import Settings
from runner.storage import Location, open_storage
from runner.trace import LONGEST, last_word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.claims import Claim, Concluded
    from runner.credentials import Credentials
    from runner.link import Link
    from runner.load import Loaded
    from runner.resume import Kept
    from runner.storage.base import Storage

T = TypeVar("T")
GCS_SLOWEST = 1.0  # seconds between writes of one object: https://cloud.google.com/storage/quotas#objects
log = logs.logger("run")


def run(environ: Mapping[str, str], link: Link, log_to: TextIO, reuse: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run the flow that the environment names, and give the last word: ``code``, ``error``, ``message``.

    ``reuse`` names a run whose results are taken instead of running their tasks: its ``run_id``, and in ``from`` the
    task from which on all run again, or None.
    """
    logs.begin(log_to, "INFO", environ.get("RUNNER_LOG_FORMAT"))
    settings = Settings(environ=environ)
    try:
        settings = Settings.from_environ(environ)
        logs.begin(log_to, settings.log_level, settings.log_format)
        return _run(settings, link, reuse)
    except RunnerError as error:
        return last_word(error, _advice(error, settings))
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # which is obstore's
            raise
        from runner.cgroup import refusal

        if refused := refusal(error):
            return last_word(refused)
        bug = InternalError(f"a bug in runner: {error!r}", hint="Please report it.")
        return {**last_word(bug), "exception": redact(traceback.format_exc())[-LONGEST:]}


def _run(settings: Settings, link: Link, reuse: dict[str, Any] | None) -> dict[str, Any]:
    location = settings.location
    assert location is not None  # noqa: S101 - settings without one were refused
    credentials = resolve(settings.secrets, settings.environ)
    storage = open_storage(location, credentials, settings.environ)
    warm = _Background(_import_what_loading_needs)  # while the network is waited for
    begun, outcome = _begun(settings, credentials, storage, f"{location.key}/")
    if outcome:
        logs.run_context(run_id=settings.run_id, flow=outcome["flow"])
        documents, home = _results_home(settings, credentials, storage, f"{location.key}/")
        link.tell(run=_place(documents, home, str(settings.run_id)), facts={"flow": outcome["flow"]})
        return _repeated(outcome)
    bundle_key = f"{location.key}/{begun['bundle']['url'].rpartition('/')[2]}" if begun else location.key
    key, data = fetch(storage, bundle_key)

    run_id = settings.run_id or records.new_run_id()
    logs.run_context(run_id=run_id)
    documents, home = _results_home(settings, credentials, storage, key)
    if documents.scheme == "gs" and settings.heartbeat < GCS_SLOWEST:
        message = f"RUNNER_HEARTBEAT is {settings.heartbeat:g}, and Google's storage takes one write a second"
        raise EnvironmentWrong(message, hint="Set it to 1 or more.")
    if key == location.key:  # which names a bundle, not a flow
        begun, _ = _begun(settings, credentials, storage, key)
    if settings.parameters is None:
        settings = replace(settings, parameters=begun["parameters"] if begun else {})
    bundle = {"url": storage.url(key), "sha256": hashlib.sha256(data).hexdigest()}
    facts: dict[str, Any] = {"flow": None, "bundle": bundle}
    link.tell(run=_place(documents, home, run_id), facts=facts)
    opened = _tried(lambda: verify(data))
    said = opened.manifest if isinstance(opened, Bundle) else {"labels": [], "image": None, "secrets": []}
    asked = {"bundle": bundle, "parameters": settings.parameters, "executor": settings.executor, "reuse": reuse}
    asked |= {"labels": said["labels"], "image": said["image"]}
    folder = RunFolder(home, run_id, seal_for(settings, asked))
    link.tell(secrets=said["secrets"], asked=folder.seal and folder.seal.asked)
    claiming = _Background(lambda: _claim(documents, folder, settings, asked, facts, link))
    warm.result()
    die_with(link.keeper, signal.SIGKILL)
    loaded = (
        opened
        if isinstance(opened, RunnerError)
        else _tried(lambda: load(data, opened, location.scheme, settings, lambda path: link.tell(unpacked=path), key))
    )

    claim = claiming.result()
    if isinstance(claim, claims.Concluded):
        return _repeated(claim.outcome)
    logs.run_context(attempt=claim.attempt)
    if isinstance(loaded, RunnerError):
        raise loaded
    facts = {"flow": loaded.flow.name, "bundle": bundle}
    logs.run_context(flow=loaded.flow.name)
    kept = _kept(documents, claim, loaded, begun or {"reuse": reuse}, settings.temporary)
    link.tell(facts=facts, began=True)
    if settings.baked and settings.results is None:
        log.warning("RUNNER_RESULTS is not set: the results of this run lie in the container, and go with it")
    unnamed = "" if settings.run_id else "; RUNNER_RUN_ID is not set, so another start is another run"
    opened_with = _opened_with(credentials, location.scheme)
    log.info("run %s begins: %s%s%s", run_id, storage.url(key), opened_with, unnamed)
    return _execute(loaded, settings, documents, claim, facts, kept, link)


def _claim(
    documents: Storage,
    folder: RunFolder,
    settings: Settings,
    asked: dict[str, Any],
    facts: dict[str, Any],
    link: Link,
) -> Claim | Concluded:
    """Write down what is asked for and claim an attempt at it; of a run id of our own nobody else can know."""
    fresh = settings.run_id is None

    def announce(claim: Claim | None) -> None:
        held = claim and {"attempt": claim.attempt, "started": claim.started, "token": claim.token}
        link.tell(claim=held, attempt=claim.attempt if claim else None)

    beginning = _Background(lambda: claims.begin_run(documents, folder, asked))
    if not fresh:
        beginning.result()  # a run of other parameters must not be claimed
    claim = claims.claim_run(
        documents, folder, announce, facts, fresh=fresh, interval=settings.heartbeat, image=settings.image
    )
    if isinstance(claim, claims.Claim):
        link.tell(held=True)
    beginning.result()
    return claim


def _kept(documents: Storage, claim: Claim, loaded: Loaded, begun: dict[str, Any], temporary: str) -> Kept | None:
    """Find what need not run again, and sweep up after those who left it. Raises EnvironmentWrong."""
    reuse = begun.get("reuse")
    if claim.attempt == 1 and not reuse:
        return None
    from runner import unpacked
    from runner.resume import kept_results

    slugs = [node.slug for node in loaded.flow.nodes]
    if reuse and reuse["from"] and reuse["from"] not in slugs:
        message = f"the flow has no task {reuse['from']!r}"
        raise EnvironmentWrong(message, hint=f"Its tasks are {', '.join(slugs)}.")
    for attempt in range(1, claim.attempt):
        documents.sweep(f"{claim.folder.attempt(attempt)}/")
    unpacked.sweep(temporary)
    kept = kept_results(documents, claim.folder, loaded.flow)
    log.info("%d results of earlier attempts are there and need not be made again", len(kept))
    return kept


def _execute(
    loaded: Loaded,
    settings: Settings,
    documents: Storage,
    claim: Claim,
    facts: dict[str, Any],
    kept: Kept | None,
    link: Link,
) -> dict[str, Any]:
    """Run the flow, commit its end, and give the last word on it."""
    from runner.ending import Ending
    from runner.engine import Engine
    from runner.executors import open_executor
    from runner.results import Results

    results = Results(documents, claim.folder, claim.attempt)
    executor = open_executor(settings.executor)
    engine = Engine(loaded.flow, loaded.parameters, executor, save=results.save, kept=kept)
    ending = Ending(documents, claim, facts, link.tell, settings.temporary)
    threading.Thread(target=ending.heed, args=(link.orders, engine), name="orders", daemon=True).start()
    report = engine.run()
    ending.returned()
    return ending.commit(report)


def _begun(
    settings: Settings, credentials: Credentials, storage: Storage, key: str
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Look for the run that is named, if it was begun with a bundle that lies where this key does.

    Gives its ``run.json``, and its outcome if it has one and is asked for with the same parameters, or none.
    """
    if settings.run_id is None or settings.trusted_keys:  # then nothing that is not signed says what runs
        return None, None
    documents, home = _results_home(settings, credentials, storage, key)
    folder = RunFolder(home, settings.run_id)
    try:
        begun = claims.begun(documents, folder)
    except BucketMissing:
        return None, None
    if begun is None or not (settings.parameters is None or claims.are_same(settings.parameters, begun["parameters"])):
        return begun, None
    return begun, claims.outcome(documents, folder)


def _place(documents: Storage, home: str, run_id: str) -> dict[str, str]:
    """Tell where a run's documents lie."""
    return {"scheme": documents.scheme, "container": documents.container, "home": home, "run_id": run_id}


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
    return {"code": outcome["exit_code"], "error": error.get("type"), "message": message[:LONGEST]}


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

    import runner.ending
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
