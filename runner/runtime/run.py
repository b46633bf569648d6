"""Storage → outcome: settings → credentials → storage → fetch → verify → load → claim → execute → end.

This is the flow's process; `runner.supervisor` starts it, and writes the end when it did not.
"""

from __future__ import annotations

import hashlib
import signal
import threading
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from runner import logs, naming
from runner.backends import open_storage
from runner.backends.background import Background, T
from runner.bundle.fetch import fetch
from runner.bundle.load import load
from runner.bundle.trust import Admitted, admit
from runner.errors import CredentialsRefused, EnvironmentWrong, InternalError, RunHeld, RunnerError, WriteFailed
from runner.model.verdict import LONGEST_MESSAGE, Verdict
from runner.process import die_with
from runner.runs import claims
from runner.runs.ends import Concluded, RunFacts
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
from runner.schemes import backend_of
from runner.secrets.named import hide_named, known_secrets_present, resolve
from runner.secrets.redaction import redact
from runner.settings import Settings, unread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.bundle.load import Loaded
    from runner.runs.layout import Claim
    from runner.runs.reuse import ReusableResults
    from runner.runs.store import RunStore
    from runner.runtime.channel import Channel
    from runner.schema.documents import BundleReference, Reuse, RunRequest, State
    from runner.secrets.named import Credentials

log = logs.logger("run")


def run(environ: Mapping[str, str], channel: Channel, log_to: TextIO, reuse: Reuse | None = None) -> Verdict:
    """Run the flow that the environment names, and return how that ended.

    ``reuse`` names a run whose results are taken instead of running their tasks, and in ``from`` the task from which on
    all run again, or None.
    """
    logs.configure(log_to, "INFO", environ.get("RUNNER_LOG_FORMAT"), channel.mark)
    settings = Settings(environ=environ)
    try:
        settings = Settings.from_environ(environ)
        logs.configure(log_to, settings.log_level, settings.log_format, channel.mark)
        return _run(settings, channel, reuse)
    except RunnerError as error:
        if settings.location is None:
            hide_named(environ)
        return Verdict.of_error(error, _state(error, channel), advice=_advice(error, settings))
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":  # which is obstore's
            raise
        from runner.cgroup import process_limit_error

        if refused := process_limit_error(error):
            return Verdict.of_error(refused, _state(refused, channel))
        bug = InternalError(f"a bug in runner: {error!r}", hint="Please report it.")
        return Verdict.of_error(bug, "crashed", exception=redact(traceback.format_exc())[-LONGEST_MESSAGE:])


def _run(settings: Settings, channel: Channel, reuse: Reuse | None) -> Verdict:
    location = settings.location
    assert location is not None  # noqa: S101 - settings without one were refused
    if settings.signing_key:
        settings.signing_key.check_role("runs")
    credentials = resolve(settings.secrets, settings.environ)
    storage = open_storage(location, credentials, settings.environ)
    storage.retry_seconds = min(storage.retry_seconds, settings.patience)
    warm = Background(_import_what_loading_needs)  # while the network is waited for
    stores = RunStores(settings, credentials, storage)
    begun, outcome = find_begun(settings, stores, f"{location.key}/")
    if outcome:
        store = stores.open(f"{location.key}/", outcome["run_id"])
        logs.run_context(run_id=store.run_id, flow=outcome["flow"])
        channel.send(
            {"kind": "run located", "place": store.place, "flow": outcome["flow"], "bundle": outcome["bundle"]}
        )
        return repeated(store, outcome)
    key, data = fetch(storage, bundle_location(location, begun), settings)

    run_id = settings.run_id or naming.new_run_id()
    logs.run_context(run_id=run_id)
    store = stores.open(key, run_id)
    check_heartbeat(settings, store)
    if key == location.key:  # which names a bundle, not a flow
        begun, _ = find_begun(settings, stores, key)
    if settings.parameters is None:
        settings = settings._replace(parameters=begun["parameters"] if begun else {})
    bundle: BundleReference = {"url": storage.url(key), "sha256": hashlib.sha256(data).hexdigest()}
    channel.send({"kind": "run located", "place": store.place, "flow": None, "bundle": bundle})
    admitted = _or_error(lambda: admit(data, replace(location, key=key, alias=""), settings))
    opened = admitted.opened if isinstance(admitted, Admitted) else None
    request = new_request(run_id, bundle, settings, opened, reuse or (begun.get("reuse") if begun else None))
    if settings.signing_key or settings.trusted_keys:
        from runner.signing.run_signatures import run_signer

        store.signer = run_signer(settings.signing_key, settings.trusted_keys, request)
    store.secret = channel.secret
    digest = store.signer.request_digest if store.signer else None
    channel.send({"kind": "bundle verified", "secrets": secrets_of(opened), "request_digest": digest})
    hide_listed(opened, settings)
    claiming = Background(lambda: _claim(store, settings, request, channel))
    warm.result()
    die_with(channel.reaper, signal.SIGKILL)
    loaded = admitted if isinstance(admitted, RunnerError) else _or_error(lambda: _load(admitted, settings, channel))

    claim = claiming.result()
    if isinstance(claim, Concluded):
        return repeated(store, claim.outcome)
    logs.run_context(attempt=claim.attempt)
    if isinstance(loaded, RunnerError):
        raise loaded
    logs.run_context(flow=loaded.flow.name)
    reusable = _reusable(store, claim, loaded, request, settings.temporary)
    channel.send({"kind": "flow began", "flow": loaded.flow.name})
    _log_beginning(settings, run_id, bundle["url"], _opened_with(credentials, location.scheme))
    for name in unnamed_secrets(opened, settings):
        log.warning("the flow says that it uses the secret %s, and RUNNER_SECRETS does not name it", name)
    return _execute(loaded, settings, store, claim, bundle, reusable, channel)


def _claim(store: RunStore, settings: Settings, request: RunRequest, channel: Channel) -> Claim | Concluded:
    """Write down what is asked for and claim an attempt at it; of a run id of our own nobody else can know."""
    fresh = settings.run_id is None
    proving: Background[None] | None = None  # beside the look at earlier attempts

    def announce(claim: Claim | None) -> None:
        if proving:
            proving.result()
        channel.send({"kind": "claim announced", "claim": claim} if claim else {"kind": "claim withdrawn"})

    launch = settings.launch
    superseding = Background(lambda: store.read_launch(launch + 1)) if launch else None
    begin = claims.find_request if launch else claims.begin_run
    beginning = Background(lambda: begin(store, request))
    if not fresh and (there := beginning.result()):  # a run of other parameters must not be claimed
        proving = Background(lambda: claims.prove_exclusive(store, there))
    facts = RunFacts(None, request["bundle"])
    if superseding and superseding.result():
        message = f"launch {settings.launch} of run {store.run_id!r} is given up, and another one has its place"
        raise RunHeld(message, hint="Leave it to that one; runner show lists the launches.")
    claim = claims.claim_run(
        store,
        announce,
        facts,
        fresh=fresh,
        interval=settings.heartbeat,
        image=settings.image,
        launch=settings.launch,
    )
    if proving:
        proving.result()
    if not isinstance(claim, Concluded):
        store.storage.bear(settings.patience)
        channel.send({"kind": "claim held"})
    beginning.result()
    return claim


def _load(admitted: Admitted, settings: Settings, channel: Channel) -> Loaded:
    def announce(folder: str) -> None:
        channel.send({"kind": "modules unpacked", "folder": folder})

    with logs.reclaimed():
        return load(admitted, settings, announce)


def _reusable(
    store: RunStore, claim: Claim, loaded: Loaded, request: RunRequest, temporary: str
) -> ReusableResults | None:
    """Find what need not run again, and sweep up after those who left it. Raises EnvironmentWrong."""
    reuse = request.get("reuse")
    if claim.attempt == 1 and not reuse:
        return None
    from runner.bundle import module_folder
    from runner.runs.reuse import reusable_results

    slugs = {node.slug: node.name for node in loaded.flow.nodes}
    if reuse and reuse["from"] and naming.slug_meant(reuse["from"], slugs) not in slugs:
        message = f"the flow has no task {reuse['from']!r}"
        raise EnvironmentWrong(message, hint=f"Its tasks are {', '.join(slugs)}.")
    for attempt in range(1, claim.attempt):
        store.storage.sweep(f"{store.layout.attempt(attempt)}/")
    module_folder.sweep(temporary)
    reusable = reusable_results(store, loaded.flow, request)
    origins = (["earlier attempts"] if claim.attempt > 1 else []) + ([f"run {reuse['run_id']}"] if reuse else [])
    log.info("%d results of %s are there and need not be made again", len(reusable), " and ".join(origins))
    return reusable


def _log_beginning(settings: Settings, run_id: str, bundle: str, opened_with: str) -> None:
    if settings.baked and settings.results is None:
        log.warning("RUNNER_RESULTS is not set: the results of this run lie in the container, and go with it")
    for name, meant in unread(settings.environ):
        if meant:
            log.warning("%s is read by nothing; did you mean %s?", name, meant)
    unnamed = "" if settings.run_id else "; RUNNER_RUN_ID is not set, so another start is another run"
    log.info("run %s begins: %s%s%s", run_id, bundle, opened_with, unnamed)


def _execute(
    loaded: Loaded,
    settings: Settings,
    store: RunStore,
    claim: Claim,
    bundle: BundleReference,
    reusable: ReusableResults | None,
    channel: Channel,
) -> Verdict:
    """Run the flow, commit its end, and return the verdict on it."""
    from runner.engine.executors import open_executor
    from runner.engine.scheduler import Engine
    from runner.runs.results import Results
    from runner.runtime.finish import Finalizer

    results = Results(store, claim.attempt, loaded.flow.varying)
    executor = open_executor(settings.executor)
    engine = Engine(loaded.flow, loaded.parameters, executor, save=results.save, cache=reusable)
    facts = RunFacts(loaded.flow.name, bundle)
    finalizer = Finalizer(store, claim, facts, channel, settings.temporary)
    threading.Thread(
        target=finalizer.watch_orders, args=(engine, settings.heartbeat), name="orders", daemon=True
    ).start()
    report = engine.run()
    finalizer.flow_returned()
    return finalizer.commit(report)


def _or_error(action: Callable[[], T]) -> T | RunnerError:
    """Do something whose failure must wait until it is known who tells of it: the attempt that is being claimed."""
    try:
        return action()
    except RunnerError as error:
        return error


def _state(error: RunnerError, channel: Channel) -> State:
    """Return the state in which an error leaves an attempt: nothing was run before the flow's first line."""
    return "crashed" if channel.has_begun or isinstance(error, InternalError | WriteFailed) else "refused"


def _advice(error: RunnerError, settings: Settings) -> str:
    """Return the usual reason for a refusal: a known secret is here that nobody named."""
    unused = [
        name
        for name in known_secrets_present(settings.environ)
        if name not in settings.secrets and name.endswith("CREDENTIALS")
    ]
    if not isinstance(error, CredentialsRefused) or not unused:
        return ""
    return f" {', '.join(unused)} is set, but not named in RUNNER_SECRETS, and so was not used."


def _opened_with(credentials: Credentials, scheme: str) -> str:
    if not backend_of(scheme).secrets:
        return ""
    return f", opened with {credentials.name_for(scheme) or 'the ambient credentials'}"


def _import_what_loading_needs() -> None:
    """Import while the bundle is fetched what is needed right after it."""
    import cloudpickle  # noqa: F401 - the modules are wanted, not their names

    import runner.bundle.module_folder
    import runner.bundle.module_names
    import runner.engine.executors
    import runner.engine.scheduler
    import runner.runs.results
    import runner.runtime.finish
    import runner.serialization.pickling
    import runner.serialization.source  # noqa: F401
