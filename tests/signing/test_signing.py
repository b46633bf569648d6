"""Keys and signatures: what OpenSSL and `cryptography` make of them too, and what is refused."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from runner.errors import EnvironmentWrong, Untrusted
from runner.limits import limit_of
from runner.signing import keys, signatures

if TYPE_CHECKING:
    from pathlib import Path

KEY = keys.PrivateKey(bytes(range(32)))  # of fixed bytes, so that the names of tests are the same in every process
OTHER = keys.PrivateKey(bytes(range(32, 64)))
DATA = b'{"format": 1}'
SIGNED = signatures.sign(KEY, signatures.BUNDLE, DATA)
PEM = KEY.pem.decode()
PUBLIC_PEM = (
    ed25519.Ed25519PublicKey.from_public_bytes(KEY.public.raw)
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


def test_a_signature_is_that_of_its_key_its_purpose_and_its_bytes() -> None:
    assert signatures.check([OTHER.public, KEY.public], signatures.BUNDLE, DATA, SIGNED, "it") == KEY.public
    for trusted, purpose, data, words in [
        ([OTHER.public], signatures.BUNDLE, DATA, KEY.public.id),
        ([KEY.public], signatures.Purpose("something else", "flows"), DATA, "not that of the key"),
        ([KEY.public], signatures.BUNDLE, DATA + b" ", "not that of the key"),
    ]:
        with pytest.raises(Untrusted, match=words):
            signatures.check(trusted, purpose, data, SIGNED, "it")
    with pytest.raises(Untrusted, match="not signed"):
        signatures.check([KEY.public], signatures.BUNDLE, DATA, None, "it")


def test_cryptography_verifies_what_is_documented() -> None:
    """The prefix and the document are those of docs/formats.md."""
    document = json.loads(SIGNED)
    assert set(document) == {"format", "algorithm", "key", "signature"}
    assert (document["format"], document["algorithm"], document["key"]) == (1, "ed25519", KEY.public.id)
    ed25519.Ed25519PublicKey.from_public_bytes(KEY.public.raw).verify(
        base64.b64decode(document["signature"]), b"runner bundle manifest\0" + DATA
    )


@pytest.mark.parametrize(
    "text",
    [
        PEM,
        PEM.replace("\n", "\\n"),
        PEM.replace("\n", " "),
        PEM.replace("\n", "\r\n"),
        base64.b64encode(KEY.raw).decode(),
        base64.b64encode(KEY.raw).decode() + "\n",
    ],
)
def test_a_private_key_is_read_in_every_form_that_a_variable_gives_it(text: str) -> None:
    assert keys.read_private(text) == KEY


@pytest.mark.parametrize(
    "text",
    [
        KEY.public.text,
        PUBLIC_PEM,
        PUBLIC_PEM.replace("\n", "\\n"),
        f" {KEY.public.text} ,",
        f"{KEY.public.text},{PUBLIC_PEM}",
    ],
)
def test_a_public_key_is_read_in_every_form(text: str) -> None:
    assert keys.read_public(text) == (KEY.public,)


def test_several_public_keys_are_read_in_their_order() -> None:
    both = (KEY.public, OTHER.public)
    assert keys.read_public(f"{PUBLIC_PEM},{OTHER.public.text}") == both
    assert keys.read_public(f"{KEY.public.text}, {OTHER.public.text}") == both
    assert keys.read_public(f"{KEY.public.text}\n{OTHER.public.text}\n") == both


@pytest.mark.parametrize("role", keys.ROLES)
def test_a_role_is_read_before_every_form_and_written_again(role: keys.Role) -> None:
    raw = base64.b64encode(KEY.raw).decode()
    given = keys.PrivateKey(KEY.raw, role)
    for text in (f"{role}:{raw}", f"{role}:\n{PEM}", f"{role}:{PEM}", given.file.decode(), f"{role}:\\n{PEM}"):
        assert keys.read_private(text) == given
    public = given.public
    assert public.role == role
    for text in (public.text, f"{role}:\n{PUBLIC_PEM}", f"{role}:{PUBLIC_PEM}", f"{role}:\\n{PUBLIC_PEM}"):
        assert keys.read_public(text) == (public,)
        assert keys.read_public(f"{OTHER.public.text},{text}") in {(OTHER.public, public), (public, OTHER.public)}
    assert public.id == KEY.public.id


def test_a_key_without_a_role_signs_flows_and_runs_and_moves_no_alias() -> None:
    assert [KEY.public.may_sign(role) for role in ("flows", "runs", "aliases")] == [True, True, False]
    for role in keys.ROLES:
        may = [keys.PrivateKey(KEY.raw, role).public.may_sign(other) for other in keys.ROLES]
        assert may == [other == role for other in keys.ROLES]
    with pytest.raises(EnvironmentWrong, match=r"needs a key for aliases.*has no role"):
        signatures.sign(KEY, signatures.Purpose("alias", "aliases"), DATA)


def test_every_key_that_cryptography_makes_is_taken() -> None:
    for _ in range(200):
        assert keys.new_key().public.raw


def other_kind(*, private: bool = True) -> str:
    key = ec.derive_private_key(7, ec.SECP256R1())
    if not private:
        return (
            key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def encrypted() -> str:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(KEY.raw)
    how = serialization.BestAvailableEncryption(b"password")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "32 bytes"),
        ("hunter2-hunter2", "32 bytes"),
        (base64.b64encode(KEY.raw * 2).decode(), "32 bytes"),
        (PUBLIC_PEM, "cannot sign"),
        (other_kind(), "no Ed25519 key"),
        (encrypted(), "not encrypted"),
        (PEM.replace("M", "!"), "no"),
        (f"hunter2:{PEM}", "no role"),
        (f"hunter2:{base64.b64encode(KEY.raw).decode()}", "no role"),
        (f":{base64.b64encode(KEY.raw).decode()}", "without a role"),
    ],
    ids=[
        "nothing",
        "a password",
        "64 bytes",
        "a public key",
        "another kind",
        "encrypted",
        "no base64",
        "a role of a PEM",
        "a role of base64",
        "a colon",
    ],
)
def test_what_is_no_private_key_is_refused_without_showing_it(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        keys.read_private(text)
    assert "hunter2" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no key"),
        (" , ", "holds no key"),
        ("hunter2-hunter2", "32 bytes"),
        (PEM, "private key"),
        (other_kind(private=False), "no Ed25519 key"),
        (f"{KEY.public.text},nonsense", "32 bytes"),
        (f"hunter2:{KEY.public.text}", "no role"),
        (f"hunter2:{PUBLIC_PEM}", "no role"),
        (f":{KEY.public.text}", "without a role"),
        (base64.b64encode(bytes(32)).decode(), "small order"),
        (base64.b64encode(bytes([255] * 32)).decode(), "small order"),
    ],
)
def test_what_is_no_public_key_is_refused_without_showing_it(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refusal:
        keys.read_public(text)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"[" * 1000,
        b"{}",
        SIGNED + b"\n",
        SIGNED.replace(b'"format": 1', b'"format": 2'),
        SIGNED.replace(b"ed25519", b"none"),
        SIGNED.replace(KEY.public.id.encode(), b"0" * 15),
        json.dumps(json.loads(SIGNED) | {"signature": "AA=="}, indent=1).encode(),
        json.dumps(json.loads(SIGNED) | {"signature": 5}, indent=1).encode(),
        json.dumps(json.loads(SIGNED) | {"more": 1}, indent=1).encode(),
        SIGNED + b" " * limit_of("signature"),
    ],
)
def test_a_signature_that_runner_would_not_write_is_refused(document: bytes) -> None:
    with pytest.raises(ValueError, match="it is"):
        signatures.check_form(document)
    with pytest.raises(Untrusted, match="cannot be read"):
        signatures.check([KEY.public], signatures.BUNDLE, DATA, document, "it")


def test_a_key_never_shows_itself() -> None:
    shown = f"{KEY!r} {KEY} {[KEY]}"
    assert base64.b64encode(KEY.raw).decode() not in shown
    assert repr(KEY.raw) not in shown


def test_openssl_reads_a_key_of_runners_and_the_other_way_round(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl here")
    (tmp_path / "key").write_bytes(keys.PrivateKey(KEY.raw, "runs").file)
    command = [openssl, "pkey", "-in", str(tmp_path / "key"), "-pubout"]
    assert keys.read_public(subprocess.run(command, capture_output=True, text=True, check=True).stdout) == (KEY.public,)
    made = subprocess.run([openssl, "genpkey", "-algorithm", "ed25519"], capture_output=True, text=True, check=True)
    assert len(keys.read_private(made.stdout).raw) == 32


def test_reading_keys_imports_no_cryptography() -> None:
    code = (
        "import sys\nfrom runner.signing import keys, signatures\n"
        f"keys.read_public({KEY.public.text!r}); keys.read_private({PEM!r}); signatures.check_form({SIGNED!r})\n"
        "assert 'cryptography' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_cryptography_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(EnvironmentWrong, match="pip install cryptography"):
        signatures.sign(KEY, signatures.BUNDLE, DATA)
