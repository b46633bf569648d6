"""A cluster of one node, started once, with the product's own image in it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.launchers import Kubernetes
from support.images import bake
from support.on_kubernetes import Cloud
from support.places import s3_place
from support.servers.kubernetes import Cluster, NoCluster, start_kubernetes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.servers import Server

HERE = Path(__file__).parent
BINARIES = HERE.parent.parent / ".cache" / "kubernetes" / "bin"
LONGEST = 900  # seconds for the one test that has image and cluster made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(LONGEST))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster."""
    try:
        with start_kubernetes(BINARIES) as started:
            yield started
    except NoCluster as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def image(engine: None, cluster: Cluster) -> str:
    """The smallest image that reaches S3, on the cluster's node."""
    del engine
    [name] = bake(["slim"], "3.11").values()
    cluster.load(name)
    return name


@pytest.fixture
def platform(
    cluster: Cluster, image: str, moto: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cloud]:
    namespace = f"t-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", namespace)
    place = s3_place(moto)
    for name, text in place.environ.items():
        monkeypatch.setenv(name, text)
    key = {
        "ACCESS_KEY": place.environ["AWS_ACCESS_KEY_ID"],
        "SECRET_ACCESS_KEY": place.environ["AWS_SECRET_ACCESS_KEY"],
    }
    literal = f"--from-literal=AWS_CREDENTIALS={json.dumps(key)}"
    cluster.kubectl("-n", namespace, "create", "secret", "generic", "my-flows", literal)
    marks = tmp_path / "marks"
    marks.mkdir()
    marks.chmod(0o777)
    pod = {
        "containers": [{"name": "runner", "volumeMounts": [{"name": "marks", "mountPath": str(marks)}]}],
        "volumes": [{"name": "marks", "hostPath": {"path": str(marks)}}],
    }
    options = {
        "RUNNER_HEARTBEAT": "0.5",
        "RUNNER_GRACE": "2",
        "MARK": str(marks / "mark"),
        **{name: place.environ[name] for name in ("AWS_ENDPOINT_URL", "AWS_REGION")},
    }
    launcher = Kubernetes(
        kubeconfig=str(cluster.kubeconfig),
        namespace=namespace,
        host_network=True,
        template={"spec": {"template": {"spec": pod}}},
    )

    def pod_of(name: str) -> str:
        [pod] = cluster.get("pods", "-n", namespace, "-l", f"job-name={name}")["items"]
        return str(pod["metadata"]["name"])

    def is_there(name: str) -> bool:
        job = cluster.get("job", "-n", namespace, name)
        return job is not None and "deletionTimestamp" not in job["metadata"]

    cloud = Cloud(
        launcher,
        place,
        lambda name: cluster.kill(namespace, pod_of(name)),
        is_there,
        (
            *(f"-O{name}={json.dumps(value)}" for name, value in launcher.given.items()),
            f"--image={image}",
            "--secret=AWS_CREDENTIALS=my-flows",
            *(f"-e{name}={text}" for name, text in options.items()),
        ),
        cluster=cluster,
        namespace=namespace,
        image=image,
    )
    cloud.publish()
    yield cloud
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")
