"""Attacks with a key that is trusted, and not for this; and with one that is no key at all.

The author signs flows with one key, the containers sign what their runs leave with another, and a third key moves
aliases. Each is trusted for its role. Mallory can write to the bucket, and has a container's key: she broke into it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from runner.bundle import archive
from runner.errors import Untrusted
from runner.runs import documents
from runner.runs.layout import RunLayout
from runner.signing import keys, signatures
from runner.signing.run_signatures import RunSigner, request_digest
from support.canary import ALIASES, FLOWS, KEY, RUNS, SLUG, Target
from support.flows import located, publish
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

    from runner.signing.keys import PrivateKey
    from support.places import Place


def without_role(key: PrivateKey) -> PrivateKey:
    """Return what whoever has a key makes of it: nothing in its 32 bytes says what it is for."""
    return keys.PrivateKey(key.raw)


TRUSTED = ",".join(key.public.text for key in (FLOWS, RUNS, ALIASES))
SMALL_ORDER = {  # (RFC 8032, 5.1.3): each y, with either sign, and those that a reader without the rule reduces
    f"{name}, sign {sign}": (y | sign << 255).to_bytes(32, "little")
    for name, y in {
        "order 4": 0,
        "the identity": 1,
        "order 2": 2**255 - 20,
        "order 8": 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        "order 8 too": 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        "order 4, unreduced": 2**255 - 19,
        "the identity, unreduced": 2**255 - 18,
    }.items()
    for sign in (0, 1)
}


@pytest.fixture
def roles(target: Target) -> Target:
    target.trusting = {"RUNNER_TRUSTED_KEYS": TRUSTED}
    return target


def test_of_nobody_who_attacks_each_key_does_its_work(roles: Target) -> None:
    """The control: what the key for flows signed runs; so does what any key signed that is trusted for two roles."""
    roles.put(roles.bundle(FLOWS))
    roles.accepts()
    both = without_role(RUNS)
    roles.put(roles.bundle(both))
    roles.accepts(RUNNER_TRUSTED_KEYS=f"flows:{both.public.text},runs:{both.public.text}")
    roles.accepts(RUNNER_TRUSTED_KEYS=both.public.text)


def test_a_containers_key_signs_a_bundle(roles: Target) -> None:
    """Mallory has the key from a container's environment, and builds a flow with it."""
    roles.put(roles.bundle(without_role(RUNS)))
    roles.refuses(79, RUNS.public.id, "not trusted here to sign flows")
    roles.refuses(79, "not trusted here to sign flows", location=SLUG)


def test_the_key_that_moves_aliases_signs_a_bundle(roles: Target) -> None:
    """Whoever may say which version is in production may not write one."""
    roles.put(roles.bundle(without_role(ALIASES)))
    roles.refuses(79, ALIASES.public.id, "not trusted here to sign flows")


def test_a_containers_key_signs_and_the_author_is_named(roles: Target) -> None:
    """Her signature says that the key for flows made it."""
    signed = roles.bundle(without_role(RUNS)).replace(RUNS.public.id.encode(), FLOWS.public.id.encode())
    members = {name: bytes(part) for name, part in archive.read_bundle(roles.bundle(FLOWS)).members.items()}
    document = signed[signed.index(b'{\n "format": 1,\n "algorithm"') :].partition(b"}")[0] + b"}"
    roles.put(b"".join(archive.zip_pieces(members | {"signature.json": document})))
    roles.refuses(79, "not that of the key")


def test_nobody_is_trusted_for_flows(roles: Target) -> None:
    """The deployment names only whose runs it believes: then no flow may run, signed or not."""
    for bundle in (roles.bundle(None), roles.bundle(without_role(RUNS)), roles.bundle(FLOWS)):
        roles.put(bundle)
        roles.refuses(79, "none", RUNNER_TRUSTED_KEYS=RUNS.public.text)


@pytest.mark.parametrize("role", ["run", "RUNS", "flow", "runs ", "runs:flows", "runs,", ""])
def test_a_role_is_written_wrongly(roles: Target, role: str) -> None:
    """A slip of the pen must not make a key one for everything."""
    roles.put(roles.bundle(without_role(RUNS)))
    word = role if role.endswith(",") else f"{role}:"
    roles.refuses(78, "RUNNER_TRUSTED_KEYS", RUNNER_TRUSTED_KEYS=f"{word}{without_role(RUNS).public.text}")


# Keys for which anybody can sign


def forged(key: bytes) -> bytes:
    """Return the document of a signature that holds over any bytes for the identity as key: R is it too, and S is 0."""
    document = {"format": 1, "algorithm": "ed25519", "key": hashlib.sha256(key).hexdigest()[:16]}
    signature = base64.b64encode((1).to_bytes(32, "little") + bytes(32)).decode()
    return json.dumps(document | {"signature": signature}, indent=1).encode()


@pytest.mark.parametrize("name", SMALL_ORDER)
def test_a_key_of_small_order_is_slipped_in(target: Target, name: str) -> None:
    """A placeholder of zeros, say, that somebody left in a template; without any private key she signs for it."""
    key = SMALL_ORDER[name]
    if name == "the identity, sign 0":  # that there is something to refuse
        ed25519.Ed25519PublicKey.from_public_bytes(key).verify((1).to_bytes(32, "little") + bytes(32), b"anything")
    members = {part: bytes(data) for part, data in archive.read_bundle(target.bundle(None)).members.items()}
    target.put(b"".join(archive.zip_pieces(members | {"signature.json": forged(key)})))
    text = base64.b64encode(key).decode()
    target.refuses(78, "RUNNER_TRUSTED_KEYS", "small order", RUNNER_TRUSTED_KEYS=text)


def test_a_key_of_small_order_stands_among_others_and_in_a_pem(target: Target) -> None:
    """Beside the author's key, with a role, and as OpenSSL writes keys."""
    key = SMALL_ORDER["the identity, sign 0"]
    members = {part: bytes(data) for part, data in archive.read_bundle(target.bundle(None)).members.items()}
    target.put(b"".join(archive.zip_pieces(members | {"signature.json": forged(key)})))
    der = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + key).decode()
    pem = f"-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----"
    text = base64.b64encode(key).decode()
    for given in (f"{FLOWS.public.text},{text}", f"flows:{text}", pem, f"flows:{pem}"):
        target.refuses(78, "small order", RUNNER_TRUSTED_KEYS=given)
        done = start(target.place.environ, "verify", f"{target.place.url}/{KEY}", "-k", given)
        assert done.code == 2, done


# What runs leave


@pytest.fixture
def ran(roles: Target, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A run as r of a flow whose author signed it, in a container with the key for runs."""
    monkeypatch.setenv("RUNNER_SIGNING_KEY", FLOWS.file.decode())
    publish(roles.place, "trouble.py")
    done = start(environ_of(roles.place))
    assert done.code == 0, done
    return roles.place


def environ_of(place: Place, **more: str) -> dict[str, str]:
    given = {"RUNNER_PARAMETERS": '{"kind": "do well"}', "RUNNER_RUN_ID": "r", "RUNNER_TRUSTED_KEYS": TRUSTED}
    return located(place, "trouble") | given | {"RUNNER_SIGNING_KEY": RUNS.file.decode()} | more


@pytest.mark.parametrize("key", [FLOWS, ALIASES], ids=["flows", "aliases"])
def test_a_key_of_another_role_signs_an_outcome(ran: Place, key: PrivateKey) -> None:
    """The build server was broken into. It can publish flows; what they did it cannot say."""
    layout = RunLayout("trouble", "r")
    outcome = json.loads(ran.read(layout.outcome))
    signer = RunSigner(request_digest(json.loads(ran.read(layout.run))), keys.PrivateKey(key.raw, "runs"))
    lie = {name: part for name, part in outcome.items() if name != "signature"} | {"exit_code": 1, "state": "failed"}
    assert start(environ_of(ran)).code == 0
    ran.write(layout.outcome, documents.encode(lie | {"signature": signer.sign(lie)}))
    refused = start(environ_of(ran))
    assert (refused.code, "not trusted here to sign runs" in refused.error["message"]) == (79, True), refused
    looked = start({"RUNNER_TRUSTED_KEYS": TRUSTED}, "result", f"{ran.url}/trouble/runs/r")
    assert looked.code == 79, looked


@pytest.mark.parametrize("key", [FLOWS, ALIASES], ids=["flows", "aliases"])
def test_a_key_of_another_role_signs_a_result(key: PrivateKey) -> None:
    """With it the next attempt would unpickle what she put there."""
    hers = RunSigner("0" * 64, keys.PrivateKey(key.raw, "runs"))
    ours = RunSigner("0" * 64, RUNS, keys.read_public(TRUSTED))
    made = hers.sign_result("r", "load", None, 1, "1" * 64)
    with pytest.raises(Untrusted, match="not trusted here to sign runs"):
        ours.check_result("r", "load", None, 1, "1" * 64, made)
    ours.check_result("r", "load", None, 1, "1" * 64, ours.sign_result("r", "load", None, 1, "1" * 64))


@pytest.mark.parametrize("key", [FLOWS, ALIASES], ids=["flows", "aliases"])
def test_a_container_is_given_a_key_that_does_not_belong_there(roles: Target, key: PrivateKey) -> None:
    """A key that signs flows, where every flow could read it: the start says so, and leaves nothing behind."""
    roles.put(roles.bundle(FLOWS))
    ran = roles.run(RUNNER_SIGNING_KEY=key.file.decode())
    assert (ran.code, "needs a key for runs" in ran.error["message"]) == (78, True), ran
    assert roles.place.keys() == [KEY]
    assert not roles.canary.executed


def test_whoever_is_inside_a_container_signs_a_flow_with_its_key(roles: Target, tmp_path: Path) -> None:
    """With runner's own commands, and the variable as it stands there."""
    roles.put(roles.bundle(None))
    (tmp_path / "flow.py").write_text("def job(): ...\n")
    environ = {"RUNNER_SIGNING_KEY": RUNS.file.decode()}
    for command in (
        ("sign", f"{roles.place.url}/{KEY}"),
        ("build", f"{tmp_path / 'flow.py'}:job", "--storage", roles.place.url),
    ):
        done = start(environ, *command)
        assert (done.code, "needs a key for flows" in done.stderr) == (78, True), done
    assert roles.place.keys() == [KEY]


def test_the_role_is_taken_from_a_key_where_it_is_kept(roles: Target, tmp_path: Path) -> None:
    """She deletes the line with the role from the file. The key signs then; what it signed is nothing."""
    roles.put(roles.bundle(None))
    (tmp_path / "key").write_bytes(RUNS.pem)
    done = start({"RUNNER_SIGNING_KEY_FILE": str(tmp_path / "key")}, "sign", f"{roles.place.url}/{KEY}")
    assert done.code == 0, done
    roles.refuses(79, "not trusted here to sign flows", location=SLUG)


def test_a_signature_of_one_role_is_checked_for_another() -> None:
    """One key is trusted for two roles: a signature for one kind of thing is none of the other."""
    both = keys.read_public(f"flows:{without_role(RUNS).public.text},runs:{without_role(RUNS).public.text}")
    made = signatures.sign(without_role(RUNS), signatures.DOCUMENT, b"{}")
    with pytest.raises(Untrusted, match="not that of the key"):
        signatures.check(both, signatures.BUNDLE, b"{}", made, "it")
