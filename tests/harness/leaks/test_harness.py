"""No canary is found in anything that runner writes; and the harness sees one in whatever encoding."""

from __future__ import annotations

import base64
import json
import urllib.parse
from typing import TYPE_CHECKING

import pytest

from harness.leaks.canaries import plant, token
from harness.leaks.harness import WAYS, Harness, run_all
from harness.leaks.search import Search
from support.flows import located, publish
from support.places import local_place
from support.servers.s3_as_aws import S3AsAws

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.servers import Server

CODES = {"aside": 0, "crash": 139, "be killed": 137}  # of the runs; that of all others is 1


def test_no_canary_is_found_in_anything_that_was_written(
    tmp_path: Path, moto: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with S3AsAws() as refusing:
        harness = run_all(tmp_path, moto, refusing)
    search = harness.search()
    with capsys.disabled():
        print(f"\n{search.summary(len(harness.sandboxes))}")
    assert search.found == {}
    for word in ("local", "s3"):
        for way in WAYS:
            ran = harness.sandboxes[f"{word} run {way}"].ran
            assert ran.code == CODES.get(way, 1), ran.stderr
            assert "***" in ran.stdout + ran.stderr
        assert "DB_PASSWORD" in harness.sandboxes[f"{word} build closes"].ran.stderr
    for name, sandbox in harness.sandboxes.items():
        if name.startswith(("refused", "ambient", "no ", "incomplete")):
            assert sandbox.ran.code in {77, 78}, name
    assert search.places > 180


def test_the_harness_finds_every_secret_that_nobody_named_and_no_cloud_knows(tmp_path: Path) -> None:
    (tmp_path / "planted").mkdir()
    harness = Harness(tmp_path, plant(tmp_path / "planted"))
    place = local_place(tmp_path / "storage")
    harness.places.append(place)
    publish(place, "leaky.py")
    given = {"RUNNER_PARAMETERS": '{"way": "aside"}', "RUNNER_RUN_ID": "r"}
    assert harness.start("run", harness.planted.environ | located(place, "leaky") | given).code == 0
    named = {"DB_PASSWORD", "SAS", "leaf", "deep leaf", "quoted leaf", "bytes", "user"}
    named |= {"file 1", "file 2", "file 3", "file leaf"}
    found = harness.search().found
    assert {canary for canary, _ in found} == named
    assert {canary for canary, place in found if place.endswith("logs/000001.jsonl")} == named


@pytest.mark.parametrize(
    "encode",
    [
        str,
        json.dumps,
        lambda text: json.dumps({"message": json.dumps({"a": text})}),
        lambda text: urllib.parse.quote(text, safe=""),
        lambda text: base64.b64encode(b"x" + text.encode() + b"y").decode(),
        lambda text: base64.encodebytes(b"longer than a line, and " * 3 + text.encode()).decode(),
        lambda text: urllib.parse.quote(base64.urlsafe_b64encode(text.encode())),
        lambda text: text[:14],
        lambda text: text[-14:],
    ],
)
def test_the_harness_sees_a_canary(encode: Callable[[str], str]) -> None:
    text = f'{token()}"/+'
    search = Search({"it": [text], "another": [token()]})
    search.add("a log", f"before {encode(text)} behind".encode())
    search.add("another", b"nothing")
    assert {name for name, _ in search.found} == {"it"}
    assert {place for _, place in search.found} == {"a log"}


def test_the_harness_sees_a_canary_in_the_name_of_a_place() -> None:
    text = token()
    search = Search({"it": [text]})
    search.add(f"file tmp/{text}", b"")
    assert search.found
