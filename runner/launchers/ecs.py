"""``ECS``: a task of Amazon's Elastic Container Service, on Fargate or on EC2 instances of one's own."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from runner.errors import EnvironmentWrong, NotStarted, Unreachable
from runner.launchers import aws
from runner.launchers.base import LOG_LINES, Launcher, Order, Sighting
from runner.launchers.fargate import asked_size, fargate_disk, fargate_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.schema.documents import JsonObject

_CONTAINER = "runner"
_LAUNCH_TYPES = ("FARGATE", "EC2", "EXTERNAL")
_ARCHITECTURES = ("X86_64", "ARM64")
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html
_LONGEST_GRACE, _MARGIN = 120, 5
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
_LONGEST_OVERRIDES = 8192  # characters of JSON
_REVISIONS = 10  # of a family, the newest, among which one of the same digest is looked for
_TRIES = 8  # at a family of which others make revisions as well
_LOOK_SECONDS = 1.0
_STOP_SECONDS = 180.0  # in which a task is stopped: its time, and that of its network
# What was started may not be shown at once: «The Amazon ECS API follows an eventual consistency model».
_PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html
_WAITING = {"PROVISIONING", "PENDING", "ACTIVATING"}
_ENDED = {"DEPROVISIONING", "STOPPED", "DELETED"}
_KILLED = 137


class ECS(Launcher):
    """Run flows as tasks of Amazon ECS.

    Credentials, region and profile are found as boto3 finds them. What is the same for all runs of a flow is a task
    definition, which is made once; what belongs to a run is in the call that runs it. The reference of a secret is the
    ARN of one in Secrets Manager, or the ARN or name of a parameter of the Systems Manager: the execution role reads
    it. Memory and cores are rounded up to a size that Fargate has; on instances of one's own a flow's disk is theirs.

    Args:
        cluster: the cluster; by default ``default``.
        launch_type: ``FARGATE`` (default), ``EC2`` or ``EXTERNAL``.
        capacity_providers: instead of that, by name, ``["FARGATE_SPOT"]``, or with base and weight as AWS has them.
        subnets: subnets of the task's network; Fargate needs one.
        security_groups: by default that of the subnets' VPC.
        assign_public_ip: whether the task has a public address, by which it reaches registries without a NAT gateway.
        task_role: the ARN of the role that the flow has: its storage's.
        execution_role: the ARN of the role by which ECS pulls the image, reads the secrets and writes the log.
        platform_version: of Fargate; by default ``LATEST``.
        cpu_architecture: ``X86_64`` or ``ARM64``; by default that of the cluster.
        log_group: of CloudWatch, in which what the container writes is kept; it must be there.
        family: what the task definition is called; by default ``runner-`` and the flow's name.
        container_definition: more of the container, as AWS has it; merged, as all its dictionaries and lists are.
        task_definition: more of the task's definition: ``{"volumes": […]}``; merged in the same way.
        tags: of the definition and of each task.
        region: by default that of ``AWS_REGION``, or of the profile.
        profile: by default that of ``AWS_PROFILE``.

    Example:
        >>> from runner.launchers import ECS
        >>> ECS(cluster="batch", subnets=["subnet-1"], capacity_providers=["FARGATE_SPOT"]).kind
        'ecs'
    """

    kind = "ecs"

    def __init__(  # noqa: PLR0913 - the platform's options
        self,
        *,
        cluster: str | None = None,
        launch_type: str | None = None,
        capacity_providers: str | Sequence[str | Mapping[str, Any]] | None = None,
        subnets: str | Sequence[str] | None = None,
        security_groups: str | Sequence[str] | None = None,
        assign_public_ip: bool | None = None,
        task_role: str | None = None,
        execution_role: str | None = None,
        platform_version: str | None = None,
        cpu_architecture: str | None = None,
        log_group: str | None = None,
        family: str | None = None,
        container_definition: Mapping[str, Any] | None = None,
        task_definition: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        region: str | None = None,
        profile: str | None = None,
    ) -> None:
        super().__init__(
            cluster=cluster,
            launch_type=launch_type,
            capacity_providers=capacity_providers,
            subnets=subnets,
            security_groups=security_groups,
            assign_public_ip=assign_public_ip,
            task_role=task_role,
            execution_role=execution_role,
            platform_version=platform_version,
            cpu_architecture=cpu_architecture,
            log_group=log_group,
            family=family,
            container_definition=container_definition,
            task_definition=task_definition,
            tags=tags,
            region=region,
            profile=profile,
        )
        aws.check_choice(self.kind, "launch_type", launch_type, _LAUNCH_TYPES)
        aws.check_choice(self.kind, "cpu_architecture", cpu_architecture, _ARCHITECTURES)
        aws.check_dictionaries(self.kind, self.given, "container_definition", "task_definition", "tags")
        aws.check_no_image(self.kind, self.given, "container_definition")
        self._providers = [
            {"capacityProvider": each} if isinstance(each, str) else dict(each)
            for each in aws.as_list(self.given, "capacity_providers")
        ]
        self._account = aws.Account(region, profile)
        self._started: dict[str, str] = {}  # ARNs of tasks, by name

    def render(self, order: Order) -> str:
        """See `Launcher.render`; what ``aws ecs register-task-definition`` and ``run-task`` take."""
        definition, run = self._requests(aws.shown(order))
        return aws.rendered(register_task_definition=definition, run_task=run)

    def launch(self, order: Order) -> dict[str, str]:
        """See `Launcher.launch`. Raises NotStarted where there is no capacity now."""
        definition, run = self._requests(order)
        if "disk" in order.resources and not self._is_fargate:
            self.tell("ECS keeps no limit of the disk on instances: theirs must be large enough")
        if tasks := self._listed(order.name):
            return {"task": tasks[0]}
        made = self._made(definition)
        try:
            answer = self._ask("run_task", **{**run, "taskDefinition": made})
        except aws.Refused as error:
            if error.aws_code == "ConflictException" and error.resource_ids:  # asked for before, if otherwise
                self._started[order.name] = error.resource_ids[0]
                return {"task": error.resource_ids[0], "definition": made}
            if "limit on" in error.message:
                raise NotStarted(error.message, hint="Wait until others have ended, or ask AWS for more.") from error
            raise
        if not answer["tasks"]:
            said = "; ".join(
                ": ".join(filter(None, map(each.get, ("reason", "detail")))) for each in answer["failures"]
            )
            hint = "Add subnets of other zones, capacity providers or instances, or try again later."
            raise NotStarted(f"ECS has no room for {order.name}: {said}", hint=hint)
        self._started[order.name] = answer["tasks"][0]["taskArn"]
        return {"task": self._started[order.name], "definition": made}

    def check(self) -> str:
        """See `Launcher.check`."""
        self._listed("runner-doctor-asks")
        heard = "" if "log_group" in self.given else "; without -O log_group=NAME nobody reads what a container writes"
        return f"the cluster {self._cluster} in {self._account.region} answers{heard}"

    def describe(self, name: str) -> Sighting:
        """See `Launcher.describe`; ECS forgets a task an hour after it has stopped."""
        task = self._task(name)
        return _sighting(task, self._container) if task else Sighting("absent")

    def stop(self, name: str, grace: float) -> None:  # noqa: ARG002 - the definition has it
        """See `Launcher.stop`; the time that a container has is that of its definition, from when it was launched."""
        task, until = self._task(name), time.monotonic() + _STOP_SECONDS
        if task and task["lastStatus"] not in _ENDED:
            try:
                self._ask("stop_task", cluster=self._cluster, task=task["taskArn"], reason="stopped by runner")
            except aws.Refused as error:
                if "not found" not in error.message:
                    raise
        while task and task["lastStatus"] != "STOPPED" and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
            task = self._task(name)

    def remove(self, name: str) -> None:
        """See `Launcher.remove`; ECS removes by itself what has stopped."""
        self.stop(name, 0)

    def logs(self, name: str, lines: int = LOG_LINES) -> list[str]:
        """See `Launcher.logs`."""
        group, task = self.given.get("log_group"), self._task(name)
        if group is None or task is None:
            return []
        stream = f"runner/{self._container}/{task['taskArn'].rpartition('/')[2]}"
        return aws.last_log_lines(self._account, group, stream, lines)

    @property
    def _cluster(self) -> str:
        cluster: str = self.given.get("cluster", "default")
        return cluster

    @property
    def _container(self) -> str:
        name: str = self.given.get("container_definition", {}).get("name", _CONTAINER)
        return name

    @property
    def _is_fargate(self) -> bool:
        if self._providers:
            return all(str(each.get("capacityProvider", "")).startswith("FARGATE") for each in self._providers)
        return bool(self.given.get("launch_type", "FARGATE") == "FARGATE")

    def _ask(self, operation: str, **arguments: Any) -> JsonObject:
        return self._account.ask("ecs", operation, **arguments)

    def _requests(self, order: Order) -> tuple[JsonObject, JsonObject]:
        """Return what is the same for all runs, and what runs one of them."""
        given, definition = self.given, self._definition(order)
        tags = {name: text for name, text in order.labels.items() if name != "runner/flow"}
        override: JsonObject = {"name": self._container, "environment": aws.pairs(order.environ)}
        if order.command:
            override["command"] = list(order.command)
        overrides = {"containerOverrides": [override]}
        aws.check_length("the overrides of a task of ECS", overrides, _LONGEST_OVERRIDES)
        where = (
            {"capacityProviderStrategy": self._providers}
            if self._providers
            else {"launchType": given.get("launch_type", "FARGATE")}
        )
        run: JsonObject = {
            "cluster": self._cluster,
            "taskDefinition": definition["family"],
            "count": 1,
            **where,
            **({"platformVersion": given["platform_version"]} if "platform_version" in given else {}),
            **self._network(),
            "overrides": overrides,
            "enableExecuteCommand": False,
            "propagateTags": "TASK_DEFINITION",
            **({"tags": aws.pairs(tags, "value", "key")} if tags else {}),
            **({"startedBy": order.name, "clientToken": order.name} if aws.is_once(order) else {}),
        }
        return definition, run

    def _definition(self, order: Order) -> JsonObject:
        given = self.given
        size = fargate_size(order.resources) if self._is_fargate else asked_size(order.resources)
        disk = fargate_disk(order.resources) if self._is_fargate else None
        if order.grace > _LONGEST_GRACE:
            message = (
                f"ECS gives a container {_LONGEST_GRACE} s to stop at the most, and the flow wants {order.grace:g}"
            )
            raise EnvironmentWrong(message, hint=f"Set RUNNER_GRACE={_LONGEST_GRACE - _MARGIN}.")
        container: JsonObject = {
            "name": _CONTAINER,
            "image": order.image,
            "essential": True,
            "memory": size.memory,  # by which ECS tells that it was the memory
            "stopTimeout": min(math.ceil(order.grace) + _MARGIN, _LONGEST_GRACE),
            **aws.awslogs(given.get("log_group"), self._account),
        }
        if order.secrets:
            container["secrets"] = aws.pairs(order.secrets, "valueFrom")
        if gpus := order.resources.get("gpu"):
            container["resourceRequirements"] = [{"type": "GPU", "value": str(gpus)}]
        roles = {"taskRoleArn": given.get("task_role"), "executionRoleArn": given.get("execution_role")}
        definition: JsonObject = {
            "family": given.get("family") or f"runner-{aws.flow_of(order)}",
            "requiresCompatibilities": ["FARGATE" if self._is_fargate else given.get("launch_type", "EC2")],
            **({"networkMode": "awsvpc"} if self._is_fargate or "subnets" in given else {}),
            "cpu": str(size.cpu),
            "memory": str(size.memory),
            **{name: role for name, role in roles.items() if role},
            "containerDefinitions": [aws.merged(container, given.get("container_definition", {}))],
            **({"ephemeralStorage": {"sizeInGiB": disk}} if disk else {}),
        }
        if architecture := given.get("cpu_architecture"):
            definition["runtimePlatform"] = {"cpuArchitecture": architecture, "operatingSystemFamily": "LINUX"}
        definition = aws.merged(definition, given.get("task_definition", {}))
        aws.check_secrets(self.kind, definition["containerDefinitions"], definition.get("executionRoleArn"))
        aws.check_folders(
            self.kind, order, definition["containerDefinitions"][0], "task_definition and container_definition"
        )
        tags = {"runner/flow": aws.flow_of(order), **given.get("tags", {})}
        definition["tags"] = aws.pairs(
            {**tags, aws.DIGEST_TAG: aws.digest_of({**definition, "tags": tags})}, name="key"
        )
        return definition

    def _network(self) -> JsonObject:
        subnets = aws.as_list(self.given, "subnets")
        if not subnets:
            if self._is_fargate:
                raise EnvironmentWrong("a task on Fargate needs a subnet", hint="Name some: -O subnets=subnet-….")
            return {}
        network: JsonObject = {"subnets": subnets}
        if groups := aws.as_list(self.given, "security_groups"):
            network["securityGroups"] = groups
        if "assign_public_ip" in self.given:
            network["assignPublicIp"] = "ENABLED" if self.given["assign_public_ip"] else "DISABLED"
        return {"networkConfiguration": {"awsvpcConfiguration": network}}

    def _made(self, definition: JsonObject) -> str:
        """Return the ARN of a revision that was made of this definition; make one if there is none."""
        for attempt in range(_TRIES):
            if found := self._find_definition(definition):
                return found
            try:
                made: str = self._ask("register_task_definition", **definition)["taskDefinition"]["taskDefinitionArn"]
            except aws.Refused as error:
                if "concurrent attempts" not in error.message:  # of another launcher, perhaps to make the same
                    raise
                time.sleep(min(0.2 * 2**attempt, 5))
            else:
                return made
        message = f"the task definition {definition['family']} is being changed by others all the time"
        raise Unreachable(message, hint="Try again, or name another one: -O family=NAME.")

    def _find_definition(self, definition: JsonObject) -> str | None:
        [digest] = [tag["value"] for tag in definition["tags"] if tag["key"] == aws.DIGEST_TAG]
        newest = self._ask(
            "list_task_definitions", familyPrefix=definition["family"], sort="DESC", maxResults=_REVISIONS
        )
        for arn in newest["taskDefinitionArns"]:
            found = self._ask("describe_task_definition", taskDefinition=arn, include=["TAGS"])
            if {"key": aws.DIGEST_TAG, "value": digest} in found.get("tags", []):
                return str(arn)
        return None

    def _listed(self, name: str) -> list[str]:
        """Return the ARNs of the tasks of a name: first those that are to run, then those that are to stop."""
        return [
            arn
            for status in ("RUNNING", "STOPPED")
            for arn in self._ask("list_tasks", cluster=self._cluster, startedBy=name, desiredStatus=status)["taskArns"]
        ]

    def _task(self, name: str) -> JsonObject | None:
        """Return what ECS says of the task of a name; it is asked some times before it has none."""
        for pause in _PAUSES:
            time.sleep(pause)
            arns = [self._started[name]] if name in self._started else self._listed(name)[:1]
            if arns and (tasks := self._ask("describe_tasks", cluster=self._cluster, tasks=arns)["tasks"]):
                found: JsonObject = tasks[0]
                return found
        return None


def _sighting(task: JsonObject, name: str) -> Sighting:
    containers = task.get("containers", [])
    container: JsonObject = next((each for each in containers if each.get("name") == name), {})
    events = tuple(
        text
        for text in (
            *(f"{each['name']}: {each['reason']}" for each in containers if each.get("reason")),
            ": ".join(filter(None, (task.get("stopCode"), task.get("stoppedReason")))),
        )
        if text
    )
    status = task["lastStatus"]
    if status in _WAITING:
        return Sighting("waiting", status, container.get("reason") or "", events=events)
    if status not in _ENDED:
        return Sighting("running", events=events)
    code, stopped = container.get("exitCode"), task.get("stoppedReason") or ""
    reason, message = aws.words_of(container.get("reason") or stopped)
    if not reason:
        reason, message = aws.words_of(stopped)
    if not reason and (task.get("stopCode") != "EssentialContainerExited" or code is None):
        reason, message = task.get("stopCode") or "", message or container.get("reason") or ""
    elif not reason:
        message = ""  # «Essential container in task exited»
    if reason == "OOMKilled" and code is None:
        code = _KILLED
    began = code is not None or task.get("startedAt") is not None
    return Sighting("ended", reason, message, code, events, is_hopeless=not began and aws.is_hopeless(message))
