"""Attacks with true bundles in the wrong place, and with other bundles than the one that was asked for.

All that Mallory uses was signed by the author or, where nothing is signed, is hers. She can write to the bucket.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from runner.bundle import archive
from runner.runs import documents
from runner.runs.layout import RunLayout
from runner.signing.run_signatures import RunSigner, request_digest
from support.canary import AUTHOR, FLOWS, KEY, NEWER, RUNS, SLUG, VERSION, Canary, Target
from support.flows import HERE, located, publish
from support.places import local_place, s3_place
from support.starting import Ran, start

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place
    from support.servers import Server


@pytest.fixture
def bucket(moto: Server, tmp_path: Path) -> Target:
    return Target(s3_place(moto), Canary(tmp_path))


def test_of_nobody_who_attacks_a_bundle_runs_where_it_was_built_for(bucket: Target) -> None:
    """The control, for both layouts; and so does one of before places were signed, by its slug and version."""
    for place in (f"team-a/{KEY}", "releases/etl-1.1.zip"):
        bucket.put(bucket.built_for(place), place)
        bucket.accepts(place)
    bucket.accepts(f"team-a/{SLUG}")
    bucket.put(bucket.bundle(), f"old/{KEY}")
    bucket.accepts(f"old/{KEY}")


# Own keys


def test_a_flow_is_put_under_another_ones_own_key(bucket: Target) -> None:
    """The author built two flows with keys of their own. Mallory copies the second over the first."""
    bucket.put(bucket.built_for("releases/wipe-1.0.zip", "wipe"), "releases/etl-1.1.zip")
    bucket.refuses(79, "'wipe'", "belongs at releases/wipe-1.0.zip", location="releases/etl-1.1.zip")


@pytest.mark.parametrize(
    ("own", "other"),
    [
        pytest.param("releases/etl-1.0.zip", "releases/etl-1.1.zip", id="an older release, which has a hole"),
        pytest.param("staging/latest", "prod/latest", id="what is tried out, to where production looks"),
        pytest.param("latest", "prod/latest", id="below a prefix, when the name alone was enough once"),
        pytest.param("staging/latest", "latest", id="from a prefix to the root"),
        pytest.param(KEY, "releases/stable", id="a version, to the name that a deployment pins"),
    ],
)
def test_a_flow_is_put_under_another_of_its_keys(bucket: Target, own: str, other: str) -> None:
    bucket.put(bucket.built_for(own), other)
    bucket.refuses(79, f"belongs at {own}", location=other)


def test_an_own_key_is_put_among_a_flows_versions(bucket: Target) -> None:
    """A release candidate, of an own key, becomes the newest version."""
    bucket.put(bucket.built_for("candidates/rc1", version=NEWER), f"{SLUG}/{NEWER}")
    bucket.refuses(79, "belongs at candidates/rc1", location=SLUG)


# Prefixes


def test_another_teams_bundle_is_put_at_this_teams_prefix(bucket: Target) -> None:
    """Two teams have a flow of one name in one bucket, and one key that both trust."""
    bucket.put(bucket.built_for(f"team-b/{KEY}"), f"team-a/{KEY}")
    bucket.refuses(79, f"belongs at team-b/{KEY}", location=f"team-a/{SLUG}")


def test_a_staging_build_becomes_the_newest_in_production(bucket: Target) -> None:
    """It is newer than what is there, lies under its own version, and nobody has approved it."""
    bucket.put(bucket.built_for(f"prod/{KEY}"), f"prod/{KEY}")
    bucket.put(bucket.built_for(f"staging/{SLUG}/{NEWER}", version=NEWER), f"prod/{SLUG}/{NEWER}")
    bucket.refuses(79, f"belongs at staging/{SLUG}/{NEWER}", location=f"prod/{SLUG}")
    bucket.accepts(f"prod/{KEY}")


def test_a_prefix_is_lengthened(bucket: Target) -> None:
    """A place that ends with the true one is another."""
    bucket.put(bucket.built_for(f"prod/{KEY}"), f"not/prod/{KEY}")
    bucket.refuses(79, f"belongs at prod/{KEY}", location=f"not/prod/{SLUG}")


def test_a_prefix_differs_in_case(bucket: Target) -> None:
    """To a bucket that is another name."""
    bucket.put(bucket.built_for(f"prod/{KEY}"), f"Prod/{KEY}")
    bucket.refuses(79, f"belongs at prod/{KEY}", location=f"Prod/{SLUG}")


def test_a_prefix_is_written_with_another_character_that_looks_the_same(bucket: Target) -> None:
    """The letter o is Cyrillic in the folder that she made."""
    bucket.put(bucket.built_for(f"prod/{KEY}"), f"pr\u043ed/{KEY}")
    bucket.refuses(79, f"belongs at prod/{KEY}", location=f"pr\u043ed/{SLUG}")


def test_she_corrects_the_place_in_the_manifest(bucket: Target) -> None:
    """Then the signature is one of other bytes."""
    true = archive.read_bundle(bucket.built_for(f"staging/{KEY}"))
    hers = archive.read_bundle(bucket.built_for(f"prod/{KEY}", key=None))
    members = {name: bytes(part) for name, part in hers.members.items()}
    bucket.put(b"".join(archive.zip_pieces(members | {"signature.json": true.signature or b""})), f"prod/{KEY}")
    bucket.refuses(79, "not that of the key", location=f"prod/{SLUG}")


# Names that no flow has


@pytest.mark.parametrize("name", ["Pay", "pay.zip", "_", "PAYROLL"])
def test_a_flow_is_named_as_none_could_be(target: Target, name: str) -> None:
    """A deployment runs pay.zip, which somebody stored by hand; she puts the clean-up there, signed as it is."""
    for bundle in (target.bundle(flow="cleanup"), target.built_for(f"cleanup/{VERSION}", "cleanup")):
        target.put(bundle, f"jobs/{name}")
        target.refuses(79, f"belongs at cleanup/{VERSION}", location=f"jobs/{name}")


def test_an_old_version_is_put_at_the_flows_own_name(target: Target) -> None:
    """A location names an object before a flow: an old version there hides the newer ones: she need delete none."""
    target.put(target.built_for(f"{SLUG}/{NEWER}", version=NEWER), f"team/{SLUG}/{NEWER}")
    target.accepts(f"team/{SLUG}")
    hidden = local_place(target.canary.path.parent / "hidden")
    target.place = hidden
    for old in (target.bundle(), target.built_for(KEY)):
        target.put(old, f"team/{SLUG}")
        target.refuses(79, f"belongs at {KEY}", location=f"team/{SLUG}")


def test_a_version_is_put_into_any_folder(target: Target) -> None:
    """It has its own name there, but the folder is another flow's."""
    for bundle in (target.bundle(flow="cleanup"), target.built_for(f"cleanup/{VERSION}", "cleanup")):
        target.put(bundle)
        target.refuses(79, f"belongs at cleanup/{VERSION}")


def test_a_link_leads_to_another_flows_bundle(target: Target) -> None:
    """In a folder she need not copy: the place is the name that was asked for, not where it leads."""
    target.put(target.built_for(f"cleanup/{VERSION}", "cleanup"), f"cleanup/{VERSION}")
    root = target.canary.path.parent / "storage"
    (root / SLUG).mkdir()
    (root / KEY).symlink_to(root / "cleanup" / VERSION)
    target.refuses(79, f"belongs at cleanup/{VERSION}", location=f"{SLUG}")


# A bundle by its digest


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def unsigned(target: Target) -> Target:
    """Nobody signs and nobody is trusted; the deployment names the digest of what was looked at."""
    target.trusting = {}
    target.put(target.built_for(KEY, key=None))
    return target


def test_a_bundle_is_exchanged_though_its_digest_is_asked_for(unsigned: Target) -> None:
    """She need not sign anything; but these are other bytes."""
    wanted = digest(unsigned.place.read(KEY))
    for location in (KEY, SLUG):
        unsigned.accepts(location, RUNNER_BUNDLE_SHA256=wanted.upper())
        unsigned.accepts(f"{location}#sha256={wanted}")
    unsigned.put(unsigned.bundle(None))
    for location in (KEY, SLUG):
        unsigned.refuses(79, f"{wanted} was asked for", location=location, RUNNER_BUNDLE_SHA256=wanted)
        unsigned.refuses(79, f"{wanted} was asked for", location=f"{location}#sha256={wanted}")
    assert unsigned.place.keys() == [KEY]


def test_a_newer_version_is_put_beside_the_one_that_is_asked_for(unsigned: Target) -> None:
    """The location names the flow, of which hers is the newest: what was asked for is not silently replaced."""
    wanted = digest(unsigned.place.read(KEY))
    unsigned.put(unsigned.built_for(f"{SLUG}/{NEWER}", version=NEWER, key=None), f"{SLUG}/{NEWER}")
    unsigned.refuses(79, "was asked for", location=SLUG, RUNNER_BUNDLE_SHA256=wanted)


def test_a_raw_pickle_is_exchanged_though_its_digest_is_asked_for(unsigned: Target) -> None:
    """Nothing else about it could be verified."""
    unsigned.put(unsigned.canary.pickled)
    unsigned.accepts(RUNNER_BUNDLE_SHA256=digest(unsigned.canary.pickled))
    wanted = digest(b"the pickle of before")
    unsigned.refuses(79, "was asked for", RUNNER_BUNDLE_SHA256=wanted)


def test_the_digest_that_is_asked_for_is_emptied_or_cut(unsigned: Target) -> None:
    """It comes from a template that she could break: then nothing runs, not anything."""
    for broken in ("", " ", "0" * 63, f"sha256:{'0' * 64}"):
        unsigned.refuses(78, "RUNNER_BUNDLE_SHA256", RUNNER_BUNDLE_SHA256=broken)
    assert unsigned.check(f"{KEY}#sha256=").code == 78
    assert not unsigned.canary.executed


def test_two_digests_are_asked_for(unsigned: Target) -> None:
    """Whichever she could choose, the other is not passed over."""
    wanted = digest(unsigned.place.read(KEY))
    unsigned.refuses(78, "not the same", location=f"{KEY}#sha256={wanted}", RUNNER_BUNDLE_SHA256="0" * 64)


def test_an_object_has_the_digest_in_its_name(unsigned: Target) -> None:
    """What stands after the location is no part of a key."""
    wanted = digest(unsigned.place.read(KEY))
    unsigned.put(unsigned.bundle(None), f"{KEY}#sha256={wanted}")
    unsigned.put(unsigned.bundle(None))
    unsigned.refuses(79, "was asked for", location=f"{KEY}#sha256={wanted}")


def test_every_command_about_a_bundle_looks_at_the_digest(unsigned: Target) -> None:
    """She exchanges it between two commands of somebody who looks at it."""
    url = f"{unsigned.place.url}/{SLUG}"
    for command in ("check", "inspect", "run", "sign", "verify"):
        more = ("-k", FLOWS.public.text) if command == "verify" else ()
        for given, location in (({}, f"{url}#sha256={'0' * 64}"), ({"RUNNER_BUNDLE_SHA256": "0" * 64}, url)):
            signing = {"RUNNER_SIGNING_KEY": FLOWS.file.decode()} if command == "sign" else {}
            done = start(signing | given, command, location, *more)
            assert (done.code, "was asked for" in done.stdout + done.stderr) == (79, True), (command, done)
    assert unsigned.place.keys() == [KEY]
    assert not unsigned.canary.executed


def test_the_outcome_of_another_bundle_is_no_answer(unsigned: Target) -> None:
    """The run id stands for a run of another bundle, which has succeeded."""
    url = publish(unsigned.place, "trouble.py")
    environ = located(unsigned.place, "trouble") | {"RUNNER_RUN_ID": "r", "RUNNER_PARAMETERS": '{"kind": "do well"}'}
    assert start(environ).code == 0
    wanted = digest(unsigned.place.read(f"trouble/{url.rpartition('/')[2]}"))
    assert start(environ | {"RUNNER_BUNDLE_SHA256": wanted}).code == 0
    for location in ("trouble", f"trouble/{url.rpartition('/')[2]}"):
        other = environ | located(unsigned.place, location) | {"RUNNER_BUNDLE_SHA256": "0" * 64}
        refused = start(other)
        assert (refused.code, "was asked for" in refused.error["message"]) == (79, True), refused


def test_a_digest_stands_for_a_place_and_for_no_signature(target: Target) -> None:
    """Whoever gives the digest says which bundle; who may have written it the keys say, and how old it may be too."""
    moved = target.built_for(f"staging/{KEY}")
    target.put(moved, "somewhere/else")
    target.accepts("somewhere/else", RUNNER_BUNDLE_SHA256=digest(moved))
    older = {"RUNNER_BUNDLE_SHA256": digest(moved), "RUNNER_MIN_VERSION": NEWER}
    target.refuses(79, "older than", location="somewhere/else", **older)
    for stranger in (target.bundle(None), target.canary.pickled):
        target.put(stranger, "somewhere/else")
        target.refuses(79, location="somewhere/else", RUNNER_BUNDLE_SHA256=digest(stranger))


# What a run says of its bundle


class Run:
    """A run as r of a signed flow; flows and runs are signed with keys of their own."""

    layout = RunLayout("trouble", "r")

    def __init__(self, place: Place, canary: Canary) -> None:
        self.place, self.canary = place, canary
        self.bundle = f"trouble/{publish(place, 'trouble.py').rpartition('/')[2]}"
        self.trusting = {
            "RUNNER_TRUSTED_KEYS": f"{FLOWS.public.text},{RUNS.public.text}",
            "RUNNER_SIGNING_KEY": RUNS.file.decode(),
        }
        given = {"RUNNER_RUN_ID": "r", "RUNNER_PARAMETERS": '{"kind": "do well"}'}
        done = start(located(place, "trouble") | self.trusting | given)
        assert done.code == 0, done

    def retry(self, **environ: str) -> Ran:
        return start(self.trusting | environ, "retry", f"{self.place.url}/{self.layout.home}/runs/r")

    def says(self, **bundle: str) -> None:
        """Have run.json name another bundle."""
        request: dict[str, Any] = json.loads(self.place.read(self.layout.run))
        self.place.write(self.layout.run, documents.encode(request | {"bundle": request["bundle"] | bundle}))

    def refuses(self, code: int, words: str, **environ: str) -> None:
        before = self.place.keys()
        done = self.retry(**environ)
        assert (done.code, words in done.stderr + done.stdout) == (code, True), done
        assert not self.canary.executed
        assert self.place.keys() == before


@pytest.fixture
def run(target: Target, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("RUNNER_SIGNING_KEY", FLOWS.file.decode())
    return Run(target.place, target.canary)


def singing(run: Run, place: str, flow: str = "trouble") -> bytes:
    """Return a bundle that is true at a place, and lets the canary sing."""
    return Target(run.place, run.canary).built_for(place, flow, key=FLOWS)


def test_of_nobody_who_attacks_a_run_is_tried_again(run: Run) -> None:
    """The control; also where the run's documents lie elsewhere than the flow, and the flow is named."""
    assert run.retry().code == 0
    elsewhere = f"{run.place.url}-results"
    given = {"RUNNER_RUN_ID": "e", "RUNNER_PARAMETERS": '{"kind": "do well"}', "RUNNER_RESULTS": elsewhere}
    assert start(located(run.place, "trouble") | run.trusting | given).code == 0
    folder = f"{elsewhere}/trouble/runs/e"
    refused = start(run.trusting, "retry", folder)
    assert (refused.code, "not of the flow" in refused.stderr) == (79, True), refused
    done = start(run.trusting | located(run.place, "trouble"), "retry", folder)
    assert done.code == 0, done


def test_a_run_names_an_older_version(run: Run) -> None:
    """It is signed, and in its place; the run was of another."""
    run.place.write(f"trouble/{VERSION}", singing(run, f"trouble/{VERSION}"))
    run.says(url=f"{run.place.url}/trouble/{VERSION}")
    run.refuses(79, "was asked for")


def test_a_run_names_an_older_version_with_its_digest(run: Run) -> None:
    """The end was signed for what the run was asked for, which is not this."""
    data = singing(run, f"trouble/{VERSION}")
    run.place.write(f"trouble/{VERSION}", data)
    run.says(url=f"{run.place.url}/trouble/{VERSION}", sha256=digest(data))
    run.refuses(79, "not that of the key")


def test_a_run_names_another_flows_bundle_that_was_put_beside_it(run: Run) -> None:
    """Under a name that is no version."""
    run.place.write("trouble/b.undle", singing(run, f"wipe/{VERSION}", "wipe"))
    run.says(url=f"{run.place.url}/trouble/b.undle")
    run.refuses(79, "was asked for")


def test_a_stolen_containers_key_signs_that_a_run_was_of_another_flow(run: Run) -> None:
    """With it she can say what she wants of runs. The bundle is the author's, and is not this flow's."""
    data = singing(run, f"wipe/{VERSION}", "wipe")
    run.place.write("trouble/b.undle", data)
    run.says(url=f"{run.place.url}/trouble/b.undle", sha256=digest(data))
    outcome = json.loads(run.place.read(run.layout.outcome))
    bundle = {"url": f"{run.place.url}/trouble/b.undle", "sha256": digest(data)}
    lie = {name: part for name, part in outcome.items() if name != "signature"} | {"bundle": bundle}
    signature = RunSigner(request_digest(json.loads(run.place.read(run.layout.run))), RUNS).sign(lie)
    for key in (run.layout.end(1), run.layout.outcome):
        run.place.write(key, documents.encode(lie | {"signature": signature}))
    run.refuses(79, f"belongs at wipe/{VERSION}")


def test_a_run_names_a_bundle_in_another_folder(run: Run, tmp_path: Path) -> None:
    """Of the same machine, where something signed for there lies."""
    elsewhere = local_place(tmp_path / "other")
    elsewhere.write(f"wipe/{VERSION}", singing(run, f"wipe/{VERSION}", "wipe"))
    run.says(url=f"{elsewhere.url}/wipe/{VERSION}")
    run.refuses(79, "is not of the flow that it lies below")
    run.refuses(79, "is not of the flow that it lies below", **located(run.place, "trouble"))


def test_a_run_names_a_bundle_in_her_bucket(run: Run) -> None:
    """Nobody even asks there, with whatever credentials; the address is one at which nobody answers."""
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    run.says(url=f"s3://mallory/trouble/{VERSION}-")
    run.refuses(79, "is not of the flow that it lies below", **nowhere)


def test_a_run_names_no_place_at_all(run: Run) -> None:
    """Something that no location is."""
    run.says(url="gopher://mallory/hole")
    run.refuses(65, "is no location")


def test_a_runs_bundle_is_exchanged_before_it_is_tried_again(run: Run) -> None:
    """By one that is signed, of this flow and in this place: but built a second time, with other bytes."""
    run.place.write(run.bundle, singing(run, run.bundle))
    run.refuses(79, "was asked for")


def test_a_runs_bundle_is_exchanged_where_nobody_signs(run: Run) -> None:
    """Without keys a digest from the bucket is no proof, and still not another bundle is run by mistake."""
    run.trusting = {}
    run.place.write(run.bundle, singing(run, run.bundle))
    before = run.retry()
    assert (before.code, "was asked for" in before.error["message"]) == (79, True), before
    assert not run.canary.executed


def test_a_run_is_of_another_bundle_than_is_asked_for(run: Run) -> None:
    """Whoever tries it again names the digest, and does not get what the bucket says."""
    run.refuses(79, "is asked for", RUNNER_BUNDLE_SHA256="0" * 64)


@pytest.mark.parametrize("backend", ["s3"], indirect=True)
def test_the_run_of_another_teams_flow_of_that_name_is_copied_below_this_one(place: Place) -> None:
    """One key signs the runs of both; whoever looks at a run of team-a's flow means no other."""
    signed = {"RUNNER_SIGNING_KEY": AUTHOR.file.decode(), "RUNNER_TRUSTED_KEYS": AUTHOR.public.text, **place.environ}
    file = str(HERE / "etl.py")
    for team in ("team-a", "team-b"):
        built = start(signed, "build", file, "--storage", f"{place.url}/{team}")
        assert built.code == 0, built
    flow = built.stdout.strip().rpartition("/")[0]
    assert start(signed | {"RUNNER_RUN_ID": "daily"}, "run", flow).code == 0
    assert start(signed, "result", f"{flow}/runs/daily").code == 0
    for key in place.keys():  # noqa: SIM118 - it is no dict
        if key.startswith("team-b/") and "/runs/" in key:
            place.write(key.replace("team-b", "team-a"), place.read(key))
    copied = f"{flow.replace('team-b', 'team-a')}/runs/daily"
    refused = start(signed, "result", copied)
    assert (refused.code, "which lies elsewhere" in refused.stderr) == (79, True), refused
    assert "nobody who is trusted here" in start(signed, "show", copied).stdout
