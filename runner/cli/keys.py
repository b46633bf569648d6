"""``runner keygen``, ``sign`` and ``verify``: who signed a bundle."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict, cast

import click

from runner import naming
from runner.bundle import archive, trust
from runner.bundle.fetch import fetch, newest_version
from runner.bundle.pointers import Named
from runner.cli.format import as_json_option, echo, echo_answer
from runner.cli.locations import bundle_location, digest_looked_at, open_location
from runner.errors import BundleCorrupt, Untrusted, UsageError
from runner.location import Location, check_key
from runner.publishing.newest import point_to_newest
from runner.signing import keys, signatures

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.bundle.archive import Bundle
    from runner.schema.documents import FlowReference, ManifestFacts
    from runner.signing.keys import PublicKey


class SignedBundleDocument(TypedDict):
    """A signed bundle, as ``runner sign --json`` and ``runner verify --json`` print it."""

    location: str
    sha256: str
    flow: FlowReference
    signed_by: str
    copy_of: NotRequired[str]  # the URL of the bundle that was signed


@click.command(short_help="Make a pair of keys.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--for", "role", type=click.Choice(keys.ROLES), help="What it may sign; without it flows and runs.")
@as_json_option
def keygen(file: Path, role: keys.Role | None, *, as_json: bool) -> None:
    """Write a new private key to FILE, for you alone to read, and print the public key that belongs to it.

    The private key is what RUNNER_SIGNING_KEY takes where flows are built (a key for flows), where they run (for runs)
    or where aliases are moved; the public one, with its role before it, what RUNNER_TRUSTED_KEYS takes.
    """
    key = keys.new_key(role)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        message = f"{file} cannot be made: {error.strerror}"
        raise UsageError(message, hint="Choose another name; a key is never overwritten.") from error
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(key.file)
    except OSError as error:
        file.unlink()
        message = f"{file} cannot be written: {error.strerror}"
        raise UsageError(message, hint="Choose another place.") from error
    document = {"file": str(file), "public": key.public.text, "id": key.public.id, "for": role}
    echo_answer(document, key.public.text, as_json=as_json)
    if not as_json:
        echo(f"{file} holds the private key {key.public.id}; keep it where nobody else reads it", err=True)


@click.command(short_help="Check who signed a bundle.")
@click.argument("location")
@click.option("-k", "--key", "keys", multiple=True, metavar="KEY", help="A trusted key, or the file of some.")
@as_json_option
def verify(location: str, keys: tuple[str, ...], *, as_json: bool) -> None:
    """Check that a trusted key signed the bundle at LOCATION, and that it lies where it says; unpickles nothing.

    Trusted are the keys of RUNNER_TRUSTED_KEYS or, where some are given, those after -k.
    """
    target, settings = bundle_location(location)
    if keys:
        settings = settings._replace(trusted_keys=tuple(key for given in keys for key in _read_public_keys(given)))
    if not settings.trusted_keys:
        message = "nothing says whose signature to look for"
        raise UsageError(message, hint="Set RUNNER_TRUSTED_KEYS, or give a public key with -k.")
    storage = open_location(target)
    key, data = fetch(storage, target, settings)
    opened = trust.admit(data, replace(target, key=key, alias=""), settings).opened
    assert isinstance(opened, archive.Bundle)  # noqa: S101 - with trusted keys anything else was refused
    document = _describe(storage, key, data, opened)
    text = f"{document['location']} is signed with the trusted key {document['signed_by']}"
    echo_answer(document, text, as_json=as_json)


@click.command(short_help="Publish a signed copy of a bundle.")
@click.argument("location")
@click.option("--sha256", metavar="DIGEST", help="Sign only these bytes: what runner inspect told.")
@as_json_option
def sign(location: str, sha256: str | None, *, as_json: bool) -> None:
    """Publish the bundle at LOCATION once more, signed with RUNNER_SIGNING_KEY, as the flow's newest version.

    If it is the newest, and signed with that key, it stays as it is, and only the pointer to it is made anew.

    Nothing of it is unpickled; a signature says that you answer for what it does. Look at it before, with
    «runner inspect --imports», and give the digest that is told there, so that nobody can exchange it meanwhile.
    """
    target, settings = bundle_location(location)
    private = settings.signing_key
    if private is None:
        message = "there is no key to sign with"
        raise UsageError(message, hint="Set RUNNER_SIGNING_KEY, or RUNNER_SIGNING_KEY_FILE; runner keygen makes one.")
    storage = open_location(target)
    key, data = fetch(storage, target, settings._replace(max_age=None))
    digest_looked_at(data, sha256, storage.url(key))
    opened = trust.verify(data)
    if not isinstance(opened, archive.Bundle):
        message = f"{storage.url(key)} is no bundle but a plain pickle"
        raise BundleCorrupt(message, hint="Build the flow with runner; only bundles are signed.")
    if _is_newest_and_ours(storage, key, opened, private):
        new_key, signed = key, data
    else:
        new_key, signed = _signed_copy(opened, key, private)
        storage.create(new_key, signed)
    document = _describe(storage, new_key, signed, archive.read_bundle(signed))
    if new_key != key:
        document["copy_of"] = storage.url(key)
    folder, _, version = new_key.rpartition("/")
    named = Named(document["flow"]["name"], version, document["sha256"])
    point_to_newest(storage, folder, named, private, settings.trusted_keys)
    echo_answer(document, document["location"], as_json=as_json)


def _is_newest_and_ours(storage: Storage, key: str, opened: Bundle, private: keys.PrivateKey) -> bool:
    """Return whether a bundle is its flow's newest, in its place, and signed with this key."""
    try:
        trust.check_signed(opened, (private.public,), Location(storage.scheme, storage.container, key))
    except Untrusted:
        return False
    return newest_version(storage, key[: key.rfind("/") + 1]) == key


def _signed_copy(opened: Bundle, key: str, private: keys.PrivateKey) -> tuple[str, bytes]:
    """Return the key and the bytes of a new version with the same members, signed; its key is always a version's."""
    version = naming.new_version()
    flow = opened.manifest["flow"]["name"]
    slug = naming.slugify(flow)
    home = key.rpartition("/")[0]
    folder = home if home.rpartition("/")[2] == slug else f"{home}/{slug}".lstrip("/")
    check_key(new_key := f"{folder}/{version}")
    kept = {name: value for name, value in opened.manifest.items() if name not in {"format", "members"}}
    facts = cast("ManifestFacts", kept | {"flow": {"name": flow, "version": version, "key": new_key}})
    names = [member["name"] for member in opened.manifest["members"]]
    return new_key, archive.write_bundle(facts, {name: bytes(opened.members[name]) for name in names}, private)


def _describe(storage: Storage, key: str, data: bytes, opened: Bundle) -> SignedBundleDocument:
    return {
        "location": storage.url(key),
        "sha256": hashlib.sha256(data).hexdigest(),
        "flow": opened.manifest["flow"],
        "signed_by": signatures.check_form(opened.signature or b""),
    }


def _read_public_keys(text: str) -> tuple[PublicKey, ...]:
    """Read the value of ``-k``: a key, or the path of a file with some. Raises UsageError."""
    try:
        return keys.read_public(text)
    except ValueError as error:
        if not Path(text).is_file():
            message = f"what stands after -k is neither a public key nor a file ({error})"
            raise UsageError(message, hint="Give what runner keygen printed.") from error
    try:
        return keys.read_public(keys.read_file(Path(text)))
    except ValueError as error:
        raise UsageError(f"{text}: {error}") from error
