"""``runner prune``: what it asks, refuses and tells; what goes and what stays is in `tests/pruning`."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runner.pruning import needs
from support.command_line import assert_refused, run_command
from support.pruned import version, write_versions
from support.run_documents import write_run
from support.starting import inherited

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place

OLD = ("--older-than", "2026-11-01")


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "SETTLED_SECONDS", -60.0)


def test_without_a_rule_or_a_yes_nothing_is_looked_at(here: Place) -> None:
    """Not even whether it is there: who waits for a storage and is refused then has waited in vain."""
    url = f"{here.url}/none"
    assert_refused(run_command({}, "prune", url), 2, "neither --keep nor --older-than is given", "--older-than 30d")
    assert_refused(run_command({}, "prune", url, "--yes", "--states", "failed"), 2, "neither --keep")
    assert_refused(run_command({}, "prune", url, *OLD), 2, "nobody can be asked", "--dry-run", "--yes")
    for wrong in (("--keep", "0"), ("--keep", "-1"), ("--older-than", "30"), ("--states", "running"), ("--states", "")):
        done = run_command({}, "prune", url, "--yes", *wrong)
        assert done.code == 2, done
    assert_refused(run_command({}, "prune", url, *OLD, "--yes"), 66, "/none")
    refused = run_command({}, "prune", url, "--json")
    assert json.loads(refused.stdout)["exit_code"] == 2


def test_each_line_tells_what_goes_or_stays_and_why(here: Place) -> None:
    write_versions(here, 1, 2, 3)
    write_run(here, "old", version=version(1))
    write_run(here, "crashed", state="crashed", version=version(2))
    url = f"{here.url}/etl"
    dry = run_command({}, "prune", here.url, *OLD, "--dry-run")
    assert dry.code == 0, dry
    lines = dry.stdout.splitlines()
    assert lines[0].startswith(f"keeps run {url}/runs/crashed: crashed, and not over")
    assert lines[1] == f"keeps version {url}/{version(2)}: run crashed is of it"
    assert lines[2].startswith(f"would remove run {url}/runs/old: succeeded, ended ")
    assert lines[2].partition(" ago; ")[2].startswith("7 objects, ")
    assert lines[3].startswith(f"would remove version {url}/{version(1)}: built ")
    assert lines[3].endswith(" ago, and nothing names it; 1 object, 8 B")
    assert lines[4].startswith("would free 1 run, 1 version, 8 objects, ")
    done = run_command({}, "prune", here.url, *OLD, "--yes")
    assert done.stdout == dry.stdout.replace("would remove", "removed").replace("would free", "freed")
    assert run_command({}, "prune", here.url, *OLD, "--yes").stdout.splitlines()[-1] == "nothing is to go"


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 130), ("", 130)])
def test_at_a_terminal_it_asks(here: Place, tmp_path: Path, answer: str, code: int) -> None:
    write_versions(here, 1, 2)
    write_run(here, "old", version=version(1))
    for path in (tmp_path / "storage").rglob("*"):
        os.utime(path, (0, 0))
    before = here.keys()
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    command = [sys.executable, "-m", "runner", "prune", here.url, *OLD]
    done = subprocess.run(command, env=inherited(), stdin=theirs, capture_output=True, text=True, check=False)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == code, done
    assert "Remove 1 run, 1 version, 8 objects, " in done.stderr
    assert "would remove run" in done.stdout
    assert here.keys() == ([f"etl/{version(2)}"] if answer == "y" else before)
    assert ("freed 1 run, 1 version, 8 objects" in done.stdout) is (answer == "y")


def test_what_may_not_be_removed_is_told_and_keeps_no_other(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for run_id in ("free", "locked"):
        write_run(here, run_id)
    unlink = os.unlink

    def refuse(path: str) -> None:
        if path.endswith("locked/attempts/0001/results/extract.pkl"):
            raise PermissionError
        unlink(path)

    monkeypatch.setattr(os, "unlink", refuse)
    done = run_command({}, "prune", here.url, *OLD, "--yes")
    monkeypatch.undo()
    assert done.code == 77, done
    assert "runs/locked stays: not allowed to delete" in done.stderr
    assert "freed 1 run, 0 versions, 7 objects" in done.stdout
    assert f"{here.url}/etl/runs/free" in done.stdout
    assert here.keys() == ["etl/runs/locked/attempts/0001/results/extract.pkl", "etl/runs/locked/outcome.json"]
    run_command({}, "prune", here.url, *OLD, "--yes")
    assert here.keys() == []
