"""``Batch``: a job of AWS Batch, in a queue whose compute environment is of Fargate or of EC2 instances."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from runner.errors import EnvironmentWrong, UsageError
from runner.launchers import aws
from runner.launchers.base import LOG_LINES, Launcher, Order, Sighting
from runner.launchers.fargate import asked_size, fargate_disk, fargate_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.schema.documents import JsonObject

_PLATFORMS = ("EC2", "FARGATE")
_ARCHITECTURES = ("X86_64", "ARM64")
_LOG_GROUP = "/aws/batch/job"  # https://docs.aws.amazon.com/batch/latest/userguide/using_cloudwatch_logs.html
_MOST_ATTEMPTS = 10
_LONGEST_GRACE = 30  # between SIGTERM and SIGKILL: https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html
_LONGEST_OVERRIDES = 8192  # characters: Batch takes 30 KiB, and then ECS, by which it runs a job, fails that
_SHORTEST, _MARGIN = 60, 60  # seconds of a job; those more than the flow's own
# What may go better the next time; AWS takes five at the most, and the last one ends the list.
EVALUATE_ON_EXIT = (
    {"onStatusReason": "Host EC2*", "action": "RETRY"},
    {"onExitCode": "69", "action": "RETRY"},
    {"onExitCode": "74", "action": "RETRY"},
    {"onExitCode": "137", "action": "RETRY"},
    {"onReason": "*", "action": "EXIT"},
)
_LOOK_SECONDS = 1.0
_STOP_SECONDS = 120.0  # in which a job is stopped: Batch gives its container 30
_PAUSES = (0.0, 0.5, 1.0, 2.0)  # a job may not be listed at once
# https://docs.aws.amazon.com/batch/latest/userguide/job_states.html, those first that are nearest to work
_STATES = ("RUNNING", "STARTING", "RUNNABLE", "PENDING", "SUBMITTED", "SUCCEEDED", "FAILED")
_ENDED = {"SUCCEEDED", "FAILED"}
_HELD, _KILLED = 75, 137


class Batch(Launcher):
    """Run flows as jobs of AWS Batch.

    Credentials, region and profile are found as boto3 finds them. What is the same for all runs of a flow is a job
    definition, which is made once; what belongs to a run is in the call that submits it. The reference of a secret is
    the ARN of one in Secrets Manager, or the ARN or name of a parameter of the Systems Manager: the execution role
    reads it. On Fargate memory and cores are rounded up to a size that it has; on instances a flow's disk is theirs,
    and a container has 30 s to stop.

    Args:
        job_queue: the queue; it must be named.
        job_definition: what the definition is called; by default ``runner-`` and the flow's name.
        platform: ``EC2`` (default) or ``FARGATE``, as the queue's compute environment has it.
        job_role: the ARN of the role that the flow has: its storage's.
        execution_role: the ARN of the role by which the image is pulled and the secrets are read; Fargate needs it.
        assign_public_ip: on Fargate, whether the job has a public address.
        platform_version: of Fargate; by default ``LATEST``.
        cpu_architecture: on Fargate, ``X86_64`` or ``ARM64``.
        share_identifier: of the queue's fair-share policy.
        priority: within that share, from 0 to 9999.
        attempts: how often Batch itself may start the job, which goes on with the run then; by default once.
        container_properties: more of the container, as AWS has it; merged, as all its dictionaries and lists are.
        tags: of the definition and of each job.
        region: by default that of ``AWS_REGION``, or of the profile.
        profile: by default that of ``AWS_PROFILE``.

    Example:
        >>> from runner.launchers import Batch
        >>> Batch(job_queue="spot", attempts=3).kind
        'batch'
    """

    kind = "batch"

    def __init__(  # noqa: PLR0913 - the platform's options
        self,
        *,
        job_queue: str | None = None,
        job_definition: str | None = None,
        platform: str | None = None,
        job_role: str | None = None,
        execution_role: str | None = None,
        assign_public_ip: bool | None = None,
        platform_version: str | None = None,
        cpu_architecture: str | None = None,
        share_identifier: str | None = None,
        priority: int | None = None,
        attempts: int | None = None,
        container_properties: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        region: str | None = None,
        profile: str | None = None,
    ) -> None:
        super().__init__(
            job_queue=job_queue,
            job_definition=job_definition,
            platform=platform,
            job_role=job_role,
            execution_role=execution_role,
            assign_public_ip=assign_public_ip,
            platform_version=platform_version,
            cpu_architecture=cpu_architecture,
            share_identifier=share_identifier,
            priority=priority,
            attempts=attempts,
            container_properties=container_properties,
            tags=tags,
            region=region,
            profile=profile,
        )
        aws.check_choice(self.kind, "platform", platform, _PLATFORMS)
        aws.check_choice(self.kind, "cpu_architecture", cpu_architecture, _ARCHITECTURES)
        aws.check_dictionaries(self.kind, self.given, "container_properties", "tags")
        aws.check_no_image(self.kind, self.given, "container_properties")
        if attempts is not None and attempts not in range(1, _MOST_ATTEMPTS + 1):
            raise UsageError(f"batch starts a job from 1 to {_MOST_ATTEMPTS} times, and not {attempts!r}")
        self._account = aws.Account(region, profile)
        self._submitted: dict[str, str] = {}  # ids of jobs, by name

    def render(self, order: Order) -> str:
        """See `Launcher.render`; what ``aws batch register-job-definition`` and ``submit-job`` take."""
        definition, job = self._requests(aws.shown(order))
        return aws.rendered(register_job_definition=definition, submit_job=job)

    def launch(self, order: Order) -> dict[str, str]:
        """See `Launcher.launch`; Batch has no idempotence of its own: of two jobs at once the later one is cancelled.

        Should that one be the first to begin, it has the run, and the other one ends by itself.
        """
        definition, job = self._requests(order)
        if "disk" in order.resources and definition["platformCapabilities"] != ["FARGATE"]:
            self.tell("Batch keeps no limit of the disk on instances: theirs must be large enough")
        if found := self._first(order.name):
            return {"job": found}
        submitted = self._ask("submit_job", **{**job, "jobDefinition": self._made(definition)})["jobId"]
        first = self._first(order.name) or submitted
        if first != submitted:  # which does nothing to one that has begun
            self._ask("cancel_job", jobId=submitted, reason=f"{first} is the same launch")
        self._submitted[order.name] = submitted
        return {"job": first}

    def check(self) -> str:
        """See `Launcher.check`."""
        self._jobs("runner-doctor-asks")
        return f"the queue {self._queue} in {self._account.region} answers"

    def describe(self, name: str) -> Sighting:
        """See `Launcher.describe`; Batch forgets a job some days after it has ended."""
        job = self._job(name)
        return _sighting(job) if job else Sighting("absent")

    def stop(self, name: str, grace: float) -> None:  # noqa: ARG002 - Batch has its own
        """See `Launcher.stop`; a container has 30 s, whatever is asked for."""
        job, until = self._job(name), time.monotonic() + _STOP_SECONDS
        if job and job["status"] not in _ENDED:
            self._ask("terminate_job", jobId=job["jobId"], reason="stopped by runner")
        while job and job["status"] not in _ENDED and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
            job = self._job(name)

    def remove(self, name: str) -> None:
        """See `Launcher.remove`; Batch removes by itself what has ended."""
        self.stop(name, 0)

    def logs(self, name: str, lines: int = LOG_LINES) -> list[str]:
        """See `Launcher.logs`; they come to CloudWatch when Batch sends them there."""
        job = self._job(name)
        container = job.get("container", {}) if job else {}
        stream = container.get("logStreamName")
        if not stream:
            return []
        group = container.get("logConfiguration", {}).get("options", {}).get("awslogs-group", _LOG_GROUP)
        return aws.last_log_lines(self._account, group, stream, lines)

    @property
    def _queue(self) -> str:
        queue: str | None = self.given.get("job_queue")
        if queue is None:
            raise EnvironmentWrong("no queue of AWS Batch is named", hint="Name one: -O job_queue=NAME.")
        return queue

    def _ask(self, operation: str, **arguments: Any) -> JsonObject:
        return self._account.ask("batch", operation, **arguments)

    def _requests(self, order: Order) -> tuple[JsonObject, JsonObject]:
        """Return what is the same for all runs, and what submits one of them."""
        given, definition = self.given, self._definition(order)
        tags = {name: text for name, text in order.labels.items() if name != "runner/flow"}
        limit = None if order.timeout is None else math.ceil(order.timeout + order.grace) + _MARGIN
        command = {"command": list(order.command)} if order.command else {}
        shares = {"shareIdentifier": "share_identifier", "schedulingPriorityOverride": "priority"}
        job: JsonObject = {
            "jobName": order.name,
            "jobQueue": self._queue,
            "jobDefinition": definition["jobDefinitionName"],
            "containerOverrides": {"environment": aws.pairs(order.environ), **command},
            "retryStrategy": self._retries,
            "propagateTags": True,
            "tags": {**given.get("tags", {}), **tags},
            **{name: given[option] for name, option in shares.items() if option in given},
            **({"timeout": {"attemptDurationSeconds": max(limit, _SHORTEST)}} if limit else {}),
        }
        aws.check_length("the overrides of a job of AWS Batch", job["containerOverrides"], _LONGEST_OVERRIDES)
        return definition, job

    @property
    def _retries(self) -> JsonObject:
        attempts = self.given.get("attempts", 1)
        return {"attempts": attempts, **({"evaluateOnExit": list(EVALUATE_ON_EXIT)} if attempts > 1 else {})}

    def _definition(self, order: Order) -> JsonObject:
        given = self.given
        platform = given.get("platform", _PLATFORMS[0])
        if order.grace > _LONGEST_GRACE:
            message = f"Batch gives a container {_LONGEST_GRACE} s to stop, and the flow wants {order.grace:g}"
            raise EnvironmentWrong(message, hint="Set RUNNER_GRACE=25.")
        is_fargate = platform == "FARGATE"
        size = fargate_size(order.resources) if is_fargate else asked_size(order.resources)
        needs = {"VCPU": size.cores if is_fargate else str(math.ceil(float(size.cores))), "MEMORY": str(size.memory)}
        if gpus := order.resources.get("gpu"):
            needs["GPU"] = str(gpus)
        roles = {"jobRoleArn": given.get("job_role"), "executionRoleArn": given.get("execution_role")}
        container: JsonObject = {
            "image": order.image,
            "resourceRequirements": aws.pairs(needs, name="type"),
            **{name: role for name, role in roles.items() if role},
            **({"secrets": aws.pairs(order.secrets, "valueFrom")} if order.secrets else {}),
            **(self._of_fargate(order) if is_fargate else {}),
        }
        container = aws.merged(container, given.get("container_properties", {}))
        aws.check_secrets(self.kind, [container], container.get("executionRoleArn"))
        aws.check_folders(self.kind, order, container, "container_properties")
        definition: JsonObject = {
            "jobDefinitionName": given.get("job_definition") or f"runner-{aws.flow_of(order)}",
            "type": "container",
            "platformCapabilities": [platform],
            "containerProperties": container,
            "retryStrategy": {"attempts": 1},
            "propagateTags": True,
        }
        tags = {"runner/flow": aws.flow_of(order), **given.get("tags", {})}
        return {**definition, "tags": {**tags, aws.DIGEST_TAG: aws.digest_of({**definition, "tags": tags})}}

    def _of_fargate(self, order: Order) -> JsonObject:
        given, disk = self.given, fargate_disk(order.resources)
        public = "ENABLED" if given.get("assign_public_ip") else "DISABLED"
        own: JsonObject = {"networkConfiguration": {"assignPublicIp": public}}
        if "platform_version" in given:
            own["fargatePlatformConfiguration"] = {"platformVersion": given["platform_version"]}
        if "cpu_architecture" in given:
            architecture = given["cpu_architecture"]
            own["runtimePlatform"] = {"cpuArchitecture": architecture, "operatingSystemFamily": "LINUX"}
        if disk:
            own["ephemeralStorage"] = {"sizeInGiB": disk}
        return own

    def _made(self, definition: JsonObject) -> str:
        """Return the ARN of a revision that was made of this definition; make one if there is none."""
        more: dict[str, str] = {}
        while True:
            page = self._ask(
                "describe_job_definitions",
                jobDefinitionName=definition["jobDefinitionName"],
                status="ACTIVE",
                **more,
            )
            for each in page["jobDefinitions"]:
                if each.get("tags", {}).get(aws.DIGEST_TAG) == definition["tags"][aws.DIGEST_TAG]:
                    return str(each["jobDefinitionArn"])
            if not page.get("nextToken"):
                return str(self._ask("register_job_definition", **definition)["jobDefinitionArn"])
            more = {"nextToken": page["nextToken"]}

    def _jobs(self, name: str) -> list[JsonObject]:
        """Return the jobs of a name in all states, the first that was submitted first."""
        wanted = [{"name": "JOB_NAME", "values": [name]}]
        jobs: list[JsonObject] = self._ask("list_jobs", jobQueue=self._queue, filters=wanted)["jobSummaryList"]
        return sorted(jobs, key=lambda job: (job["createdAt"], job["jobId"]))

    def _first(self, name: str) -> str:
        jobs = self._jobs(name)
        return str(jobs[0]["jobId"]) if jobs else ""

    def _job(self, name: str) -> JsonObject | None:
        """Return what Batch says of the job of a name; it is asked some times before it has none.

        Of several it is the one that works, or will, or ended with something else than that another one has the run.
        """
        for pause in _PAUSES:
            time.sleep(pause)
            ids = [job["jobId"] for job in self._jobs(name)]
            if not ids and name in self._submitted:
                ids = [self._submitted[name]]
            if ids and (jobs := self._ask("describe_jobs", jobs=ids)["jobs"]):
                found: JsonObject = min(jobs, key=_rank)
                return found
        return None


def _rank(job: JsonObject) -> tuple[bool, int, int]:
    is_cancelled = bool(job.get("isCancelled")) or job.get("container", {}).get("exitCode") == _HELD
    return is_cancelled, _STATES.index(job["status"]), job["createdAt"]


def _sighting(job: JsonObject) -> Sighting:
    status, said, container = job["status"], job.get("statusReason") or "", job.get("container", {})
    events = tuple(
        text
        for attempt in job.get("attempts", [])
        for text in (attempt.get("statusReason"), attempt.get("container", {}).get("reason"))
        if text
    )
    if status == "RUNNING":
        return Sighting("running", events=events)
    if status == "SUCCEEDED":
        return Sighting("ended", exit_code=container.get("exitCode", 0), events=events)
    if status != "FAILED":
        word, _, sentence = said.partition(" - ")
        is_hopeless = word.startswith("MISCONFIGURATION")  # no instance of the queue's will ever fit
        is_queued = status != "STARTING"
        return Sighting("waiting", word if sentence else status, sentence or said, None, events, is_hopeless, is_queued)
    code = container.get("exitCode")
    reason, message = aws.words_of(container.get("reason") or said)
    if not reason and said.startswith("Host EC2"):
        reason, message = "HostTerminated", said
    elif not reason and said.startswith("Job attempt duration"):
        reason, message = "JobTimeout", said
    elif not reason:
        message = "" if said.startswith("Essential container") and code is not None else said or message
    if reason == "OOMKilled" and code is None:
        code = _KILLED
    is_hopeless = code is None and job.get("startedAt") is None and aws.is_hopeless(message)
    return Sighting("ended", reason, message, code, events, is_hopeless)
