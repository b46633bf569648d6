"""The command line as a whole: its help, its errors, and programs in an image."""

from __future__ import annotations

import json
import subprocess
import sys
from unittest import mock

import pytest

from runner import __version__, cli
from support.command_line import assert_refused, printed_json, run_command
from support.starting import start


def test_help_fits_a_screen() -> None:
    done = start({"COLUMNS": "80"}, "--help")
    assert done.code == 0
    lines = done.stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    for command in ("run", "build", "inspect", "ls", "show", "result", "verify"):
        assert f"\n  {command} " in done.stdout
    assert "..." not in done.stdout.partition("Commands:")[2]


@pytest.mark.parametrize("command", ["run", "build", "inspect", "ls", "show", "result", "version"])
def test_every_command_has_help_and_takes_json(command: str) -> None:
    done = run_command({}, command, "--help")
    assert done.code == 0
    assert "--json" in done.stdout


def test_a_command_that_is_not_known_is_a_wrong_command_line() -> None:
    assert_refused(run_command({}, "rnu"), 2, "No such command 'rnu'")
    assert_refused(run_command({}, "ls"), 2, "Missing argument 'URL'")


@pytest.mark.parametrize("arguments", [("rnu",), ("ls",), ("ls", "--nmuber"), ("ls", "-n", "none", "x")])
def test_a_wrong_command_line_obeys_json_as_other_errors_do(arguments: tuple[str, ...]) -> None:
    done = run_command({}, *arguments, "--json")
    document = json.loads(done.stdout)
    assert (done.code, done.stderr, document["error"], document["exit_code"]) == (2, "", "UsageError", 2)


def test_whoever_stops_reading_ends_a_command_as_other_tools_end() -> None:
    command = f"{sys.executable} -m runner version | sleep 0; echo ${{PIPESTATUS[0]}}"
    late = f"{sys.executable} -m runner version | (exec <&-; sleep 1); echo ${{PIPESTATUS[0]}}"
    for line in (command, late):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert done.stderr == ""
    assert done.stdout == "141\n"


def test_version_shows_runner_and_python() -> None:
    assert start({}, "--version").stdout == start({}, "version").stdout
    assert f"runner {__version__}\npython 3." in start({}, "--version").stdout
    assert printed_json(start({}, "version", "--json"))["runner"] == __version__


@pytest.mark.parametrize(("error", "code", "words"), [(RuntimeError("odd"), 70, "odd"), (KeyboardInterrupt(), 130, "")])
def test_whatever_happens_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    monkeypatch.setattr(cli.cli.commands["version"], "callback", mock.Mock(side_effect=error))
    done = run_command({}, "version")
    assert done.code == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_location_that_cannot_be_looked_at_is_a_wrong_command_line() -> None:
    assert_refused(run_command({}, "inspect", "~no-such-user/flow"), 2, "home")


def test_only_in_an_image_a_program_can_be_given() -> None:
    in_image = {"RUNNER_IMAGE": "org/runner:aws-py3.11"}
    assert start(in_image, "echo", "hello").stdout == "hello\n"
    assert start({}, "echo", "hello").code == 2
    assert printed_json(start(in_image | {"RUNNER_REVISION": "0123abc"}, "version", "--json")) == {
        "runner": __version__,
        "python": sys.version.split()[0],
        "image": "org/runner:aws-py3.11",
        "revision": "0123abc",
    }


def test_a_standard_output_that_takes_no_more_is_no_bug_of_runners() -> None:
    done = subprocess.run(
        f"{sys.executable} -m runner version > /dev/full", shell=True, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "No space left on device" in done.stderr, "bug" in done.stderr) == (78, True, False)
