"""An API server that is busy, forgets, breaks off, lets nobody in or allows too little; and one that changes a Job."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from runner.errors import CredentialsRefused, Denied, EnvironmentWrong, Unreachable
from runner.launchers import Kubernetes
from runner.launchers.base import Order
from support.launching import HASTE, wait_for
from support.wire import Fault, Relay, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.on_kubernetes import Cloud

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "docs" / "policies" / "kubernetes-launch.yaml"
JSON = (("Content-Type", "application/json"),)
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {cluster}}}]
users: [{{name: u, user: {user}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""


def status(code: int, reason: str, message: str = "told so") -> bytes:
    """What the API server says of a request that did not succeed."""
    told = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return json.dumps(told).encode()


def kubeconfig(path: Path, cluster: Any, user: Any) -> str:
    path.write_text(KUBECONFIG.format(cluster=json.dumps(cluster), user=json.dumps(user)))
    return str(path)


@pytest.fixture
def relay(platform: Cloud, tmp_path: Path) -> Iterator[Relay]:
    """A layer in front of the API server, which the platform's launcher goes through."""
    command = [str(platform.cluster.binaries / "kubectl"), "--kubeconfig", str(platform.cluster.kubeconfig), "proxy"]
    with subprocess.Popen([*command, "--port=0"], stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        address = proxy.stdout.readline().split()[-1]
        with Relay(f"http://{address}") as relay:
            path = kubeconfig(tmp_path / "relayed", {"server": f"http://127.0.0.1:{relay.port}"}, {})
            platform.through(path)
            yield relay
        proxy.terminate()


def order(**more: Any) -> Order:
    given: dict[str, Any] = {
        "name": "run-server-1",
        "image": "nobody/has:1",
        "environ": {"RUNNER_RUN_ID": "server"},
        "secrets": {},
        "resources": {},
        "labels": {"runner/run-id": "server"},
        "grace": 1.0,
    }
    return Order(**given | more)


def test_what_passes_is_asked_again(platform: Cloud, relay: Relay) -> None:
    relay.faults = [
        Fault("answer", "POST", "/jobs", times=1, status=429, headers=(*JSON, ("Retry-After", "1"))),
        Fault("lose", "POST", "/jobs", times=1),
        Fault("answer", "GET", "/pods", times=2, status=410, headers=JSON, body=status(410, "Expired")),
        Fault("drop", "GET", "/jobs/run-", times=2),
        Fault("answer", "GET", "/events", times=1, status=500, headers=JSON, body=status(500, "InternalError")),
        Fault("answer", "GET", "/jobs/run-", times=1, status=502, body=b"<html>"),
        Fault("lose", "DELETE", "/jobs", times=1),
    ]
    done = platform.launch("ok", "-f", *HASTE)
    assert done.code == 0, done
    assert len([path for method, path in relay.requests if method == "POST"]) == 3
    assert list(platform.store().list_attempts()) == [1]


@pytest.mark.parametrize(
    "fault",
    [
        Fault("answer", "GET", "/jobs/", status=503, headers=JSON, body=status(503, "ServiceUnavailable")),
        Fault("answer", "GET", "/pods", status=429, headers=JSON, body=status(429, "TooManyRequests")),
        Fault("answer", "GET", "/pods", status=410, headers=JSON, body=status(410, "Expired")),
        Fault("answer", "GET", "/jobs/", status=504),
        Fault("drop", "GET", "/jobs/"),
    ],
    ids=["503", "429", "410", "504", "drop"],
)
def test_a_server_that_does_not_answer_says_nothing_of_the_run(platform: Cloud, relay: Relay, fault: Fault) -> None:
    platform.launcher.launch(order())
    relay.faults = [fault]
    seen = platform.launcher.describe("run-server-1")
    assert seen.phase == "unknown"
    assert seen.message
    relay.faults = []
    assert platform.launcher.describe("run-server-1").phase == "waiting"


@pytest.mark.parametrize(
    ("method", "words", "after"),
    [("POST", "/jobs", 0), ("POST", "/jobs", 1), ("GET", "/jobs/run-", 0), ("GET", "/pods", 0), ("DELETE", "/jobs", 0)],
)
def test_a_launcher_that_is_killed_at_a_request_is_taken_up(
    platform: Cloud, relay: Relay, method: str, words: str, after: int
) -> None:
    """Before the request is acted upon; ``after`` 1: when it was, and the answer was lost."""
    lost = [Fault("lose", method, words, times=1)] if after else []
    relay.faults = [*lost, Fault("silent", method, words)]
    launcher = platform.begin("ok", "-f", *HASTE)
    wait_for(lambda: len([1 for each in relay.requests if each[0] == method and words in each[1]]) > after)
    launcher.kill()
    launcher.communicate()
    relay.faults = []
    done = platform.launch("ok", "-f", *HASTE)
    assert done.code == 0, done
    assert platform.outcome()["state"] == "succeeded"
    assert list(platform.store().list_attempts()) == [1]
    if method != "DELETE":  # before that the launch was over, and all written down
        assert len(platform.store().list_launches()) == 1
        wait_for(lambda: not platform.is_there(platform.name()))


def test_a_job_that_was_changed_on_its_way_is_removed_and_refused(platform: Cloud, relay: Relay) -> None:
    """As a webhook of the cluster might, or a server that does not know a field."""
    made = {
        "metadata": {"name": "run-server-1", "namespace": platform.namespace, "uid": "1"},
        "spec": {"backoffLimit": 6, "completions": 1, "parallelism": 1},
    }
    relay.faults = [Fault("answer", "POST", "/jobs", status=201, headers=JSON, body=json.dumps(made).encode())]
    with pytest.raises(EnvironmentWrong, match=r"spec\.backoffLimit is 6") as raised:
        platform.launcher.launch(order())
    assert "the variable RUNNER_RUN_ID is gone" in str(raised.value)
    assert relay.requests[-1][0] == "DELETE"
    assert not platform.is_there("run-server-1")


def test_what_a_cluster_does_not_take_is_told_in_its_words(platform: Cloud) -> None:
    with pytest.raises(EnvironmentWrong, match=r"env\[0\]\.name: Invalid value: \"A B\""):
        platform.launcher.launch(order(environ={"A B": "x"}))


def test_nobody_who_answers_is_told_with_the_address(platform: Cloud, tmp_path: Path) -> None:
    with refused() as port:
        path = kubeconfig(tmp_path / "k", {"server": f"http://127.0.0.1:{port}"}, {})
        launcher = Kubernetes(kubeconfig=path)
        with pytest.raises(Unreachable, match=f"the cluster at http://127.0.0.1:{port} does not answer"):
            launcher.launch(order())
        assert launcher.describe("x").phase == "unknown"
    assert platform.namespace


def test_credentials_that_are_none_are_refused(platform: Cloud, tmp_path: Path) -> None:
    cluster = {"server": platform.cluster.url, "certificate-authority": str(platform.cluster.certificate)}
    launcher = Kubernetes(kubeconfig=kubeconfig(tmp_path / "k", cluster, {"token": "wrong"}))
    with pytest.raises(CredentialsRefused, match="does not accept the credentials"):
        launcher.launch(order())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kubeconfig": "/nowhere"}, "Configuration file /nowhere not found"),
        ({"context": "other"}, "'other' not found"),
    ],
)
def test_a_cluster_that_is_named_nowhere_is_told(platform: Cloud, options: dict[str, str], message: str) -> None:
    with pytest.raises(EnvironmentWrong, match=message):
        platform.another(**options).launch(order())


@pytest.fixture
def limited(platform: Cloud, tmp_path: Path) -> str:
    """A kubeconfig with the account of docs/policies, which has that role alone."""
    text = ROLE.read_text("utf-8").replace("namespace: flows", f"namespace: {platform.namespace}")
    platform.kubectl("apply", "-f", "-", stdin=text)
    return account(platform, tmp_path)


def account(platform: Cloud, tmp_path: Path) -> str:
    secret: list[str] = []

    def has_token() -> bool:
        found = platform.get("serviceaccount", "runner-launcher")
        secret[:] = [each["name"] for each in found.get("secrets", [])]
        return bool(secret)

    wait_for(has_token)
    token = platform.kubectl("get", "secret", secret[0], "-o", "go-template={{.data.token | base64decode}}")
    cluster = {"server": platform.cluster.url, "certificate-authority": str(platform.cluster.certificate)}
    return kubeconfig(tmp_path / "limited", cluster, {"token": token})


def test_the_role_of_the_documents_is_enough_for_a_whole_run_and_for_one_that_is_stopped(
    platform: Cloud, limited: str
) -> None:
    platform.through(limited)
    done = platform.launch("ok", "-f", *HASTE)
    assert done.code == 0, done
    assert platform.launch("hold", *HASTE, run_id="held").code == 0
    launcher, name = platform.launcher, platform.name("held")
    assert launcher.check() == f"namespace {platform.namespace} at {platform.cluster.url}"
    assert launcher.logs(name)
    launcher.stop(name, 1)
    wait_for(lambda: launcher.describe(name).phase == "absent")


@pytest.mark.parametrize(
    ("resource", "verb"),
    [("jobs", "create"), ("jobs", "get"), ("jobs", "delete"), ("pods", "list"), ("pods", "delete")],
)
def test_a_right_that_is_missing_is_named(platform: Cloud, tmp_path: Path, resource: str, verb: str) -> None:
    documents = list(yaml.safe_load_all(ROLE.read_text("utf-8")))
    for document in documents:
        document["metadata"]["namespace"] = platform.namespace
        for rule in document.get("rules", []):
            if resource in rule["resources"]:
                rule["verbs"].remove(verb)
        for subject in document.get("subjects", []):
            subject["namespace"] = platform.namespace
    platform.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(documents))
    launcher = platform.another(kubeconfig=account(platform, tmp_path))

    def use() -> None:
        launcher.launch(order())
        wait_for(lambda: platform.get("pods")["items"])
        launcher.describe("run-server-1")
        launcher.stop("run-server-1", 1)

    with pytest.raises(Denied, match=rf"cannot {verb} resource \"{resource}\"") as raised:
        use()
    assert "docs/platforms.md" in raised.value.hint
    with pytest.raises(Denied, match=f"does not allow it: {verb} {resource}, in the namespace {platform.namespace}"):
        launcher.check()


def test_without_the_right_to_read_events_or_logs_all_else_goes_on(platform: Cloud, tmp_path: Path) -> None:
    whole = ROLE.read_text("utf-8").replace("namespace: flows", f"namespace: {platform.namespace}")
    role, count = re.subn(r"  - apiGroups: .*\n    resources: \[(events|pods/log)\]\n    verbs: .*\n", "", whole)
    assert count == 2
    platform.kubectl("apply", "-f", "-", stdin=role)
    launcher = platform.another(kubeconfig=account(platform, tmp_path))
    launcher.launch(order())
    wait_for(lambda: launcher.describe("run-server-1").reason in {"ErrImagePull", "ImagePullBackOff"})
    assert launcher.describe("run-server-1").events == ()
    assert launcher.logs("run-server-1") == []
    assert launcher.check().endswith("what these would tell is missing: list events, get pods/log")
