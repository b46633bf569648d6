"""Ed25519 keys with what each may sign, and reading them from PEM and base64.

They are read by their fixed encodings (RFC 8410), so that settings are checked without importing `cryptography`. Before
a key may stand its role and a colon: ``runs:BASE64``; neither base64 nor PEM has one.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import stat
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal, get_args

from runner.errors import EnvironmentWrong, UsageError

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    KeySource: TypeAlias = "PrivateKey | str | bytes | os.PathLike[str]"

Role = Literal["flows", "runs", "aliases"]  # what a key signs: bundles, what runs leave, where an alias points
ROLES: tuple[Role, ...] = get_args(Role)
_WITHOUT_ROLE = ("flows", "runs")  # what a key without a role may sign, as all could before there were roles
_KEY_SIZE = 32  # bytes
_PRIME = 2**255 - 19  # of the field; the low 255 bits of a public key are its point's y, little endian
_Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
# y of the eight points whose order divides 8: for such a key anybody can make signatures (RFC 8032 leaves them in)
_SMALL_ORDER = frozenset({0, 1, _PRIME - 1, _Y_OF_ORDER_8, _PRIME - _Y_OF_ORDER_8})
_PUBLIC_HEADER = bytes.fromhex("302a300506032b6570032100")  # DER before the 32 bytes: SubjectPublicKeyInfo
_PRIVATE_HEADER = bytes.fromhex("302e020100300506032b657004220420")  # PKCS #8
_PEM = re.compile(r"(?:(\w+):(?:\s|\\n)*)?-----BEGIN ([A-Z ]+)-----(.*?)-----END \2-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key, which checks signatures; nothing about it is secret. Raises ValueError for one of small order."""

    raw: bytes
    role: Role | None = None

    def __post_init__(self) -> None:
        y = int.from_bytes(self.raw, "little") & (2**255 - 1)
        if y >= _PRIME or y in _SMALL_ORDER:
            raise ValueError("a public key of small order, for which anybody can sign")

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of its SHA-256, by which people and signatures name it."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    @property
    def text(self) -> str:
        """The key as ``RUNNER_TRUSTED_KEYS`` takes it: its role, if it has one, and base64 of its 32 bytes."""
        return f"{self.role}:" * bool(self.role) + base64.b64encode(self.raw).decode()

    def may_sign(self, role: Role) -> bool:
        """Whether what was signed with it counts as signed by somebody of that role."""
        return _counts_as(self.role, role)


@dataclass(frozen=True, slots=True, repr=False)
class PrivateKey:
    """A private key, which signs; its ``repr`` shows nothing of it."""

    raw: bytes
    role: Role | None = None

    def __repr__(self) -> str:
        return "PrivateKey(<secret>)"

    @property
    def public(self) -> PublicKey:
        """The public key that belongs to it. Raises EnvironmentWrong without `cryptography`."""
        private = load_ed25519().Ed25519PrivateKey.from_private_bytes(self.raw)
        return PublicKey(private.public_key().public_bytes_raw(), self.role)

    @property
    def pem(self) -> bytes:
        """The key as a file has it, and as OpenSSL writes and reads it: PEM of PKCS #8."""
        text = base64.b64encode(_PRIVATE_HEADER + self.raw).decode()
        return f"-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n".encode()

    @property
    def file(self) -> bytes:
        """The key as ``runner keygen`` writes it: its role, if it has one, on a line of its own, then the PEM."""
        return f"{self.role}:\n".encode() * bool(self.role) + self.pem

    def check_role(self, role: Role) -> None:
        """Refuse to sign what a key of another role signs. Raises EnvironmentWrong."""
        if not _counts_as(self.role, role):
            is_for = f"is for {self.role}" if self.role else "has no role, and signs flows and runs alone"
            message = f"what should be signed needs a key for {role}, and the key {self.public.id} {is_for}"
            raise EnvironmentWrong(message, hint=f"Take another, or make one: runner keygen --for {role} FILE.")


def _counts_as(own: Role | None, role: Role) -> bool:
    """Whether a key that was made for a role, or for none, may sign what one of the other role signs."""
    return role == own if own else role in _WITHOUT_ROLE


def new_key(role: Role | None = None) -> PrivateKey:
    """Generate a key. Raises EnvironmentWrong without `cryptography`."""
    return PrivateKey(load_ed25519().Ed25519PrivateKey.generate().private_bytes_raw(), role)


def read_private(text: str) -> PrivateKey:
    """Read a private key: PEM (PKCS #8, not encrypted), or base64 of the 32 bytes; its role may stand before it.

    Raises ValueError with a sentence that shows nothing of the text.
    """
    found = _PEM.search(text)
    if found is None:
        word, role = _without_role(text.strip())
        return PrivateKey(_from_base64(word, "no private key: give PEM of PKCS #8, or base64 of its 32 bytes"), role)
    if found[2] == "PUBLIC KEY":
        raise ValueError("a public key, which cannot sign; give the private one")
    if found[2] != "PRIVATE KEY":
        raise ValueError(
            f"a key of the kind {found[2].lower()!r}; give an Ed25519 key as PEM of PKCS #8, not encrypted"
        )
    return PrivateKey(_from_der(found[3], _PRIVATE_HEADER), _role(found[1]))


def key_from(source: KeySource) -> PrivateKey:
    """Return the private key that an author hands over: the key, its text, or the path of its file.

    Raises UsageError, which shows nothing of it.
    """
    if isinstance(source, PrivateKey):
        return source
    if isinstance(source, os.PathLike):
        warn_if_exposed(os.fspath(source))
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


@cache
def warn_if_exposed(path: str) -> None:
    """Warn once of a private key's file that is ours and that others may read, by the rule that ssh has.

    One of another owner is not ours to change: a mounted secret is root's, and of mode 0644.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - pathlib costs the start 5 ms
    except (OSError, ValueError):  # whoever reads it tells
        return
    is_ours = stat.S_ISREG(status.st_mode) and hasattr(os, "getuid") and status.st_uid == os.getuid()
    if is_ours and status.st_mode & 0o077 and sys.stderr:
        mode = f"{status.st_mode & 0o777:04o}"
        advice = f"warning: the private key in {path!r} has mode {mode}, and others can read it: chmod 600"
        print(advice, file=sys.stderr)  # noqa: T201 - no log is open yet


def read_public(text: str) -> tuple[PublicKey, ...]:
    """Read public keys, comma separated or one after the other: each PEM, or base64 of the 32 bytes.

    Before each its role may stand. A key that stands there with two roles has both.

    Raises ValueError with a sentence that shows nothing of the text: somebody may have taken the private key for it.
    """
    keys = []
    for role, kind, body in _PEM.findall(text):
        if kind != "PUBLIC KEY":
            raise ValueError("a private key stands where public ones belong" if "PRIVATE" in kind else "no public key")
        keys.append(PublicKey(_from_der(body, _PUBLIC_HEADER), _role(role)))
    words = re.split(r"(?:[,\s]|\\n)+", _PEM.sub(",", text))
    refusal = "no public key: give PEM, or base64 of the key's 32 bytes"
    for encoded, named in map(_without_role, filter(None, words)):
        keys.append(PublicKey(_from_base64(encoded, refusal), named))
    if not keys:
        raise ValueError("it holds no key, and would trust nobody; give one, or unset it to trust everybody")
    return tuple(dict.fromkeys(keys))


def _without_role(word: str) -> tuple[str, Role | None]:
    """Split a key in base64 from the role before it. Raises ValueError."""
    role, colon, encoded = word.rpartition(":")
    if colon and not role:
        raise ValueError(f"a colon without a role before it: choose one of {', '.join(ROLES)}")
    return encoded, _role(role)


def _role(word: str | None) -> Role | None:
    """Return the role of that name, if any is given. Raises ValueError, which does not show it."""
    role = next((each for each in ROLES if each == word), None)
    if word and role is None:
        raise ValueError(f"what stands before a key is no role: choose one of {', '.join(ROLES)}")
    return role


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
