"""What docs/platforms.md says of Kubernetes is what the launcher does."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import kubernetes_validate
import pytest
import yaml

from runner.cli.launch import launch_command
from runner.launchers import Kubernetes
from runner.launchers.order import Launchable, Wishes, make_order
from runner.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = (Path(__file__).parents[3] / "docs" / "platforms.md").read_text("utf-8")
SHA = "6f1c0b6a4f2d0f6a1f0c6a3b5d8e7f90123456789abcdef0123456789abcdef0"
VERSIONS = ("1.27", "1.35", "1.36", "1.37")


def block(name: str, language: str = "yaml") -> str:
    return PAGE.partition(f"<!-- {name}:")[2].partition(f"```{language}\n")[2].partition("```")[0]


def rendered(**options: Any) -> str:
    """What the command line above the block prints for a flow whose bundle has that digest."""
    manifest: Any = {
        "flow": {"name": "etl", "version": "2026-11-22t12-10-24-845190-00-00", "key": "etl/v"},
        "python": {"version": "3.11.7", "implementation": "cpython"},
        "requires": [],
        "parameters": [],
        "image": None,
        "secrets": ["AWS_CREDENTIALS"],
    }
    url = "s3://my-flows/etl/2026-11-22t12-10-24-845190-00-00"
    wishes = Wishes(
        environ={"AWS_REGION": "eu-central-1"},
        secrets={"AWS_CREDENTIALS": "my-flows"},
        resources={"cpu": 2, "memory": 4 << 30},
    )
    settings = Settings.from_environ({}, needs_location=False)
    order = make_order(Launchable(url, SHA, "s3", manifest), wishes, settings, name="etl", run_id=None, launch=None)
    return Kubernetes(**options).render(order)


def test_the_table_has_every_option() -> None:
    table = PAGE.partition("<!-- kubernetes:")[2].partition("<!-- end -->")[0]
    names = [name for row in table.splitlines()[3:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(names) == sorted(set(inspect.signature(Kubernetes).parameters))


def test_the_rendered_job_is_the_one_that_is_printed() -> None:
    assert block("rendered") == rendered(service_account="etl")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_cronjobs_is_the_rendered_one(version: str) -> None:
    cronjob = yaml.safe_load(block("cronjob"))
    assert cronjob["spec"]["jobTemplate"]["spec"] == yaml.safe_load(rendered(service_account="etl"))["spec"]
    kubernetes_validate.validate(cronjob, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_template_is_one(version: str) -> None:
    template = yaml.safe_load(PAGE.partition("A **template** is")[2].partition("```yaml\n")[2].partition("```")[0])
    job = yaml.safe_load(rendered(template=template))
    assert job["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == 1000
    kubernetes_validate.validate(job, version, strict=True)


def test_the_step_of_argos_is_the_pod_of_the_rendered_job() -> None:
    [step] = yaml.safe_load(block("argo"))["spec"]["templates"]
    pod = yaml.safe_load(rendered(service_account="etl"))["spec"]["template"]
    [container] = pod["spec"].pop("containers")
    del container["name"], pod["spec"]["restartPolicy"]  # which Argo says
    [run_id] = [variable for variable in container["env"] if variable["name"] == "RUNNER_RUN_ID"]
    run_id.pop("valueFrom")
    run_id["value"] = "{{workflow.name}}"
    assert step.pop("container") == {**container, "command": ["runner", "run"]}
    assert yaml.safe_load(step.pop("podSpecPatch")).items() <= pod["spec"].items()
    assert {name: step[name] for name in step if name in pod["spec"]}.items() <= pod["spec"].items()
    assert step["metadata"] == pod["metadata"]
    assert {"volumes", "securityContext", "serviceAccountName", "automountServiceAccountToken"} <= step.keys()
    again = re.search(r"in \[(.*)\]", step["retryStrategy"]["expression"])
    assert again is not None
    assert {*map(int, again[1].split(", "))} == {69, 74, 75, 137, 143}


class Operator:
    """What stands for Airflow: it remembers with what it was made."""

    made: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, *_: object, **arguments: Any) -> None:
        self.made.append(arguments)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def dag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """A function that runs one of the page's DAGs beside the rendered Job, and returns with what its task was made."""
    (tmp_path / "etl.yaml").write_text(rendered(service_account="etl"))

    def run(name: str) -> dict[str, Any]:
        source, globals_ = block(name, "python"), {"__file__": str(tmp_path / "dag.py")}
        for module, names in re.findall(r"^from (airflow\S*) import (\w+)$", source, re.MULTILINE):
            monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{names: Operator}))
        exec(source, globals_)
        return Operator.made[-1]

    return run


def test_airflows_pod_is_that_of_the_rendered_job(dag: Callable[[str], dict[str, Any]]) -> None:
    task, pod = dag("airflow pod"), yaml.safe_load(rendered(service_account="etl"))["spec"]["template"]
    [container] = pod["spec"]["containers"]
    assert [each["name"] for each in container["env"] if each["name"] in task["env_vars"]] == ["RUNNER_RUN_ID"]
    container["env"] = [each for each in container["env"] if each["name"] not in task["env_vars"]]
    assert task["pod_template_dict"] == {"apiVersion": "v1", "kind": "Pod", **pod}
    assert task["base_container_name"] == container["name"]
    assert task["termination_message_policy"] == container["terminationMessagePolicy"]
    for version in VERSIONS:
        kubernetes_validate.validate({**task["pod_template_dict"], "metadata": {"name": "etl"}}, version, strict=True)


def test_airflows_launch_is_a_command_that_can_be_given(dag: Callable[[str], dict[str, Any]]) -> None:
    words = shlex.split(dag("airflow launch")["bash_command"].replace("{{ ", "").replace(" }}", ""))
    assert words[:2] == ["runner", "launch"]
    given = launch_command.make_context("launch", words[2:])
    assert given.params["follow"]
    assert given.params["run_id"] == "etl-ts_nodash"


def test_a_job_of_ones_own_is_one() -> None:
    [job] = [
        yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "podFailurePolicy" in text
    ]
    for version in VERSIONS[1:]:  # the schema of 1.27 demands of each rule what is for another kind of rule
        kubernetes_validate.validate(job, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_manifest_of_agents_is_one_with_the_restricted_profile(version: str) -> None:
    text = (Path(__file__).parents[3] / "examples/agent/kubernetes.yaml").read_text("utf-8")
    deployment = yaml.safe_load(text)
    kubernetes_validate.validate(deployment, version, strict=True)
    own = deployment["spec"]["template"]["spec"]
    job = yaml.safe_load(rendered())["spec"]["template"]["spec"]
    for field in ("runAsNonRoot", "seccompProfile"):
        assert own["securityContext"][field] == job["securityContext"][field]
    assert own["containers"][0]["securityContext"] == job["containers"][0]["securityContext"]
