"""Ed25519 keys, and reading them from PEM and base64.

They are read by their fixed encodings (RFC 8410), so that settings are checked without importing `cryptography`.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import EnvironmentWrong, UsageError

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    KeySource: TypeAlias = "PrivateKey | str | bytes | os.PathLike[str]"

_KEY_SIZE = 32  # bytes
_PUBLIC_HEADER = bytes.fromhex("302a300506032b6570032100")  # DER before the 32 bytes: SubjectPublicKeyInfo
_PRIVATE_HEADER = bytes.fromhex("302e020100300506032b657004220420")  # PKCS #8
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key, which checks signatures; nothing about it is secret."""

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
    """A private key, which signs; its ``repr`` shows nothing of it."""

    raw: bytes

    def __repr__(self) -> str:
        return "PrivateKey(<secret>)"

    @property
    def public(self) -> PublicKey:
        """The public key that belongs to it. Raises EnvironmentWrong without `cryptography`."""
        return PublicKey(load_ed25519().Ed25519PrivateKey.from_private_bytes(self.raw).public_key().public_bytes_raw())

    @property
    def pem(self) -> bytes:
        """The key as a file has it, and as OpenSSL writes and reads it: PEM of PKCS #8."""
        text = base64.b64encode(_PRIVATE_HEADER + self.raw).decode()
        return f"-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n".encode()


def new_key() -> PrivateKey:
    """Generate a key. Raises EnvironmentWrong without `cryptography`."""
    return PrivateKey(load_ed25519().Ed25519PrivateKey.generate().private_bytes_raw())


def read_private(text: str) -> PrivateKey:
    """Read a private key: PEM (PKCS #8, not encrypted), or base64 of the 32 bytes.

    Raises ValueError with a sentence that shows nothing of the text.
    """
    found = _PEM.search(text)
    if found is None:
        return PrivateKey(_from_base64(text, "no private key: give PEM of PKCS #8, or base64 of its 32 bytes"))
    if found[1] == "PUBLIC KEY":
        raise ValueError("a public key, which cannot sign; give the private one")
    if found[1] != "PRIVATE KEY":
        raise ValueError(
            f"a key of the kind {found[1].lower()!r}; give an Ed25519 key as PEM of PKCS #8, not encrypted"
        )
    return PrivateKey(_from_der(found[2], _PRIVATE_HEADER))


def key_from(source: KeySource) -> PrivateKey:
    """Return the private key that an author hands over: the key, its text, or the path of its file.

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
    """Return the text of a key's file. Raises UsageError."""
    from runner.limits import read_text

    try:
        return read_text(os.fspath(path), "key's file")
    except (OSError, ValueError) as error:
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
        keys.append(PublicKey(_from_der(body, _PUBLIC_HEADER)))
    words = re.split(r"(?:[,\s]|\\n)+", _PEM.sub(",", text))
    refusal = "no public key: give PEM, or base64 of the key's 32 bytes"
    keys += [PublicKey(_from_base64(word, refusal)) for word in words if word]
    if not keys:
        raise ValueError("it holds no key, and would trust nobody; give one, or unset it to trust everybody")
    return tuple(dict.fromkeys(keys))


def _from_der(body: str, header: bytes) -> bytes:
    """Return the 32 bytes of a key in PEM; in a variable its line ends may be missing, or escaped."""
    try:
        encoded = base64.b64decode("".join(body.replace("\\n", "").split()), validate=True)
    except ValueError:
        encoded = b""
    if len(encoded) != len(header) + _KEY_SIZE or not encoded.startswith(header):
        raise ValueError("its PEM holds no Ed25519 key")
    return encoded[-_KEY_SIZE:]


def _from_base64(text: str, refusal: str) -> bytes:
    """Return the 32 bytes of a key in base64. Raises ValueError of the refusal, without a cause that shows the text."""
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        raw = b""
    if len(raw) != _KEY_SIZE:
        raise ValueError(refusal)
    return raw


def load_ed25519() -> Any:
    """Import `cryptography`'s module of Ed25519. Raises EnvironmentWrong where it is not installed."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        message = "signatures need the package cryptography, which is not installed here"
        raise EnvironmentWrong(message, hint="Use one of runner's images, or pip install cryptography.") from error
    return ed25519
