"""Attacks on who signed, and on what a true signature is taken for."""

from __future__ import annotations

import base64
import json

from runner.bundle import archive
from runner.signing import signatures
from support.canary import AUTHOR, KEY, MALLORY, NEWER, SLUG, VERSION, Target


def members_of(data: bytes) -> dict[str, bytes]:
    return {name: bytes(part) for name, part in archive.read_bundle(data).members.items()}


def test_the_signature_is_left_out(target: Target) -> None:
    """Mallory builds a flow of the right name as anybody can, without a key."""
    target.put(target.bundle(None))
    target.refuses(79, "the bundle is not signed")


def test_somebody_else_signs(target: Target) -> None:
    """She signs with a key of her own."""
    target.put(target.bundle(MALLORY))
    target.refuses(79, MALLORY.public.id, "not trusted")


def test_somebody_else_signs_and_names_the_authors_key(target: Target) -> None:
    """Her signature says that it is the author's."""
    members = members_of(target.bundle(MALLORY))
    document = json.loads(members["signature.json"]) | {"key": AUTHOR.public.id}
    target.put(b"".join(archive.zip_pieces(members | {"signature.json": json.dumps(document, indent=1).encode()})))
    target.refuses(79, "not that of the key")


def test_a_signature_of_another_bundle_is_put_on_hers(target: Target) -> None:
    """She takes the author's signature from a bundle in the same bucket."""
    stolen = members_of(target.bundle())["signature.json"]
    hers = members_of(target.bundle(None, labels=["hers"]))
    target.put(b"".join(archive.zip_pieces(hers | {"signature.json": stolen})))
    target.refuses(79, "not that of the key")


def test_a_signature_for_another_purpose_is_put_on_hers(target: Target) -> None:
    """She has the author's key sign her manifest's bytes as some other kind of document of runner's."""
    hers = members_of(target.bundle(None))
    for purpose in ("result", "end", "bundle", ""):
        signed = signatures.sign(AUTHOR, signatures.Purpose(purpose, "flows"), hers["manifest.json"])
        target.put(b"".join(archive.zip_pieces(hers | {"signature.json": signed})))
        assert target.check().code == 79
        assert not target.canary.executed


def test_the_weakest_algorithm_is_asked_for(target: Target) -> None:
    """The signature says that it needs none, as tokens of the web once could."""
    members = members_of(target.bundle())
    for changed in ({"algorithm": "none", "signature": ""}, {"algorithm": "hmac", "key": ""}):
        document = json.loads(members["signature.json"]) | changed
        target.put(b"".join(archive.zip_pieces(members | {"signature.json": json.dumps(document, indent=1).encode()})))
        target.refuses(65, "its signature cannot be read")


def test_a_signature_is_bent_into_another_that_also_holds(target: Target) -> None:
    """Where S is not held below the order of the group, S + L is a second true signature (RFC 8032, 8.4)."""
    members = members_of(target.bundle())
    document = json.loads(members["signature.json"])
    signed = base64.b64decode(document["signature"])
    order = 2**252 + 27742317777372353535851937790883648493
    bent = signed[:32] + (int.from_bytes(signed[32:], "little") + order).to_bytes(32, "little")
    document["signature"] = base64.b64encode(bent).decode()
    target.put(b"".join(archive.zip_pieces(members | {"signature.json": json.dumps(document, indent=1).encode()})))
    target.refuses(79, "not that of the key")


def test_a_true_bundle_passes_as_another_flow(target: Target) -> None:
    """The author's clean-up deletes a database, and is signed. Mallory puts it where the payroll lies."""
    target.put(target.bundle(flow="cleanup"))
    target.refuses(79, "'cleanup'", "belongs at cleanup/", location=SLUG)


def test_an_old_bundle_passes_as_a_new_one(target: Target) -> None:
    """The old payroll has a hole. It is signed, so she copies it to a name that is newer than all."""
    target.put(target.bundle())
    target.put(target.bundle(), f"{SLUG}/{NEWER}")
    for location in (SLUG, f"{SLUG}/{NEWER}"):
        target.refuses(79, f"belongs at {SLUG}/{VERSION}", location=location)
    target.accepts(KEY)


def test_newer_bundles_are_deleted(target: Target) -> None:
    """With them gone the old one is the newest, in its own place; RUNNER_MIN_VERSION is there for that."""
    target.put(target.bundle())
    target.refuses(79, "older than RUNNER_MIN_VERSION", location=SLUG, RUNNER_MIN_VERSION=NEWER)


def test_an_object_takes_the_name_of_a_flow(target: Target) -> None:
    """A location names an object before it names a flow, so she puts another signed bundle at the folder's name."""
    target.put(target.bundle(flow="cleanup"), f"team/{SLUG}")
    target.refuses(79, "belongs at cleanup/", location=f"team/{SLUG}")


def test_the_list_of_trusted_keys_is_emptied(target: Target) -> None:
    """The deployment takes its keys from a secret that she could empty: nobody is trusted, not everybody."""
    target.put(target.bundle(MALLORY))
    for empty in ("", " ", ","):
        target.refuses(78, "RUNNER_TRUSTED_KEYS", RUNNER_TRUSTED_KEYS=empty)
