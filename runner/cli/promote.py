"""``runner promote``: which version of a flow an alias stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import click

from runner.bundle import pointers, trust
from runner.bundle.archive import Bundle
from runner.bundle.fetch import fetch
from runner.bundle.pointers import Named, Pointer
from runner.cli.format import as_json_option, echo_answer
from runner.cli.locations import bundle_location, digest_looked_at, open_location
from runner.errors import BundleCorrupt, UsageError
from runner.location import Location, is_alias

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.errors import RunnerError
    from runner.schema.documents import PointerDocument
    from runner.settings import Settings


@click.command(short_help="Let an alias stand for a version.")
@click.argument("location")
@click.option("--as", "alias", required=True, metavar="ALIAS", help="A name in lower case: prod.")
@click.option("--sha256", metavar="DIGEST", help="Promote only these bytes: what runner inspect told.")
@as_json_option
def promote(location: str, alias: str, sha256: str | None, *, as_json: bool) -> None:
    """Let ALIAS stand for the bundle at LOCATION, from now on: my-flows/etl@prod runs that version and no other.

    RUNNER_SIGNING_KEY, if it is set, signs that. With RUNNER_TRUSTED_KEYS only what one of them signed is promoted.
    Promoting a version again says that it is still the one, as RUNNER_MAX_AGE asks where it runs.
    """
    if not is_alias(alias) or alias == "latest":
        message = f"{alias!r} can be no alias"
        raise UsageError(message, hint="Take lower-case letters, digits and '-', a letter first; not «latest».")
    target, settings = bundle_location(location)
    settings = settings._replace(max_age=None)
    storage = open_location(target)
    key, data = fetch(storage, target, settings)
    named = _named(storage, key, data, sha256, settings)
    folder = key.rpartition("/")[0]
    document = pointers.write(storage, Pointer(folder, alias), named, settings.signing_key)
    text = f"{storage.url(folder)}@{alias} is now version {named.version}"
    echo_answer(describe_alias(storage.url(folder), document), text, as_json=as_json)


def _named(storage: Storage, key: str, data: bytes, sha256: str | None, settings: Settings) -> Named:
    """Return what the alias will say of a bundle. Raises Untrusted, BundleCorrupt and UsageError if it may not."""
    digest = digest_looked_at(data, sha256, storage.url(key))
    place = Location(storage.scheme, storage.container, key)
    opened = trust.admit(data, place, settings).opened
    if not isinstance(opened, Bundle):
        message = f"{storage.url(key)} is no bundle but a plain pickle"
        raise BundleCorrupt(message, hint="Build the flow with runner; only bundles have versions.")
    flow = opened.manifest["flow"]
    if key.rpartition("/")[2] != flow["version"]:
        message = f"{storage.url(key)} has a key of its own, and an alias stands for a version"
        raise UsageError(message, hint="Build the flow without a key of its own; or run that key.")
    return Named(flow["name"], flow["version"], digest)


class AliasListing(TypedDict):
    """An alias, as ``runner promote --json`` and ``runner ls --json`` print it."""

    alias: str
    location: str
    version: str | None
    sha256: str | None
    made: str | None
    signed_by: str | None
    problem: str | None  # why it cannot be used; then nothing else is told of it


def describe_alias(flow: str, document: PointerDocument) -> AliasListing:
    """Return an alias of the flow at a URL."""
    signature, alias = document.get("signature"), document["alias"] or ""
    return {
        "alias": alias,
        "location": f"{flow}@{alias}",
        "version": document["version"],
        "sha256": document["sha256"],
        "made": document["made"],
        "signed_by": signature["key"] if signature else None,
        "problem": None,
    }


def unusable_alias(flow: str, alias: str, error: RunnerError) -> AliasListing:
    """Return an alias of the flow at a URL that cannot be used, and why."""
    nothing: AliasListing = {
        "alias": alias,
        "location": f"{flow}@{alias}",
        "version": None,
        "sha256": None,
        "made": None,
        "signed_by": None,
        "problem": error.message,
    }
    return nothing
