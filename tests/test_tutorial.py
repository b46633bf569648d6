"""The README and the tutorial, done word for word in an empty home; blocks that need an engine: ``tests/images``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from shutil import copyfile, which
from sys import executable
from typing import TYPE_CHECKING

import pytest

from support.reader import ANOTHER_TERMINAL, ROOT, Reader, blocks_of, needs_engine
from support.servers import free_port
from support.servers.moto import make_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.servers import Server

INSTALL, *_ = blocks_of("docs/tutorial.md")
# what is for users, and nothing that other tests write beside it
CLONED = (
    "README.md",
    "LICENSE",
    "pyproject.toml",
    "Dockerfile",
    "docker-bake.hcl",
    "docs",
    "examples",
    "images",
    "runner",
)
TAKES_RUNS = "takes runs"  # what an agent says when it does
HASTE = {"RUNNER_HEARTBEAT": "1"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with git's word for where the repository is, and runner, installed there as the tutorial says."""
    made, repository = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("repository")
    git = ["git", f"--git-dir={repository}/.git", f"--work-tree={ROOT}", "-c", "user.name=x", "-c", "user.email=x"]
    for command in (["init", "--quiet"], ["add", *CLONED], ["commit", "--quiet", "--message=x"]):
        subprocess.run([*git, *command], cwd=ROOT, check=True)
    config = f'[url "file://{repository}"]\n\tinsteadOf = https://github.com/org/runner\n'
    (made / ".gitconfig").write_text(config, "utf-8")
    reader = Reader(made, nothing_installed(made))
    reader.do(INSTALL)
    assert reader.folder == made / "my-flows"
    copyfile(reader.state, made / ".installed")
    return made


def nothing_installed(home: Path) -> dict[str, str]:
    """The variables of somebody who has Python and git, but moto, too; pip asks the index that it asks here."""
    programs = home / ".programs"
    programs.mkdir(exist_ok=True)
    there = {"python3": Path(executable).resolve(), "moto_server": Path(executable).with_name("moto_server")}
    for name, program in there.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        (programs / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return kept | {"PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


@pytest.fixture
def reader(home: Path) -> Iterator[Reader]:
    """A reader who has just installed runner."""
    made = Reader(home, nothing_installed(home) | HASTE)
    copyfile(home / ".installed", made.state)
    yield made
    made.leave()


def read(page: str, reader: Reader) -> str:
    """Do all that a page says, but for what it says needs an engine, and return what was printed."""
    printed = []
    for block in blocks_of(page):
        assert block.language in {"sh", "python", ""}  # of another word nobody would know whether it is a command
        if block.language == "python":
            reader.save(block)
        elif block.language != "sh" or needs_engine(block) or block == INSTALL:
            continue  # it is no command, is done elsewhere, or was done
        elif block.mark == ANOTHER_TERMINAL:
            reader.open(block, until=TAKES_RUNS)
        else:
            printed.append(reader.do(block))
    return "".join(printed)


def test_the_tutorial_goes_from_nothing_to_a_watched_run(reader: Reader) -> None:
    printed = read("docs/tutorial.md", reader)
    assert printed.startswith("Lima\n")
    assert "Lima has 19 degrees" in printed
    for day, state in {
        "monday": "succeeded",
        "tuesday": "succeeded",
        "wednesday": "succeeded",
        "thursday": "cancelled",
    }.items():
        assert f"{day}  " in printed
        outcome = reader.home / f".runner/flows/weather/runs/{day}/outcome.json"
        assert f'"state": "{state}"' in outcome.read_text("utf-8")
    assert "that takes too long" in printed
    assert (reader.folder / "wednesday.html").stat().st_size


def test_the_readme_goes_from_a_flow_to_an_agent(reader: Reader, moto: Server) -> None:
    assert INSTALL in blocks_of("README.md")
    make_bucket(moto, "my-flows")
    reader.environ |= moto.environ
    printed = read("README.md", reader)
    assert "s3://my-flows/etl/" in printed
    assert "\n600\n" in printed
    assert (reader.folder / "february.html").stat().st_size
    shown = printed.partition("LAUNCH")[0].rpartition("run      february")[2]
    reported = next(block.text for block in blocks_of("README.md") if block.text.startswith("$ runner show"))
    tasks = [line.split()[:2] for line in reported.splitlines() if ".pkl" in line]
    assert tasks == [line.split()[:2] for line in shown.splitlines() if ".pkl" in line]


def test_an_agent_is_started_and_asked_as_its_page_says(reader: Reader) -> None:
    agent, ask, *_ = blocks_of("docs/agents.md")
    _, etl, build, *_ = (block for block in blocks_of("README.md") if block.language)
    reader.save(etl)
    reader.do(build)
    reader.open(agent, until=TAKES_RUNS)
    assert "state    succeeded" in reader.do(ask)


def test_secrets_are_given_as_their_page_says(reader: Reader) -> None:
    flow, start, *_ = blocks_of("docs/secrets.md")
    reader.save(flow)
    assert "succeeded" in reader.do(start)


@pytest.mark.skipif(which("curl") is None, reason="curl, which waits for the server there, is not installed")
def test_s3_on_this_machine_is_there_when_it_is_asked(reader: Reader) -> None:
    _, etl, *_ = (block for block in blocks_of("README.md") if block.language)
    [s3] = [block for block in blocks_of("docs/platforms.md") if "moto_server" in block.text]
    reader.save(etl)
    port = str(free_port())
    reader.type = lambda text: text.replace("pip install 'moto[server]'\n", "").replace("5000", port)
    assert "s3://my-flows/etl/" in reader.do(s3)
