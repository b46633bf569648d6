"""The pointer to a flow's newest version, and aliases: who writes them, and what they make run."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from runner.backends.local.files import LocalStorage
from runner.bundle.fetch import fetch
from runner.bundle.pointers import Named
from runner.errors import UsageError
from runner.location import Location, parse_location, split_alias
from runner.publishing.newest import point_to_newest
from runner.settings import Settings
from runner.signing.keys import PrivateKey
from runner.storage import Local
from support import schemas
from support.canary import AUTHOR, KEY, NEWER, SLUG, VERSION, Target
from support.command_line import ETL, assert_refused, printed_json, run_command
from support.flows import located, outcome_of, publish
from support.places import Place, local_place
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.backends.base import Entry

SIGNING = {"RUNNER_SIGNING_KEY": base64.b64encode(AUTHOR.raw).decode()}
RELEASER = PrivateKey(hashlib.sha256(b"releaser").digest(), "aliases")
RELEASING = {"RUNNER_SIGNING_KEY": f"aliases:{base64.b64encode(RELEASER.raw).decode()}"}
TRUSTING = {"RUNNER_TRUSTED_KEYS": f"{AUTHOR.public.text},{RELEASER.public.text}"}
YOUNG = TRUSTING | {"RUNNER_MAX_AGE": "3600"}


def latest(place: Place, flow: str = SLUG) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(place.read(f"{flow}/latest.json"))
    schemas.validate("pointer", document)
    return document


def run(place: Place, location: str, run_id: str, **environ: str) -> str:
    """Run, and return the version of the bundle that ran."""
    ran = start(located(place, location) | environ | {"RUNNER_RUN_ID": run_id})
    assert ran.code == 0, ran
    return str(outcome_of(place, run_id, ETL)["bundle"]["url"].rpartition("/")[2])


def test_builds_are_pointed_to_and_an_alias_stays_where_it_was_promoted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every storage, from the build to the run in a container that demands a young pointer."""
    monkeypatch.setenv("RUNNER_SIGNING_KEY", SIGNING["RUNNER_SIGNING_KEY"])
    first = publish(place, "etl.py").rpartition("/")[2]
    flow = f"{place.url}/{ETL}"
    promoted = start(place.environ | RELEASING | TRUSTING, "promote", flow, "--as", "prod", "--json")
    assert promoted.code == 0, promoted
    second = publish(place, "etl.py").rpartition("/")[2]
    assert latest(place, ETL)["version"] == second
    assert latest(place, ETL)["sha256"] == hashlib.sha256(place.read(f"{ETL}/{second}")).hexdigest()
    assert run(place, ETL, "r1", **YOUNG) == second
    assert run(place, f"{ETL}@prod", "r2", **YOUNG) == first

    listed = printed_json(run_command(place.environ, "ls", flow, "--json"))
    assert [version["location"] for version in listed["versions"]] == [f"{flow}/{second}", f"{flow}/{first}"]
    assert listed["aliases"] == [printed_json(promoted)]
    assert (listed["aliases"][0]["location"], listed["aliases"][0]["version"]) == (f"{flow}@prod", first)
    assert f"prod   {first}" in run_command(place.environ, "ls", flow).stdout

    assert start(place.environ | RELEASING | TRUSTING, "promote", flow, "--as", "prod").code == 0
    schemas.validate("pointer", json.loads(place.read(f"{ETL}/aliases/prod.json")))
    assert run(place, f"{ETL}@prod", "r3", **YOUNG) == second


# What an alias is used for


def test_nothing_has_to_be_signed_for_an_alias(here: Place) -> None:
    first = publish(here, "etl.py").rpartition("/")[2]
    flow = f"{here.url}/{ETL}"
    said = run_command({}, "promote", flow, "--as", "prod").stdout
    assert said == f"{flow}@prod is now version {first}\n"
    publish(here, "etl.py")
    assert "signature" not in json.loads(here.read(f"{ETL}/aliases/prod.json"))
    assert not any(key.endswith("latest.json") for key in here.keys())  # noqa: SIM118 - it is no dict
    for command in (("check",), ("inspect",), ("run",)):
        done = start({}, *command, f"{flow}@prod", "--json")
        assert (done.code, first in done.stdout) == (0, True), done


def test_a_run_of_an_alias_goes_on_with_its_bundle_wherever_the_alias_has_gone(here: Place) -> None:
    first = publish(here, "etl.py").rpartition("/")[2]
    flow = f"{here.url}/{ETL}"
    assert run_command({}, "promote", flow, "--as", "prod").code == 0
    assert run(here, f"{ETL}@prod", "r") == first
    publish(here, "etl.py")
    assert run_command({}, "promote", flow, "--as", "prod").code == 0
    repeated = start(located(here, f"{ETL}@prod") | {"RUNNER_RUN_ID": "r"})
    assert (repeated.code, "nothing is run again" in repeated.stdout) == (0, True), repeated
    assert run_command(located(here, f"{ETL}@prod"), "show", "r").code == 0, "by its id, where an alias is named"


def test_an_alias_may_go_back_to_an_older_version(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_SIGNING_KEY", SIGNING["RUNNER_SIGNING_KEY"])
    first, second = publish(here, "etl.py"), publish(here, "etl.py")
    for url in (second, first):
        assert start(RELEASING | TRUSTING, "promote", url, "--as", "prod").code == 0
        assert run(here, f"{ETL}@prod", url.rpartition("/")[2], **YOUNG) == url.rpartition("/")[2]


def test_what_cannot_be_an_alias_is_refused(here: Place, target: Target) -> None:
    target.put(target.bundle())
    flow = f"{here.url}/{SLUG}"
    for alias in ("Prod", "1", "a/b", "latest", "", "a" * 64, "prod\n"):
        assert_refused(run_command({}, "promote", flow, "--as", alias), 2, "can be no alias")
    assert_refused(run_command({}, "check", f"{flow}@prod"), 66, "no alias 'prod'", "runner promote")
    assert_refused(run_command({}, "promote", f"{flow}@prod", "--as", "test"), 66, "no alias 'prod'")
    here.write(f"{SLUG}/aliases/prod.json", b"junk")
    here.write(f"{SLUG}/aliases/no alias", b"")
    assert_refused(run_command({}, "check", f"{flow}@prod"), 65, "is no pointer")
    [listed] = printed_json(run_command({}, "ls", flow, "--json"))["aliases"]
    assert (listed["alias"], listed["version"]) == ("prod", None)
    assert "is no pointer" in listed["problem"]
    assert "is no pointer" in run_command({}, "ls", flow).stdout
    here.write("releases/v1", target.bundle(flow="f"))
    assert_refused(run_command({}, "promote", f"{here.url}/releases/v1", "--as", "prod"), 2, "a key of its own")
    here.write("releases/v1", b"\x80\x04N.")
    assert_refused(run_command({}, "promote", f"{here.url}/releases/v1", "--as", "prod"), 65, "a plain pickle")


def test_a_build_chooses_no_key_that_would_be_an_alias(here: Place) -> None:
    with pytest.raises(UsageError, match="would be taken for an alias"):
        publish(here, "etl.py", key="releases/etl@prod")
    publish(here, "etl.py", key="releases/etl@1.0")
    assert here.keys() == ["releases/etl@1.0"]
    assert run_command({}, "check", f"{here.url}/releases/etl@1.0").code == 0


@pytest.mark.parametrize(
    ("key", "split"),
    [
        ("team/etl@prod", ("team/etl", "prod")),
        ("etl@prod-2", ("etl", "prod-2")),
        ("a@b@prod", ("a@b", "prod")),
        ("etl@1.0", ("etl@1.0", "")),
        ("etl@Prod", ("etl@Prod", "")),
        ("etl@", ("etl@", "")),
        ("@prod", ("@prod", "")),
        ("team/@prod", ("team/@prod", "")),
        ("team@eu/etl", ("team@eu/etl", "")),
        ("etl", ("etl", "")),
    ],
)
def test_an_alias_is_what_stands_after_the_last_at_of_a_flows_name(key: str, split: tuple[str, str]) -> None:
    assert split_alias(key) == split
    assert parse_location(f"s3://b/{key}") == Location("s3", "b", *split)


def test_a_root_may_have_an_at_in_its_name(tmp_path: Path) -> None:
    root = tmp_path / "flows@work"
    assert parse_location(str(root)).as_root() == Location("file", str(root), "")
    assert parse_location("s3://b/team@eu").as_root() == Location("s3", "b", "team@eu")
    assert parse_location("s3://b/team@eu").url == "s3://b/team@eu"
    url = Local(str(root)).url
    assert publish(local_place(root), "etl.py").startswith(f"{url}/{ETL}/")
    assert run_command({}, "ls", str(root)).code == 0
    assert run_command({}, "check", f"{root}/{ETL}").code == 0


# Making a pointer anew


def test_sign_makes_the_pointer_anew_and_no_copy_of_what_is_signed_and_newest(target: Target) -> None:
    target.put(target.bundle())
    url = f"{target.place.url}/{SLUG}"
    assert start(SIGNING, "sign", f"{url}/{VERSION}").stdout == f"{url}/{VERSION}\n"
    made = latest(target.place)["made"]
    assert start(SIGNING | TRUSTING, "sign", url).stdout == f"{url}/{VERSION}\n"
    assert latest(target.place)["made"] > made
    assert target.place.keys() == [KEY, f"{SLUG}/latest.json"]


def test_sign_makes_an_older_version_the_newest_by_a_copy(target: Target) -> None:
    """What the author does who wants to go back, where the newest version itself was deleted for a reason."""
    target.put(target.bundle())
    recent = "2026-11-23t00-00-00-000000-00-00"
    point_to_newest(target.place.open(), SLUG, Named(SLUG, recent, hashlib.sha256(b"gone").hexdigest()), AUTHOR)
    url = f"{target.place.url}/{SLUG}"
    assert start(YOUNG, "check", url).code == 79
    copy = start(SIGNING, "sign", f"{url}/{VERSION}").stdout.strip().rpartition("/")[2]
    assert latest(target.place)["version"] == copy
    target.accepts(SLUG, RUNNER_MAX_AGE="60")


def test_a_signed_copy_of_what_nobody_signed_is_pointed_to(target: Target) -> None:
    target.put(target.bundle(None))
    url = f"{target.place.url}/{SLUG}"
    copy = start(SIGNING, "sign", url).stdout.strip()
    assert latest(target.place)["version"] == copy.rpartition("/")[2]
    target.accepts(SLUG, RUNNER_MAX_AGE="60")


def test_a_bundle_with_an_own_key_is_pointed_to_by_nobody(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_SIGNING_KEY", SIGNING["RUNNER_SIGNING_KEY"])
    url = publish(here, "etl.py", key="releases/v1")
    assert here.keys() == ["releases/v1"]
    assert start(TRUSTING | {"RUNNER_LOCATION": url}, "check").code == 0


# Several builds at once


def test_of_builds_at_once_the_newest_is_pointed_to_whoever_is_last(target: Target) -> None:
    """Each stores its bundle and points to it, in any order; the clock of one is behind."""
    versions = [f"2026-11-22t12-10-24-{number:06d}-00-00" for number in range(8)]
    storage = target.place.open()
    for number in range(10):
        slug = f"{SLUG}-{number}"
        together = threading.Barrier(len(versions))

        def build(version: str, slug: str = slug, together: threading.Barrier = together) -> None:
            data = target.bundle(flow=slug, version=version)
            named = Named(slug, version, hashlib.sha256(data).hexdigest())
            together.wait()
            storage.create(f"{slug}/{version}", data)
            point_to_newest(storage, slug, named, AUTHOR)

        threads = [threading.Thread(target=build, args=(version,)) for version in versions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert latest(target.place, slug)["version"] == versions[-1]


class Overtaking(LocalStorage):
    """A folder in which another build comes to its end between two steps of this one."""

    meanwhile: Any = None

    def replace(self, key: str, data: bytes, media_type: str = "") -> None:
        super().replace(key, data, media_type)
        if self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()


def test_an_older_build_that_ends_last_sees_the_newer_one(target: Target) -> None:
    storage = Overtaking(target.place.url.removeprefix("file://"))
    older, newer = target.bundle(), target.bundle(version=NEWER)
    other = target.place.open()

    def finish_the_newer() -> None:
        other.create(f"{SLUG}/{NEWER}", newer)
        point_to_newest(other, SLUG, Named(SLUG, NEWER, hashlib.sha256(newer).hexdigest()), AUTHOR)
        storage.replace(f"{SLUG}/latest.json", stale)  # the older one's write arrives after all

    storage.create(KEY, older)
    point_to_newest(storage, SLUG, Named(SLUG, VERSION, hashlib.sha256(older).hexdigest()), AUTHOR)
    stale = target.place.read(f"{SLUG}/latest.json")
    storage.meanwhile = finish_the_newer
    point_to_newest(storage, SLUG, Named(SLUG, VERSION, hashlib.sha256(older).hexdigest()), AUTHOR)
    assert latest(target.place)["version"] == NEWER


def test_a_build_that_dies_before_it_points_to_its_bundle_is_run_all_the_same(target: Target) -> None:
    """Also what runs between the two writes of a build; and what an older build left that died after its own."""
    target.put(data := target.bundle())
    point_to_newest(target.place.open(), SLUG, Named(SLUG, VERSION, hashlib.sha256(data).hexdigest()), AUTHOR)
    target.put(target.bundle(version=NEWER), f"{SLUG}/{NEWER}")
    verified = start(YOUNG, "verify", f"{target.place.url}/{SLUG}", "--json")
    assert printed_json(verified)["flow"]["version"] == NEWER


# What it costs


class Watched(LocalStorage):
    """A folder whose listing waits until the pointer is asked for; it remembers what was read."""

    def __init__(self, folder: str, *, wait: bool) -> None:
        super().__init__(folder)
        self.keys: list[str] = []
        self.pointer_asked_for = threading.Event()
        self.wait = wait

    def _stream(self, key: str, *arguments: Any) -> Iterator[bytes]:
        self.keys.append(key)
        if key.endswith("latest.json"):
            self.pointer_asked_for.set()
        return super()._stream(key, *arguments)

    def _list_folder(self, prefix: str) -> tuple[list[str], list[Entry]]:
        assert not self.wait or self.pointer_asked_for.wait(10)
        return super()._list_folder(prefix)


def test_the_pointer_is_read_while_the_newest_is_looked_for_and_only_by_who_trusts_keys(target: Target) -> None:
    target.put(data := target.bundle())
    point_to_newest(target.place.open(), SLUG, Named(SLUG, VERSION, hashlib.sha256(data).hexdigest()), AUTHOR)
    folder = target.place.url.removeprefix("file://")
    location = Location("file", folder, SLUG)
    trusting = Settings.from_environ(YOUNG, needs_location=False)
    storage = Watched(folder, wait=True)
    assert fetch(storage, location, trusting) == (KEY, data)
    assert sorted(storage.keys) == [SLUG, KEY, f"{SLUG}/latest.json"]
    storage = Watched(folder, wait=False)
    assert fetch(storage, location, Settings()) == (KEY, data)
    assert storage.keys == [SLUG, KEY]
    storage = Watched(folder, wait=False)
    assert fetch(storage, Location("file", folder, KEY), trusting) == (KEY, data)
    assert storage.keys == [KEY], "a version that is named in full is taken as it is"
