"""Tasks of ECS, on a server of the tests' own whose containers are processes, and which fails as ECS does."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from runner.errors import CredentialsRefused, Denied, EnvironmentWrong, NotStarted, Unreachable, UsageError
from runner.launchers import ECS, aws
from runner.launchers.base import Order, Sighting
from runner.launchers.ecs import _sighting
from runner.launchers.launch import find, launch
from runner.launchers.order import Wishes
from runner.location import parse_location
from runner.settings import Settings
from support.flows import publish
from support.launching import HASTE, LaunchContract, Platform, wait_for
from support.servers.ecs import Ecs, Refusal, start_ecs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from support.places import Place

SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf"


@pytest.fixture
def service() -> Iterator[tuple[Ecs, Mapping[str, str]]]:
    with start_ecs() as started:
        yield started


@pytest.fixture
def ecs(service: tuple[Ecs, Mapping[str, str]], monkeypatch: pytest.MonkeyPatch) -> Ecs:
    for name, value in service[1].items():
        monkeypatch.setenv(name, value)
    return service[0]


def mounted_at(folder: Path) -> dict[str, Any]:
    """The part of a container's definition by which it has a folder: the service's containers have all of them."""
    return {"mountPoints": [{"sourceVolume": "flows", "containerPath": str(folder)}]}


@pytest.fixture
def platform(here: Place, tmp_path: Path, ecs: Ecs, service: tuple[Ecs, Mapping[str, str]]) -> Platform:
    beat = ("-e", "RUNNER_HEARTBEAT=0.5", "-e", "RUNNER_GRACE=2", "-e", f"MARK={tmp_path / 'mark'}")
    mounted = mounted_at(tmp_path)
    network = ("-O", "subnets=subnet-1", "-O", "log_group=/runner")
    return Platform(
        ECS(subnets=["subnet-1"]),
        here,
        lambda name: ecs.task(name).kill(),
        ecs.is_there,
        ("--image", "org/runner:slim", *network, "-O", f"container_definition={json.dumps(mounted)}", *beat),
        dict(service[1]),
        keeps_logs=True,
    ).publish()


class TestECS(LaunchContract):
    """The suite of all launchers."""


def order(name: str = "run-r-1", **other: Any) -> Order:
    given: dict[str, Any] = {
        "name": name,
        "image": "org/runner:aws",
        "environ": {"RUNNER_LOCATION": "s3://my-flows/etl", "RUNNER_RUN_ID": "r"},
        "secrets": {},
        "resources": {},
        "labels": {"runner/flow": "etl", "runner/run-id": "r", "runner/launch": "1"},
        "grace": 30.0,
    }
    return Order(**given | other)


def launcher(**options: Any) -> ECS:
    return ECS(**{"subnets": ["subnet-1"]} | options)


def told(status: str, stop: str = "", why: str = "", code: int | None = None, reason: str = "") -> dict[str, Any]:
    container: dict[str, Any] = {"name": "runner"} | ({} if code is None else {"exitCode": code})
    container |= {"reason": reason} if reason else {}
    return {"lastStatus": status, "stopCode": stop, "stoppedReason": why, "containers": [{"name": "x"}, container]}


EXITED = ("EssentialContainerExited", "Essential container in task exited")
NO_ROLE = "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/none' that was provided for this task."


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (told("PROVISIONING"), Sighting("waiting", "PROVISIONING")),
        (told("ACTIVATING", reason="pulling"), Sighting("waiting", "ACTIVATING", "pulling")),
        (told("RUNNING"), Sighting("running")),
        (told("STOPPING", *EXITED), Sighting("running")),
        (told("DEPROVISIONING", *EXITED, 76), Sighting("ended", exit_code=76)),
        (told("STOPPED", *EXITED, 0), Sighting("ended", exit_code=0)),
        (told("STOPPED", *EXITED), Sighting("ended", EXITED[0], EXITED[1])),
        (
            told("STOPPED", *EXITED, reason="OutOfMemoryError: too much"),
            Sighting("ended", "OOMKilled", "too much", 137),
        ),
        (told("STOPPED", "UserInitiated", "by hand", 143), Sighting("ended", "UserInitiated", "by hand", 143)),
        (
            told("STOPPED", "TaskFailedToStart", NO_ROLE),
            Sighting("ended", "TaskFailedToStart", NO_ROLE, is_hopeless=True),
        ),
        (
            told("STOPPED", "TaskFailedToStart", "Timeout waiting for network interface provisioning to complete."),
            Sighting("ended", "TaskFailedToStart", "Timeout waiting for network interface provisioning to complete."),
        ),
        (
            told("STOPPED", "TerminationNotice", "Task stopped for maintenance.", 137),
            Sighting("ended", "TerminationNotice", "Task stopped for maintenance.", 137),
        ),
    ],
)
def test_the_words_of_ecs(task: dict[str, Any], expected: Sighting) -> None:
    assert _sighting(task, "runner")._replace(events=()) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("failed to resolve ref public.ecr.aws/x/y:1: public.ecr.aws/x/y:1: not found", True),
        ("pull access denied for x, repository does not exist or may require 'docker login'", True),
        ("manifest unknown: Requested image not found", True),
        ("image Manifest does not contain descriptor matching platform 'linux/arm64'", True),
        ("failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group", True),
        ("OCI runtime create failed: exec /bin/sh: exec format error", True),
        ("unexpected status code https://registry-1.docker.io: 429 Too Many Requests: toomanyrequests", False),
        ("net/http: request canceled while waiting for connection", False),
        ("dial tcp: lookup registry-1.docker.io on 169.254.169.253:53: no such host", False),
        ("There is a connection issue between the task and Amazon ECR: not found", False),
        ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", False),
        ("received unexpected HTTP status: 503 Service Unavailable", False),
    ],
)
def test_what_cannot_be_pulled_the_next_time_either(message: str, *, expected: bool) -> None:
    assert aws.is_hopeless(message) is expected


def test_a_task_beyond_its_memory_is_told_with_the_remedy(platform: Platform, ecs: Ecs) -> None:
    followed = platform.begin("hold", "-f", *HASTE)
    platform.until_running()
    ecs.kill_for_memory(platform.name())
    out, _ = followed.communicate(timeout=120)
    assert followed.returncode == 137, out
    [end, launch] = [platform.store().read_end(1), platform.store().read_launch_end(1)]
    assert end is not None
    assert end["error"] is not None
    assert "OOMKilled: Container killed due to memory usage. Give it more memory" in end["error"]["message"]
    assert launch is not None
    assert (launch["reason"], launch["exit_code"]) == ("OOMKilled", 137)
    assert "runner: OutOfMemoryError: Container killed due to memory usage" in launch["events"]


def test_a_task_of_spot_goes_on_where_that_is_allowed(platform: Platform, ecs: Ecs) -> None:
    followed = platform.begin("hold once", "-f", "--restarts", "1", "-O", "capacity_providers=FARGATE_SPOT")
    platform.until_running()
    ecs.task(platform.name()).stop("SpotInterruption", "Your Spot Task was interrupted.")
    out, _ = followed.communicate(timeout=120)
    assert followed.returncode == 0, out
    end = platform.store().read_launch_end(1)
    assert end is not None
    assert end["reason"] == "SpotInterruption"
    assert platform.outcome()["attempt"] == 2


@pytest.mark.parametrize(
    ("trouble", "reason", "launches"),
    [
        ("no image", "CannotPullContainerError", 1),
        ("no network", "CannotPullContainerError", 2),
        ("no secret", "ResourceInitializationError", 1),
        ("no start", "TaskFailedToStart", 2),
    ],
)
def test_a_task_that_never_began_is_launched_again_if_that_may_help(
    platform: Platform, ecs: Ecs, trouble: str, reason: str, launches: int
) -> None:
    ecs.trouble.extend([trouble, trouble])
    done = platform.launch("ok", "-f", "--start-retries", "1")
    assert (done.code, reason in done.stderr) == (71, True), done
    assert len(platform.store().list_launches()) == launches
    ecs.trouble.clear()
    assert platform.launch("ok", "-f", "--start-retries", "0").code == 0


def test_a_cluster_without_room_is_asked_again(platform: Platform, ecs: Ecs) -> None:
    ecs.trouble.append("no room")
    done = platform.launch("ok", "-f", "--start-retries", "1")
    assert done.code == 0, done
    assert "RESOURCE:MEMORY" in done.stderr
    end = platform.store().read_launch_end(1)
    assert end is not None
    assert (end["state"], end["reason"]) == ("never started", "NoCapacity")
    assert "ECS has no room" in str(end["message"])
    ecs.trouble.append("no room")
    full = platform.launch("ok", "-f", "--start-retries", "0", run_id="s")
    assert (full.code, "RESOURCE:MEMORY" in full.stderr, "ask for less" in full.stderr) == (71, True, True), full


def test_a_task_that_waits_too_long_is_stopped(platform: Platform, ecs: Ecs) -> None:
    ecs.trouble.append("no machine")
    done = platform.launch("ok", "-f", "--start-timeout", "2", "--start-retries", "0")
    assert (done.code, "PENDING" in done.stderr) == (71, True), done
    assert not ecs.is_there(platform.name())
    assert ecs.task(platform.name()).record["stoppedReason"] == "stopped by runner"


def test_a_task_that_is_not_shown_at_once_is_no_lost_one(platform: Platform, ecs: Ecs) -> None:
    ecs.shy = 3
    done = platform.launch("ok", "-f", *HASTE)
    assert done.code == 0, done
    assert len(ecs.tasks) == 1


class Killed(BaseException):
    """What nothing catches, as a kill is not."""


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, 9))
def test_a_launcher_that_dies_at_a_request_is_followed_by_another(
    platform: Platform, ecs: Ecs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, *, is_after: bool
) -> None:
    """Also where ECS does not show at once what was made: the first requests make definition and task."""
    monkeypatch.setattr("runner.launchers.watch.LOOK_SECONDS", 0.1)
    ecs.shy = 2
    settings = Settings.from_environ({"RUNNER_HEARTBEAT": "0.5"}, needs_location=False)
    wishes = Wishes(parameters={"kind": "ok"}, image="org/runner:slim")

    def run() -> str:
        on = launcher(container_definition=mounted_at(tmp_path))
        watcher = launch(find(parse_location(platform.url), settings), on, wishes, run_id="r")
        return watcher.until_over()["state"]

    asked, ask = [], aws.Account.ask
    with monkeypatch.context() as patched:

        def dying(account: aws.Account, service: str, operation: str, **arguments: Any) -> Any:
            asked.append(operation)
            if len(asked) == step and not is_after:
                raise Killed
            answer = ask(account, service, operation, **arguments)
            if len(asked) == step:
                raise Killed
            return answer

        patched.setattr(aws.Account, "ask", dying)
        with pytest.raises(Killed):
            run()
    assert run() == "succeeded"
    assert (len(ecs.tasks), len(ecs.definitions)) == (1, 1)
    assert list(platform.store().list_launches()) == [1]
    assert list(platform.store().list_attempts()) == [1]


def test_a_definition_is_made_once_for_all_runs(ecs: Ecs) -> None:
    for number in (1, 2):
        launcher().launch(order(f"run-r-{number}"))
    launcher().launch(order("run-r-3", resources={"memory": 8 * 2**30}))
    launcher().launch(order("run-r-4"))
    assert [known["revision"] for known, _ in ecs.definitions.values()] == [1, 2]
    used = [body["taskDefinition"].rpartition(":")[2] for operation, body in ecs.asked if operation == "RunTask"]
    assert used == ["1", "1", "2", "1"]


def test_two_launchers_that_make_one_definition_at_once_both_come_through(
    ecs: Ecs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.launchers.ecs._TRIES", 3)
    message = "Too many concurrent attempts to create a new revision of the specified family."
    ecs.refusals.append(("RegisterTaskDefinition", Refusal("ClientException", message)))
    launcher().launch(order())
    assert ecs.count("RegisterTaskDefinition") == 2
    ecs.refusals.extend([("RegisterTaskDefinition", Refusal("ClientException", message))] * 3)
    with pytest.raises(Unreachable, match="is being changed by others"):
        launcher().launch(order("run-r-2", image="another"))


def test_a_launch_that_was_asked_for_before_is_the_same_task(ecs: Ecs) -> None:
    first = launcher().launch(order())
    assert launcher().launch(order())["task"] == first["task"]
    ecs.shy = 10  # as if it were not listed yet: the token alone tells
    second = launcher().launch(order("run-r-2"))
    assert launcher().launch(order("run-r-2"))["task"] == second["task"]
    assert launcher().launch(order("run-r-2", environ={"A": "1"}))["task"] == second["task"]
    assert len(ecs.tasks) == 2


def test_a_secret_comes_by_its_reference(platform: Platform, ecs: Ecs) -> None:
    platform.url = publish(platform.place, "launched.py", secrets=("DB_PASSWORD",))
    ecs.secrets[SECRET] = "hunter-22222"
    options = ("--secret", f"DB_PASSWORD={SECRET}", "-O", "execution_role=arn:aws:iam::123456789012:role/execution")
    done = platform.launch("ok", "-f", *HASTE, *options)
    assert done.code == 0, done
    assert "hunter-22222" not in json.dumps([ecs.asked, list(ecs.definitions.values())])
    rendered = platform.launch("ok", "--render", *options)
    [container] = json.loads(rendered.stdout)["register-task-definition"]["containerDefinitions"]
    assert container["secrets"] == [{"name": "DB_PASSWORD", "valueFrom": SECRET}]


def test_a_plain_secret_is_not_rendered(platform: Platform) -> None:
    platform.environ["DB_PASSWORD"] = "hunter-22222"
    rendered = platform.launch("ok", "--render", "--plain-secret", "DB_PASSWORD")
    assert (rendered.code, "hunter" in rendered.stdout, "${DB_PASSWORD}" in rendered.stdout) == (0, False, True)


def test_the_last_lines_of_a_log_are_those_of_cloudwatch(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> None:
    logging = launcher(log_group="/runner")
    logging.launch(order())
    wait_for(lambda: logging.describe("run-r-1").phase == "ended")
    assert "s3://my-flows" in "".join(logging.logs("run-r-1", 5))
    ecs.task("run-r-1").log.unlink()
    monkeypatch.setattr("runner.launchers.aws._LOG_PAUSES", (0.0, 0.1))
    monkeypatch.setattr("runner.launchers.ecs._PAUSES", (0.0, 0.1))
    assert logging.logs("run-r-1") == []
    assert logging.logs("run-r-0") == []
    assert launcher().logs("run-r-1") == []


REFUSALS: list[tuple[Refusal, type[Exception], str]] = [
    (Refusal("ThrottlingException", "Rate exceeded"), Unreachable, "ecs:RunTask was not answered: ThrottlingException"),
    (Refusal("ServerException", "Service Unavailable. Please try again later.", 500), Unreachable, "try again later"),
    (Refusal("UnrecognizedClientException", "The security token is invalid"), CredentialsRefused, "token is invalid"),
    (Refusal("AccessDeniedException", "User is not authorized"), Denied, "not allowed to do ecs:RunTask"),
    (
        Refusal("AccessDeniedException", "User: x is not authorized to perform: iam:PassRole on resource: y"),
        Denied,
        "not allowed to do iam:PassRole",
    ),
    (Refusal("InvalidParameterException", "subnet-1 does not exist"), EnvironmentWrong, "subnet-1 does not exist"),
    (Refusal("ClientException", "You've reached the limit on the number of tasks"), NotStarted, "reached the limit"),
]


@pytest.mark.parametrize(("refusal", "expected", "words"), REFUSALS)
def test_what_ecs_refuses_is_told_in_its_words(
    ecs: Ecs, monkeypatch: pytest.MonkeyPatch, refusal: Refusal, expected: type[Exception], words: str
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    ecs.refusals.append(("RunTask", refusal))
    with pytest.raises(expected, match=words) as caught:
        launcher().launch(order())
    assert type(caught.value) is expected or expected is EnvironmentWrong


def test_a_request_that_is_throttled_is_made_again(ecs: Ecs) -> None:
    ecs.refusals.append(("RunTask", REFUSALS[0][0]))
    launcher().launch(order())
    assert ecs.count("RunTask") == 2


def test_a_service_that_does_not_answer_makes_no_run_fail(platform: Platform, ecs: Ecs) -> None:
    followed = platform.begin("hold once", "-f", *HASTE)
    platform.until_running()
    ecs.refusals.extend([("DescribeTasks", REFUSALS[1][0])] * 6)
    wait_for(lambda: not ecs.refusals)
    assert platform.outcome() is None
    assert platform.cancel().code == 0
    followed.communicate(timeout=120)
    assert followed.returncode == 143


def test_without_credentials_region_or_service_it_is_told_which(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
        launcher().describe("run-r-1")
    with pytest.raises(CredentialsRefused, match="elsewhere"):
        launcher(profile="elsewhere").describe("run-r-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(CredentialsRefused, match="Unable to locate credentials"):
        launcher().describe("run-r-1")
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(EnvironmentWrong, match="no region of AWS is set"):
        launcher().describe("run-r-1")
    assert ecs.asked == []


def test_without_boto3_it_is_told_what_to_install(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(EnvironmentWrong, match=r"flow-runner\[aws\]"):
        launcher().launch(order())
    assert "run-task" in launcher().render(order())
    assert ecs.asked == []


def test_too_many_variables_are_refused_before_ecs_does_it(platform: Platform, ecs: Ecs) -> None:
    done = platform.launch("ok", "-e", f"MUCH={'x' * 9000}")
    assert (done.code, "AWS takes 8,192" in done.stderr, ecs.asked) == (78, True, []), done


def test_what_ecs_does_not_do_is_told(ecs: Ecs) -> None:
    instances, told = ECS(launch_type="EC2"), list[str]()
    instances.tell = told.append
    instances.launch(order(resources={"disk": 2**34}))
    assert told == ["ECS keeps no limit of the disk on instances: theirs must be large enough"]
    assert "without -O log_group=NAME" in instances.check()
    assert launcher(log_group="/runner").check() == "the cluster default in us-east-1 answers"
    assert ecs.count("RunTask") == 1


def test_to_stop_what_is_gone_is_success(ecs: Ecs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.launchers.ecs._PAUSES", (0.0, 0.1))
    launcher().stop("run-r-0", 0)
    assert ecs.count("StopTask") == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"launch_type": "fargate"}, "There are FARGATE, EC2, EXTERNAL"),
        ({"cpu_architecture": "arm"}, "There are X86_64, ARM64"),
        ({"tags": "team=data"}, "tags of ecs is a dictionary"),
        ({"container_definition": []}, "container_definition of ecs is a dictionary"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ECS(**options)
