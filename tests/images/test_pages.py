"""What the README and the pages of docs do with a Docker engine, done word for word by a reader."""

from __future__ import annotations

import os
from pathlib import Path
from shutil import which
from sys import executable
from typing import TYPE_CHECKING

import pytest

from support.containers import docker
from support.reader import Reader, blocks_of, needs_engine
from support.servers.moto import make_bucket
from support.starting import inherited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.servers import Server

IMAGE = "org/runner:slim-py3.11"
DONE = ("pip install ", "(cd ~/runner && docker buildx bake slim-py3-11)")  # runner is installed, its image built


def without_what_is_done(text: str) -> str:
    """Leave out what the fixtures have done already."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(DONE))


@pytest.fixture
def reader(images: dict[str, str], moto: Server, tmp_path: Path) -> Iterator[Reader]:
    """A reader who has runner, its image and the README's flow; the S3 of the tests is on loopback."""
    programs = tmp_path / ".programs"
    programs.mkdir()
    reached = f"--network=host -e AWS_ENDPOINT_URL={moto.environ['AWS_ENDPOINT_URL']}"
    client = f'[ "$1" != run ] || {{ shift; set -- run {reached} "$@"; }}\nexec {which("docker")} "$@"'
    (programs / "docker").write_text(f"#!/bin/sh\n{client}\n")
    (programs / "docker").chmod(0o755)
    path = f"{programs}:{Path(executable).parent}:{os.environ['PATH']}"
    made = Reader(tmp_path, inherited() | moto.environ | {"PATH": path}, type=without_what_is_done)
    [etl] = [block for block in blocks_of("README.md") if block.language == "python"]
    made.save(etl)
    make_bucket(moto, "my-flows")
    kept = docker("image", "inspect", "--format={{.Id}}", IMAGE).stdout.strip()
    docker("tag", images["slim-py3.11"], IMAGE)
    yield made
    made.leave()
    docker("rmi", IMAGE)
    if kept:
        docker("tag", kept, IMAGE)


def test_the_readmes_containers_run_the_flow_from_a_folder_and_a_bucket(reader: Reader) -> None:
    blocks = [block for block in blocks_of("README.md") if block.language == "sh"]
    install, build, bucket, contained, _, launched = blocks[:6]
    assert [needs_engine(block) for block in blocks] == [block in (contained, launched) for block in blocks]
    assert "git clone" in install.text
    reader.do(build)
    reader.do(bucket)
    printed = reader.do(contained)
    assert "file:///flows/etl/runs/" in printed
    assert "s3://my-flows/etl/runs/" in printed
    assert "run contained succeeded" in reader.do(launched)


def test_a_launch_on_docker_is_watched_and_rendered(reader: Reader) -> None:
    [block] = [block for block in blocks_of("docs/launching.md") if needs_engine(block)]
    printed = reader.do(block)
    assert "state    succeeded" in printed
    folder = f"{reader.home}/.runner/flows/etl"
    assert f"--mount=type=bind,source={folder},target={folder}" in printed


def test_a_secret_is_mounted_into_a_container_in_both_ways(reader: Reader) -> None:
    flow, start, contained, *_ = blocks_of("docs/secrets.md")
    assert needs_engine(contained)
    reader.save(flow)
    reader.do(start)
    assert reader.do(contained).count(" succeeded: ") == 2
