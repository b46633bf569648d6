"""Whether what was fetched may run here: whole, signed by whom, in the place that it was built for, and how old."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runner.bundle import manifest
from runner.bundle.archive import Bundle, ForeignObject, is_bundle, read_bundle
from runner.bundle.member_names import MANIFEST
from runner.errors import Untrusted
from runner.naming import slugify
from runner.schemes import LOCAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.location import Location
    from runner.schema.documents import FlowReference
    from runner.settings import Settings
    from runner.signing.keys import PublicKey


class Admitted(NamedTuple):
    """What may run here, and the location of the object that it was read from; only `admit` makes one."""

    opened: Bundle | ForeignObject
    place: Location


def verify(data: bytes) -> Bundle | ForeignObject:
    """Verify that what was fetched is a whole bundle, unless it is an object that runner did not write.

    Raises BundleCorrupt, and Incompatible for a bundle of a newer format.
    """
    if not is_bundle(data):
        return ForeignObject(data)
    opened = read_bundle(data)
    manifest.check_complete(opened.manifest)
    return opened


def admit(data: bytes, place: Location, settings: Settings) -> Admitted:
    """Verify what was fetched from a place, and refuse what must not run here; nothing of it is believed before.

    With ``RUNNER_TRUSTED_KEYS`` the manifest must be signed by one of them, and the object lie where the manifest says
    unless its digest was given. Raises BundleCorrupt, Incompatible and Untrusted.
    """
    opened = verify(data)
    if settings.trusted_keys:
        if not isinstance(opened, Bundle):
            message = f"{place.key} is no bundle but a plain pickle, which nobody can have signed"
            raise Untrusted(
                message, hint="Build the flow with runner and RUNNER_SIGNING_KEY, or unset RUNNER_TRUSTED_KEYS."
            )
        check_signed(opened, settings.trusted_keys, place if settings.bundle_sha256 is None else None)
    version = opened.manifest["flow"]["version"] if isinstance(opened, Bundle) else ""
    if settings.min_version and version < settings.min_version:
        message = f"the bundle's version {version} is older than RUNNER_MIN_VERSION, {settings.min_version}"
        raise Untrusted(message, hint="Build the flow again, or lower RUNNER_MIN_VERSION.")
    return Admitted(opened, place)


def check_digest(data: bytes, sha256: str | None, url: str) -> None:
    """Refuse any bytes but those that were asked for by their digest, if they were. Raises Untrusted."""
    if sha256 is None:
        return
    import hashlib

    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        message = f"{url} has the SHA-256 {found}, and {sha256} was asked for"
        raise Untrusted(message, hint="Look who exchanged it, or ask for the other: RUNNER_BUNDLE_SHA256, #sha256=….")


def check_signed(opened: Bundle, keys: Sequence[PublicKey], place: Location | None) -> None:
    """Refuse a bundle that none of these keys signed, or that was built for another place than this, if it counts.

    Raises Untrusted.
    """
    from runner.signing import signatures

    signatures.check(keys, signatures.BUNDLE, bytes(opened.members[MANIFEST]), opened.signature, "the bundle")
    if place is not None:
        check_place(opened.manifest["flow"], place)


def check_place(flow: FlowReference, place: Location) -> None:
    """Refuse a bundle in another place than that it was built for: its signature is true, and its place a lie.

    Its key is in the manifest, prefix included. A folder may be mounted anywhere, so there the path must end with it. A
    bundle of before that was so lies at ``…/<slug>/<version>``. Raises Untrusted.
    """
    own = flow.get("key") or f"{slugify(flow['name'])}/{flow['version']}"
    whole = f"{place.container}/{place.key}" if place.scheme == LOCAL.scheme else place.key
    anywhere = place.scheme == LOCAL.scheme or "key" not in flow
    if whole == own or (anywhere and whole.endswith(f"/{own}")):
        return
    message = f"{place.key} holds version {flow['version']} of flow {flow['name']!r}, which belongs at {own}"
    hint = "Look who put it there under another's name. What you moved yourself, sign again, or give its SHA-256."
    raise Untrusted(message, hint=hint)
