"""Amazon ECS, as far as a launcher knows it: its containers are processes of this machine, and it fails as ECS does.

moto's ECS runs nothing, and its tasks always end well. https://docs.aws.amazon.com/AmazonECS/latest/APIReference/
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.starting import inherited

from . import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ACCOUNT = "arn:aws:ecs:us-east-1:123456789012"
_LONGEST_OVERRIDES = 8192
_BY_NOBODY = "Essential container in task exited"
# What becomes of a task that is never begun: the container's reason, or that of the task.
FAILED_STARTS = {
    "no image": "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
    "docker.io/org/runner:slim: docker.io/org/runner:slim: not found",
    "no network": "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref "
    "docker.io/org/runner:slim: failed to do request: Head https://registry-1.docker.io: dial tcp: i/o timeout",
    "no secret": "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
    "failed: unable to retrieve secret from asm: AccessDeniedException: User is not authorized to perform: "
    "secretsmanager:GetSecretValue",
    "no start": "Task failed to start",
}


class Refusal(Exception):
    """What ECS refuses: its word and its sentence, and the HTTP status of the answer."""

    def __init__(self, code: str, message: str, status: int = 400, **more: Any) -> None:
        super().__init__(message)
        self.answer, self.status = {"__type": code, "message": message, **more}, status


@dataclass
class Task:
    """One task: what is told of it, and its process."""

    record: dict[str, Any]
    environ: dict[str, str]
    command: list[str]
    log: Path
    patience: float
    looks: int = 0  # for which it is not shown yet
    process: subprocess.Popen[bytes] | None = None
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def container(self) -> dict[str, Any]:
        container: dict[str, Any] = self.record["containers"][0]
        return container

    def run(self, trouble: str | None) -> None:
        self.record["lastStatus"] = "PENDING"
        if trouble == "no machine":
            self.over.wait()
        elif trouble:
            reason = FAILED_STARTS[trouble]
            self.container["reason"] = reason
            self.stopped("TaskFailedToStart", reason if trouble == "no secret" else "Task failed to start", None)
        else:
            self._work()

    def _work(self) -> None:
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "runner", *self.command],
                env=inherited() | self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.record |= {"lastStatus": "RUNNING", "startedAt": time.time()}
        code = self.process.wait()
        self.stopped("EssentialContainerExited", _BY_NOBODY, code if code >= 0 else 128 - code)

    def stopped(self, code: str, reason: str, exit_code: int | None) -> None:
        if exit_code is not None:
            self.container["exitCode"] = exit_code
        self.container["lastStatus"] = "STOPPED"
        self.record.setdefault("stopCode", code)
        self.record.setdefault("stoppedReason", reason)
        self.record |= {"lastStatus": "STOPPED", "desiredStatus": "STOPPED", "stoppedAt": time.time()}
        self.over.set()

    def stop(self, code: str, reason: str) -> None:
        """Ask it to end, and kill it when its time is over."""
        if self.record["lastStatus"] == "STOPPED":
            return
        self.record |= {"stopCode": code, "stoppedReason": reason, "desiredStatus": "STOPPED"}
        if self.process is None:
            self.stopped(code, reason, None)
            return
        with suppress(ProcessLookupError):
            self.process.terminate()
        threading.Thread(target=self._kill_later, daemon=True).start()

    def _kill_later(self) -> None:
        if not self.over.wait(self.patience):
            self.kill()

    def kill(self) -> None:
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


class Ecs:
    """The service: what it knows, what it was asked, and what it shall do wrong next.

    Args:
        folder: for the logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.definitions: dict[str, tuple[dict[str, Any], list[dict[str, str]]]] = {}
        self.tasks: dict[str, Task] = {}
        self.tokens: dict[str, tuple[str, dict[str, Any]]] = {}
        self.secrets: dict[str, str] = {}  # by ARN
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.trouble: deque[str] = deque()  # of the next tasks: of FAILED_STARTS, or "no room", "no machine"
        self.refusals: deque[tuple[str, Refusal]] = deque()  # of the next requests of an operation
        self.shy = 0  # how many looks a new task is not shown
        self._lock = threading.RLock()

    def answer(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.asked.append((operation, body))
            if self.refusals and self.refusals[0][0] == operation:
                raise self.refusals.popleft()[1]
            answer: dict[str, Any] = getattr(self, f"_on_{operation}")(body)
            return answer

    def count(self, operation: str) -> int:
        return sum(asked == operation for asked, _ in self.asked)

    def task(self, name: str) -> Task:
        return next(task for task in self.tasks.values() if task.record["startedBy"] == name)

    def is_there(self, name: str) -> bool:
        return any(
            task.record["startedBy"] == name and task.record["lastStatus"] != "STOPPED" for task in self.tasks.values()
        )

    def kill_for_memory(self, name: str) -> None:
        task = self.task(name)
        task.container["reason"] = "OutOfMemoryError: Container killed due to memory usage"
        task.kill()

    def _on_RegisterTaskDefinition(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - ECS's names
        tags = body.pop("tags", [])
        [container] = body["containerDefinitions"]
        if container.get("secrets") and "executionRoleArn" not in body:
            raise Refusal("ClientException", "Fargate requires task definition to have execution role ARN.")
        revision = 1 + sum(known["family"] == body["family"] for known, _ in self.definitions.values())
        arn = f"{_ACCOUNT}:task-definition/{body['family']}:{revision}"
        # as AWS does, it echoes more than it was given
        known = {**body, "taskDefinitionArn": arn, "revision": revision, "status": "ACTIVE", "volumes": []}
        self.definitions[arn] = known, tags
        return {"taskDefinition": known, "tags": tags}

    def _on_ListTaskDefinitions(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        arns = [arn for arn, (known, _) in self.definitions.items() if known["family"] == body["familyPrefix"]]
        return {"taskDefinitionArns": arns[::-1][: body["maxResults"]]}

    def _on_DescribeTaskDefinition(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        known, tags = self.definitions[body["taskDefinition"]]
        return {"taskDefinition": known, "tags": tags}

    def _on_RunTask(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if len(json.dumps(body["overrides"])) > _LONGEST_OVERRIDES:
            raise Refusal("InvalidParameterException", "Container Overrides length must be at most 8192")
        if body["cluster"] != "default":
            raise Refusal("ClusterNotFoundException", "Cluster not found.")
        arn, asked = self.tokens.get(body.get("clientToken", ""), ("", body))
        if asked != body:
            message = "The provided client token is already in use with a different request."
            raise Refusal("ConflictException", message, resourceIds=[arn])
        if arn:
            return {"tasks": [self.tasks[arn].record], "failures": []}
        trouble = self.trouble.popleft() if self.trouble else None
        if trouble == "no room":
            return {"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY", "arn": f"{_ACCOUNT}:container-instance/1"}]}
        return {"tasks": [self._start(body, trouble).record], "failures": []}

    def _start(self, body: dict[str, Any], trouble: str | None) -> Task:
        definition, _ = self.definitions[body["taskDefinition"]]
        [container] = definition["containerDefinitions"]
        [override] = body["overrides"]["containerOverrides"]
        assert override["name"] == container["name"]
        number = f"{len(self.tasks):032x}"
        arn = f"{_ACCOUNT}:task/default/{number}"
        record = {
            "taskArn": arn,
            "taskDefinitionArn": body["taskDefinition"],
            "startedBy": body.get("startedBy"),
            "lastStatus": "PROVISIONING",
            "desiredStatus": "RUNNING",
            "createdAt": time.time(),
            "containers": [{"name": container["name"], "lastStatus": "PENDING"}],
        }
        environ = {each["name"]: self.secrets[each["valueFrom"]] for each in container.get("secrets", [])}
        environ |= {each["name"]: each["value"] for each in override["environment"]}
        command = override.get("command", [])
        task = Task(record, environ, command, self.folder / number, container["stopTimeout"], self.shy)
        self.tasks[arn] = task
        if "clientToken" in body:
            self.tokens[body["clientToken"]] = arn, body
        threading.Thread(target=task.run, args=(trouble,), daemon=True).start()
        return task

    def _on_ListTasks(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = [
            arn
            for arn, task in self.tasks.items()
            if task.record["startedBy"] == body["startedBy"] and task.record["desiredStatus"] == body["desiredStatus"]
        ]
        return {"taskArns": [arn for arn in found if self._is_shown(arn)]}

    def _on_DescribeTasks(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        shown = [arn for arn in body["tasks"] if arn in self.tasks and self._is_shown(arn)]
        missing = [{"arn": arn, "reason": "MISSING"} for arn in body["tasks"] if arn not in shown]
        return {"tasks": [self.tasks[arn].record for arn in shown], "failures": missing}

    def _is_shown(self, arn: str) -> bool:
        self.tasks[arn].looks -= 1
        return self.tasks[arn].looks < 0

    def _on_StopTask(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if body["task"] not in self.tasks:
            raise Refusal("InvalidParameterException", "The referenced task was not found.")
        self.tasks[body["task"]].stop("UserInitiated", body["reason"])
        return {"task": self.tasks[body["task"]].record}

    def _on_GetLogEvents(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - of CloudWatch
        log = self.folder / body["logStreamName"].rpartition("/")[2]
        if not log.exists():
            raise Refusal("ResourceNotFoundException", "The specified log stream does not exist.")
        lines = log.read_text("utf-8", errors="replace").splitlines()[-body["limit"] :]
        return {"events": [{"timestamp": 0, "message": line} for line in lines]}


@contextmanager
def start_ecs() -> Iterator[tuple[Ecs, Mapping[str, str]]]:
    """The service, and the variables with which clients find it; with it all its containers end."""
    with tempfile.TemporaryDirectory(prefix="ecs-", ignore_cleanup_errors=True) as folder:
        ecs = Ecs(Path(folder))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                operation = self.headers["X-Amz-Target"].rpartition(".")[2]
                try:
                    status, answer = 200, ecs.answer(operation, body)
                except Refusal as refusal:
                    status, answer = refusal.status, refusal.answer
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer((HOST, 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://{HOST}:{server.server_port}"
        try:
            yield (
                ecs,
                {
                    "AWS_ENDPOINT_URL": url,
                    "AWS_ACCESS_KEY_ID": "testing",
                    "AWS_SECRET_ACCESS_KEY": "testing",
                    "AWS_REGION": "us-east-1",
                },
            )
        finally:
            for task in ecs.tasks.values():
                task.kill()
            server.shutdown()
            server.server_close()
