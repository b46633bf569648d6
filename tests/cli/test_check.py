"""``runner check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cloudpickle

from support.command_line import assert_refused, printed_json
from support.flows import located, publish
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place


def test_check_loads_a_flow_and_runs_nothing(here: Place) -> None:
    publish(here, "trouble.py")
    given = {"RUNNER_PARAMETERS": '{"kind": "do well"}'}
    done = start(located(here, "trouble") | given, "check")
    assert done.code == 0, done
    assert done.stdout.startswith("flow 'trouble' can be run here: file:///")
    assert printed_json(start(given, "check", f"{here.url}/trouble", "--json"))["tasks"] == 2
    assert_refused(start({}, "check", f"{here.url}/trouble"), 78, "parameter 'kind' is required")
    assert not any("/runs/" in key for key in here.keys())  # noqa: SIM118 - a place is no mapping


def test_check_leaves_none_of_the_flows_modules_behind(here: Place, tmp_path: Path) -> None:
    publish(here, "modular/modular.py")
    (tmp_path / "tmp").mkdir()
    assert start({"TMPDIR": str(tmp_path / "tmp")}, "check", f"{here.url}/modular").code == 0
    assert list((tmp_path / "tmp").iterdir()) == []


def test_check_ends_as_a_run_would(here: Place) -> None:
    here.write("fn/1", cloudpickle.dumps(3))
    assert_refused(start({}, "check", f"{here.url}/fn/1"), 65, "the object holds no flow")
    assert_refused(start({}, "check", f"{here.url}/none"), 66, "neither an object nor a flow")
    assert_refused(start({}, "check"), 2, "nothing says which flow to check")


def test_check_takes_parameters(here: Place) -> None:
    publish(here, "trouble.py")
    assert start({}, "check", f"{here.url}/trouble", "-p", "kind=do well").code == 0
    environ = located(here, "trouble") | {"RUNNER_PARAMETERS": '{"kind": "do well"}'}
    assert start(environ, "check", "-p", "file=x").code == 0
    assert_refused(start(environ, "check", "-p", "nosuch=1"), 78, "the flow has no parameter 'nosuch'")
    wrong = ("no parameter 'knid' (did you mean 'kind'?)", "-p NAME=VALUE")
    assert_refused(start(environ, "check", "-p", "knid=1"), 78, *wrong)
    assert_refused(start(environ, "check", "-p", "kind"), 2, "parameter 'kind' has no value")
