"""Whether what was fetched may run here: who signed it, whether it is what its key says, and how old it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.bundle.archive import Bundle
from runner.errors import Untrusted
from runner.naming import VERSION, slugify

if TYPE_CHECKING:
    from runner.bundle.archive import ForeignObject
    from runner.schema.documents import FlowReference
    from runner.settings import Settings


def check_trust(opened: Bundle | ForeignObject, key: str | None, settings: Settings) -> None:
    """Refuse what must not run here; nothing of it was unpickled, unpacked or believed before.

    ``key`` is that of the object which was fetched, if that is known. With ``RUNNER_TRUSTED_KEYS`` the manifest must be
    signed by one of them and the object lie where the manifest says. Raises Untrusted.
    """
    if settings.trusted_keys:
        _check_signed(opened, key, settings)
    version = opened.manifest["flow"]["version"] if isinstance(opened, Bundle) else ""
    if settings.min_version and version < settings.min_version:
        message = f"the bundle's version {version} is older than RUNNER_MIN_VERSION, {settings.min_version}"
        raise Untrusted(message, hint="Build the flow again, or lower RUNNER_MIN_VERSION.")


def _check_signed(opened: Bundle | ForeignObject, key: str | None, settings: Settings) -> None:
    from runner.bundle.member_names import MANIFEST
    from runner.signing import signatures

    named = settings.location.key if settings.location else ""
    if key is None:  # then nobody knows whether it is the object that is named, or one below
        key, named = named, ""
    if not isinstance(opened, Bundle):
        message = f"{key} is no bundle but a plain pickle, which nobody can have signed"
        raise Untrusted(
            message, hint="Build the flow with runner and RUNNER_SIGNING_KEY, or unset RUNNER_TRUSTED_KEYS."
        )
    manifest = bytes(opened.members[MANIFEST])
    signatures.check(settings.trusted_keys, signatures.BUNDLE, manifest, opened.signature, "the bundle")
    check_place(opened.manifest["flow"], key, named)


def check_place(flow: FlowReference, key: str, named: str) -> None:
    """Refuse a bundle under another flow's or version's name: its signature is true, and its place a lie.

    It must lie at ``…/<slug>/<version>``, or be ``named`` in full. Then its folder may be any, but a name that is a
    version must be its own; and a name that a flow could have must be its flow's, or the key that it was built for:
    where a flow is named, whoever writes to the bucket could put an object of that name. Raises Untrusted.
    """
    slug, version, own = slugify(flow["name"]), flow["version"], flow.get("key", "")
    folder, _, name = f"/{key}".rpartition("/")
    if name == version and (folder.endswith(f"/{slug}") or key == named):
        return
    if name and key == named and not VERSION.fullmatch(name):
        built_for_it = bool(own) and (f"/{key}".endswith(f"/{own}") or f"/{own}".endswith(f"/{key}"))
        if name == slug or built_for_it or not _is_slug(name):
            return
    message = f"{key} holds version {version} of flow {flow['name']!r}, which belongs at …/{slug}/{version}"
    hint = "Somebody put it there under another's name: look who. A copy keeps the names of its folder and its version."
    raise Untrusted(message, hint=hint)


def _is_slug(name: str) -> bool:
    return any(char.isalnum() for char in name) and slugify(name) == name
