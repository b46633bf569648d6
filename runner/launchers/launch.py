"""From a location to a launched run: find the flow, choose image and platform options, write down what is asked for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner import naming
from runner.backends import open_storage
from runner.bundle.fetch import fetch
from runner.bundle.trust import admit, check_digest
from runner.environ import process_environ
from runner.errors import EnvironmentWrong, UsageError
from runner.launchers.base import Launcher
from runner.launchers.budgets import Budgets
from runner.launchers.order import Launchable, Wishes, make_order, options_of
from runner.launchers.start import Launch
from runner.launchers.watch import Watcher
from runner.location import Location, parse_location
from runner.runs.claims import begin_run
from runner.runtime.request import RunStores, new_request
from runner.schemes import LOCAL
from runner.secrets.named import resolve
from runner.settings import Settings, with_files_read
from runner.signing.run_signatures import run_signer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.bundle.archive import Bundle, ForeignObject
    from runner.launchers.base import Order
    from runner.runs.store import RunStore
    from runner.schema.documents import EndDocument, JsonObject, RunRequest


@dataclass(frozen=True, slots=True)
class Found:
    """A flow that was found at a location, and opens its runs."""

    flow: Launchable
    opened: Bundle | ForeignObject
    stores: RunStores
    key: str
    settings: Settings


def find(location: Location, settings: Settings) -> Found:
    """Fetch what a location names, and verify it before anything of it is believed. Raises as `fetch` and `admit`."""
    credentials = resolve(settings.secrets, settings.environ)
    storage = open_storage(location, credentials, settings.environ)
    key, data = fetch(storage, location, settings)
    admitted = admit(data, replace(location, key=key, alias=""), settings)
    flow = Launchable.of(admitted, storage.url(key), hashlib.sha256(data).hexdigest())
    return Found(flow, admitted.opened, RunStores(settings, credentials, storage), key, settings)


def find_in_image(image: str, launcher: Launcher, settings: Settings) -> Found:
    """Find the flow that was baked into an image, and verify it. Raises as `Launcher.flow_in` and `admit`."""
    if settings.results is None:
        message = f"RUNNER_RESULTS is not set, and {image} has no place for the run of its flow"
        raise EnvironmentWrong(message, hint="Set it to a storage's URL: RUNNER_RESULTS=s3://my-results.")
    name, data = launcher.flow_in(image)
    path = Path(name)
    place = Location(LOCAL.scheme, str(path.parent.parent), f"{path.parent.name}/{path.name}")
    check_digest(data, settings.bundle_sha256, place.url)
    admitted = admit(data, place, settings)
    credentials = resolve(settings.secrets, settings.environ)
    flow = replace(Launchable.of(admitted, place.url, hashlib.sha256(data).hexdigest()), image=image)
    storage = open_storage(settings.results.as_root(), credentials, settings.environ)
    return Found(flow, admitted.opened, RunStores(settings, credentials, storage), place.key, settings)


def rendered(found: Found, launcher: Launcher, wishes: Wishes, run_id: str | None) -> str:
    """Return what a launch would ask the platform for; without a run id, each start of it is a run of its own."""
    launcher = launcher.with_defaults(options_of(found.flow, launcher.kind))
    name = naming.slugify(found.flow.manifest["flow"]["name"])
    order = make_order(
        found.flow, wishes, found.settings, name=name, run_id=run_id, launch=None, needs_image=launcher.needs_image
    )
    return launcher.render(order)


def launch(
    found: Found,
    launcher: Launcher,
    wishes: Wishes,
    *,
    run_id: str | None = None,
    budgets: Budgets | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Watcher:
    """Launch a run, or take up the launch of the one of this id that is under way, and return what looks after it.

    Raises as `make_order` and `Watcher.begin`, and EnvironmentWrong when the run was begun with something else.
    """
    watcher, request = prepare(found, launcher, wishes, run_id or naming.new_run_id(), budgets or Budgets(), tell)
    known = watcher.store.list_launches()
    if not known:  # what cannot be asked for is refused before anything is written
        watcher.launcher.render(watcher.make_order(Launch(0, "")))
    made = known[-1] if known and watcher.store.read_launch_handle(known[-1]) else None
    begin_run(watcher.store, request)
    watcher.begin()
    watcher.is_taken_up = watcher.launch.number == made
    return watcher


def prepare(
    found: Found,
    launcher: Launcher,
    wishes: Wishes,
    run_id: str,
    budgets: Budgets,
    tell: Callable[[str], None],
) -> tuple[Watcher, RunRequest]:
    """Return what would launch a run and look after it, and what the run is then begun with. Raises as `make_order`."""
    launcher = launcher.with_defaults(options_of(found.flow, launcher.kind))
    launcher.tell = tell
    settings = found.settings._replace(parameters=dict(wishes.parameters))
    store = found.stores.open(found.key, run_id)
    bundle = {"url": found.flow.url, "sha256": found.flow.sha256}
    request = new_request(store.run_id, bundle, settings, found.opened, None)  # type: ignore[arg-type]
    store.signer = run_signer(settings.signing_key, settings.trusted_keys, request)

    def order_of(launch: Launch) -> Order:
        return make_order(
            found.flow,
            wishes,
            settings,
            name=launch.name,
            run_id=store.run_id,
            launch=launch.number or None,
            needs_image=launcher.needs_image,
        )

    order_of(Launch(0, ""))
    return Watcher(store, launcher, order_of, budgets, settings.grace, tell), request


class LaunchedRun:
    """A run that was launched: where it lies, and what it comes to."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    @property
    def store(self) -> RunStore:
        """The run's documents."""
        return self._watcher.store

    @property
    def url(self) -> str:
        """The URL of the run's folder, as `runner show` takes it."""
        return self.store.url

    def wait(self) -> EndDocument:
        """Look after the run until it is over.

        Returns:
            Its outcome, as ``outcome.json`` has it.

        Raises:
            NotStarted: when no launch began.
        """
        return self._watcher.until_over()


def check_launch(launcher: object, parameters: Mapping[str, object]) -> None:
    """Refuse what cannot be launched on, or with. Raises UsageError, and as `check_values`."""
    if not isinstance(launcher, Launcher):
        message = f"{launcher!r} is no launcher"
        raise UsageError(message, hint="Give one of runner.launchers, made: flow.launch(Docker()).")
    check_values(parameters)


def check_values(parameters: Mapping[str, object]) -> None:
    """Refuse values that would be other ones in the container, as JSON has none of them. Raises EnvironmentWrong."""
    for name, value in parameters.items():
        try:
            is_same = json.loads(json.dumps(value, allow_nan=False)) == value
        except (TypeError, ValueError, RecursionError):
            is_same = False
        if not is_same:
            message = f"parameter {name!r} is a value that JSON does not have: {type(value).__name__}"
            hint = "Give texts, numbers, lists, and dictionaries whose keys are texts."
            raise EnvironmentWrong(message, hint=hint)


def launch_flow(url: str, launcher: Launcher, parameters: JsonObject) -> LaunchedRun:
    """Launch the flow at a URL, or in an image of that name, with the settings of this process."""
    settings = Settings.from_environ(with_files_read(process_environ()), needs_location=False)
    found = find(parse_location(url), settings) if "://" in url else find_in_image(url, launcher, settings)
    return LaunchedRun(launch(found, launcher, Wishes(parameters=parameters)))
