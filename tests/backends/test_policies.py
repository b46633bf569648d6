"""The policies in docs/policies/ are enough for what they are for, and for nothing else; enforced by moto's IAM."""

from __future__ import annotations

import base64
import json
import re
import signal
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from runner.pruning import needs
from support.agents import Site
from support.canary import AUTHOR
from support.command_line import run_command
from support.flows import HERE
from support.launching import wait_for
from support.places import s3_place
from support.pruned import folder_of, write_everything
from support.servers import moto
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.servers import Server
    from support.starting import Ran

POLICIES = Path(__file__).parents[2] / "docs/policies"


class Guarded:
    """A server that enforces policies, with a bucket, and a user for each policy."""

    def __init__(self, server: Server) -> None:
        self.server, self.place = server, s3_place(server)
        self.bucket = self.place.url.removeprefix("s3://")
        self.iam = boto3.client(
            "iam",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        self.users = {
            name: self._user(name) for name in ("run", "build", "promote", "look", "submit", "agent", "prune")
        }
        self.users["nobody"] = self._user(None)

    def _user(self, policy: str | None) -> dict[str, str]:
        name = f"{policy}-{self.bucket}"
        self.iam.create_user(UserName=name)
        if policy:
            text = (POLICIES / f"s3-{policy}.json").read_text().replace("my-flows", self.bucket)
            document = json.loads(text)
            if "s3:DeleteObject" in text:  # moto asks for it on the bucket, AWS on each key
                on_bucket = {"Action": "s3:DeleteObject", "Resource": f"arn:aws:s3:::{self.bucket}"}
                document["Statement"].append({"Effect": "Allow", **on_bucket})
            self.iam.put_user_policy(UserName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return self.server.environ | {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }

    def enforce(self, *, wanted: bool) -> None:
        """From the next request on; https://docs.getmoto.org/en/latest/docs/iam.html"""
        count = b"0" if wanted else b"inf"
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.server.url}/moto-api/reset-auth", data=count, headers=headers)
        urllib.request.urlopen(request).close()

    def does(self, who: str, *arguments: str, **environ: str) -> Ran:
        return start(self.users[who] | environ, *arguments)

    def profile(self, who: str, folder: Path) -> str:
        """Write a user's keys into a file as AWS's tools have it, and return its path."""
        path = folder / who
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        path.write_text("[default]\n" + "".join(f"{name.lower()}={self.users[who][name]}\n" for name in names))
        return str(path)

    def build(self, who: str) -> Ran:
        return self.does(who, "build", str(HERE / "etl.py"), "--storage", f"s3://{self.bucket}")


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    with moto.start_moto() as server:
        made = Guarded(server)
        made.enforce(wanted=True)
        try:
            yield made
        finally:
            made.enforce(wanted=False)


def test_each_policy_is_enough_for_its_purpose_and_for_no_other(guarded: Guarded) -> None:
    for who in ("nobody", "run", "promote", "look"):
        done = guarded.build(who)
        assert done.code == 77, (who, done)
    built = guarded.build("build")
    assert built.code == 0, built
    assert guarded.build("build").code == 0, "which reads the newest"
    url = built.stdout.strip()
    flow = url.rpartition("/")[0]

    signing = {"RUNNER_SIGNING_KEY": base64.b64encode(AUTHOR.raw).decode()}
    for who, code in {"nobody": 77, "run": 77, "look": 77, "build": 77, "promote": 0}.items():
        done = guarded.does(who, "promote", url, "--as", "prod")
        assert done.code == code, (who, done)
        assert guarded.does(who, "sign", url, **signing).code == (0 if who == "build" else 77), who

    for who in ("nobody", "build", "promote", "look"):
        assert guarded.does(who, RUNNER_LOCATION=flow, RUNNER_RUN_ID=who).code in {73, 77}, who
    ran = guarded.does("run", RUNNER_LOCATION=flow, RUNNER_RUN_ID="r")
    assert ran.code == 0, ran
    assert guarded.does("run", RUNNER_LOCATION=url).code == 0, "without listing a flow"
    again = guarded.does("run", RUNNER_LOCATION=flow, RUNNER_RUN_ID="r")
    assert again.code == 0, again

    run, stored = f"{flow}/runs/r", {"nobody": 77, "build": 77, "promote": 77, "look": 77, "run": 0}
    for who, code in stored.items():
        done = guarded.does(who, "report", run)
        assert done.code == code, (who, done)
        assert ("-o FILE" in done.stderr) is (who in {"build", "promote", "look"}), (who, done)

    looks = (("ls", flow), ("inspect", flow), ("show", run), ("result", run), ("report", run, "-o", "-"))
    for arguments in looks:
        for who in ("look", "run"):
            done = guarded.does(who, *arguments)
            assert done.code == 0, (who, done)
        assert guarded.does("nobody", *arguments).code == 77


def test_each_policy_of_the_queue_is_enough_for_its_purpose_and_for_no_other(guarded: Guarded, tmp_path: Path) -> None:
    flow = guarded.build("build").stdout.strip().rpartition("/")[0]
    root = f"s3://{guarded.bucket}"
    for who in ("nobody", "look", "build", "promote", "run", "submit"):
        done = guarded.does(who, "submit", flow, "--run-id", who)
        assert done.code in ({0} if who == "submit" else {73, 77}), (who, done)
    for who in ("run", "submit", "build"):
        done = guarded.does(who, "agent", "start", "local", "--storage", root)
        assert done.code == 77, (who, done)

    keys = {who: guarded.profile(who, tmp_path) for who in ("agent", "run")}
    environ = {name: text for name, text in guarded.server.environ.items() if not name.endswith(("_KEY_ID", "_KEY"))}
    place = replace(guarded.place, environ=environ | {"AWS_SHARED_CREDENTIALS_FILE": keys["agent"]})
    options = ("-l", "s3-flow-storage", "-e", f"AWS_SHARED_CREDENTIALS_FILE={keys['run']}")
    site = Site(place, tmp_path / "launches")
    with site.agent(*options) as agent:
        wait_for(lambda: "succeeded" in guarded.does("look", "show", f"{flow}/runs/submit").stdout)
        wait_for(lambda: not site.markers())
        agent.send_signal(signal.SIGTERM)
        printed, _ = agent.communicate(timeout=60)
    assert agent.returncode == 0, printed
    assert "403" not in printed, printed
    guarded.enforce(wanted=False)
    left = place.keys()
    assert not [key for key in left if key.startswith("_agents/") or key.endswith("-submit")], left


def test_the_policy_of_pruning_is_enough_for_it_and_no_other_is(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = guarded.place
    guarded.enforce(wanted=False)
    write_everything(place)
    guarded.enforce(wanted=True)
    monkeypatch.setattr(needs, "SETTLED_SECONDS", -60.0)
    options = ("--older-than", "0s", "--yes", "--states", "succeeded,failed,asked-for")
    for who in ("nobody", "run", "build", "promote", "look", "submit", "prune"):  # of an agent moto asks too little
        done = run_command(guarded.users[who], "prune", place.url, *options)
        assert done.code == (0 if who == "prune" else 77), (who, done)
    guarded.enforce(wanted=False)
    assert not [key for run_id in ("failed", "old", "asked") for key in folder_of(place, run_id) if "mine" not in key]
    assert {"etl/latest.json", "etl/aliases/prod.json", "etl/runs/_slots/0/000001.json"} <= {*place.keys()}


def test_who_prunes_changes_no_pointer_and_nothing_of_agents() -> None:
    policy = json.loads((POLICIES / "s3-prune.json").read_text())
    [denied] = [entry for entry in policy["Statement"] if entry["Effect"] == "Deny"]
    assert denied["Action"] == ["s3:PutObject", "s3:DeleteObject"]
    agents = json.loads((POLICIES / "s3-agent.json").read_text())["Statement"]
    [theirs] = [entry["Resource"] for entry in agents if entry["Action"] == "s3:DeleteObject"]
    pointers = {f"arn:aws:s3:::my-flows/*/{name}" for name in ("latest.json", "aliases/*")}
    assert set(denied["Resource"]) == {*theirs} | pointers


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.json")), ids=lambda path: path.stem)
def test_no_policy_lets_more_than_it_must(path: Path) -> None:
    policy = json.loads(path.read_text())
    if path.name.startswith("s3-"):
        allowed = [entry for entry in policy["Statement"] if entry["Effect"] == "Allow"]
        listed = [entry["Action"] for entry in allowed]
        actions = {action for each in listed for action in ([each] if isinstance(each, str) else each)}
        deletes = {"s3:DeleteObject"} if path.stem in {"s3-agent", "s3-prune"} else set[str]()
        assert actions <= {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListBucket"} | deletes
        for entry in policy["Statement"]:
            resources = [entry["Resource"]] if isinstance(entry["Resource"], str) else entry["Resource"]
            assert all(":::my-flows" in resource for resource in resources)
            if entry["Action"] == "s3:DeleteObject" and path.stem == "s3-agent":
                assert all(re.search(r"/(_queue|_agents|_slots)/\*$", resource) for resource in resources)
    else:
        may_delete = path.name in {
            "gcs-run.json",
            "gcs-promote.json",
            "azure-agent.json",
        }  # to replace a beat, a pointer
        assert ("objects.delete" in path.read_text() or "blobs/delete" in path.read_text()) is may_delete
