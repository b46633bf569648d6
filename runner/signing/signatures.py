"""Ed25519 signatures: the document that a signature is stored as, and its check against the trusted keys.

`cryptography` is imported where a signature is made or checked: an unsigned start does without it.
"""

from __future__ import annotations

import base64
import re
from json import dumps, loads
from typing import TYPE_CHECKING, NamedTuple

from runner.errors import Untrusted
from runner.limits import limit_of
from runner.signing.keys import PrivateKey, PublicKey, load_ed25519

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.schema.documents import SignatureRecord
    from runner.signing.keys import Role


class Purpose(NamedTuple):
    """What a signature is for: that of one kind of bytes is none of another kind, and keys of one role make it."""

    kind: str
    role: Role


BUNDLE = Purpose("bundle manifest", "flows")
LATEST_POINTER = Purpose("latest pointer", "flows")
ALIAS_POINTER = Purpose("alias pointer", "aliases")
DOCUMENT = Purpose("run document", "runs")  # an end, and the outcome that is a copy of it
RESULT = Purpose("task result", "runs")
_SIGNATURE_SIZE = 64  # bytes
_KEY_ID = re.compile(r"[0-9a-f]{16}")


def sign(key: PrivateKey, purpose: Purpose, data: bytes) -> bytes:
    """Return the signature's document for some bytes.

    Raises EnvironmentWrong for a key of another role, and without `cryptography`.
    """
    key.check_role(purpose.role)
    signature = load_ed25519().Ed25519PrivateKey.from_private_bytes(key.raw).sign(_message(purpose, data))
    return _document(key.public.id, signature)


def check_form(document: bytes) -> str:
    """Return the id of the key that a signature's document names, without checking the signature.

    Raises ValueError unless it is, byte for byte, as `sign` writes it.
    """
    return _read(document)[0]


def check(keys: Sequence[PublicKey], purpose: Purpose, data: bytes, document: bytes | None, what: str) -> PublicKey:
    """Return the trusted key that signed these bytes; ``what`` names them in the error.

    Only keys of the purpose's role count. Raises Untrusted, and EnvironmentWrong without `cryptography`.
    """
    role = purpose.role
    trusted = ", ".join(key.id for key in keys if key.may_sign(role)) or "none"
    if document is None:
        message = f"{what} is not signed, and only what a trusted key signed may be used here"
        hint = f"Sign it with a key that is trusted for {role} ({trusted}): runner sign, or RUNNER_SIGNING_KEY."
        raise Untrusted(message, hint=hint)
    try:
        key_id, signature = _read(document)
    except ValueError as error:
        raise Untrusted(f"the signature of {what} cannot be read: {error}", hint="Sign it again.") from error
    key = next((each for each in keys if each.id == key_id and each.may_sign(role)), None)
    if key is None:
        alone = f" to sign {role}" if any(each.id == key_id for each in keys) else ""
        message = f"{what} is signed with the key {key_id}, which is not trusted here{alone}"
        hint = f"For {role} are trusted: {trusted}; add its public key to RUNNER_TRUSTED_KEYS if it should be."
        raise Untrusted(message, hint=hint)
    from cryptography.exceptions import InvalidSignature

    try:
        load_ed25519().Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, _message(purpose, data))
    except InvalidSignature as error:
        message = f"the signature of {what} is not that of the key {key_id} over these bytes"
        raise Untrusted(message, hint="It was changed after it was signed; build and sign it again.") from error
    return key


def sign_document(
    key: PrivateKey, purpose: Purpose, document: Mapping[str, object], bound_to: str = ""
) -> SignatureRecord:
    """Return the part ``signature`` of a document, for the text of the document and what it is bound to.

    Raises what `sign` raises.
    """
    record: SignatureRecord = loads(sign(key, purpose, document_text(document, bound_to)))
    return record


def check_document(
    keys: Sequence[PublicKey], purpose: Purpose, document: Mapping[str, object], what: str, bound_to: str = ""
) -> None:
    """Check the part ``signature`` of a document as `check` does, and raise what it raises."""
    record = document.get("signature")
    signature = None if record is None else _encode(record)
    check(keys, purpose, document_text(document, bound_to), signature, what)


def document_text(document: Mapping[str, object], bound_to: str = "") -> bytes:
    """Return what is signed of a document: JSON of all but its signature, names sorted, no spaces, nothing but ASCII.

    A zero byte and what it is bound to follow, if it is bound to anything.
    """
    unsigned = {name: part for name, part in document.items() if name != "signature"}
    text = dumps(unsigned, sort_keys=True, separators=(",", ":"))
    return (f"{text}\0{bound_to}" if bound_to else text).encode()


def _message(purpose: Purpose, data: bytes) -> bytes:
    """Return what is signed: the purpose and a zero byte, which no purpose contains, before the bytes."""
    return b"runner " + purpose.kind.encode() + b"\0" + data


def _document(key_id: str, signature: bytes) -> bytes:
    document: SignatureRecord = {
        "format": 1,
        "algorithm": "ed25519",
        "key": key_id,
        "signature": base64.b64encode(signature).decode(),
    }
    return _encode(document)


def _encode(document: object) -> bytes:
    return dumps(document, indent=1).encode()


def _read(document: bytes) -> tuple[str, bytes]:
    """Return the key's id and the signature. Raises ValueError."""
    if len(document) > limit_of("signature"):
        raise ValueError("it is too long")
    try:
        fields = loads(document)
        key_id, signature = str(fields["key"]), base64.b64decode(fields["signature"], validate=True)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("it is no signature of runner's") from error
    if not _KEY_ID.fullmatch(key_id) or len(signature) != _SIGNATURE_SIZE or _document(key_id, signature) != document:
        raise ValueError("it is not as runner writes it")
    return key_id, signature
