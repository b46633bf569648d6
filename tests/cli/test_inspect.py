"""``runner inspect``."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING

import cloudpickle
import pytest

from support import schemas
from support.command_line import ETL, assert_refused, printed_json, run_command
from support.flows import publish

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place


@pytest.mark.parametrize("backend", ["local", "s3"], indirect=True)
def test_inspect_shows_the_manifest_and_digests(place: Place) -> None:
    url = publish(place, "etl.py")
    text = run_command(place.environ, "inspect", url).stdout
    assert f"location: {url}\n" in text
    assert "name: E.T.L. täglich\n" in text
    assert "- task: clean, name: clean, mapped: True, upstream: extract, arguments: " in text
    document = printed_json(run_command(place.environ, "inspect", f"{place.url}/{ETL}", "--json"))
    schemas.validate("manifest", document["manifest"])
    assert document["location"] == url


def test_inspect_unpickles_nothing(here: Place, tmp_path: Path) -> None:
    marker = tmp_path / "unpickled"
    pickled = (
        b"\x80\x04\x8c\x05posix\x8c\x05mkdir\x93\x8c" + bytes([len(str(marker))]) + str(marker).encode() + b"\x85R."
    )
    here.write("raw/one", pickled)
    done = run_command({}, "inspect", f"{here.url}/raw/one")
    assert "nothing of it can be verified" in done.stdout
    assert "imports: posix\n" in done.stdout
    assert not marker.exists()
    pickle.loads(pickled)
    assert marker.exists()  # it would have


def test_inspect_refuses_what_is_damaged(here: Place) -> None:
    url = publish(here, "etl.py")
    data = bytearray(here.read(f"{ETL}/{url.rpartition('/')[2]}"))
    data[-1] ^= 1
    here.write("bad/bundle", bytes(data))
    here.write("bad/pickle", cloudpickle.dumps([1])[:-1])
    assert_refused(run_command({}, "inspect", f"{here.url}/bad/bundle"), 65, "corrupt")
    assert_refused(run_command({}, "inspect", f"{here.url}/bad/pickle"), 65, "no whole pickle")
    done = run_command({}, "inspect", f"{here.url}/bad/bundle", "--json")
    document = json.loads(done.stdout)
    assert (done.code, document["error"], document["exit_code"]) == (65, "BundleCorrupt", 65)
