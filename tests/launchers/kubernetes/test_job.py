"""The Job that Kubernetes is asked for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml

from runner.errors import NotStarted, UsageError
from runner.launchers import Kubernetes
from runner.launchers.base import Order
from runner.launchers.kubernetes.cluster import _told
from runner.launchers.kubernetes.job import changes, make_job

if TYPE_CHECKING:
    from pathlib import Path

VERSIONS = ("1.27", "1.35", "1.36", "1.37")  # the first with the label of a pod's Job, and the newest
SHA = "1234567e" + "0" * 56  # a number, for a careless reader of YAML
FULL: dict[str, Any] = {
    "namespace": "flows",
    "service_account": "etl",
    "image_pull_secrets": ["registry"],
    "image_pull_policy": "Always",
    "node_selector": {"disk": "ssd"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "priority_class": "low",
    "queue": "batch",
    "labels": {"team": "data"},
    "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
    "host_network": True,
    "ttl": 60,
}


def order(**more: Any) -> Order:
    given: dict[str, Any] = {
        "name": "run-r-0123abcd-1",
        "image": "org/runner:aws-py3.12",
        "environ": {
            "RUNNER_LOCATION": "s3://my-flows/etl/v",
            "RUNNER_BUNDLE_SHA256": SHA,
            "RUNNER_RUN_ID": "r",
            "RUNNER_LAUNCH": "1",
        },
        "secrets": {"DB_PASSWORD": "db/password", "AWS_CREDENTIALS": "my-flows"},
        "resources": {"cpu": 0.5, "memory": 4 << 30, "gpu": 1, "disk": 20 << 30},
        "labels": {"runner/flow": "etl", "runner/run-id": "r", "runner/launch": "1"},
        "grace": 10.0,
        "timeout": 600.0,
    }
    return Order(**given | more)


def rendered(launcher: Kubernetes, **more: Any) -> Any:
    return yaml.safe_load(launcher.render(order(**more)))


def pod(job: Any) -> Any:
    return job["spec"]["template"]["spec"]


def container(job: Any) -> Any:
    [found] = [each for each in pod(job)["containers"] if each["name"] == "runner"]
    return found


def variables(job: Any) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container(job)["env"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("options", [{}, FULL], ids=["none", "all"])
@pytest.mark.parametrize("run_id", ["r", None])
def test_it_is_as_kubernetes_describes_a_job(version: str, options: dict[str, Any], run_id: str | None) -> None:
    environ = {name: text for name, text in order().environ.items() if run_id or name != "RUNNER_RUN_ID"}
    kubernetes_validate.validate(rendered(Kubernetes(**options), environ=environ), version, strict=True)


def test_nothing_is_started_again_but_by_runner() -> None:
    job = rendered(Kubernetes())
    assert (job["spec"]["backoffLimit"], job["spec"]["completions"], job["spec"]["parallelism"]) == (0, 1, 1)
    assert pod(job)["restartPolicy"] == "Never"


def test_the_flows_own_time_is_over_before_that_of_kubernetes() -> None:
    job = rendered(Kubernetes(), grace=29.5, timeout=100.0)
    assert pod(job)["terminationGracePeriodSeconds"] == 40
    assert pod(job)["activeDeadlineSeconds"] == 730
    assert "activeDeadlineSeconds" not in pod(rendered(Kubernetes(), timeout=None))


def test_it_has_the_restricted_profile() -> None:
    job = rendered(Kubernetes())
    assert pod(job)["securityContext"]["runAsNonRoot"] is True
    assert pod(job)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(job)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert pod(job)["automountServiceAccountToken"] is False
    assert pod(job)["enableServiceLinks"] is False


def test_what_was_asked_for_is_requested_and_the_limit() -> None:
    asked = {"cpu": "500m", "memory": "4Gi", "ephemeral-storage": "20Gi", "nvidia.com/gpu": "1"}
    assert container(rendered(Kubernetes()))["resources"] == {"requests": asked, "limits": asked}
    assert "resources" not in container(rendered(Kubernetes(), resources={}))
    assert container(rendered(Kubernetes(), resources={"cpu": 2}))["resources"]["limits"] == {"cpu": "2"}
    for size, text in ((500_000_000, "500000000"), (3 << 20, "3Mi"), (1536 << 20, "1536Mi"), (5 << 10, "5Ki")):
        assert container(rendered(Kubernetes(), resources={"memory": size}))["resources"]["limits"] == {"memory": text}


def test_a_secret_is_a_file_where_runner_looks_for_it() -> None:
    job = rendered(Kubernetes())
    [volume] = [each for each in pod(job)["volumes"] if each["name"] == "secrets"]
    assert volume["projected"]["sources"] == [
        {"secret": {"name": "my-flows", "items": [{"key": "AWS_CREDENTIALS", "path": "AWS_CREDENTIALS"}]}},
        {"secret": {"name": "db", "items": [{"key": "password", "path": "DB_PASSWORD"}]}},
    ]
    mounts = {each["mountPath"]: each.get("subPath") for each in container(job)["volumeMounts"]}
    assert mounts == {
        "/tmp": None,
        "/run/secrets/AWS_CREDENTIALS": "AWS_CREDENTIALS",
        "/run/secrets/DB_PASSWORD": "DB_PASSWORD",
    }
    assert variables(job)["DB_PASSWORD_FILE"] == "/run/secrets/DB_PASSWORD"


@pytest.mark.parametrize("reference", ["", "/key", "name/", "name/key/more", "Name/key", "name key", "../x"])
def test_what_is_no_reference_to_a_secret_is_refused_by_its_name(reference: str) -> None:
    with pytest.raises(UsageError, match="no reference to a Secret") as raised:
        Kubernetes().render(order(secrets={"DB_PASSWORD": reference}))
    assert "--secret DB_PASSWORD=NAME/KEY" in raised.value.hint


def test_without_a_run_id_each_job_is_a_run_of_its_own_and_it_is_said_since_when_that_works() -> None:
    environ = {name: text for name, text in order().environ.items() if name != "RUNNER_RUN_ID"}
    text = Kubernetes().render(order(environ=environ))
    assert text.startswith(
        "# Each Job is a run of its own, named by its uid: pods have that label since Kubernetes 1.27"
    )
    path = "metadata.labels['batch.kubernetes.io/controller-uid']"
    assert variables(yaml.safe_load(text))["RUNNER_RUN_ID"] == {"fieldRef": {"fieldPath": path}}
    assert "#" not in Kubernetes().render(order())


@pytest.mark.parametrize(
    "text", ["1e3", "0x1F", "1_000", "12:30:00", "2026-01-01", "yes", "~", "null", ".5", "", "a: b"]
)
def test_a_variable_is_text_for_every_reader_of_yaml(text: str) -> None:
    written = Kubernetes().render(order(environ={"RUNNER_RUN_ID": "r", "TEXT": text}))
    assert variables(yaml.safe_load(written))["TEXT"] == text
    line = written.split("- name: TEXT\n")[1].splitlines()[0].strip()
    assert line[len("value: ")] in "\"'" or text == "a: b", line


def test_a_variable_is_not_put_into_another_one() -> None:
    assert variables(rendered(Kubernetes(), environ={"X": "$(HOME) $$5"}))["X"] == "$$(HOME) $$$$5"


def test_the_entrypoint_is_given_what_was_asked_for() -> None:
    assert container(rendered(Kubernetes(), command=("doctor", "$(X)")))["args"] == ["doctor", "$$(X)"]
    assert "args" not in container(rendered(Kubernetes()))


def test_a_secret_that_may_be_a_plain_variable_is_not_printed() -> None:
    asked = order(environ={"RUNNER_RUN_ID": "r", "API_KEY": "hush-hush"}, plain=("API_KEY",))
    assert variables(make_job(asked, {}))["API_KEY"] == "hush-hush"
    assert variables(yaml.safe_load(Kubernetes().render(asked)))["API_KEY"] == "${API_KEY}"


def test_a_job_has_a_name_whatever_the_flow_is_called() -> None:
    assert rendered(Kubernetes(), name="täglich")["metadata"]["name"] == "t-glich"


def test_options_are_where_kubernetes_has_them() -> None:
    job = rendered(Kubernetes(**FULL))
    assert job["metadata"]["namespace"] == "flows"
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "batch"
    assert "kueue.x-k8s.io/queue-name" not in job["spec"]["template"]["metadata"]["labels"]
    assert job["spec"]["template"]["metadata"]["labels"]["team"] == "data"
    assert job["spec"]["template"]["metadata"]["annotations"] == FULL["annotations"]
    assert job["spec"]["ttlSecondsAfterFinished"] == 60
    wanted = {
        "serviceAccountName": "etl",
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": FULL["tolerations"],
        "priorityClassName": "low",
        "hostNetwork": True,
    }
    assert {name: pod(job)[name] for name in wanted} == wanted
    assert container(job)["imagePullPolicy"] == "Always"
    assert rendered(Kubernetes())["spec"]["ttlSecondsAfterFinished"] == 3600
    assert pod(rendered(Kubernetes(image_pull_secrets="registry")))["imagePullSecrets"] == [{"name": "registry"}]


TEMPLATE = """
kind: Job
metadata:
  name: theirs
  labels: {cost-centre: "7"}
spec:
  backoffLimit: 6
  ttlSecondsAfterFinished: 5
  manualSelector: true
  template:
    spec:
      restartPolicy: OnFailure
      securityContext: {runAsUser: 1000}
      containers:
      - name: runner
        securityContext: null
        env:
        - {name: RUNNER_RUN_ID, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: HTTP_PROXY, value: "http://proxy:3128"}
        volumeMounts:
        - {name: data, mountPath: /data}
      - {name: proxy, image: "proxy:1"}
      volumes:
      - {name: data, persistentVolumeClaim: {claimName: data}}
      - {name: tmp, emptyDir: {medium: Memory}}
"""


def test_a_template_is_merged_by_names_and_what_a_launch_rests_on_stays(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(TEMPLATE)
    job = rendered(Kubernetes(template=str(path)), secrets={})
    assert job == rendered(Kubernetes(template=yaml.safe_load(TEMPLATE)), secrets={})
    for version in VERSIONS:
        kubernetes_validate.validate(job, version, strict=True)
    assert job["metadata"]["name"] == "run-r-0123abcd-1"
    assert job["metadata"]["labels"]["cost-centre"] == "7"
    assert job["metadata"]["labels"]["runner/run-id"] == "r"
    assert (job["spec"]["backoffLimit"], job["spec"]["ttlSecondsAfterFinished"]) == (0, 5)
    assert "manualSelector" not in job["spec"]
    assert pod(job)["restartPolicy"] == "Never"
    assert pod(job)["securityContext"]["runAsUser"] == 1000
    assert pod(job)["securityContext"]["runAsNonRoot"] is True
    assert [each["name"] for each in pod(job)["containers"]] == ["runner", "proxy"]
    assert "securityContext" not in container(job)
    assert (variables(job)["RUNNER_RUN_ID"], variables(job)["HTTP_PROXY"]) == ("r", "http://proxy:3128")
    assert {each["mountPath"] for each in container(job)["volumeMounts"]} == {"/tmp", "/data"}
    assert pod(job)["volumes"] == [
        {"name": "tmp", "emptyDir": {"medium": "Memory"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
    ]


def test_an_option_that_was_named_stands_above_the_template() -> None:
    template = {"spec": {"ttlSecondsAfterFinished": 5, "template": {"spec": {"serviceAccountName": "theirs"}}}}
    job = rendered(Kubernetes(template=template, ttl=7, service_account="ours"))
    assert (job["spec"]["ttlSecondsAfterFinished"], pod(job)["serviceAccountName"]) == (7, "ours")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            {"spec": {"template": {"spec": {"containers": {"name": "runner"}}}}},
            r"spec\.template\.spec\.containers is a list",
        ),
        ({"spec": 7}, "spec is an object, and that of the template is a value"),
        ({"kind": "CronJob"}, "is a CronJob of batch/v1"),
        ([], "is no manifest"),
        ("nowhere.yaml", "nowhere.yaml cannot be read"),
    ],
)
def test_a_template_that_is_no_job_is_refused_with_the_place(template: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Kubernetes(template=template).render(order())


@pytest.mark.parametrize("container", [{"image": "x"}, None, "runner"])
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_container_without_a_name_would_take_the_place_of_all_others(kind: str, container: Any) -> None:
    with pytest.raises(UsageError, match="a container of template has no name"):
        Kubernetes(template={"spec": {"template": {"spec": {kind: [container]}}}})


def test_a_template_has_its_own_namespace(tmp_path: Path) -> None:
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "mine"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    given: dict[str, Any] = {"kubeconfig": str(tmp_path / "config"), "template": {"metadata": {"namespace": "flows"}}}
    assert Kubernetes(**given)._cluster.namespace == "flows"
    assert Kubernetes(**given, namespace="other")._cluster.namespace == "other"
    assert Kubernetes(**given | {"template": {}})._cluster.namespace == "mine"


def test_a_job_that_is_removed_at_once_may_take_its_reason_along() -> None:
    for ttl, times in ((0, 1), (60, 0)):
        launcher, told = Kubernetes(template={"spec": {"ttlSecondsAfterFinished": ttl}}), list[str]()
        launcher.tell = told.append
        cluster: Any = SimpleNamespace(
            server="", create=lambda job: {**job, "metadata": {**job["metadata"], "uid": "1", "namespace": "flows"}}
        )
        launcher._cluster = cluster
        launcher.launch(order())
        assert len(told) == times


def test_a_quota_that_is_used_up_is_no_room_now() -> None:
    said = 'jobs.batch "x" is forbidden: exceeded quota: jobs, requested: count/jobs.batch=1, used: 9, limited: 9'
    answer: Any = SimpleNamespace(response=SimpleNamespace(status_code=403), status=SimpleNamespace(message=said))
    assert isinstance(_told(answer, "flows"), NotStarted)


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("kind: [")
    with pytest.raises(UsageError, match=r"job\.yaml cannot be read"):
        Kubernetes(template=str(tmp_path / "job.yaml"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("namespace", "My Flows"),
        ("namespace", 7),
        ("context", ""),
        ("image_pull_policy", "Sometimes"),
        ("image_pull_secrets", [7]),
        ("node_selector", ["disk=ssd"]),
        ("node_selector", {"disk": 7}),
        ("labels", {"team": "of data"}),
        ("labels", {"-team": "data"}),
        ("annotations", {"note": 7}),
        ("tolerations", {"key": "gpu"}),
        ("host_network", "yes"),
        ("ttl", -1),
        ("ttl", True),
        ("ttl", "60"),
        ("queue", "a queue"),
        ("service_account", 7),
    ],
)
def test_an_option_that_is_none_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"option {name} is ") as raised:
        Kubernetes(**{name: value})
    assert f"-O {name}=" in raised.value.hint


def test_what_a_server_drops_or_changes_is_found() -> None:
    asked = make_job(order(), {})
    assert changes(asked, make_job(order(), {})) == []
    made = make_job(order(environ={**order().environ, "RUNNER_RUN_ID": "other", "RUNNER_MORE": "1"}), {})
    made["spec"]["backoffLimit"] = 6
    del made["spec"]["completions"]
    pod(made)["restartPolicy"] = "OnFailure"
    assert changes(asked, made) == [
        "spec.backoffLimit is 6",
        "spec.completions is None",
        "restartPolicy is 'OnFailure'",
        "the variable RUNNER_MORE is '1'",
        "the variable RUNNER_RUN_ID is 'other'",
    ]
    container(made)["env"] = []
    assert "the variable RUNNER_LAUNCH is gone" in changes(asked, made)
    assert changes(asked, {}) != []


def test_what_a_server_adds_is_no_change() -> None:
    made = make_job(order(), {})
    made["spec"]["suspend"] = True
    pod(made)["containers"].append({"name": "injected", "env": [{"name": "RUNNER_X", "value": "1"}]})
    container(made)["env"].append({"name": "INJECTED", "value": "1"})
    assert changes(make_job(order(), {}), made) == []
