"""What docs/platforms.md says of Kubernetes is what the launcher does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from runner.launchers import Kubernetes
from runner.launchers.order import Launchable, Wishes, make_order
from runner.settings import Settings

PAGE = (Path(__file__).parents[3] / "docs" / "platforms.md").read_text("utf-8")
SHA = "6f1c0b6a4f2d0f6a1f0c6a3b5d8e7f90123456789abcdef0123456789abcdef0"
VERSIONS = ("1.27", "1.35", "1.36", "1.37")


def block(name: str) -> str:
    return PAGE.partition(f"<!-- {name}:")[2].partition("```yaml\n")[2].partition("```")[0]


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


def test_a_job_of_ones_own_is_one() -> None:
    [job] = [
        yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "podFailurePolicy" in text
    ]
    for version in VERSIONS[1:]:  # the schema of 1.27 demands of each rule what is for another kind of rule
        kubernetes_validate.validate(job, version, strict=True)
