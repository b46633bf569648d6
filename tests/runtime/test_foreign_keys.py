"""A flow whose bucket also holds objects with keys that runner takes for none: it runs, and is listed and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.command_line import printed_json, run_command, run_url
from support.flows import located, publish
from support.starting import start

if TYPE_CHECKING:
    from support.places import Place

HOME = "e-t-l-taglich"


@pytest.mark.parametrize("backend", ["s3", "gcs", "azure"], indirect=True)
def test_foreign_keys_stop_neither_a_start_nor_a_command(place: Place) -> None:
    """One double slash in the name of a copy, and no start of the flow on S3 or Azure succeeded any more."""
    publish(place, "etl.py")
    foreign = [f"{HOME}//copy", f"{HOME}/runs//x", f"{HOME}/runs/r//x", f"{HOME}/runs/r/attempts//0009/claim.json"]
    foreign += [f"{HOME}/runs/r/attempts/0001//x", f"{HOME}/runs/r/attempts/0001/results//x.pkl"]
    for key in foreign:
        place.write(key, b"x")
    environ = located(place, HOME) | {"RUNNER_RUN_ID": "r"}
    done = start(environ)
    assert done.code == 0, done
    told = [line["message"] for line in done.lines if "passed over" in line.get("message", "")]
    assert len(told) == len(set(told)) > 0
    assert start(environ).code == 0
    listed = start(place.environ, "ls", f"{place.url}/{HOME}", "--json")
    assert [run["state"] for run in printed_json(listed)["runs"]] == ["succeeded"]
    assert listed.stderr.count("passed over") == 2
    assert printed_json(run_command(place.environ, "show", run_url(place), "--json"))["state"] == "succeeded"
    assert run_command(place.environ, "result", run_url(place), "load-it").stdout == "6\n"
