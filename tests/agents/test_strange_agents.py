"""Agents whose machine or settings are not as they should be: no run is lost by them, or given up in silence."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import schemas
from support.agents import KEY, Site
from support.canary import AUTHOR
from support.launching import wait_for
from support.scene import SIGNING
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

    from support.places import Place

TRUSTED = {"RUNNER_TRUSTED_KEYS": AUTHOR.public.text}


@pytest.fixture
def site(here: Place, tmp_path: Path) -> Iterator[Site]:
    yield (found := Site(here, tmp_path / "launches").publish())
    schemas.validate_place(found.place)


def fill(file: FileIO) -> None:
    """Write until the disk has no more room."""
    while file.write(bytes(4096)):
        pass


def kill_flow(site: Site) -> None:
    """Kill all that the only launch has started."""
    [folder] = site.folder.iterdir()
    os.killpg(int((folder / "pid").read_text().split()[0]), signal.SIGKILL)


@pytest.mark.parametrize(
    ("options", "environ", "code", "told"),
    [
        (("--plain-secret", "NOPE"), {}, 78, "NOPE is to be passed on, and is not set here"),
        (("-e", "A B=1"), {}, 2, "'A B' can be no variable's name"),
        (("-e", "RUNNER_RUN_ID=x"), {}, 2, "RUNNER_RUN_ID is said by the launch itself"),
        (("-e", "RUNNER_HEARTBEAT=banana"), {}, 78, "RUNNER_HEARTBEAT"),
        (("-O", "folder=/proc/x"), {}, 78, "/proc/x cannot be written"),
        ((), {"RUNNER_RESULTS": "s3://elsewhere"}, 2, "lie at s3://elsewhere, where this agent does not look"),
    ],
)
def test_what_is_wrong_with_an_agent_is_told_before_it_takes_any_run(
    site: Site, options: tuple[str, ...], environ: dict[str, str], code: int, told: str
) -> None:
    site.submit("ok", "r")
    done = start(environ, "agent", "start", "local", "--storage", site.place.url, *options)
    assert (done.code, told in done.stderr) == (code, True), done
    assert site.is_waiting("r")
    assert not site.register().folders()


def test_a_launch_that_the_machine_refuses_is_given_up_with_its_reason_and_keeps_nobody(
    site: Site, tmp_path: Path
) -> None:
    heard = tmp_path / "heard"
    with site.agent("--on-outcome", f'echo "$RUNNER_STATE $RUNNER_CODE" >>{heard}'):
        wait_for(site.folder.exists)
        site.folder.rmdir()
        site.folder.touch()
        site.submit("ok", "refused")
        wait_for(lambda: heard.exists() and not site.markers() and not site.is_waiting("refused"))
        shown = start({}, "show", site.store("refused").url).stdout
        site.folder.unlink()
        site.submit("ok", "after")
        assert site.until_over("after") == {"after": "succeeded"}
        wait_for(lambda: not site.markers())
    assert heard.read_text() == "refused 78\nsucceeded 0\n"
    assert "cannot be written: File exists" in shown


def test_a_launch_for_which_there_is_no_room_is_made_when_there_is(site: Site) -> None:
    site.folder.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=100k,mode=700", "tmpfs", str(site.folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("may mount nothing: run it as root")
    try:
        full = site.folder / "full"
        with site.agent() as agent, full.open("wb", buffering=0) as file:
            with pytest.raises(OSError, match="No space"):
                fill(file)
            site.submit("ok", "r")
            assert agent.stdout
            wait_for(lambda: "no process could be started" in agent.stdout.readline())  # type: ignore[union-attr]
            full.unlink()
            file.close()
            assert site.until_over("r") == {"r": "succeeded"}
            wait_for(lambda: not site.markers())
    finally:
        subprocess.run(["umount", "-l", str(site.folder)], check=True)


def test_what_an_agent_may_not_launch_it_looks_after_where_it_takes_it_up(site: Site) -> None:
    """As after a restart with another setting: the container is there, and nobody else will see how it ends."""
    with site.agent():
        site.submit("hold", "r")
        site.until_running("r")
    site.environ = dict(TRUSTED)
    with site.agent() as second:
        wait_for(lambda: len(site.markers()) == 1 and second.stdout and "r is looked after" in second.stdout.readline())
        kill_flow(site)
        wait_for(lambda: not site.markers())
    end = site.store("r").read_launch_end(1)
    assert end
    assert (end["state"], end["given_up"]) == ("ended", True)
    attempt = site.store("r").read_end(1)
    assert attempt
    assert attempt["state"] == "crashed"
    assert not list(site.folder.iterdir())


def test_a_run_whose_beginning_was_removed_is_let_go(site: Site) -> None:
    with site.agent():
        site.submit("hold", "r")
        site.until_running("r")
        site.place.open().delete(site.store("r").layout.run)
        kill_flow(site)
        wait_for(lambda: not site.markers())
        site.submit("ok", "after")
        assert site.until_over("after") == {"after": "succeeded"}
        wait_for(lambda: not site.markers())
    site.place.open().delete(f"{KEY}/runs/r/attempts/0001/claim.json")


def test_an_outcome_that_nobody_signed_is_told_as_one_that_is_not_believed(
    here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flows are signed, runs are not: the container ends all the same, and what is left of it is removed."""
    site, heard = Site(here, tmp_path / "launches"), tmp_path / "heard"
    monkeypatch.setenv("RUNNER_SIGNING_KEY", SIGNING)
    site.publish()
    monkeypatch.delenv("RUNNER_SIGNING_KEY")
    site.environ = dict(TRUSTED)
    with site.agent("--on-outcome", f'echo "$RUNNER_STATE $RUNNER_CODE" >>{heard}'):
        assert site.submit("ok", "r").code == 0
        wait_for(lambda: heard.exists() and not site.markers())
    assert heard.read_text() == "refused 79\n"
    end = site.store("r").read_launch_end(1)
    assert end
    assert (end["state"], end["exit_code"]) == ("ended", 0)
    assert not list(site.folder.iterdir())


def test_a_command_that_hangs_ends_with_its_agent(site: Site, tmp_path: Path) -> None:
    written = tmp_path / "pid"
    with site.agent("--on-outcome", f"sleep 333 & echo $! >{written}; wait"):
        site.submit("ok", "r")
        wait_for(lambda: written.exists() and written.read_text())
    sleeping = Path(f"/proc/{written.read_text().strip()}")
    wait_for(
        lambda: not sleeping.exists() or sleeping.joinpath("stat").read_text().rpartition(")")[2].split()[0] == "Z"
    )


@pytest.mark.parametrize(
    "other", [("--at", "2031-01-01T00:00:00Z"), ("--at", "2030-01-01T00:00:00Z", "-l", "gpu"), ("--priority", "3")]
)
def test_a_run_is_submitted_again_only_as_it_was(site: Site, other: tuple[str, ...]) -> None:
    at = ("--at", "2030-01-01T00:00:00Z")
    assert site.submit("ok", "r", *at).code == 0
    assert site.submit("ok", "r", *at).code == 0
    again = site.submit("ok", "r")
    assert (again.code, "it waits until 2030-01-01T00:00:00Z\n" in again.stderr) == (0, True)
    done = site.submit("ok", "r", *other)
    assert (done.code, "was submitted with other labels, or another priority, time or root" in done.stderr) == (
        78,
        True,
    )


def test_a_run_that_is_cancelled_waits_no_more(site: Site) -> None:
    for run_id, more in (("later", ("--at", "2030-01-01T00:00:00Z")), ("labelled", ("-l", "typo"))):
        site.submit("ok", run_id, *more)
        assert site.is_waiting(run_id)
        assert start(site.place.environ, "cancel", site.store(run_id).url).code == 0
        assert not site.is_waiting(run_id)
