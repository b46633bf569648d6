"""The policies for launching in docs/policies/ are enough, and whatever is taken from them is named; by moto's IAM."""

from __future__ import annotations

import json
import urllib.request
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.errors import Denied
from runner.launchers import ECS, Batch
from runner.launchers.base import Order
from support.servers import moto
from support.servers.aws_batch import client, make_queue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.launchers.base import Launcher
    from support.servers import Server

POLICIES = Path(__file__).parents[2] / "docs/policies"
# What moto does not ask for: rights that calls need besides their own.
NOT_ENFORCED = {"iam:PassRole", "ecs:TagResource", "batch:TagResource"}
ETL = Order("run-r-1", "127.0.0.1:9/none", {"A": "1"}, {}, {}, {"runner/flow": "etl", "runner/run-id": "r"}, grace=30.0)


def actions(kind: str) -> set[str]:
    statements = json.loads((POLICIES / f"{kind}-launch.json").read_text())["Statement"]
    listed = [statement["Action"] for statement in statements]
    return {action for each in listed for action in ([each] if isinstance(each, str) else each)}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with moto.start_moto() as server:
        yield server


@contextmanager
def enforced(server: Server) -> Iterator[None]:
    """https://docs.getmoto.org/en/latest/docs/iam.html"""

    def set_count(count: bytes) -> None:
        headers = {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(f"{server.url}/moto-api/reset-auth", count, headers)).close()

    set_count(b"0")
    try:
        yield
    finally:
        set_count(b"inf")


@pytest.fixture
def launcher(server: Server, kind: str, monkeypatch: pytest.MonkeyPatch) -> Launcher:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(f"runner.launchers.{kind}._PAUSES", (0.0,))
    name = f"runner-{uuid.uuid4().hex[:8]}"
    if kind == "batch":
        return Batch(job_queue=make_queue(server), job_definition=name)
    ec2 = client(server, "ec2")
    subnet = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]
    group = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]
    client(server, "ecs").create_cluster(clusterName=name)
    options: dict[str, Any] = {"cluster": name, "family": name, "log_group": "/runner"}
    return ECS(subnets=subnet["SubnetId"], security_groups=group["GroupId"], **options)


def use(launcher: Launcher) -> None:
    launcher.launch(ETL)
    launcher.describe(ETL.name)
    launcher.stop(ETL.name, 0)
    if isinstance(launcher, Batch):  # a job may have ended before it is stopped, and have no log
        for operation in ("terminate_job", "cancel_job"):
            launcher._ask(operation, jobId="none", reason="none")
        launcher._account.ask("logs", "get_log_events", logGroupName="/aws/batch/job", logStreamName="none")
    launcher.logs(ETL.name)


def become(server: Server, allowed: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Go on as a user who may do these actions."""
    iam: Any = client(server, "iam")
    name = f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    as_moto_has_them = [action.lower() if action.startswith("batch:") else action for action in sorted(allowed)]
    statement = {"Effect": "Allow", "Action": as_moto_has_them, "Resource": "*"}
    iam.put_user_policy(
        UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])


@pytest.mark.parametrize("kind", ["ecs", "batch"])
def test_the_policy_is_enough(kind: str, server: Server, launcher: Launcher, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = client(server, "logs")
    for group in ("/runner", "/aws/batch/job"):
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            logs.create_log_group(logGroupName=group)
            logs.create_log_stream(logGroupName=group, logStreamName="none")
    become(server, actions(kind), monkeypatch)
    with enforced(server):
        use(launcher)


@pytest.mark.parametrize(
    ("kind", "action"),
    [(kind, action) for kind in ("ecs", "batch") for action in sorted(actions(kind) - NOT_ENFORCED)],
)
def test_what_is_not_allowed_is_named(
    kind: str, action: str, server: Server, launcher: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    if action == "ecs:DescribeTaskDefinition":
        launcher.launch(ETL._replace(name="run-r-0"))  # else there is none to be described
    become(server, actions(kind) - {action}, monkeypatch)
    with enforced(server), pytest.raises(Denied, match=f"(?i)not allowed to do {action}:"):
        use(type(launcher)(**launcher.given))


@pytest.mark.parametrize("kind", ["ecs", "batch"])
def test_no_policy_lets_more_than_it_must(kind: str) -> None:
    for statement in json.loads((POLICIES / f"{kind}-launch.json").read_text())["Statement"]:
        looks = statement["Sid"].startswith("Find")
        assert (statement["Resource"] == "*") is looks
        assert "*" not in json.dumps(statement["Action"])
