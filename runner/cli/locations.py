"""From a location or a run on the command line to its opened storage."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.backends import open_storage
from runner.environ import process_environ
from runner.errors import BundleCorrupt, NotFound, Untrusted, UsageError
from runner.location import Location, parse_location, shown_location, split_digest
from runner.naming import slugify
from runner.runs.layout import RunLayout
from runner.runs.status import run_status
from runner.runs.store import RunStore
from runner.schemes import LOCAL
from runner.secrets.named import resolve
from runner.settings import Settings, with_files_read
from runner.signing.run_signatures import run_signer

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.runs.status import RunStatus
    from runner.schema.documents import BundleReference, EndDocument


_LOCATION_VARIABLES = ("RUNNER_STORAGE", "RUNNER_LOCATION")


def read_settings(*, with_location: bool = True) -> Settings:
    """Read the environment: a command needs its secrets and, unless an argument takes its place, its location."""
    environ = process_environ()
    if not with_location:
        environ = {name: text for name, text in environ.items() if not name.startswith(_LOCATION_VARIABLES)}
    return Settings.from_environ(environ, needs_location=False)


def parse_location_argument(text: str) -> Location:
    """Read a location: a URL, a path, or ``bucket/key`` where RUNNER_STORAGE names the storage. Raises UsageError."""
    try:
        return parse_location(
            text, "" if "://" in text else with_files_read(process_environ()).get("RUNNER_STORAGE", "").strip().lower()
        )
    except (ValueError, OSError, RuntimeError) as error:  # also: no right to look there, no such home
        message = f"{shown_location(text)!r} is no location: {error}"
        raise UsageError(message, hint="Give a URL or a path, or bucket/key where RUNNER_STORAGE is set.") from error


def bundle_location(text: str) -> tuple[Location, Settings]:
    """Read the location of a bundle, and the environment with it in the place of that which RUNNER_LOCATION names.

    The digest that it ends with, or that of RUNNER_BUNDLE_SHA256, is what the bundle must have. Raises UsageError.
    """
    settings = read_settings(with_location=False)
    try:
        text, digest = split_digest(text)
    except ValueError as error:
        raise UsageError(str(error), hint="Give the digest that runner inspect tells.") from error
    if digest and settings.bundle_sha256 not in {None, digest}:
        message = "RUNNER_BUNDLE_SHA256 and the location's #sha256= are not the same digest"
        raise UsageError(message, hint="Give one of them.")
    location = parse_location_argument(text)
    return location, settings._replace(location=location, bundle_sha256=digest or settings.bundle_sha256)


def digest_looked_at(data: bytes, sha256: str | None, url: str) -> str:
    """Return the SHA-256 of a bundle. Raises Untrusted if it is not the one that was looked at, where one is given."""
    digest = hashlib.sha256(data).hexdigest()
    if sha256 and sha256.lower() != digest:
        message = f"{url} has the SHA-256 {digest}, and not the one that you looked at"
        raise Untrusted(message, hint="Look at it again: runner inspect.")
    return digest


def open_location(location: Location) -> Storage:
    """Open a location's storage with the secrets that RUNNER_SECRETS names."""
    environ = process_environ()
    return open_storage(location, resolve(read_settings(with_location=False).secrets, environ), environ)


def place_of_bundle(store: RunStore, bundle: BundleReference, settings: Settings) -> tuple[Location, bool]:
    """Return where the bundle of a run lies, and whether that is beside the run, where it is looked for first.

    A folder may be mounted elsewhere than it was. With trusted keys what else a bucket says of where it lies is not
    even asked. Raises Untrusted, and BundleCorrupt for what is no location.
    """
    storage, layout = store.storage, store.layout
    name = bundle["url"].rpartition("/")[2]
    place = Location(storage.scheme, storage.container, f"{layout.home}/{name}".lstrip("/"))
    try:
        next(storage.stream(place.key, 0, 1), None)
    except NotFound:
        place = _parse_bundle_url(bundle["url"])
        if settings.trusted_keys and not is_of_named_flow(place, settings):
            message = f"the run says that its bundle is {place.url}, which is not of the flow that it lies below"
            hint = "If it is, name that flow: RUNNER_STORAGE and RUNNER_LOCATION."
            raise Untrusted(message, hint=hint) from None
        return place, False
    return place, True


def _parse_bundle_url(url: str) -> Location:
    try:
        return parse_location(url)
    except (ValueError, OSError, RuntimeError) as error:
        message = f"the run says that its bundle is {url!r}, which is no location"
        raise BundleCorrupt(message, hint="Look who wrote its run.json.") from error


def is_of_named_flow(place: Location, settings: Settings) -> bool:
    """Return whether a bundle is of the flow that the environment names, or that very bundle."""
    flow = settings.location and replace(settings.location, alias="")
    return flow is not None and flow.url in {place.url, place.url.rpartition("/")[0]}


def check_end(store: RunStore, end: EndDocument | None) -> None:
    """Refuse a run's end or outcome if there are trusted keys and none of them signed it. Raises Untrusted."""
    settings = read_settings(with_location=False)
    if not settings.trusted_keys:
        return
    request = store.read_request()
    signer = run_signer(settings.signing_key, settings.trusted_keys, request) if request else None
    if signer is None or end is None:
        message = f"run {store.run_id} has no end that could be signed"
        raise Untrusted(
            message, hint="Unset RUNNER_TRUSTED_KEYS for this command, if you trust whoever can write there."
        )
    store.signer = signer
    store.check_end(end)
    if settings.results is None:
        _check_home(store, end["bundle"]["url"])


def why_untrusted(store: RunStore, end: EndDocument | None) -> str:
    """Return why an end is not to be trusted here; empty if it is, or everybody is."""
    try:
        if end:
            check_end(store, end)
    except Untrusted as error:
        return error.message
    return ""


def _check_home(store: RunStore, bundle: str) -> None:
    """Refuse a run in another place than beside its bundle, where one key signs the runs of several flows of a name.

    A folder may be mounted anywhere, and a bundle that was baked into an image lies elsewhere. Raises Untrusted.
    """
    folder, _, name = bundle.rpartition("/")
    home = store.url.removesuffix(f"/runs/{store.run_id}")
    if store.storage.scheme == LOCAL.scheme or not bundle.startswith(f"{store.storage.scheme}://"):
        return
    if home not in {folder, f"{folder}/{slugify(name)}"}:
        message = f"{store.url} holds a run of {bundle}, which lies elsewhere"
        hint = "Look who copied it there. If runs have a place of their own, name it: RUNNER_RESULTS."
        raise Untrusted(message, hint=hint)


def believed_status(store: RunStore) -> RunStatus:
    """Return the status of a run, whose end is believed here. Raises what `run_status` and `check_end` raise."""
    status = run_status(store)
    if status.end is not None:
        check_end(store, status.end)
    return status


def open_run(text: str) -> RunStore:
    """Open the folder of a run, given by its URL, or by its id where RUNNER_LOCATION names the flow.

    Raises NotFound and UsageError.
    """
    if "/" in text:
        location = parse_location_argument(text.rstrip("/")).as_run()
        storage = open_location(location)
        parent, _, run_id = location.key.rpartition("/")
        home, slash, runs = parent.rpartition("/")
        if (runs if slash else parent) != "runs":
            message = f"{text} is not the folder of a run: those lie in runs/"
            raise UsageError(message, hint="runner ls lists a flow's runs.")
        candidates = [RunLayout(home, run_id)]
    else:
        settings = read_settings()
        flow, results = settings.location, settings.results
        if flow is None:
            message = f"{text!r} is a run id, and the environment names no flow"
            raise UsageError(
                message, hint="Set RUNNER_STORAGE and RUNNER_LOCATION, or give the URL of the run's folder."
            )
        homes = [flow.key, flow.key.rpartition("/")[0]]  # a flow's folder, or that of the version or key it names
        if results:
            flow = results.as_root()
            homes = [f"{flow.key}/{home.rpartition('/')[2]}".lstrip("/") for home in homes]
        storage = open_location(flow)
        candidates = [RunLayout(home, text) for home in homes]
    for layout in candidates:
        if (store := RunStore(storage, layout)).exists():
            return store
    message = f"there is no run {text}"
    raise NotFound(message, hint="runner ls lists a flow's runs.")
