"""The canonical zip: one way to write given members, so that anything else is corrupt.

Members lie uncompressed in the manifest's order, with fixed timestamps, no extra fields and no comments. The reader
therefore computes from the manifest what the file must be, byte for byte, and compares; a zip reader alone misses one
flipped byte in ten. The layout is that of PKWARE's APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from runner.bundle.member_names import FLOW, MANIFEST, SIGNATURE, invalid_name
from runner.errors import BundleCorrupt, FlowFailed, Incompatible
from runner.limits import MOST_PARTS, limit_of, parts_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.schema.documents import Manifest, ManifestFacts, MemberRecord
    from runner.signing.keys import PrivateKey

FORMAT: Final = 1
_MOST_MEMBERS, _LARGEST = 20_000, 2**32 - 2**24  # bytes that a zip without its 64-bit extension can count
_ENCODER = json.JSONEncoder(indent=1, ensure_ascii=False, allow_nan=False)
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION, _UTF8, _STORED, _MIDNIGHT, _JAN_1_1980 = 20, 0x0800, 0, 0, 0x21  # the earliest time that a zip can hold


class Bundle(NamedTuple):
    """A bundle whose bytes are verified: its manifest, and its members' bytes by name, the signature's among them.

    That the manifest has all that a run needs is for `runner.bundle.manifest.check_complete` to find out.
    """

    manifest: Manifest
    members: dict[str, memoryview]

    @property
    def signature(self) -> bytes | None:
        """The signature's document, if any; `signatures.check` finds out whose it is and whether it is true."""
        found = self.members.get(SIGNATURE)
        return None if found is None else bytes(found)


class ForeignObject(NamedTuple):
    """An object that runner did not write, perhaps a pickle of a flow: nothing of it is verified."""

    data: bytes


def write_bundle(facts: ManifestFacts, members: dict[str, bytes], key: PrivateKey | None = None) -> bytes:
    """Return a bundle's bytes: the facts, completed by format and digests, as its manifest, then the members in order.

    With a key the manifest's signature follows them. Raises FlowFailed for more than a bundle holds.
    """
    if len(members) >= _MOST_MEMBERS or sum(map(len, members.values())) >= _LARGEST:
        message = f"{len(members)} files are more than the {_MOST_MEMBERS} of a bundle, or they are larger than 4 GB"
        raise FlowFailed(message, hint="Leave some out with exclude=[…], or pack them into one file.")
    if fault := invalid_name(members):
        message = f"a file's name cannot travel: {fault}"
        raise FlowFailed(message, hint="Rename it, or leave it out with exclude=[…].")
    digests: list[MemberRecord] = [
        {"name": name, "size": len(data), "sha256": _digest(data)} for name, data in members.items()
    ]
    manifest = encode_manifest({"format": FORMAT, **facts, "members": digests})
    if len(manifest) > limit_of("manifest") or parts_in(manifest) > MOST_PARTS:
        message = f"the flow's manifest has {len(manifest):,} bytes, and at most {limit_of('manifest'):,} can be read"
        raise FlowFailed(message, hint="Map a task over a list instead of calling it in a loop.")
    signed = {SIGNATURE: _signed(manifest, key)} if key else {}
    return b"".join(zip_pieces({MANIFEST: manifest, **members, **signed}))


def _signed(manifest: bytes, key: PrivateKey) -> bytes:
    from runner.signing import signatures

    return signatures.sign(key, signatures.BUNDLE, manifest)


def is_bundle(data: bytes) -> bool:
    """Whether the bytes begin as a zip does; all else about them is `read_bundle`'s to find out."""
    return data[:2] == b"PK"


def read_bundle(data: bytes) -> Bundle:
    """Verify a bundle wholly, unpickling nothing.

    Raises BundleCorrupt unless the bytes are exactly what `write_bundle` writes for this manifest and these members,
    and Incompatible for a manifest of a newer format.
    """
    view = memoryview(data)
    if len(view) > _LARGEST + limit_of("manifest"):
        raise _corrupt("it is larger than any that runner writes")
    manifest_bytes = _first_member(view)
    manifest = _manifest(bytes(manifest_bytes))
    members = {MANIFEST: manifest_bytes}
    start = _LOCAL.size + len(MANIFEST) + len(manifest_bytes)
    for member in manifest["members"]:
        name, size = member["name"], member["size"]
        start += _LOCAL.size + len(name.encode())
        if size > len(view) - start:
            raise _corrupt(f"{name} is larger than what is left of it")
        members[name] = view[start : start + size]
        start += size
        if hashlib.sha256(members[name]).hexdigest() != member["sha256"]:
            raise _corrupt(f"{name} is not what the manifest says")
    if signature := _signature(view[start:]):
        members[SIGNATURE] = signature
    position = 0
    for piece in zip_pieces(members):
        if view[position : position + len(piece)] != piece:
            raise _corrupt(f"it differs at byte {position} or soon after from what runner writes")
        position += len(piece)
    if position != len(view):
        raise _corrupt(f"{len(view) - position} bytes follow its end")
    return Bundle(manifest, members)


def read_manifest(head: bytes) -> Manifest:
    """Return the manifest that a bundle begins with, whole and as runner writes it; the rest need not be there.

    Raises BundleCorrupt, and Incompatible for one of a newer format.
    """
    return _manifest(bytes(_first_member(memoryview(head))))


def _first_member(view: memoryview) -> memoryview:
    """Return the manifest's bytes: the first member, its size from the header before it."""
    start = _LOCAL.size + len(MANIFEST)
    if len(view) < start or bytes(view[_LOCAL.size : start]) != MANIFEST.encode():
        raise _corrupt(
            "it is a zip, but no bundle" if bytes(view[:4]) == b"PK\3\4" else "it is cut short, or no bundle"
        )
    header = _LOCAL.unpack(view[: _LOCAL.size])
    if header[7] > limit_of("manifest"):
        raise _corrupt("its manifest is larger than any that runner writes")
    manifest = view[start : start + header[7]]
    if zlib.crc32(manifest) != header[6]:  # checked now, so that a damaged format number does not pass for a newer one
        raise _corrupt("its manifest is damaged")
    return manifest


def _signature(rest: memoryview) -> memoryview | None:
    """Return the signature's bytes, if what follows the other members begins with one. Raises BundleCorrupt."""
    start = _LOCAL.size + len(SIGNATURE)
    if bytes(rest[_LOCAL.size : start]) != SIGNATURE.encode() or bytes(rest[:4]) != b"PK\3\4":
        return None
    from runner.signing import signatures

    found = rest[start : start + _LOCAL.unpack(rest[: _LOCAL.size])[7]]
    try:
        signatures.check_form(bytes(found[: limit_of("signature") + 1]))
    except ValueError as error:
        raise _corrupt(f"its signature cannot be read: {error}") from error
    return found


def _manifest(data: bytes) -> Manifest:
    if parts_in(data) > MOST_PARTS:
        raise _corrupt("its manifest has more parts than any that runner writes")
    try:
        manifest = json.loads(data)
        version = manifest["format"]
        if type(version) is int and version == FORMAT:
            _check_members(manifest["members"])
            if not _is_canonical(manifest, data):
                raise _corrupt("its manifest is not as runner writes it")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _corrupt("its manifest cannot be read") from error
    if type(version) is not int or version != FORMAT:
        message = f"the bundle has format {version!r:.40}, and this runner reads format {FORMAT}"
        raise Incompatible(message, hint="Use a newer image, or build the flow with this version of runner.")
    return cast("Manifest", dict(manifest))


def _check_members(members: list[MemberRecord]) -> None:
    """Refuse what cannot be a list of members. Raises BundleCorrupt, and KeyError and TypeError for other things."""
    listed = [member["name"] for member in members]
    sound = all(
        type(member["size"]) is int
        and 0 <= member["size"] <= _LARGEST
        and isinstance(member["sha256"], str)
        and set(member) == {"name", "size", "sha256"}
        for member in members
    )
    if not sound or FLOW not in listed or len(listed) > _MOST_MEMBERS:
        raise _corrupt("its manifest is not as runner writes it")
    if fault := invalid_name(listed):
        raise _corrupt(f"the name of a member is not safe: {fault}")


def _is_canonical(manifest: object, data: bytes) -> bool:
    """Whether these are the bytes that the writer would write; in pieces, to stop at the first that differs."""
    position = 0
    for text in _ENCODER.iterencode(manifest):
        piece = text.encode()
        if data[position : position + len(piece)] != piece:
            return False
        position += len(piece)
    return position == len(data)


def zip_pieces(members: Mapping[str, bytes | memoryview]) -> list[bytes | memoryview]:
    """Return the zip's pieces in order: for each member header and bytes, then the directory and its end."""
    pieces: list[bytes | memoryview] = []
    directory: list[bytes] = []
    offset = 0
    for name, data in members.items():
        encoded = name.encode()
        flags = 0 if name.isascii() else _UTF8
        common = (
            _VERSION,
            flags,
            _STORED,
            _MIDNIGHT,
            _JAN_1_1980,
            zlib.crc32(data),
            len(data),
            len(data),
            len(encoded),
            0,
        )
        pieces += [_LOCAL.pack(b"PK\3\4", *common) + encoded, data]
        directory.append(_CENTRAL.pack(b"PK\1\2", _VERSION, *common, 0, 0, 0, 0, offset) + encoded)
        offset += _LOCAL.size + len(encoded) + len(data)
    size = sum(map(len, directory))
    end = _END.pack(b"PK\5\6", 0, 0, len(directory), len(directory), size, offset, 0)
    return [*pieces, *directory, end]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def encode_manifest(manifest: Mapping[str, object]) -> bytes:
    """Return a manifest's bytes, as runner writes them."""
    return "".join(_ENCODER.iterencode(manifest)).encode()


def _corrupt(reason: str) -> BundleCorrupt:
    return BundleCorrupt(f"the bundle is corrupt: {reason}", hint="Build the flow again.")
