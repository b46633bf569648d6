"""Jobs of AWS Batch, which moto runs as containers of a real engine: the suite of all launchers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from runner.launchers import Batch
from support.containers import docker
from support.launching import HASTE, LaunchContract, Platform
from support.places import s3_place
from support.servers.aws_batch import client, make_queue, start_batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.servers import Server

LIVING = {"SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"}


@pytest.fixture(scope="module")
def server(images: dict[str, str]) -> Iterator[Server]:
    del images
    with start_batch() as server:
        yield server


@pytest.fixture
def platform(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    tmp_path.chmod(0o777)
    queue, batch = make_queue(server), client(server, "batch")

    def containers(name: str) -> list[str]:
        return docker("ps", "--quiet", f"--filter=name={name}-").stdout.split()

    def kill(name: str) -> None:
        docker("kill", *containers(name))

    def is_there(name: str) -> bool:
        jobs = batch.list_jobs(jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [name]}])["jobSummaryList"]
        return any(job["status"] in LIVING for job in jobs)

    mounts = {
        "volumes": [{"name": "marks", "host": {"sourcePath": str(tmp_path)}}],
        "mountPoints": [{"sourceVolume": "marks", "containerPath": "/marks", "readOnly": False}],
    }
    options = ("-O", f"job_queue={queue}", "-O", f"container_properties={json.dumps(mounts)}")
    storage = [f"{name}={value}" for name, value in server.environ.items() if name != "AWS_SECRET_ACCESS_KEY"]
    variables = [*storage, "RUNNER_HEARTBEAT=0.5", "RUNNER_GRACE=2", "MARK=/marks/mark"]
    return Platform(
        Batch(job_queue=queue),
        s3_place(server),
        kill,
        is_there,
        (
            *("--image", "tested/runner:slim-py3.11", *options, "--plain-secret", "AWS_SECRET_ACCESS_KEY"),
            *(word for each in variables for word in ("-e", each)),
        ),
        keeps_logs=True,
    ).publish()


class TestBatch(LaunchContract):
    """The suite of all launchers."""


def test_a_flow_that_takes_too_long_ends_itself_before_its_job_is_ended(platform: Platform) -> None:
    done = platform.launch("hold", "-f", *HASTE, "-e", "RUNNER_TIMEOUT=3")
    assert done.code == 124, done


def test_an_image_that_is_not_there_is_a_run_that_never_began(platform: Platform) -> None:
    done = platform.launch("ok", "-f", "--image", "127.0.0.1:9/none:1", "--start-retries", "1")
    assert done.code == 71, done
    assert len(platform.store().list_launches()) == 2
    end = platform.store().read_launch_end(1)
    assert end is not None
    assert end["exit_code"] is None


def test_the_log_of_a_job_that_died_is_that_of_cloudwatch(platform: Platform) -> None:
    followed = platform.begin("hold", "-f", *HASTE)
    platform.until_running()
    platform.kill(platform.name())
    followed.communicate(timeout=120)
    end = platform.store().read_launch_end(1)
    assert end is not None
    assert "it says hold" in "".join(end["log"])


def test_a_queue_that_is_not_there_is_told(platform: Platform) -> None:
    done = platform.launch("ok", "-O", "job_queue=none")
    assert (done.code, "none does not exist" in done.stderr) == (78, True), done
    done = platform.launch("ok", "-O", "job_queue=null")
    assert done.code == 78, done
