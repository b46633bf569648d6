"""What a run's bundle says about itself, verified, and read without the rest of a large one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.bundle import manifest
from runner.bundle.archive import is_bundle, read_bundle, read_manifest
from runner.bundle.trust import check_digest, check_signed
from runner.errors import NotFound, RunnerError
from runner.limits import limit_of
from runner.reports.gathered import FlowFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.backends.base import Storage
    from runner.schema.documents import BundleReference
    from runner.signing.keys import PublicKey

_HEAD = limit_of("manifest") + 1024  # bytes in which every manifest ends; most bundles are smaller altogether


def read_flow(storage: Storage, key: str, bundle: BundleReference, keys: Sequence[PublicKey] = ()) -> FlowFacts:
    """Return what a bundle says about itself; where it cannot be had or believed, a note says why.

    A bundle of up to 8 MB, or any where there are trusted keys, is read as a whole: it must have the digest that the
    run was asked for, and with keys the signature of one of them. Of a larger one nothing but the manifest is read,
    which proves itself undamaged, and a note says so.

    Args:
        storage: where the bundle lies.
        key: its key there.
        bundle: what the run was asked for.
        keys: those that are trusted; with none everybody is.
    """
    try:
        return _read(storage, key, bundle, keys)
    except NotFound:
        return FlowFacts(note="its bundle is not there any more")
    except RunnerError as error:
        return FlowFacts(note=error.message)


def _read(storage: Storage, key: str, bundle: BundleReference, keys: Sequence[PublicKey]) -> FlowFacts:
    length = None if keys else _HEAD
    data = b"".join(storage.stream(key, 0, length, limit=limit_of("bundle")))
    if not is_bundle(data):
        return FlowFacts(note="what ran is a plain pickle, which says nothing about itself")
    if len(data) == _HEAD:
        found = read_manifest(data)
        manifest.check_complete(found)
        return FlowFacts(found, note="its bundle is large, and only its manifest was read: the digest was not compared")
    check_digest(data, bundle["sha256"], storage.url(key))
    opened = read_bundle(data)
    manifest.check_complete(opened.manifest)
    if keys:
        check_signed(opened, keys, None)
    return FlowFacts(opened.manifest, _signer(opened.signature))


def _signer(signature: bytes | None) -> str | None:
    if signature is None:
        return None
    from runner.signing.signatures import check_form

    return check_form(signature)
