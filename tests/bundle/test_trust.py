"""Who may run here: whose signature, in which place, of what age."""

from __future__ import annotations

import base64
import json
import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, build_flow
from runner.bundle import archive, member_names, trust
from runner.errors import EnvironmentWrong, Untrusted, UsageError
from runner.location import parse_location
from runner.settings import Settings
from runner.signing import keys, signatures
from runner.storage import Local
from support.canary import AUTHOR, KEY, MALLORY, NEWER, SLUG, VERSION, Target, facts_of
from support.flows import located, publish
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

    from runner.schema.documents import FlowReference
    from support.places import Place

OWN: FlowReference = {"name": "Täglich", "version": VERSION, "key": "releases/v1"}
BUILT: FlowReference = {"name": "Täglich", "version": VERSION, "key": f"team/taglich/{VERSION}"}
OF_BEFORE: FlowReference = {"name": "Täglich", "version": VERSION}


def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("flow", "place"),
    [
        (BUILT, f"s3://b/team/taglich/{VERSION}"),
        (BUILT, f"file:///mnt/elsewhere/team/taglich/{VERSION}"),
        (OWN, "gs://b/releases/v1"),
        (OWN, "file:///mnt/releases/v1"),
        (OF_BEFORE, f"s3://b/taglich/{VERSION}"),
        (OF_BEFORE, f"s3://b/team/taglich/{VERSION}"),
        (OF_BEFORE, f"file:///mnt/taglich/{VERSION}"),
        ({"name": "T", "version": VERSION, "key": "latest"}, "file:///mnt/staging/latest"),
    ],
)
def test_a_bundle_runs_where_it_was_built_for(flow: FlowReference, place: str) -> None:
    trust.check_place(flow, parse_location(place))


@pytest.mark.parametrize(
    ("flow", "place"),
    [
        (BUILT, f"s3://b/taglich/{VERSION}"),
        (BUILT, f"s3://b/my/team/taglich/{VERSION}"),
        (BUILT, f"s3://b/Team/taglich/{VERSION}"),
        (BUILT, f"s3://b/team/other/{VERSION}"),
        (BUILT, f"s3://b/team/taglich/{NEWER}"),
        (BUILT, "s3://b/team/taglich"),
        (BUILT, f"file:///mnt/my-team/taglich/{VERSION}"),
        (BUILT, f"file:///mnt/taglich/{VERSION}"),
        (OWN, "gs://b/releases/v2"),
        (OWN, "gs://b/team/releases/v1"),
        (OWN, "gs://b/v1"),
        (OWN, f"gs://b/taglich/{VERSION}"),
        (OWN, "file:///mnt/other/v1"),
        (OF_BEFORE, f"s3://b/other/{VERSION}"),
        (OF_BEFORE, f"s3://b/not-taglich/{VERSION}"),
        (OF_BEFORE, f"s3://b/taglich/{NEWER}"),
        (OF_BEFORE, f"s3://b/{VERSION}"),
        (OF_BEFORE, "s3://b/taglich"),
        (OF_BEFORE, "s3://b/pinned/etl.bundle"),
        (OF_BEFORE, "s3://b"),
    ],
)
def test_a_bundle_cannot_pass_as_another_flow_or_version(flow: FlowReference, place: str) -> None:
    with pytest.raises(Untrusted, match="which belongs at "):
        trust.check_place(flow, parse_location(place))


def test_the_canary_sings_where_its_author_is_trusted(target: Target) -> None:
    """What all attacks rely on: a trusted bundle is unpickled, and that is seen."""
    target.put(target.bundle())
    target.accepts()
    target.accepts(SLUG)
    assert target.run().code == 65
    assert target.canary.executed


def test_any_of_several_trusted_keys_will_do(target: Target) -> None:
    keys = f"{MALLORY.public.text},{AUTHOR.public.text}"
    for key in (AUTHOR, MALLORY):
        target.put(target.bundle(key))
        target.accepts(RUNNER_TRUSTED_KEYS=keys)
    target.refuses(79, MALLORY.public.id, "not trusted", RUNNER_TRUSTED_KEYS=AUTHOR.public.text)


def test_trusted_keys_can_stand_in_a_file(target: Target, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{MALLORY.public.text}\n{AUTHOR.public.text}\n")
    target.put(target.bundle())
    target.trusting = {"RUNNER_TRUSTED_KEYS_FILE": str(file)}
    target.accepts()
    target.put(target.bundle(None))
    target.refuses(79, "the bundle is not signed")


def test_without_trusted_keys_a_signature_is_no_hindrance(target: Target) -> None:
    target.put(target.bundle(MALLORY))
    target.trusting = {}
    target.accepts()


def test_a_trusted_bundle_can_still_be_too_old(target: Target) -> None:
    target.put(target.bundle())
    target.refuses(79, VERSION, "RUNNER_MIN_VERSION", RUNNER_MIN_VERSION=NEWER)
    target.accepts(RUNNER_MIN_VERSION=VERSION)


def test_trust_comes_before_fit(target: Target) -> None:
    """What a stranger's manifest says is no advice to print."""
    target.put(target.bundle(MALLORY, requires=[{"module": "evil", "distribution": "evil", "version": "1"}]))
    ran = target.run()
    assert ran.code == 79
    assert "evil" not in ran.stdout


# What is written


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(AUTHOR.pem)
    return path


def signer(data: bytes) -> str:
    read = archive.read_bundle(data)
    manifest = bytes(read.members[member_names.MANIFEST])
    return signatures.check([AUTHOR.public], signatures.BUNDLE, manifest, read.signature, "it").id


@pytest.mark.parametrize("form", ["key", "pem", "bytes", "base64", "path"])
def test_a_build_is_signed_with_what_it_is_given(here: Place, key_file: Path, form: str) -> None:
    given: dict[str, Any] = {
        "key": AUTHOR,
        "pem": AUTHOR.pem.decode(),
        "bytes": AUTHOR.pem,
        "base64": base64.b64encode(AUTHOR.raw).decode(),
        "path": key_file,
    }
    Flow("f", storage=Local(here.url.removeprefix("file://"))).storage.build(sign_with=given[form])
    assert signer(here.read(here.keys()[0])) == AUTHOR.public.id


@pytest.mark.parametrize("bad", ["hunter2-hunter2", b"\xff", 5])
def test_what_is_no_key_signs_nothing_and_is_not_shown(here: Place, bad: Any) -> None:
    with pytest.raises(UsageError, match="private key") as refusal:
        Flow("f", storage=Local(here.url.removeprefix("file://"))).storage.build(sign_with=bad)
    assert "hunter2" not in str(refusal.value)
    assert here.keys() == []


def test_a_key_file_that_is_not_there_is_told(here: Place, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        Flow("f", storage=Local(here.url.removeprefix("file://"))).storage.build(sign_with=tmp_path / "nowhere")


def test_the_variable_signs_every_build(here: Place, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_SIGNING_KEY_FILE", str(key_file))
    url = build_flow(nothing, name="f", storage=Local(here.url.removeprefix("file://")))
    assert signer(here.read(here.keys()[0])) == AUTHOR.public.id
    assert start({"RUNNER_TRUSTED_KEYS": AUTHOR.public.text}, "verify", url).code == 0


def test_a_signed_flow_runs_in_a_container_that_has_the_public_key_alone(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_SIGNING_KEY", AUTHOR.pem.decode())
    url = publish(here, "etl.py")
    monkeypatch.delenv("RUNNER_SIGNING_KEY")
    assert start({"RUNNER_LOCATION": url, "RUNNER_TRUSTED_KEYS": AUTHOR.public.text}).code == 0
    assert start({"RUNNER_LOCATION": url, "RUNNER_TRUSTED_KEYS": MALLORY.public.text}).code == 79


def test_a_bundle_with_an_own_key_runs_when_it_is_named(here: Place) -> None:
    folder = here.url.removeprefix("file://")
    url = build_flow(nothing, name="f", storage=Local(folder, key="releases/v1"), sign_with=AUTHOR)
    assert start({"RUNNER_TRUSTED_KEYS": AUTHOR.public.text}, "verify", url).code == 0


# The commands


def test_keygen_writes_a_private_file_once_and_prints_the_public_key(tmp_path: Path) -> None:
    file = tmp_path / "key"
    made = start({}, "keygen", str(file))
    assert made.code == 0, made
    key = keys.read_private(file.read_text())
    assert made.stdout.strip() == key.public.text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = start({}, "keygen", str(file))
    assert again.code == 2
    assert "never overwritten" in again.stderr
    assert keys.read_private(file.read_text()) == key
    printed = json.loads(start({}, "keygen", "--json", str(tmp_path / "new folder" / "other")).stdout)
    assert (tmp_path / "new folder").stat().st_mode & 0o777 == 0o700
    assert set(printed) == {"file", "public", "id", "for"}
    assert printed["for"] is None


def test_keygen_leaves_no_empty_key_where_there_is_no_room(tmp_path: Path) -> None:
    file = tmp_path / "key"
    full = f"ulimit -f 0; {sys.executable} -m runner keygen {file}"
    done = subprocess.run(full, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, "cannot be written" in done.stderr, file.exists()) == (2, True, False), done.stderr


@pytest.mark.parametrize("role", keys.ROLES)
def test_keygen_makes_a_key_for_a_role(tmp_path: Path, role: str) -> None:
    file = tmp_path / "key"
    made = start({}, "keygen", "--for", role, str(file))
    key = keys.read_private(file.read_text())
    assert (key.role, made.stdout.strip()) == (role, key.public.text)
    assert made.stdout.startswith(f"{role}:")
    assert start({}, "keygen", "--for", "everything", str(tmp_path / "other")).code == 2


def test_a_key_file_that_others_can_read_is_told_once_and_used(target: Target, key_file: Path) -> None:
    target.put(target.bundle(None))
    url = f"{target.place.url}/{KEY}"
    for mode, told in ((0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o644, 1)):
        key_file.chmod(mode)
        done = start({"RUNNER_SIGNING_KEY_FILE": str(key_file)}, "sign", url)
        assert (done.code, done.stderr.count("others can read it")) == (0, told), done
    done = start(located(target.place, KEY) | {"RUNNER_SIGNING_KEY_FILE": str(key_file)})
    assert done.stderr.count(f"the private key in {str(key_file)!r} has mode 0644") == 1, done


def test_a_mounted_key_of_another_owner_is_no_matter(
    key_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Docker and Kubernetes mount secrets as root's, and with mode 0644 or 0440, to another user."""
    key_file.chmod(0o644)
    monkeypatch.setattr(os, "getuid", lambda: 65532 if key_file.stat().st_uid != 65532 else 0)
    assert keys.key_from(key_file) == AUTHOR
    assert capsys.readouterr().err == ""


def test_verify_tells_who_signed_or_refuses(target: Target, tmp_path: Path) -> None:
    environ = located(target.place, KEY)
    url = f"{target.place.url}/{KEY}"
    target.put(target.bundle())
    assert AUTHOR.public.id in start(environ | target.trusting, "verify", url).stdout
    printed = json.loads(start(environ, "verify", url, "-k", AUTHOR.public.text, "--json").stdout)
    assert (printed["signed_by"], printed["flow"]["version"]) == (AUTHOR.public.id, VERSION)
    (tmp_path / "keys").write_text(AUTHOR.public.text)
    assert start(environ, "verify", url, "-k", str(tmp_path / "keys")).code == 0
    assert start(environ | target.trusting, "verify", url, "-k", MALLORY.public.text).code == 79
    assert start(environ, "verify", url).code == 2
    (tmp_path / "keys").write_text("nonsense")
    for bad in ("nonsense", str(tmp_path / "keys")):
        done = start(environ, "verify", url, "-k", bad)
        assert (done.code, "key" in done.stderr) == (2, True), done
    target.put(target.canary.pickled)
    assert start(environ | target.trusting, "verify", url).code == 79
    assert not target.canary.executed


def test_sign_publishes_a_signed_copy_as_the_newest_version(target: Target, key_file: Path) -> None:
    target.put(unsigned := target.bundle(None))
    url = f"{target.place.url}/{SLUG}"
    signing_env = {"RUNNER_SIGNING_KEY_FILE": str(key_file)}
    looked_at = json.loads(start({}, "inspect", url, "--json").stdout)["sha256"]
    done = start(signing_env, "sign", url, "--sha256", looked_at, "--json")
    printed = json.loads(done.stdout)
    assert printed["copy_of"] == f"{url}/{VERSION}"
    assert start(target.trusting, "verify", url).stdout.startswith(printed["location"])
    copy = archive.read_bundle(target.place.read(f"{SLUG}/{printed['location'].rpartition('/')[2]}"))
    before = archive.read_bundle(unsigned)
    assert copy.manifest["members"] == before.manifest["members"]
    assert copy.manifest | {"flow": 0} == before.manifest | {"flow": 0}
    assert target.place.read(KEY) == unsigned
    assert not target.canary.executed


def test_sign_refuses_without_a_key_for_other_bytes_and_for_a_pickle(target: Target, key_file: Path) -> None:
    target.put(target.bundle(None))
    url = f"{target.place.url}/{KEY}"
    signing_env = {"RUNNER_SIGNING_KEY_FILE": str(key_file)}
    assert start({}, "sign", url).code == 2
    assert start(signing_env, "sign", url, "--sha256", "0" * 64).code == 79
    target.put(target.canary.pickled)
    assert start(signing_env, "sign", url).code == 65
    assert target.place.keys() == [KEY]


def test_sign_moves_a_bundle_of_an_own_key_under_its_flows_name(target: Target, key_file: Path) -> None:
    own = {"name": SLUG, "version": VERSION, "key": "v1"}
    data = archive.write_bundle(facts_of() | {"flow": own}, {"flow.pkl": target.canary.pickled})
    target.put(data, "releases/v1")
    url = f"{target.place.url}/releases/v1"
    done = start({"RUNNER_SIGNING_KEY_FILE": str(key_file)}, "sign", url)
    assert f"/releases/{SLUG}/" in done.stdout, done
    assert start(target.trusting, "verify", done.stdout.strip()).code == 0


def test_a_result_is_not_unpickled_where_only_signed_things_may_be(here: Place, tmp_path: Path) -> None:
    publish(here, "etl.py")
    assert start(located(here, "e-t-l-taglich") | {"RUNNER_RUN_ID": "r"}).code == 0
    run = f"{here.url}/e-t-l-taglich/runs/r"
    trusting = {"RUNNER_TRUSTED_KEYS": AUTHOR.public.text}
    assert start(trusting, "result", run).code == 79
    assert start(trusting, "result", run, "-o", str(tmp_path / "copy")).code == 79
    assert not (tmp_path / "copy").exists()


def test_doctor_never_shows_the_signing_key(here: Place) -> None:
    text = base64.b64encode(AUTHOR.raw).decode()
    for shown in (text, text[:-8]):
        environ = located(here, "etl") | {"RUNNER_SIGNING_KEY": shown, "RUNNER_TRUSTED_KEYS": AUTHOR.public.text}
        done = start(environ, "doctor")
        assert shown not in done.stdout + done.stderr
        assert AUTHOR.public.text in done.stdout


def test_settings_print_no_key() -> None:
    text = base64.b64encode(AUTHOR.raw).decode()
    settings = Settings.from_environ({"RUNNER_SIGNING_KEY": text}, needs_location=False)
    assert settings.signing_key == AUTHOR
    assert text not in repr(settings)
    with pytest.raises(EnvironmentWrong) as refusal:
        Settings.from_environ({"RUNNER_SIGNING_KEY": text[:-8]}, needs_location=False)
    assert text[:-8] not in str(refusal.value)


def test_a_copied_folder_keeps_its_trust(target: Target, tmp_path: Path) -> None:
    target.put(target.bundle())
    shutil.copytree(target.place.url.removeprefix("file://"), tmp_path / "copy")
    environ = {"RUNNER_LOCATION": f"file://{tmp_path}/copy/{SLUG}"} | target.trusting
    assert start(environ, "check").code == 65
    assert target.canary.executed
