"""The agents of ``examples/agent/kubernetes.yaml``, with the role of the documents: they start flows beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.agents import Site
from support.images import bake
from support.launching import wait_for

if TYPE_CHECKING:
    from support.on_kubernetes import Cloud
    from support.servers.kubernetes import Cluster

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def agents_image(engine: None, cluster: Cluster) -> str:
    del engine
    [name] = bake(["all_extras"], "3.11").values()
    cluster.load(name)
    return name


def deployment(platform: Cloud, image: str) -> dict[str, Any]:
    """The manifest, with what no user needs: the tests' cluster has no network, and their S3 is on loopback."""
    made: dict[str, Any] = yaml.safe_load((ROOT / "examples/agent/kubernetes.yaml").read_text("utf-8"))
    made["metadata"]["namespace"] = platform.namespace
    pod = made["spec"]["template"]["spec"]
    pod["hostNetwork"] = True
    [container] = pod["containers"]
    container["image"] = image
    host, port = platform.cluster.url.removeprefix("https://").split(":")
    endpoint = platform.place.environ["AWS_ENDPOINT_URL"]
    variables = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port, "AWS_ENDPOINT_URL": endpoint}
    container["env"] += [{"name": name, "value": text} for name, text in variables.items()]
    own = {"--storage=s3://my-flows": f"--storage={platform.place.url}"}
    container["args"] = [
        *(own.get(word, word) for word in container["args"]),
        *("--beat=1", "--poll=0.5", "--env=AWS_ENDPOINT_URL", "-Ohost_network=true", f"--image={platform.image}"),
    ]
    return made


def test_agents_start_flows_as_jobs_and_one_goes_on_when_the_other_is_killed(
    platform: Cloud, agents_image: str, tmp_path: Path
) -> None:
    site = Site(platform.place, tmp_path).publish("s3-flow-storage")
    role = (ROOT / "docs/policies/kubernetes-launch.yaml").read_text("utf-8")
    platform.kubectl("apply", "-f", "-", stdin=role.replace("namespace: flows", f"namespace: {platform.namespace}"))
    platform.kubectl("create", "secret", "generic", "runner-agent", f"--from-literal=AWS_CREDENTIALS={KEY}")
    platform.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(deployment(platform, agents_image)))
    try:
        wait_for(lambda: len(site.register().folders()) == 2)
    finally:
        print(platform.kubectl("get", "pods,events"), platform.kubectl("logs", "--prefix", "-l", "app=runner-agent"))
    assert site.submit("ok", "right").code == 0
    assert site.submit("hold", "held").code == 0
    assert site.until_over("right") == {"right": "succeeded"}
    site.until_running("held")
    wait_for(lambda: len(site.markers()) == 1)
    [marker] = site.markers()
    platform.cluster.kill(platform.namespace, marker.partition("/")[0].rpartition("-")[0])
    wait_for(lambda: [each for each in site.markers() if each.split("/")[0] != marker.split("/")[0]])
    cancelled = platform.cancel("held")
    assert cancelled.code == 0, cancelled
    assert site.until_over("held") == {"held": "cancelled"}
    platform.kubectl("scale", "deployment", "runner-agent", "--replicas=0")
    wait_for(lambda: not site.register().folders())
    assert [list(site.store(run_id).list_attempts()) for run_id in ("right", "held")] == [[1], [1]]


KEY = '{"ACCESS_KEY": "testing", "SECRET_ACCESS_KEY": "testing"}'
