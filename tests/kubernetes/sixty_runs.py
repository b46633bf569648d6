"""Two agents for a Docker engine and one for a cluster, each with labels of its own, at every storage: sixty runs.

Only `make queue-trial` names this file.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from harness.agents.course import play
from harness.agents.team import NO_IMAGE, WAITING, Member, Planned, Team
from runner.launchers import Docker, Kubernetes
from support.agents import Site
from support.containers import docker
from support.images import bake
from support.launching import wait_for
from support.places import azure_place, gcs_place, local_place, s3_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.places import Place
    from support.servers import Server
    from support.servers.kubernetes import Cluster

NONE = "launched/none:1"
SECONDS = 900.0  # that any of it may take, on two cores
PLANNED = [  # what is held first, so that the agents are killed while there is much to do
    Planned("hold", ("a",)),
    Planned("hold", ("pods",)),
    Planned("ok"),
    Planned("ok", ("docker",)),
    Planned("ok", ("b",)),
    Planned("ok", ("pods",)),
    Planned("fail", ("a",)),
    Planned("fail", ("b",)),
    Planned("fail", ("pods",)),
    Planned("segfault", ("b",)),
    Planned("eat", ("a",)),
    Planned("eat", ("pods",)),
    Planned(NO_IMAGE, ("b",)),
    Planned(NO_IMAGE, ("pods",)),
    Planned(WAITING, ("a",)),
]
# heartbeats of 1 s are missed where 25 containers begin at a time on two cores, and their runs taken for lost
QUICK = ("-e", "RUNNER_HEARTBEAT=5", "-e", "RUNNER_GRACE=2", "--memory", "400Mi")


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    name = f"t-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def places(
    moto: Server, azurite: Server, gcs_emulator: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Place]:
    for server in (moto, azurite, gcs_emulator):
        for name, text in server.environ.items():
            monkeypatch.setenv(name, text)
    root = tmp_path / "storage"
    folder = local_place(root)
    root.chmod(0o777)
    return [folder, s3_place(moto), azure_place(azurite), gcs_place(gcs_emulator)]


def without_pods(planned: list[Planned]) -> list[Planned]:
    """What waits in a folder, which no pod reaches: as many runs, for containers."""
    there = {(each.kind, each.labels) for each in planned}
    made = list(planned)
    for number, each in enumerate(made):
        if each.labels == ("pods",):
            label = next(name for name in ("a", "b", "docker") if (each.kind, (name,)) not in there)
            made[number] = each._replace(labels=(label,))
            there.add((each.kind, (label,)))
    return made


@pytest.mark.timeout(3600)
def test_sixty_runs_are_launched_once_each_by_a_right_agent_and_have_true_outcomes(
    cluster: Cluster, engine: None, namespace: str, places: list[Place], tmp_path: Path
) -> None:
    del engine
    [image] = bake(["all_extras"], "3.11").values()
    cluster.load(image)
    pods = Kubernetes(kubeconfig=str(cluster.kubeconfig), namespace=namespace)
    on_cluster = ("-O", f"kubeconfig={cluster.kubeconfig}", "-O", f"namespace={namespace}")

    def team(place: Place) -> Team:
        reached = tuple(word for name in place.environ for word in ("--plain-secret", name))
        on_engine = (*QUICK, *reached, "-O", "network=host", "-O", "pull=never")
        members = {name: Member((name, "docker"), Docker(), on_engine) for name in ("a", "b")}
        if place.word != "local":
            options = (*QUICK, *reached, *on_cluster, "-O", "host_network=true", "-O", "image_pull_policy=Never")
            members["k"] = Member(("pods",), pods, options)
        site = Site(place, tmp_path / place.word)
        no_image = site.publish(image=NONE).url
        runs = PLANNED if "k" in members else without_pods(PLANNED)
        return Team(site.publish(image=image), no_image, members, runs, tmp_path / f"{place.word}-said")

    play([team(place) for place in places], SECONDS)
    assert docker("ps", "--all", "--quiet", "--filter=label=runner/flow=launched").stdout == ""
    wait_for(lambda: cluster.kubectl("-n", namespace, "get", "jobs,pods", "-o", "name") == "")
