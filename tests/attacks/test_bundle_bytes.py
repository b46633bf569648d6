"""Attacks on the bytes of a bundle, by somebody who can write to the bucket and holds no key."""

from __future__ import annotations

import json
import struct
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from runner.bundle import archive
from runner.signing import signatures
from support.canary import AUTHOR, KEY, MALLORY, facts_of

if TYPE_CHECKING:
    from runner.signing.keys import PrivateKey
    from support.canary import Target

HARMLESS = b"\x80\x04N."


def sound() -> bytes:
    """A bundle of the author's that does no harm."""
    return archive.write_bundle(facts_of(), {"flow.pkl": HARMLESS, "src/mod.py": b"VALUE = 1\n"}, AUTHOR)


def test_the_pickle_is_exchanged_in_place(target: Target) -> None:
    """Mallory overwrites flow.pkl with a pickle of her own and mends its checksum in the zip; the signature stays true,
    as it is one over the manifest. The manifest's digest gives it away."""
    read = archive.read_bundle(sound())
    members = {name: bytes(data) for name, data in read.members.items()} | {"flow.pkl": target.canary.pickled}
    target.put(b"".join(archive.zip_pieces(members)))
    target.refuses(65, "flow.pkl is not what the manifest says")


def test_the_manifest_is_mended_as_well(target: Target) -> None:
    """She also writes the new digest into the manifest, so that the bundle is whole again. Now the signature is not."""
    read = archive.read_bundle(sound())
    forged = archive.read_bundle(target.bundle(None))
    members = {name: bytes(data) for name, data in forged.members.items()}
    target.put(b"".join(archive.zip_pieces(members | {"signature.json": read.signature or b""})))
    target.refuses(79, "signature", "not that of the key")


def test_a_second_pickle_hides_behind_the_first(target: Target) -> None:
    """Zip readers take the last of two members of one name, runner's digests were those of the first."""
    read = archive.read_bundle(sound())
    pieces = archive.zip_pieces({**{name: bytes(data) for name, data in read.members.items()}})
    file = BytesIO(b"".join(pieces))
    with zipfile.ZipFile(file, "a") as opened, pytest.warns(UserWarning, match="Duplicate name"):
        opened.writestr("flow.pkl", target.canary.pickled)
    with zipfile.ZipFile(file) as opened:
        assert opened.read("flow.pkl") == target.canary.pickled
    target.put(file.getvalue())
    target.refuses(65)


def test_the_directory_names_another_member(target: Target) -> None:
    """The headers before the members say one thing, the directory at the end another: what is unpickled depends on who
    reads."""
    members = {"flow.pkl": HARMLESS, "src/flw.pkl": target.canary.pickled}
    data = bytearray(archive.write_bundle(facts_of(), members, AUTHOR))
    place = data.index(b"PK\1\2")
    data[place:] = bytes(data[place:]).replace(b"src/flw.pkl", b"src/xxx.pkl")
    target.put(bytes(data))
    target.refuses(65)


def test_another_zip_stands_before_it(target: Target) -> None:
    """Zip readers begin at the end, so that a file may begin with anything: here with a whole bundle of Mallory's."""
    target.put(target.bundle(MALLORY) + sound())
    target.refuses(65, "follow its end")


def test_a_signed_member_is_taken_out(target: Target) -> None:
    """Without src/guard.py, an import of it would fall through to whatever else has that name."""
    facts = facts_of()
    data = archive.write_bundle(facts, {"flow.pkl": target.canary.pickled, "src/guard.py": b""}, AUTHOR)
    members = {name: bytes(part) for name, part in archive.read_bundle(data).members.items()}
    members.pop("src/guard.py")
    target.put(b"".join(archive.zip_pieces(members)))
    target.refuses(65)


def test_a_member_is_added_that_no_manifest_lists(target: Target) -> None:
    """sitecustomize.py is imported by Python itself, were it ever unpacked."""
    members = {name: bytes(part) for name, part in archive.read_bundle(sound()).members.items()}
    signature = members.pop("signature.json")
    added = members | {"src/sitecustomize.py": target.canary.source, "signature.json": signature}
    target.put(b"".join(archive.zip_pieces(added)))
    target.refuses(65)


def test_the_manifest_has_a_key_twice(target: Target) -> None:
    """Readers of JSON take the last one, and who looks at the manifest sees the first."""
    read = archive.read_bundle(target.bundle())
    text = bytes(read.members["manifest.json"])
    doubled = text.replace(b'{\n "format": 1,', b'{\n "format": 1,\n "flow": {\n  "name": "harmless"\n },', 1)
    signed = signatures.sign(AUTHOR, signatures.BUNDLE, doubled)
    members = {name: bytes(part) for name, part in read.members.items()} | {"manifest.json": doubled}
    target.put(b"".join(archive.zip_pieces(members | {"signature.json": signed})))
    target.refuses(65, "not as runner writes it")


def test_a_size_is_claimed_that_nobody_has(target: Target) -> None:
    """A member of 10 GB in a file of 2 kB is to make the container run out of memory before it has said no."""
    text = json.loads(bytes(archive.read_bundle(target.bundle()).members["manifest.json"]))
    text["members"][0]["size"] = 10 * 2**30
    manifest = archive.encode_manifest(text)
    data = bytearray(b"".join(archive.zip_pieces({"manifest.json": manifest, "flow.pkl": target.canary.pickled})))
    place = data.index(b"PK\3\4", 4)
    data[place + 18 : place + 26] = struct.pack("<2L", 2**32 - 1, 2**32 - 1)
    target.put(bytes(data))
    target.refuses(65)


@pytest.mark.parametrize(
    "secrets",
    [["/etc/shadow"], ["../../proc/kmsg"], ["."], [".."], ["a/b"], [""], ["x" * 129], ["A"] * 1001, 5, [["x"]], None],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize("key", [AUTHOR, None], ids=["signed", "unsigned"])
def test_secrets_are_named_that_are_files_of_the_machine(
    target: Target, secrets: object, key: PrivateKey | None
) -> None:
    """What a manifest names as secrets is looked for in files, so that the supervisor can mask it."""
    facts: Any = {**facts_of(), "secrets": secrets}
    if secrets is None:
        del facts["secrets"]
    target.put(archive.write_bundle(facts, {"flow.pkl": target.canary.pickled}, key))
    target.refuses(65, "secrets")


def test_it_says_that_it_is_of_a_newer_format(target: Target) -> None:
    """What the next version will check is not known to this one, so it must not guess."""
    manifest = archive.encode_manifest({"format": 2, **facts_of(), "members": []})
    target.put(b"".join(archive.zip_pieces({"manifest.json": manifest, "flow.pkl": target.canary.pickled})))
    target.refuses(76, "format 2")
    assert target.place.read(KEY)
