"""Storage → outcome: settings → credentials → storage → fetch → verify → load → claim → execute → end.

This is the child's side; `runner.supervisor` starts it, and writes the end when it did not.
"""

from __future__ import annotations

import hashlib
import signal
import threading
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

from runner import logs, naming
from runner.backends import open_storage
from runner.bundle.archive import Bundle
from runner.bundle.fetch import fetch
from runner.bundle.load import load, verify
from runner.errors import CredentialsRefused, EnvironmentWrong, InternalError, RunnerError
from runner.process import die_with
from runner.runs import claims, ends
from runner.runs.layout import RunLayout
from runner.runtime.background import Background, T
from runner.runtime.request import read_begun, repeated_outcome, results_home, run_place
from runner.secrets.named import known_secrets_present, resolve
from runner.secrets.redaction import redact
from runner.settings import Settings
from runner.signing.run_signatures import run_signer
from runner.tracebacks import LONGEST, failure_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.backends.base import Storage
    from runner.bundle.load import Loaded
    from runner.runs.ends import Claim, Concluded
    from runner.runs.reuse import ReusableResults
    from runner.runtime.channel import Channel
    from runner.secrets.named import Credentials

GCS_SLOWEST = 1.0  # seconds between writes of one object: https://cloud.google.com/storage/quotas#objects
log = logs.logger("run")


def run(
    environ: Mapping[str, str], link: Channel, log_to: TextIO, reuse: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Run the flow that the environment names, and give the last word: ``code``, ``error``, ``message``.

    ``reuse`` names a run whose results are taken instead of running their tasks: its ``run_id``, and in ``from`` the
    task from which on all run again, or None.
    """
    logs.configure(log_to, "INFO", environ.get("RUNNER_LOG_FORMAT"))
    settings = Settings(environ=environ)
    try:
        settings = Settings.from_environ(environ)
        logs.configure(log_to, settings.log_level, settings.log_format)
        return _run(settings, link, reuse)
    except RunnerError as error:
        return failure_message(error, _advice(error, settings))
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # which is obstore's
            raise
        from runner.cgroup import process_limit_error

        if refused := process_limit_error(error):
            return failure_message(refused)
        bug = InternalError(f"a bug in runner: {error!r}", hint="Please report it.")
        return {**failure_message(bug), "exception": redact(traceback.format_exc())[-LONGEST:]}


def _run(settings: Settings, link: Channel, reuse: dict[str, Any] | None) -> dict[str, Any]:
    location = settings.location
    assert location is not None  # noqa: S101 - settings without one were refused
    credentials = resolve(settings.secrets, settings.environ)
    storage = open_storage(location, credentials, settings.environ)
    warm = Background(_import_what_loading_needs)  # while the network is waited for
    begun, outcome = read_begun(settings, credentials, storage, f"{location.key}/")
    if outcome:
        logs.run_context(run_id=settings.run_id, flow=outcome["flow"])
        documents, home = results_home(settings, credentials, storage, f"{location.key}/")
        link.tell(run=run_place(documents, home, str(settings.run_id)), facts={"flow": outcome["flow"]})
        return repeated_outcome(outcome)
    bundle_key = f"{location.key}/{begun['bundle']['url'].rpartition('/')[2]}" if begun else location.key
    key, data = fetch(storage, bundle_key)

    run_id = settings.run_id or naming.new_run_id()
    logs.run_context(run_id=run_id)
    documents, home = results_home(settings, credentials, storage, key)
    if documents.scheme == "gs" and settings.heartbeat < GCS_SLOWEST:
        message = f"RUNNER_HEARTBEAT is {settings.heartbeat:g}, and Google's storage takes one write a second"
        raise EnvironmentWrong(message, hint="Set it to 1 or more.")
    if key == location.key:  # which names a bundle, not a flow
        begun, _ = read_begun(settings, credentials, storage, key)
    if settings.parameters is None:
        settings = replace(settings, parameters=begun["parameters"] if begun else {})
    bundle = {"url": storage.url(key), "sha256": hashlib.sha256(data).hexdigest()}
    facts: dict[str, Any] = {"flow": None, "bundle": bundle}
    link.tell(run=run_place(documents, home, run_id), facts=facts)
    opened = _tried(lambda: verify(data))
    said = opened.manifest if isinstance(opened, Bundle) else {"labels": [], "image": None, "secrets": []}
    asked = {"bundle": bundle, "parameters": settings.parameters, "executor": settings.executor, "reuse": reuse}
    asked |= {"labels": said["labels"], "image": said["image"]}
    folder = RunLayout(home, run_id, run_signer(settings.signing_key, settings.trusted_keys, asked))
    link.tell(secrets=said["secrets"], asked=folder.seal and folder.seal.asked)
    claiming = Background(lambda: _claim(documents, folder, settings, asked, facts, link))
    warm.result()
    die_with(link.keeper, signal.SIGKILL)
    loaded = (
        opened
        if isinstance(opened, RunnerError)
        else _tried(lambda: load(data, opened, location.scheme, settings, lambda path: link.tell(unpacked=path), key))
    )

    claim = claiming.result()
    if isinstance(claim, ends.Concluded):
        return repeated_outcome(claim.outcome)
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
    folder: RunLayout,
    settings: Settings,
    asked: dict[str, Any],
    facts: dict[str, Any],
    link: Channel,
) -> Claim | Concluded:
    """Write down what is asked for and claim an attempt at it; of a run id of our own nobody else can know."""
    fresh = settings.run_id is None

    def announce(claim: Claim | None) -> None:
        held = claim and {"attempt": claim.attempt, "started": claim.started, "token": claim.token}
        link.tell(claim=held, attempt=claim.attempt if claim else None)

    beginning = Background(lambda: claims.begin_run(documents, folder, asked))
    if not fresh:
        beginning.result()  # a run of other parameters must not be claimed
    claim = claims.claim_run(
        documents, folder, announce, facts, fresh=fresh, interval=settings.heartbeat, image=settings.image
    )
    if isinstance(claim, ends.Claim):
        link.tell(held=True)
    beginning.result()
    return claim


def _kept(
    documents: Storage, claim: Claim, loaded: Loaded, begun: dict[str, Any], temporary: str
) -> ReusableResults | None:
    """Find what need not run again, and sweep up after those who left it. Raises EnvironmentWrong."""
    reuse = begun.get("reuse")
    if claim.attempt == 1 and not reuse:
        return None
    from runner.bundle import module_folder
    from runner.runs.reuse import reusable_results

    slugs = [node.slug for node in loaded.flow.nodes]
    if reuse and reuse["from"] and reuse["from"] not in slugs:
        message = f"the flow has no task {reuse['from']!r}"
        raise EnvironmentWrong(message, hint=f"Its tasks are {', '.join(slugs)}.")
    for attempt in range(1, claim.attempt):
        documents.sweep(f"{claim.folder.attempt(attempt)}/")
    module_folder.sweep(temporary)
    kept = reusable_results(documents, claim.folder, loaded.flow)
    log.info("%d results of earlier attempts are there and need not be made again", len(kept))
    return kept


def _execute(
    loaded: Loaded,
    settings: Settings,
    documents: Storage,
    claim: Claim,
    facts: dict[str, Any],
    kept: ReusableResults | None,
    link: Channel,
) -> dict[str, Any]:
    """Run the flow, commit its end, and give the last word on it."""
    from runner.engine.executors import open_executor
    from runner.engine.scheduler import Engine
    from runner.runs.results import Results
    from runner.runtime.finish import Finalizer

    results = Results(documents, claim.folder, claim.attempt)
    executor = open_executor(settings.executor)
    engine = Engine(loaded.flow, loaded.parameters, executor, save=results.save, kept=kept)
    ending = Finalizer(documents, claim, facts, link.tell, settings.temporary)
    threading.Thread(target=ending.heed, args=(link.orders, engine), name="orders", daemon=True).start()
    report = engine.run()
    ending.returned()
    return ending.commit(report)


def _tried(action: Callable[[], T]) -> T | RunnerError:
    """Do something whose failure must wait until it is known who tells of it: the attempt that is being claimed."""
    try:
        return action()
    except RunnerError as error:
        return error


def _advice(error: RunnerError, settings: Settings) -> str:
    """Say when a known secret is here that nobody named: the usual reason for a refusal."""
    unused = [
        name
        for name in known_secrets_present(settings.environ)
        if name not in settings.secrets and name.endswith("CREDENTIALS")
    ]
    if not isinstance(error, CredentialsRefused) or not unused:
        return ""
    return f" {', '.join(unused)} is set, but not named in RUNNER_SECRETS, and so was not used."


def _opened_with(credentials: Credentials, scheme: str) -> str:
    if scheme == "file":
        return ""
    return f", opened with {credentials.name_for(scheme) or 'the ambient credentials'}"


def _import_what_loading_needs() -> None:
    """Import while the bundle is fetched what is needed right after it."""
    import cloudpickle  # noqa: F401 - the modules are wanted, not their names
    import pythonjsonlogger.json  # noqa: F401 - for the line that says that the run begins

    import runner.engine.executors
    import runner.engine.scheduler
    import runner.runs.results
    import runner.runtime.finish  # noqa: F401
