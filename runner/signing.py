"""Who wrote a bundle: Ed25519 keys, signatures, and which of them are trusted.

Keys are read here by their fixed encodings (RFC 8410), so that settings are checked, and an unsigned start made,
without importing `cryptography`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from runner.errors import EnvironmentWrong, Untrusted, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TypeAlias

    KeySource: TypeAlias = "PrivateKey | str | bytes | os.PathLike[str]"

BUNDLE = "bundle manifest"  # what a signature is for: that of one kind of bytes is none of another kind

_FORMAT, _ALGORITHM = 1, "ed25519"
_KEY, _SIGNED = 32, 64  # bytes of a key and of a signature
LONGEST = 1024  # bytes of a signature's document; it has about 200
_PUBLIC = bytes.fromhex("302a300506032b6570032100")  # DER before the 32 bytes: SubjectPublicKeyInfo
_PRIVATE = bytes.fromhex("302e020100300506032b657004220420")  # PKCS #8
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", re.DOTALL)
_KEY_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What a container needs to know who signed; nothing about it is secret."""

    raw: bytes

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of its SHA-256, by which people and signatures name it."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @property
    def text(self) -> str:
        """The key as ``RUNNER_TRUSTED_KEYS`` takes it: base64 of its 32 bytes."""
        return base64.b64encode(self.raw).decode()


@dataclass(frozen=True, slots=True, repr=False)
class PrivateKey:
    """What signs; it never shows itself."""

    raw: bytes

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "PrivateKey(<secret>)"

    @property
    def public(self) -> PublicKey:
        """The public key that belongs to it. Raises EnvironmentWrong without `cryptography`."""
        return PublicKey(_ed25519().Ed25519PrivateKey.from_private_bytes(self.raw).public_key().public_bytes_raw())

    @property
    def pem(self) -> bytes:
        """The key as a file has it, and as OpenSSL writes and reads it: PEM of PKCS #8."""
        text = base64.b64encode(_PRIVATE + self.raw).decode()
        return f"-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n".encode()


def new_key() -> PrivateKey:
    """Make a key. Raises EnvironmentWrong without `cryptography`."""
    return PrivateKey(_ed25519().Ed25519PrivateKey.generate().private_bytes_raw())


def read_private(text: str) -> PrivateKey:
    """Read a private key: PEM (PKCS #8, not encrypted), or base64 of the 32 bytes.

    Raises ValueError with a sentence that shows nothing of the text.
    """
    found = _PEM.search(text)
    if found is None:
        return PrivateKey(_thirty_two(text, "no private key: give PEM of PKCS #8, or base64 of its 32 bytes"))
    if found[1] == "PUBLIC KEY":
        raise ValueError("a public key, which cannot sign; give the private one")
    if found[1] != "PRIVATE KEY":
        raise ValueError(
            f"a key of the kind {found[1].lower()!r}; give an Ed25519 key as PEM of PKCS #8, not encrypted"
        )
    return PrivateKey(_der(found[2], _PRIVATE))


def key_from(source: KeySource) -> PrivateKey:
    """Take a private key from what an author hands over: the key, its text, or the path of its file.

    Raises UsageError, which shows nothing of it.
    """
    if isinstance(source, PrivateKey):
        return source
    if isinstance(source, os.PathLike):
        source = read_file(source)
    if not isinstance(source, str | bytes):
        raise UsageError(f"{type(source).__name__} is no private key", hint="Give its text, or the path of its file.")
    try:
        return read_private(source if isinstance(source, str) else source.decode())
    except ValueError:
        message = "what should sign is no Ed25519 private key"
    raise UsageError(message, hint="Give PEM of PKCS #8, base64 of its 32 bytes, or a pathlib.Path of its file.")


def read_file(path: os.PathLike[str]) -> str:
    """Give what stands in a key's file. Raises UsageError."""
    from pathlib import Path

    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{os.fspath(path)} cannot be read as a key's file", hint="Check its path and mode."
        ) from error


def read_public(text: str) -> tuple[PublicKey, ...]:
    """Read public keys, comma separated or one after the other: each PEM, or base64 of the 32 bytes.

    Raises ValueError with a sentence that shows nothing of the text: somebody may have taken the private key for it.
    """
    keys = []
    for kind, body in _PEM.findall(text):
        if kind != "PUBLIC KEY":
            raise ValueError("a private key stands where public ones belong" if "PRIVATE" in kind else "no public key")
        keys.append(PublicKey(_der(body, _PUBLIC)))
    words = re.split(r"(?:[,\s]|\\n)+", _PEM.sub(",", text))
    otherwise = "no public key: give PEM, or base64 of the key's 32 bytes"
    keys += [PublicKey(_thirty_two(word, otherwise)) for word in words if word]
    if not keys:
        raise ValueError("it holds no key, and would trust nobody; give one, or unset it to trust everybody")
    return tuple(dict.fromkeys(keys))


def sign(key: PrivateKey, purpose: str, data: bytes) -> bytes:
    """Give the signature's document for some bytes. Raises EnvironmentWrong without `cryptography`."""
    signed = _ed25519().Ed25519PrivateKey.from_private_bytes(key.raw).sign(_message(purpose, data))
    return _document(key.public.id, signed)


def check_form(document: bytes) -> str:
    """Give the id of the key that a signature's document names, trusting none of it.

    Raises ValueError unless it is, byte for byte, as `sign` writes it.
    """
    return _read(document)[0]


def check(keys: Sequence[PublicKey], purpose: str, data: bytes, document: bytes | None, what: str) -> PublicKey:
    """Give the trusted key that signed these bytes; ``what`` they are stands in the refusal.

    Raises Untrusted, and EnvironmentWrong without `cryptography`.
    """
    trusted = ", ".join(key.id for key in keys)
    if document is None:
        message = f"{what} is not signed, and only what a trusted key signed may be used here"
        raise Untrusted(
            message, hint=f"Sign it with one of {trusted}: runner sign, or RUNNER_SIGNING_KEY at its build."
        )
    try:
        key_id, signature = _read(document)
    except ValueError as error:
        raise Untrusted(f"the signature of {what} cannot be read: {error}", hint="Sign it again.") from error
    key = next((each for each in keys if each.id == key_id), None)
    if key is None:
        message = f"{what} is signed with the key {key_id}, which is not trusted here"
        raise Untrusted(
            message, hint=f"Trusted are {trusted}; add its public key to RUNNER_TRUSTED_KEYS if it should be."
        )
    from cryptography.exceptions import InvalidSignature

    try:
        _ed25519().Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, _message(purpose, data))
    except InvalidSignature as error:
        message = f"the signature of {what} is not that of the key {key_id} over these bytes"
        raise Untrusted(message, hint="It was changed after it was signed; build and sign it again.") from error
    return key


def _message(purpose: str, data: bytes) -> bytes:
    """Put the purpose before the bytes, ended by what no purpose holds."""
    return b"runner " + purpose.encode() + b"\0" + data


def _document(key_id: str, signature: bytes) -> bytes:
    told: dict[str, Any] = {
        "format": _FORMAT,
        "algorithm": _ALGORITHM,
        "key": key_id,
        "signature": base64.b64encode(signature).decode(),
    }
    return json.dumps(told, indent=1).encode()


def _read(document: bytes) -> tuple[str, bytes]:
    """Give key id and signature. Raises ValueError."""
    if len(document) > LONGEST:
        raise ValueError("it is too long")
    try:
        told = json.loads(document)
        key_id, signature = str(told["key"]), base64.b64decode(told["signature"], validate=True)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError("it is no signature of runner's") from error
    if not _KEY_ID.fullmatch(key_id) or len(signature) != _SIGNED or _document(key_id, signature) != document:
        raise ValueError("it is not as runner writes it")
    return key_id, signature


def _der(body: str, before: bytes) -> bytes:
    """Take the 32 bytes out of what stands between PEM's lines; a variable may have lost, or escaped, its line ends."""
    try:
        encoded = base64.b64decode("".join(body.replace("\\n", "").split()), validate=True)
    except ValueError:
        encoded = b""
    if len(encoded) != len(before) + _KEY or not encoded.startswith(before):
        raise ValueError("its PEM holds no Ed25519 key")
    return encoded[-_KEY:]


def _thirty_two(text: str, otherwise: str) -> bytes:
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        raw = b""
    if len(raw) != _KEY:
        _refuse(otherwise)
    return raw


def _refuse(reason: str) -> NoReturn:
    raise ValueError(reason)


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        message = "signatures need the package cryptography, which is not installed here"
        raise EnvironmentWrong(message, hint="Use one of runner's images, or pip install cryptography.") from error
    return ed25519
