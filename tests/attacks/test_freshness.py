"""Attacks on what is the newest, and on what an alias stands for: rollback, freeze, and mix-and-match.

Their names are those of The Update Framework (https://theupdateframework.github.io/specification/latest/). All that
Mallory uses was truly signed, unless the story says otherwise.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from runner import naming
from runner.backends.local.files import LocalStorage
from runner.bundle import pointers
from runner.bundle.fetch import fetch
from runner.bundle.pointers import Named, Pointer
from runner.errors import BundleCorrupt, Untrusted
from runner.location import Location
from runner.publishing.newest import point_to_newest
from runner.settings import Settings
from runner.signing import keys, signatures
from support.canary import AUTHOR, KEY, MALLORY, NEWER, SLUG, VERSION, Canary, Target
from support.flows import located
from support.places import s3_place
from support.starting import start

if TYPE_CHECKING:
    from runner.signing.keys import PrivateKey, Role
    from support.servers import Server

NEW = f"{SLUG}/{NEWER}"
LATEST = f"{SLUG}/latest.json"
PROD = f"{SLUG}/aliases/prod.json"
NEWEST = Pointer(SLUG)
RELEASER = keys.PrivateKey(hashlib.sha256(b"releaser").digest(), "aliases")
TRUSTING = {"RUNNER_TRUSTED_KEYS": f"{AUTHOR.public.text},{RELEASER.public.text}"}
HOUR = {"RUNNER_MAX_AGE": "3600"}


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat(timespec="microseconds")


def point(
    target: Target,
    data: bytes,
    version: str = VERSION,
    pointer: Pointer = NEWEST,
    key: PrivateKey | None = RELEASER,
    made: str | None = None,
) -> bytes:
    """Write a pointer as a build or a promotion does, at a time, and return its bytes."""
    key = AUTHOR if key is RELEASER and not pointer.alias else key
    named = Named(SLUG, version, hashlib.sha256(data).hexdigest())
    with mock.patch.object(naming, "now", return_value=made or ago(0)):
        pointers.write(target.place.open(), pointer, named, key)
    return target.place.read(pointer.key)


def bucket(server: Server, tmp_path: Path) -> Target:
    """A bucket in which a flow and an object can have one name, and flows prefixes."""
    target = Target(s3_place(server), Canary(tmp_path))
    target.trusting = TRUSTING
    return target


@pytest.fixture
def target(target: Target) -> Target:
    target.trusting = TRUSTING
    return target


@pytest.fixture
def built(target: Target) -> Target:
    """Two versions, built by the author one after the other; the newer one is pointed to."""
    target.put(target.bundle())
    target.put(newer := target.bundle(version=NEWER), NEW)
    point(target, newer, NEWER)
    return target


def root_of(target: Target) -> Path:
    return Path(target.place.url.removeprefix("file://"))


def delete(target: Target, *keys: str) -> None:
    for key in keys:
        (root_of(target) / key).unlink()


def version_of(target: Target, location: str, **environ: str) -> str:
    verified = start(target.trusting | environ, "verify", f"{target.place.url}/{location}", "--json")
    assert verified.code == 0, verified
    return str(json.loads(verified.stdout)["flow"]["version"])


def test_what_the_author_built_runs(built: Target) -> None:
    """What all attacks rely on: without one the newest runs, and a young pointer is young enough."""
    for environ in ({}, HOUR):
        built.accepts(SLUG, **environ)
        assert version_of(built, SLUG, **environ) == NEWER


# Rollback: an older version is to pass as the newest


def test_the_newest_bundle_is_deleted(built: Target) -> None:
    """The old payroll has a hole. With the new one gone it is the newest that is listed."""
    delete(built, NEW)
    for environ in ({}, HOUR):
        built.refuses(79, f"names version {NEWER}", "not there any more", location=SLUG, **environ)


def test_the_newest_bundle_is_deleted_and_the_pointer_with_it(built: Target) -> None:
    """Nothing tells of the newer one any more; a container that demands a young pointer misses it."""
    delete(built, NEW, LATEST)
    built.refuses(79, "there is no", "latest.json", "RUNNER_MAX_AGE", location=SLUG, **HOUR)


def test_the_pointer_of_the_old_bundle_is_put_back(built: Target) -> None:
    """She kept it from when the old payroll was the newest, a day ago; the new one she deletes."""
    point(built, built.bundle(), made=ago(86400))
    delete(built, NEW)
    built.refuses(79, "was made 8640", "RUNNER_MAX_AGE is 3600", location=SLUG, **HOUR)


def test_the_pointer_of_the_old_bundle_is_put_back_and_the_new_bundle_is_left(built: Target) -> None:
    """However young that pointer is: what is listed and signed is newer, and runs."""
    point(built, built.bundle())
    for environ in ({}, HOUR):
        built.accepts(SLUG, **environ)
        assert version_of(built, SLUG, **environ) == NEWER


def test_the_old_bundle_is_put_under_the_name_of_the_flow(moto: Server, tmp_path: Path) -> None:
    """A location names an object before it names a flow, and no pointer tells of an object's age."""
    target = bucket(moto, tmp_path)
    target.put(data := target.bundle())
    point(target, data)
    target.accepts(SLUG, **HOUR)
    target.put(data, SLUG)
    target.refuses(79, "a key of its own", "RUNNER_MAX_AGE", location=SLUG, **HOUR)
    target.accepts(SLUG, RUNNER_BUNDLE_SHA256=hashlib.sha256(data).hexdigest(), **HOUR)


def test_another_bundle_of_the_same_version_is_put_in_the_place_of_the_newest(built: Target) -> None:
    """The author built twice under one clock, and signed both: of one version the pointer names one digest."""
    built.put(built.bundle(version=NEWER, labels=["other"]), NEW)
    for environ in ({}, HOUR):
        built.refuses(79, "is not the bundle that", "latest.json", location=SLUG, **environ)


def test_the_author_is_made_to_sign_the_rollback(built: Target) -> None:
    """She deletes the newest, and waits for the author to make the pointer anew: that is refused to the author, too."""
    delete(built, NEW)
    signing = built.trusting | {"RUNNER_SIGNING_KEY": base64.b64encode(AUTHOR.raw).decode()}
    before = built.place.read(LATEST)
    done = start(signing, "sign", f"{built.place.url}/{SLUG}")
    assert (done.code, NEWER in done.stderr) == (79, True), done
    assert built.place.read(LATEST) == before
    assert start(signing, "promote", f"{built.place.url}/{SLUG}", "--as", "prod").code == 79


# Freeze: the state of a day is to pass as that of today


def test_the_bucket_is_kept_as_it_was(target: Target) -> None:
    """She stands between container and bucket, and answers for ever as on the day when the hole was not yet mended."""
    target.put(data := target.bundle())
    point(target, data, made=ago(3601))
    target.refuses(79, "was made 360", "RUNNER_MAX_AGE is 3600", location=SLUG, **HOUR)
    target.accepts(SLUG)
    point(target, data, made=ago(3000))
    target.accepts(SLUG, **HOUR)


def test_the_pointer_is_of_a_time_that_is_to_come(target: Target) -> None:
    """It was made on a machine whose clock ran ten years ahead, and would stay young for as long."""
    target.put(data := target.bundle())
    point(target, data, made=ago(-10 * 365 * 86400))
    target.refuses(79, "s from now, by the clock of this machine", location=SLUG, **HOUR)


def test_an_alias_is_kept_as_it_was(built: Target) -> None:
    """What she puts back is an alias, from before the last promotion."""
    point(built, built.bundle(), pointer=Pointer(SLUG, "prod"), made=ago(7200))
    built.refuses(79, "prod.json was made 720", "runner promote", location=f"{SLUG}@prod", **HOUR)


# Mix-and-match: what is true of one thing is to pass as true of another


def test_the_pointer_of_another_flow_is_put_there(built: Target) -> None:
    """The clean-up deletes a database. Its pointer and its bundle are as true as those of the payroll."""
    cleanup = built.bundle(flow="cleanup", version=NEWER)
    stolen = point(built, cleanup, NEWER, Pointer("cleanup"))
    built.put(cleanup, NEW)
    built.put(stolen, LATEST)
    built.refuses(79, "is the pointer to the newest version of 'cleanup'", location=SLUG)
    built.put(point(built, cleanup, NEWER, Pointer("cleanup", "prod")), PROD)
    built.refuses(79, "is the pointer to the alias 'prod' of 'cleanup'", location=f"{SLUG}@prod")


def test_the_pointer_of_staging_is_put_where_production_lies(moto: Server, tmp_path: Path) -> None:
    """Both prefixes are of one bucket and one key; what is being tried out is to run on the true accounts."""
    target = bucket(moto, tmp_path)
    for prefix, version in (("staging", NEWER), ("prod", VERSION)):
        target.put(data := target.bundle(version=version), f"{prefix}/{SLUG}/{version}")
        for alias in ("", "live"):
            point(target, data, version, Pointer(f"{prefix}/{SLUG}", alias))
    target.accepts(f"prod/{SLUG}", **HOUR)
    for name in (f"{SLUG}/{NEWER}", f"{SLUG}/latest.json", f"{SLUG}/aliases/live.json"):
        target.put(target.place.read(f"staging/{name}"), f"prod/{name}")
    for location in (f"prod/{SLUG}", f"prod/{SLUG}@live"):
        target.refuses(79, f"of 'staging/{SLUG}'", location=location)


def test_the_alias_for_staging_is_put_in_the_place_of_that_for_production(built: Target) -> None:
    """Staging stands for a version that is not yet ready to pay anybody."""
    built.put(point(built, built.bundle(version=NEWER), NEWER, Pointer(SLUG, "staging")), PROD)
    built.refuses(79, "is the pointer to the alias 'staging'", location=f"{SLUG}@prod")


def test_the_pointer_to_the_newest_passes_as_an_alias_and_an_alias_as_that(built: Target) -> None:
    """One signature is for one purpose: what is the newest is not for that what runs in production."""
    latest = built.place.read(LATEST)
    built.put(latest, PROD)
    built.refuses(79, "prod.json", "not trusted here to sign aliases", location=f"{SLUG}@prod")
    built.put(point(built, built.bundle(), pointer=Pointer(SLUG, "prod")), LATEST)
    built.refuses(79, "latest.json", "not trusted here to sign flows", location=SLUG)
    built.trusting = {"RUNNER_TRUSTED_KEYS": f"{AUTHOR.public.text},aliases:{AUTHOR.public.text}"}
    built.put(latest, PROD)
    built.refuses(79, "prod.json", "not that of the key", location=f"{SLUG}@prod")


@pytest.mark.parametrize("role", ["flows", "runs", None])
def test_an_alias_is_moved_with_a_key_that_is_trusted_for_something_else(built: Target, role: Role | None) -> None:
    """She has the key of a container that signs runs, or of a machine that builds: neither says what production is."""
    stolen = keys.PrivateKey(MALLORY.raw, role)
    built.trusting = {"RUNNER_TRUSTED_KEYS": f"{TRUSTING['RUNNER_TRUSTED_KEYS']},{stolen.public.text}"}
    signing = {"RUNNER_SIGNING_KEY": f"{role}:" * bool(role) + base64.b64encode(stolen.raw).decode()}
    promoted = start(built.trusting | signing, "promote", f"{built.place.url}/{KEY}", "--as", "prod")
    assert (promoted.code, "needs a key for aliases" in promoted.stderr) == (78, True), promoted
    point(built, built.bundle(), pointer=Pointer(SLUG, "prod"), key=keys.PrivateKey(stolen.raw, "aliases"))
    built.refuses(79, "not trusted here to sign aliases", location=f"{SLUG}@prod")


@pytest.mark.parametrize("role", ["aliases", "runs"])
def test_what_is_the_newest_is_said_with_a_key_that_is_trusted_for_something_else(built: Target, role: Role) -> None:
    """She has the key that moves aliases, or one of a container, and would roll back what is no alias."""
    stolen = keys.PrivateKey(MALLORY.raw, role)
    built.trusting = {"RUNNER_TRUSTED_KEYS": f"{TRUSTING['RUNNER_TRUSTED_KEYS']},{stolen.public.text}"}
    delete(built, NEW)
    point(built, built.bundle(), key=keys.PrivateKey(stolen.raw, "flows"))
    built.refuses(79, "not trusted here to sign flows", location=SLUG, **HOUR)


def test_the_signature_of_a_bundle_is_put_on_a_pointer(built: Target) -> None:
    """It is of the right key, and over other bytes."""
    from runner.bundle import archive

    document = json.loads(built.place.read(LATEST))
    document["signature"] = json.loads(archive.read_bundle(built.bundle()).signature or b"")
    built.put(json.dumps(document).encode(), LATEST)
    built.refuses(79, "not that of the key", location=SLUG)


# Forgery: Mallory writes pointers of her own


@pytest.mark.parametrize("pointer", [Pointer(SLUG), Pointer(SLUG, "prod")], ids=["latest", "alias"])
def test_a_pointer_is_hers(built: Target, pointer: Pointer) -> None:
    """Unsigned, signed by herself, and signed by herself in the author's name."""
    location = f"{SLUG}@prod" if pointer.alias else SLUG
    old = built.bundle()
    delete(built, NEW)
    point(built, old, pointer=pointer, key=None)
    built.refuses(79, "is not signed", location=location)
    hers = keys.PrivateKey(MALLORY.raw, "aliases" if pointer.alias else "flows")
    document = json.loads(point(built, old, pointer=pointer, key=hers))
    built.refuses(79, MALLORY.public.id, "not trusted", location=location)
    document["signature"]["key"] = (RELEASER if pointer.alias else AUTHOR).public.id
    built.put(json.dumps(document).encode(), pointer.key)
    built.refuses(79, "not that of the key", location=location)


@pytest.mark.parametrize("part", ["version", "sha256", "made", "flow", "place", "alias", "format"])
def test_one_part_of_a_true_pointer_is_changed(built: Target, part: str) -> None:
    """She moves the alias to the version that she likes, or makes an old one young; nothing else is touched."""
    old = built.bundle()
    document = json.loads(point(built, old, pointer=Pointer(SLUG, "prod")))
    changed: dict[str, Any] = {
        "version": NEWER,
        "sha256": hashlib.sha256(built.bundle(version=NEWER)).hexdigest(),
        "made": ago(-1),
        "flow": "cleanup",
        "place": "cleanup",
        "alias": None,
        "format": True,  # which equals 1
    }
    built.put(json.dumps(document | {part: changed[part]}).encode(), PROD)
    built.refuses(79, "prod.json", location=f"{SLUG}@prod")


def test_the_bundle_behind_an_alias_is_exchanged(built: Target) -> None:
    """The alias stays as it is; under the name of its version lies something else that the author signed."""
    point(built, built.bundle(), pointer=Pointer(SLUG, "prod"))
    built.put(built.bundle(labels=["other"]), KEY)
    built.refuses(79, "is not the bundle that", "prod.json", location=f"{SLUG}@prod")
    delete(built, KEY)
    built.refuses(79, f"names version {VERSION}", "not there any more", location=f"{SLUG}@prod")


def test_an_object_takes_the_name_of_an_alias(built: Target) -> None:
    """There is no such alias, so she puts a signed bundle where a location of that name would be an object."""
    built.put(built.bundle(), f"{SLUG}@prod")
    built.refuses(66, "there is no alias 'prod'", location=f"{SLUG}@prod")


def test_a_pointer_names_something_outside_of_its_flow(built: Target) -> None:
    """She made the author sign it, by whatever means: still only a name of a version is one."""
    for version in ("../cleanup/" + NEWER, NEWER + "/../../x", "2026-11-22t", "..", f"{NEWER}\n"):
        point(built, built.bundle(), version)
        built.put(built.place.read(LATEST), PROD)
        checked = built.check(SLUG)
        assert (checked.code, "no readable pointer.version" in checked.stderr) == (79, True), checked


# What is no pointer at all

JUNK: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"PK\3\4",
    "no UTF-8": b'{"alias": "\xff"}',
    "no object": b"[]",
    "a number": b"1e999",
    "a long number": b'{"format": ' + b"9" * 5000 + b"}",
    "deep": b"[" * 8000,
    "deep in a part": b'{"x": ' + b"[" * 4000 + b"]" * 4000 + b"}",
    "larger than it may be": b'{"x": "' + b"x" * 20_000 + b'"}',
}
ODD_PARTS: list[dict[str, Any]] = [
    {"version": None},
    {"sha256": "0" * 63},
    {"made": "yesterday"},
    {"made": "2026-11-22T12:10:24"},
    {"made": "9999-12-31T23:59:59.999999-23:59"},
    {"place": ["payroll"]},
    {"alias": {}},
    {"flow": "\ud800"},
    {"signature": "\ud800"},
    {"signature": {"format": 1, "algorithm": "ed25519", "key": "\ud800", "signature": "\ud800"}},
    {"signature": {"format": [[[]]], "algorithm": {}, "key": None, "signature": 1.5}},
    {"signature": {}},
    {"another": "part"},
]


def trusting(**environ: str) -> Settings:
    return Settings.from_environ(TRUSTING | environ, needs_location=False)


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_a_pointer_is_junk(built: Target, junk: bytes) -> None:
    """It stops the run, and nothing else."""
    storage = built.place.open()
    built.put(junk, LATEST)
    with pytest.raises(Untrusted):
        pointers.read(storage, Pointer(SLUG), trusting(**HOUR))
    with pytest.raises(BundleCorrupt):
        pointers.read(storage, Pointer(SLUG), Settings())


@pytest.mark.parametrize("odd", ODD_PARTS, ids=str)
def test_a_pointer_has_an_odd_part(built: Target, odd: dict[str, Any]) -> None:
    """Unsigned, and signed: the author's key may have been made to sign anything of that purpose."""
    document = json.loads(built.place.read(LATEST))
    unsigned = {name: part for name, part in (document | odd).items() if name != "signature"}
    signed = unsigned | {"signature": signatures.sign_document(AUTHOR, Pointer(SLUG).purpose, unsigned)}
    for each in (document | odd, signed | odd):
        built.put(json.dumps(each).encode(), LATEST)
        try:
            pointers.read(built.place.open(), Pointer(SLUG), trusting(**HOUR))
        except Untrusted:
            continue
        assert odd == {"flow": "\ud800"}, "which is a text, and signed"


def test_a_pointer_never_ends(built: Target) -> None:
    """Endless data: she makes it 10 GB, which are refused by their size."""
    (root_of(built) / LATEST).unlink()
    with (root_of(built) / LATEST).open("wb") as file:
        os.truncate(file.fileno(), 10**10)
    built.refuses(79, "10,000,000,000 bytes", location=SLUG)


def test_a_pointer_is_a_link_to_another_flows(built: Target, tmp_path: Path) -> None:
    """In a folder she can make links, also to what lies outside of it."""
    (tmp_path / "latest.json").write_bytes(built.place.read(LATEST))
    delete(built, LATEST)
    (root_of(built) / LATEST).symlink_to(tmp_path / "latest.json")
    assert built.check(SLUG).code in {66, 77}
    assert not built.canary.executed


# Moments


def test_the_pointer_is_exchanged_while_it_is_read(built: Target) -> None:
    """In a loop she puts there what was true once, junk, another flow's, and the true one: nothing old ever runs."""
    true = built.place.read(LATEST)
    old = point(built, built.bundle(), made=ago(86400))
    other = point(built, built.bundle(), pointer=Pointer("cleanup"))
    built.put(true, LATEST)
    path, over = root_of(built) / LATEST, threading.Event()

    def exchange() -> None:
        while not over.is_set():
            for data in (old, b"junk", other, true):
                path.with_name("new").write_bytes(data)
                path.with_name("new").replace(path)

    mallory = threading.Thread(target=exchange, daemon=True)
    mallory.start()
    storage, seen = LocalStorage(str(root_of(built))), {"refused": 0, "ran": 0}
    location = Location("file", str(root_of(built)), SLUG)
    newest = built.bundle(version=NEWER)
    try:
        while min(seen.values()) < 20:
            try:
                key, data = fetch(storage, location, trusting(**HOUR))
            except Untrusted:
                seen["refused"] += 1
            else:
                assert (key, data) == (NEW, newest)
                seen["ran"] += 1
    finally:
        over.set()
        mallory.join()


def test_a_build_is_made_to_point_to_hers(target: Target) -> None:
    """A newer bundle of hers lies there when the author builds, and whoever builds points to the newest of all."""
    target.put(data := target.bundle())
    named = Named(SLUG, VERSION, hashlib.sha256(data).hexdigest())
    others = keys.PrivateKey(b"0" * 32)
    hers = {
        "unsigned": target.bundle(None, version=NEWER),
        "signed by herself": target.bundle(MALLORY, version=NEWER),
        "signed by another team": target.bundle(others, version=NEWER),
        "of another flow": target.bundle(flow="cleanup", version=NEWER),
        "no bundle": target.canary.pickled,
    }
    for story, planted in hers.items():
        target.put(planted, NEW)
        point_to_newest(target.place.open(), SLUG, named, AUTHOR)
        assert json.loads(target.place.read(LATEST))["version"] == VERSION, story
    assert not target.canary.executed
    target.put(hers["signed by another team"], NEW)
    point_to_newest(target.place.open(), SLUG, named, AUTHOR, [others.public])
    assert json.loads(target.place.read(LATEST))["version"] == NEWER, "where that team is trusted"


def test_what_is_not_trusted_is_not_promoted(target: Target) -> None:
    """She puts a bundle of hers there just before the newest is promoted, or exchanges the one that was looked at."""
    target.put(target.bundle(MALLORY))
    promote = ("promote", f"{target.place.url}/{SLUG}", "--as", "prod")
    assert start(target.trusting, *promote).code == 79
    target.put(target.bundle(labels=["other"]))
    looked_at = hashlib.sha256(target.bundle()).hexdigest()
    assert start(target.trusting, *promote, "--sha256", looked_at).code == 79
    assert target.place.keys() == [KEY]


def test_max_age_without_trusted_keys_is_no_door(target: Target) -> None:
    """The deployment loses its keys, and goes on to ask for a young pointer, which then anybody could make."""
    target.put(target.bundle(None))
    ran = start(located(target.place, SLUG) | HOUR)
    assert (ran.code, "RUNNER_TRUSTED_KEYS" in ran.error["message"]) == (78, True), ran
    assert not target.canary.executed
