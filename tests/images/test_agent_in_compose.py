"""The agent of ``examples/agent/compose.yaml``: it starts flows beside it, and ends when it is stopped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from support.agents import Site
from support.containers import docker
from support.launching import wait_for
from support.places import s3_place

if TYPE_CHECKING:
    import pytest

    from support.servers import Server

ROOT = Path(__file__).parents[2]


def test_an_agent_in_compose_starts_flows_beside_it(
    images: dict[str, str], moto: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = s3_place(moto)
    for name, text in place.environ.items():
        monkeypatch.setenv(name, text)
    site = Site(place, tmp_path).publish("s3-flow-storage")
    own = {"/etc/runner/": f"{tmp_path}/", "name: runner-agent": f"name: {tmp_path.name}"}
    written = (ROOT / "examples/agent/compose.yaml").read_text("utf-8")
    for old, new in own.items():
        written = written.replace(old, new)
    (tmp_path / "compose.yaml").write_text(written)
    for name in ("agent.json", "flows.json"):
        (tmp_path / name).write_text(json.dumps({"ACCESS_KEY": "testing", "SECRET_ACCESS_KEY": "testing"}))
        (tmp_path / name).chmod(0o644)
    tmp_path.chmod(0o755)
    # what no user needs: the S3 of the tests is on loopback, and its images are its own
    command = yaml.safe_load(written)["services"]["agent"]["command"]
    service = {
        "network_mode": "host",
        "environment": {"AWS_ENDPOINT_URL": place.environ["AWS_ENDPOINT_URL"]},
        "command": [*command, "-Onetwork=host", "--env=AWS_ENDPOINT_URL", f"--image={images['slim-py3.11']}"],
    }
    (tmp_path / "compose.override.yaml").write_text(yaml.safe_dump({"services": {"agent": service}}))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNNER_ROOT", place.url)
    monkeypatch.setenv("RUNNER_IMAGE", images["all_extras-py3.11"])
    monkeypatch.setenv("DOCKER_GROUP", str(Path("/var/run/docker.sock").stat().st_gid))
    up = docker("compose", "up", "--detach")
    assert up.code == 0, up
    try:
        for run_id, kind, state in (("right", "ok", "succeeded"), ("wrong", "fail", "failed")):
            assert site.submit(kind, run_id).code == 0
            assert site.until_over(run_id) == {run_id: state}
        wait_for(lambda: not site.markers())
        stopped = docker("compose", "stop")
        assert stopped.code == 0, stopped
        [status] = [json.loads(line) for line in docker("compose", "ps", "--all", "--format=json").stdout.splitlines()]
        assert (status["State"], status["ExitCode"]) == ("exited", 0), status
        assert not site.register().folders()
    finally:
        print(docker("compose", "logs"), docker("compose", "ps", "--all"))
        docker("compose", "down")
    assert [list(site.store(run_id).list_attempts()) for run_id in ("right", "wrong")] == [[1], [1]]
