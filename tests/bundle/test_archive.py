"""The canonical zip: any tool opens it, and what is not what runner would write is corrupt."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from io import BytesIO
from typing import Any

import pytest

from runner.bundle import archive
from runner.errors import BundleCorrupt, Incompatible

FACTS: Any = {"flow": {"name": "täglich"}}
MEMBERS = {"flow.pkl": b"pickled", "src/täglich/daten.txt": b"", "src/mod.py": b"VALUE = 1\n" * 1000}


def test_what_is_written_is_read_back() -> None:
    read = archive.read_bundle(archive.write_bundle(FACTS, MEMBERS))
    assert {name: bytes(data) for name, data in read.members.items() if name != "manifest.json"} == MEMBERS
    assert read.manifest["flow"] == {"name": "täglich"}
    assert [(each["name"], each["size"], each["sha256"]) for each in read.manifest["members"]] == [
        (name, len(data), hashlib.sha256(data).hexdigest()) for name, data in MEMBERS.items()
    ]


def test_the_same_flow_gives_the_same_bytes() -> None:
    assert archive.write_bundle(FACTS, MEMBERS) == archive.write_bundle(FACTS, MEMBERS)


def test_any_tool_opens_it() -> None:
    data = archive.write_bundle(FACTS, MEMBERS)
    with zipfile.ZipFile(BytesIO(data)) as file:
        assert file.testzip() is None
        assert file.namelist() == ["manifest.json", *MEMBERS]
        assert all(file.read(name) == content for name, content in MEMBERS.items())
        assert json.loads(file.read("manifest.json"))["format"] == archive.FORMAT
        assert {info.compress_type for info in file.infolist()} == {zipfile.ZIP_STORED}


def test_pythons_own_zip_tool_accepts_it(tmp_path: Any) -> None:
    (tmp_path / "bundle").write_bytes(archive.write_bundle(FACTS, MEMBERS))
    command = [sys.executable, "-m", "zipfile", "--test", str(tmp_path / "bundle")]
    assert "Done testing" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("cut", [0, 1, 4, 30, 43, 44, 200, -1])
def test_any_part_of_it_is_corrupt(cut: int) -> None:
    with pytest.raises(BundleCorrupt):
        archive.read_bundle(archive.write_bundle(FACTS, MEMBERS)[:cut])


def raw(manifest: bytes, members: dict[str, bytes] | None = None) -> bytes:
    """A well-framed zip with any manifest."""
    return b"".join(archive.zip_pieces({"manifest.json": manifest, **(members or {})}))


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"no json",
        b"[]",
        b"null",
        b"{}",
        b'{"format": 1}',
        b'{"format": 1, "members": 5}',
        b'{"format": 1, "members": [5]}',
        b'{"format": 1, "members": []}',
        b"[" * 100_000,
        b'{"format": 1, "members": [{"name": "flow.pkl", "size": "1", "sha256": ""}]}',
        b'{"format": 1, "members": [{"name": "flow.pkl", "size": -1, "sha256": ""}]}',
        b'{"format": 1, "members": [{"name": 1, "size": 1, "sha256": ""}]}',
    ],
)
def test_a_manifest_that_cannot_be_read_is_corrupt(manifest: bytes) -> None:
    with pytest.raises(BundleCorrupt):
        archive.read_bundle(raw(manifest))


def canonical(members: list[dict[str, Any]], **more: Any) -> bytes:
    return archive.encode_manifest({"format": 1, "members": members, **more})


def described(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def test_what_the_frame_helpers_write_is_a_bundle() -> None:
    """What the tests around it rely on."""
    assert archive.read_bundle(raw(canonical([described("flow.pkl", b"x")]), {"flow.pkl": b"x"}))


@pytest.mark.parametrize(
    "manifest",
    [
        canonical([described("flow.pkl", b"x")]) + b"\n",
        canonical([described("flow.pkl", b"x")]).replace(b'"format": 1', b'"format": 1, "format": 1'),
        canonical([described("flow.pkl", b"x"), described("flow.pkl", b"x")]),
        canonical([described("flow.pkl", b"y")]),
        canonical([described("flow.pkl", b"x") | {"size": 10**9}]),
        canonical([described("flow.pkl", b"x") | {"more": 1}]),
        canonical([described("flow.pkl", b"x")], name="half a pair \\ud800").replace(b"\\\\ud800", b"\\ud800"),
    ],
)
def test_a_manifest_that_runner_would_not_write_is_corrupt(manifest: bytes) -> None:
    with pytest.raises(BundleCorrupt):
        archive.read_bundle(raw(manifest, {"flow.pkl": b"x"}))


def test_a_member_that_the_manifest_does_not_list_is_corrupt() -> None:
    members = {"flow.pkl": b"x", "src/more": b"y"}
    with pytest.raises(BundleCorrupt):
        archive.read_bundle(raw(canonical([described("flow.pkl", b"x")]), members))


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_asks_for_another_runner(version: object) -> None:
    with pytest.raises(Incompatible, match="format"):
        archive.read_bundle(raw(json.dumps({"format": version}).encode()))
