"""What becomes of a Job, brought about on a real cluster, and told in its words."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from runner.errors import EnvironmentWrong
from runner.launchers import Kubernetes
from runner.launchers.base import Order, Sighting
from support.launching import HASTE, wait_for
from support.servers.registry import start_registry
from support.wire import refused

if TYPE_CHECKING:
    from support.on_kubernetes import Cloud

NAME = "run-states-1"
HOLD = "trap 'exit 143' TERM; while :; do sleep 0.1; done"
LABELS = {"runner/flow": "etl", "runner/run-id": "states", "runner/launch": "1"}


def begin(
    platform: Cloud, script: str = HOLD, *, pod: Any = None, job: Any = None, order: Any = None, **options: Any
) -> Kubernetes:
    """Launch a container of the product's image that runs a script instead of a flow."""
    command = {"name": "runner", "command": ["sh", "-c", script]}
    spec = {"hostNetwork": True, "containers": [command], **(pod or {})}
    launcher = Kubernetes(
        kubeconfig=str(platform.cluster.kubeconfig),
        namespace=platform.namespace,
        template={"spec": {"template": {"spec": spec}, **(job or {})}},
        **options,
    )
    environ = {"RUNNER_RUN_ID": "states"}
    given = {"image": platform.image, "environ": environ, "resources": {}, "secrets": {}, "grace": 1.0, **(order or {})}
    launcher.launch(Order(name=NAME, labels=LABELS, **given))
    return launcher


def until(launcher: Kubernetes, phase: str, reason: str | None = None) -> Sighting:
    seen: list[Sighting] = []

    def is_so() -> bool:
        seen[:] = [launcher.describe(NAME)]
        return seen[0].phase == phase and (reason is None or seen[0].reason == reason)

    try:
        wait_for(is_so)
    except AssertionError:
        pytest.fail(f"{phase} {reason} was expected; it is {seen[0]}")
    return seen[0]


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        ("exit 0", 0, "Completed"),
        ("exit 1", 1, ""),
        ("exit 76", 76, ""),
        ("python3 -c 'import os; os.abort()'; exit $?", 134, ""),
    ],
)
def test_exit_codes(platform: Cloud, script: str, code: int, reason: str) -> None:
    seen = until(begin(platform, script), "ended")
    assert (seen.exit_code, seen.reason, seen.message) == (code, reason, "")
    assert any(text.startswith("Started: ") for text in seen.events)


def test_what_it_wrote_is_there_when_it_has_ended(platform: Cloud) -> None:
    launcher = begin(platform, "seq 1 100; exit 3")
    until(launcher, "ended")
    assert launcher.logs(NAME, 3) == ["98", "99", "100"]


def test_a_variable_arrives_as_it_is(platform: Cloud) -> None:
    """Kubernetes would put in others for $(NAME), and take $$ for $."""
    text = "$(HOME) $$5 $x $"
    launcher = begin(platform, 'echo "$TEXT"', order={"environ": {"RUNNER_RUN_ID": "states", "TEXT": text}})
    until(launcher, "ended")
    assert launcher.logs(NAME) == [text]


def test_too_little_memory_is_told_as_such(platform: Cloud) -> None:
    script = "exec python3 -c 'x = bytearray(300 << 20)'"
    seen = until(begin(platform, script, order={"resources": {"memory": 64 << 20}}), "ended")
    assert (seen.reason, seen.exit_code) == ("OOMKilled", 137)


def test_too_little_disk_is_told_with_the_limit(platform: Cloud) -> None:
    script = "head -c 30000000 /dev/zero > /tmp/large; sleep 1000"
    seen = until(begin(platform, script, order={"resources": {"disk": 5 << 20}}), "ended")
    assert seen.reason == "Evicted"
    assert "ephemeral" in seen.message or "emptyDir" in seen.message, seen


def test_an_image_that_its_registry_does_not_have_is_hopeless(platform: Cloud) -> None:
    with start_registry() as registry:
        launcher = begin(platform, order={"image": f"{registry}/nobody/has:1"})
        wait_for(lambda: launcher.describe(NAME).is_hopeless)
    seen = launcher.describe(NAME)
    assert seen.reason in {"ErrImagePull", "ImagePullBackOff"}
    assert "not found" in seen.message


def test_an_image_whose_registry_does_not_answer_may_come_yet(platform: Cloud) -> None:
    with refused() as port:
        launcher = begin(platform, order={"image": f"127.0.0.1:{port}/nobody/has:1"})
        wait_for(lambda: launcher.describe(NAME).reason in {"ErrImagePull", "ImagePullBackOff"})
    seen = launcher.describe(NAME)
    assert not seen.is_hopeless
    assert "refused" in seen.message


@pytest.mark.parametrize(
    ("image", "policy", "reason"),
    [("No/Image Name", "IfNotPresent", "InvalidImageName"), ("nobody/has:1", "Never", "ErrImageNeverPull")],
)
def test_what_will_never_be_pulled_is_hopeless(platform: Cloud, image: str, policy: str, reason: str) -> None:
    seen = until(begin(platform, order={"image": image}, image_pull_policy=policy), "waiting", reason)
    assert seen.is_hopeless
    assert image in seen.message


@pytest.mark.parametrize(
    ("resources", "options", "words"),
    [
        ({"cpu": 900}, {}, "Insufficient cpu"),
        ({"gpu": 1}, {}, "Insufficient nvidia.com/gpu"),
        ({}, {"node_selector": {"disk": "ssd"}}, "node(s) didn't match"),
    ],
)
def test_what_no_node_has_is_told_in_the_schedulers_words(
    platform: Cloud, resources: Any, options: Any, words: str
) -> None:
    seen = until(begin(platform, order={"resources": resources}, **options), "waiting", "Unschedulable")
    assert words in seen.message
    assert not seen.is_hopeless


def test_a_secret_that_is_not_there_is_named(platform: Cloud) -> None:
    launcher = begin(platform, order={"secrets": {"DB_PASSWORD": "nobodys/key"}})
    assert 'secret "nobodys" not found' in until(launcher, "waiting", "FailedMount").message
    launcher.remove(NAME)
    until(launcher, "absent")
    source = {"secretKeyRef": {"name": "nobodys", "key": "x"}}
    env = [{"name": "X", "valueFrom": source}]
    containers = [{"name": "runner", "command": ["true"], "env": env}]
    launcher = begin(platform, pod={"containers": containers})
    assert 'secret "nobodys" not found' in until(launcher, "waiting", "CreateContainerConfigError").message


def test_a_secret_is_a_file_that_the_containers_user_may_read(platform: Cloud) -> None:
    platform.kubectl("create", "secret", "generic", "db", "--from-literal=password=abc")
    script = "cat /run/secrets/DB_PASSWORD $DB_PASSWORD_FILE; echo; id -u; touch /x || touch /tmp/x && echo wrote"
    launcher = begin(platform, script, order={"secrets": {"DB_PASSWORD": "db/password"}})
    until(launcher, "ended")
    lines = launcher.logs(NAME)
    assert lines[0] == "abcabc"
    assert lines[1] == "65532"
    assert "Read-only file system" in " ".join(lines)
    assert lines[-1] == "wrote"


@pytest.mark.parametrize("level", ["pod", "job"])
def test_a_deadline_of_the_platforms_is_told_as_such(platform: Cloud, level: str) -> None:
    deadline: Any = {level: {"activeDeadlineSeconds": 3}}
    seen = until(begin(platform, **deadline), "ended")
    assert seen.reason == "DeadlineExceeded"
    assert "active" in seen.message


def test_what_may_not_be_created_is_told_before_there_is_a_pod(platform: Cloud) -> None:
    seen = until(begin(platform, service_account="nobody"), "waiting", "FailedCreate")
    assert 'serviceaccount "nobody" not found' in seen.message


def test_to_stop_it_is_to_ask_it_first_and_it_is_there_until_it_is_gone(platform: Cloud) -> None:
    launcher = begin(platform, "trap 'sleep 3; exit 143' TERM; echo ready; while :; do sleep 0.1; done")
    wait_for(lambda: launcher.logs(NAME) == ["ready"])
    launcher.stop(NAME, 30)
    assert launcher.describe(NAME).phase == "running"
    until(launcher, "absent")
    assert platform.kubectl("get", "pods", "-o", "name") == ""


def test_what_does_not_stop_is_killed_when_its_time_is_over(platform: Cloud) -> None:
    launcher = begin(platform, "trap '' TERM; echo ready; while :; do sleep 0.1; done", order={"grace": 600.0})
    wait_for(lambda: launcher.logs(NAME) == ["ready"])
    launcher.stop(NAME, 2)
    until(launcher, "absent")


def test_a_node_that_is_lost_is_unknown_and_when_it_is_back_so_is_the_run(platform: Cloud) -> None:
    launcher = begin(platform)
    until(launcher, "running")
    assert platform.cluster.kubelet is not None
    platform.cluster.kubelet.send_signal(signal.SIGSTOP)
    try:
        seen = until(launcher, "unknown", "NodeLost")
        assert "does not answer" in seen.message
    finally:
        platform.cluster.kubelet.send_signal(signal.SIGCONT)
    until(launcher, "running")


def test_a_run_whose_pod_somebody_deletes_goes_on_where_that_is_allowed(platform: Cloud) -> None:
    """The Job makes a pod in its place, which most often finds the run still held, and fails."""
    followed = platform.begin("hold once", "-f", "--restarts", "1")
    platform.until_running()
    platform.kubectl("delete", "pod", "-l", f"job-name={platform.name()}", "--wait=false")
    out, _ = followed.communicate(timeout=240)  # its controller may take its time with that
    assert followed.returncode == 0, out
    assert platform.outcome()["attempt"] == 2


def test_a_job_that_somebody_deletes_is_told_to_be_gone(platform: Cloud) -> None:
    followed = platform.begin("hold", "-f", *HASTE)
    platform.until_running()
    platform.kubectl("delete", "job", platform.name())
    out, _ = followed.communicate(timeout=120)
    assert followed.returncode in {137, 143}, out
    end = platform.store().read_launch_end(1)
    assert end is not None
    assert end["state"] == "gone"


def test_another_job_of_that_name_is_left_alone(platform: Cloud) -> None:
    image = "--image=nobody/has:1"
    platform.kubectl("create", "job", NAME, image)
    with pytest.raises(EnvironmentWrong, match="is of no launch of this run"):
        begin(platform)
    assert platform.launcher.describe(NAME).phase == "waiting"


def test_what_has_ended_goes_by_itself_after_a_while(platform: Cloud) -> None:
    launcher = begin(platform, "exit 0", ttl=1)
    until(launcher, "absent")


def test_a_namespace_that_is_not_there_is_named(platform: Cloud) -> None:
    options = ("-O", "namespace=nowhere")
    done = platform.launch("ok", *HASTE, *options)
    assert done.code == 78, done
    assert "there is no namespace nowhere" in done.stderr
