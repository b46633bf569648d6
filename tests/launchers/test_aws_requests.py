"""What ECS and Batch are asked for: as boto3 knows it, as the docs show it, and as moto takes it."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.validate import ParamValidator

from runner.errors import EnvironmentWrong, UsageError
from runner.launchers import ECS, Batch
from runner.launchers.aws import merged
from runner.launchers.base import Order
from runner.launchers.fargate import fargate_disk, fargate_size
from support.servers.aws_batch import client

if TYPE_CHECKING:
    from runner.launchers.base import Launcher
    from runner.schema.documents import ResourcesRecord
    from support.servers import Server

GIB = 2**30
ACCOUNT = "123456789012"
ROLES = {
    "task": f"arn:aws:iam::{ACCOUNT}:role/etl",
    "execution_role": f"arn:aws:iam::{ACCOUNT}:role/ecsTaskExecutionRole",
}
ETL = Order(
    "run-2026-11-b83eceae-1",
    f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/runner:aws-py3.11",
    {"RUNNER_LOCATION": "s3://my-flows/etl", "RUNNER_RUN_ID": "2026_11", "RUNNER_SECRETS": "DB_PASSWORD"},
    {"DB_PASSWORD": f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:db-AbCdEf"},
    {"cpu": 1, "memory": 3 * GIB},
    {"runner/flow": "etl", "runner/run-id": "2026_11", "runner/launch": "1"},
    30.0,
    3600.0,
)
DOCUMENTED: dict[str, Launcher] = {
    "ecs": ECS(
        cluster="batch",
        subnets=["subnet-1"],
        security_groups=["sg-1"],
        task_role=ROLES["task"],
        execution_role=ROLES["execution_role"],
        log_group="/runner",
        region="eu-central-1",
    ),
    "batch": Batch(
        job_queue="spot",
        platform="FARGATE",
        job_role=ROLES["task"],
        execution_role=ROLES["execution_role"],
        region="eu-central-1",
    ),
}


def requests(launcher: Launcher, order: Order = ETL, **other: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    if "execution_role" not in launcher.given:  # by which secrets would be read
        other = {"secrets": {}, **other}
    definition, run = json.loads(launcher.render(order._replace(**other))).values()
    return definition, run


@pytest.mark.parametrize("kind", ["ecs", "batch"])
def test_the_requests_in_the_docs_are_what_is_rendered(kind: str) -> None:
    docs = (Path(__file__).parents[2] / "docs/platforms.md").read_text("utf-8")
    shown = docs.partition(f"<!-- {kind}: a test renders it -->\n```json\n")[2].partition("```")[0]
    assert json.loads(shown) == json.loads(DOCUMENTED[kind].render(ETL))


@pytest.mark.parametrize(("launcher", "heading"), [(ECS, "## Amazon ECS"), (Batch, "## AWS Batch")])
def test_the_docs_have_all_options(launcher: type[Launcher], heading: str) -> None:
    docs = (Path(__file__).parents[2] / "docs/platforms.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.*?) \|", docs.partition(f"{heading}\n")[2].partition("\n## ")[0], re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(set(inspect.signature(launcher).parameters))


@pytest.mark.parametrize("kind", ["ecs", "batch"])
def test_the_requests_are_what_boto3_knows(kind: str) -> None:
    service: Any = boto3.client(kind, region_name="us-east-1")  # type: ignore[call-overload]
    assert DOCUMENTED[kind].render(ETL) == DOCUMENTED[kind].render(ETL)
    for command, document in json.loads(DOCUMENTED[kind].render(ETL)).items():
        operation = "".join(word.capitalize() for word in command.split("-"))
        shape = service.meta.service_model.operation_model(operation).input_shape
        report = ParamValidator().validate(document, shape)
        assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("kind", ["ecs", "batch"])
def test_what_changes_from_run_to_run_is_not_in_the_definition(kind: str) -> None:
    first, _ = requests(DOCUMENTED[kind])
    other: dict[str, Any] = {"name": "run-2-1", "environ": {"RUNNER_RUN_ID": "2"}, "labels": {"runner/flow": "etl"}}
    second, run = requests(DOCUMENTED[kind], **other)
    assert first == second
    assert "clientToken" not in run  # each start of what is rendered for no run is a run of its own
    third, _ = requests(DOCUMENTED[kind], image="another")
    assert third["tags"] != first["tags"]


@pytest.mark.parametrize("launcher", [ECS(launch_type="EC2"), Batch(job_queue="spot")])
def test_secrets_need_somebody_who_may_read_them(launcher: Launcher) -> None:
    with pytest.raises(EnvironmentWrong, match="by an execution role, and none is named"):
        requests(launcher, secrets=ETL.secrets)
    assert requests(launcher)


def test_no_other_image_runs_than_the_one_that_is_told() -> None:
    with pytest.raises(UsageError, match="container_definition of ecs has an image"):
        ECS(container_definition={"image": "other"})
    with pytest.raises(UsageError, match="container_properties of batch has an image"):
        Batch(container_properties={"image": "other"})


@pytest.mark.parametrize("kind", ["ecs", "batch"])
def test_more_than_aws_takes_of_a_run_is_refused_before_it_is_asked(kind: str) -> None:
    environ = {**ETL.environ, "RUNNER_PARAMETERS": "x" * 7168}
    assert requests(DOCUMENTED[kind], environ=environ)
    with pytest.raises(EnvironmentWrong, match="AWS takes 8,192"):
        requests(DOCUMENTED[kind], environ={**environ, "MORE": "x" * 1024})


def test_ecs_on_instances_of_ones_own() -> None:
    definition, run = requests(ECS(launch_type="EC2"), resources={"cpu": 1.5, "memory": 3 * GIB, "gpu": 2})
    [container] = definition["containerDefinitions"]
    assert (definition["requiresCompatibilities"], definition["cpu"], definition["memory"]) == (["EC2"], "1536", "3072")
    assert container["resourceRequirements"] == [{"type": "GPU", "value": "2"}]
    assert ("networkMode" in definition, "networkConfiguration" in run, run["launchType"]) == (False, False, "EC2")


def test_ecs_by_capacity_providers() -> None:
    providers: list[Any] = [{"capacityProvider": "FARGATE_SPOT", "weight": 3}, "FARGATE"]
    launcher = ECS(capacity_providers=providers, subnets="subnet-1", assign_public_ip=True, platform_version="1.4.0")
    definition, run = requests(launcher)
    assert run["capacityProviderStrategy"] == [providers[0], {"capacityProvider": "FARGATE"}]
    assert ("launchType" in run, run["platformVersion"]) == (False, "1.4.0")
    assert run["networkConfiguration"]["awsvpcConfiguration"] == {"subnets": ["subnet-1"], "assignPublicIp": "ENABLED"}
    assert definition["requiresCompatibilities"] == ["FARGATE"]
    assert requests(ECS(capacity_providers="mine"))[0]["requiresCompatibilities"] == ["EC2"]


def test_own_entries_of_a_container_are_merged() -> None:
    own = {
        "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}],
        "secrets": [{"name": "TOKEN", "valueFrom": "token"}],
        "name": "etl",
    }
    volumes = {"volumes": [{"name": "data"}]}
    more: dict[str, Any] = {**volumes, "executionRoleArn": ROLES["execution_role"]}
    launcher = ECS(launch_type="EC2", container_definition=own, task_definition=more, cpu_architecture="ARM64")
    definition, run = requests(launcher, grace=118.0, secrets=ETL.secrets)
    [container] = definition["containerDefinitions"]
    assert [secret["name"] for secret in container["secrets"]] == ["DB_PASSWORD", "TOKEN"]
    assert (container["name"], container["stopTimeout"], container["image"]) == ("etl", 120, ETL.image)
    assert run["overrides"]["containerOverrides"][0]["name"] == "etl"
    assert definition["volumes"] == [{"name": "data"}]
    assert definition["runtimePlatform"]["cpuArchitecture"] == "ARM64"
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}


def test_batch_on_instances_and_on_fargate() -> None:
    own = {"linuxParameters": {"sharedMemorySize": 64}}
    launcher = Batch(job_queue="q", share_identifier="lab", priority=7, attempts=3, container_properties=own)
    definition, job = requests(launcher, resources={"cpu": 1.5, "memory": GIB, "gpu": 1})
    container = definition["containerProperties"]
    needs = {need["type"]: need["value"] for need in container["resourceRequirements"]}
    assert needs == {"VCPU": "2", "MEMORY": "1024", "GPU": "1"}
    assert (container["linuxParameters"], "networkConfiguration" in container) == (own["linuxParameters"], False)
    assert (job["shareIdentifier"], job["schedulingPriorityOverride"]) == ("lab", 7)
    assert (job["retryStrategy"]["attempts"], len(job["retryStrategy"]["evaluateOnExit"])) == (3, 5)
    assert definition["retryStrategy"] == {"attempts": 1}
    fargate = Batch(
        job_queue="q", platform="FARGATE", assign_public_ip=True, platform_version="1.4.0", cpu_architecture="ARM64"
    )
    definition, job = requests(fargate, resources={"cpu": 0.3, "disk": 30 * GIB}, timeout=None)
    container = definition["containerProperties"]
    needs = {need["type"]: need["value"] for need in container["resourceRequirements"]}
    assert needs == {"VCPU": "0.5", "MEMORY": "2048"}
    assert container["ephemeralStorage"] == {"sizeInGiB": 30}
    assert container["networkConfiguration"] == {"assignPublicIp": "ENABLED"}
    assert container["fargatePlatformConfiguration"] == {"platformVersion": "1.4.0"}
    assert container["runtimePlatform"]["cpuArchitecture"] == "ARM64"
    assert (job["retryStrategy"], "timeout" in job) == ({"attempts": 1}, False)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, (1024, 2048)),
        ({"cpu": 0.25, "memory": GIB // 4}, (256, 512)),
        ({"cpu": 0.25, "memory": 1.2 * GIB}, (256, 2048)),
        ({"cpu": 0.25, "memory": 2.5 * GIB}, (512, 3072)),
        ({"memory": 16 * GIB}, (2048, 16384)),
        ({"cpu": 5, "memory": 17 * GIB}, (8192, 20480)),
        ({"cpu": 16, "memory": 120 * GIB}, (16384, 122880)),
    ],
)
def test_a_size_is_rounded_up_to_one_of_fargates(resources: ResourcesRecord, expected: tuple[int, int]) -> None:
    assert fargate_size(resources) == expected


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"cpu": 32}, "no size with 32 cores"),
        ({"memory": 121 * GIB}, "123904 MiB"),
        ({"gpu": 1}, "Fargate has none"),
        ({"disk": 201 * GIB}, "gives 200 at the most"),
    ],
)
def test_what_fargate_does_not_have_is_told(resources: ResourcesRecord, words: str) -> None:
    with pytest.raises(EnvironmentWrong, match=words):
        ECS(subnets="subnet-1").render(ETL._replace(resources=resources))


def test_disk_is_asked_for_where_twenty_are_not_enough() -> None:
    assert [fargate_disk({"disk": size * GIB}) for size in (1, 20, 21, 200)] == [None, None, 21, 200]
    definition, _ = requests(ECS(subnets="subnet-1"), resources={"disk": 50 * GIB})
    assert definition["ephemeralStorage"] == {"sizeInGiB": 50}


def test_ecs_refuses_what_it_cannot_do() -> None:
    with pytest.raises(EnvironmentWrong, match="-O subnets=subnet-"):
        requests(ECS())
    with pytest.raises(EnvironmentWrong, match="RUNNER_GRACE=115"):
        ECS(subnets="subnet-1").render(ETL._replace(grace=121.0))


def test_moto_takes_what_ecs_is_asked_for(moto: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in moto.environ.items():
        monkeypatch.setenv(name, value)
    ecs, ec2 = client(moto, "ecs"), client(moto, "ec2")
    ecs.create_cluster(clusterName="default")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})  # else moto fails at a task in it
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="flows", Description="flows", VpcId=vpc)["GroupId"]
    launcher = ECS(subnets=subnet, security_groups=group, execution_role=ROLES["execution_role"], tags={"team": "data"})
    tasks = [launcher.launch(ETL._replace(name=f"run-r-{number}"))["task"] for number in (1, 1, 2)]
    assert (tasks[0] == tasks[1], tasks[0] == tasks[2]) == (True, False)
    assert len(ecs.list_task_definitions(familyPrefix="runner-etl")["taskDefinitionArns"]) == 1
    [definition] = ecs.list_task_definitions(familyPrefix="runner-etl")["taskDefinitionArns"]
    told = ecs.describe_task_definition(taskDefinition=definition, include=["TAGS"])
    assert {"team", "runner/flow", "runner/definition"} == {tag["key"] for tag in told["tags"]}
    assert (told["taskDefinition"]["cpu"], told["taskDefinition"]["memory"]) == ("1024", "3072")
    [task] = ecs.describe_tasks(tasks=tasks[:1], include=["TAGS"])["tasks"]
    assert {"key": "runner/run-id", "value": "2026_11"} in task["tags"]
    launcher.stop("run-r-1", 0)
    assert launcher.describe("run-r-1").phase == "ended"
