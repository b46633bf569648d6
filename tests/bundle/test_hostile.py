"""What a stranger may store: refused as corrupt within a second and 64 MB, before anything of it is believed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import stat
import struct
import subprocess
import sys
import time
import unicodedata
import zipfile
from contextlib import chdir
from typing import TYPE_CHECKING, Any

import pytest

from runner import errors
from runner.backends.local.files import LocalStorage
from runner.bundle import archive
from runner.bundle.fetch import newest_version
from runner.bundle.member_names import invalid_name
from runner.limits import LIMITS
from runner.runs import documents
from support.flows import publish
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.places import Place

SECONDS, MEGABYTES = 1.0, 64
FACTS: Any = {
    "flow": {"name": "f", "version": "2026-11-22t12-10-24-845190-00-00"},
    "python": {"version": "3.11.0", "implementation": "cpython"},
    "requires": [],
    "parameters": [],
    "labels": [],
    "secrets": [],
    "image": None,
}


def described(name: object, data: bytes = b"", **changed: Any) -> dict[str, Any]:
    return {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()} | changed


def framed(manifest: bytes, members: dict[str, bytes] | None = None) -> bytes:
    return b"".join(archive.zip_pieces({"manifest.json": manifest, **(members or {})}))


def manifest(members: list[dict[str, Any]], **more: Any) -> bytes:
    return json.dumps({"format": 1, **FACTS, "members": members} | more, indent=1, ensure_ascii=False).encode()


def named(*names: str) -> bytes:
    """A bundle that is sound but for its members' names."""
    listed = [described("flow.pkl", b"x"), *(described(name) for name in names)]
    return framed(manifest(listed), {"flow.pkl": b"x", **dict.fromkeys(names, b"")})


def claiming(size: int) -> bytes:
    return framed(manifest([described("flow.pkl", b"x", size=size)]), {"flow.pkl": b"x"})


def header_claims(size: int) -> bytes:
    """The manifest's own header says that it is this large."""
    data = bytearray(named())
    data[18:26] = struct.pack("<2L", size, size)
    return bytes(data)


def other_tools(**how: Any) -> bytes:
    """A zip as Python's own writer makes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **how) as archive:
        archive.writestr("manifest.json", manifest([described("flow.pkl", b"x")]))
        archive.writestr("flow.pkl", b"x")
    return file.getvalue()


def bomb() -> bytes:
    """10 MB of zeros, in each of 50 members that were deflated to 10 kB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(50):
            archive.writestr(f"src/{number}", bytes(10_000_000))
    return file.getvalue()


def linked() -> bytes:
    """A member that is a symbolic link to /etc/passwd, as Info-ZIP stores it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("manifest.json", manifest([described("flow.pkl", b"x"), described("src/l", b"/etc/passwd")]))
        archive.writestr("flow.pkl", b"x")
        info = zipfile.ZipInfo("src/l", (1980, 1, 1, 0, 0, 0))
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return file.getvalue()


def mismatched() -> bytes:
    """The directory at the end gives a member another name than the header before it."""
    data = bytearray(named("src/a.py"))
    place = data.rindex(b"src/a.py")
    data[place : place + 8] = b"src/b.py"
    return bytes(data)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a member that claims 10 GB": lambda: claiming(10 * 2**30),
    "a member that claims 4 GB": lambda: claiming(2**32 - 1),
    "a member that claims a number of 4,000 digits": lambda: claiming(10**3999),
    "a manifest that claims 4 GB": lambda: header_claims(2**32 - 1),
    "a manifest that claims 9 MB": lambda: header_claims(9_000_000),
    "100,000 members that are listed": lambda: framed(manifest([described(f"src/{n}") for n in range(100_000)])),
    "30,000 members that are there": lambda: named(*(f"src/{n}" for n in range(30_000))),
    "thousands of members in a zip of another tool": bomb,
    "a size that is true": lambda: framed(manifest([described("flow.pkl", b"x", size=True)]), {"flow.pkl": b"x"}),
    "a link": linked,
    "a mismatched directory": mismatched,
    "a member twice": lambda: framed(manifest([described("flow.pkl", b"x")] * 2), {"flow.pkl": b"x"}),
    "a format of another tool": other_tools,
    "compression": lambda: other_tools(compression=zipfile.ZIP_DEFLATED),
    "a comment at the end": lambda: named() + b"x" * 100,
    "deep lists": lambda: framed(b"[" * 4_000_000 + b"]" * 4_000_000),
    "deep objects": lambda: framed(b'{"a":' * 1_000_000),
    "deep lists below the limit": lambda: framed(b'{"format": 1, "members": ' + b"[" * 900 + b"]" * 900 + b"}"),
    "millions of lists": lambda: framed(b"[" + b"[]," * 2_500_000 + b"[]]"),
    "millions of objects": lambda: framed(b"[" + b"{}," * 2_500_000 + b"{}]"),
    "millions of numbers": lambda: framed(b"[" + b"1," * 4_000_000 + b"1]"),
    "a whole number of a million digits": lambda: framed(b'{"format": ' + b"9" * 1_000_000 + b"}"),
    "a fraction of eight million digits": lambda: framed(b'{"size": 1.' + b"9" * 8_000_000 + b"}"),
    "an exponent beyond all": lambda: framed(b'{"format": 1, "members": 1e999999999}'),
    "a text of eight million escapes": lambda: framed(b'{"format": 1, "members": "' + b"\\u0000" * 1_300_000 + b'"}'),
    "an envelope of millions of lists": lambda: b'{"flow": "", "versions": [' + b"[]," * 5_000_000 + b"[]]}",
    "a deep envelope": lambda: b'{"flow": ' + b"[" * 5_000_000,
    "a signature that claims 4 GB": lambda: (
        named()[:-100] + struct.pack("<4s5H3L2H", b"PK\3\4", *[0] * 6, 2**32 - 1, 0, 14, 0) + b"signature.json"
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_it_is_refused_within_a_second_and_64_mb(what: str, tmp_path: Path) -> None:
    code, seconds, megabytes = measured(HOSTILE[what](), tmp_path)
    assert code == errors.BundleCorrupt.code
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


def measured(data: bytes, folder: Path) -> tuple[int, float, float]:
    """Verify in a process of its own; give its exit code, seconds of work, and megabytes beyond those of the data."""
    script = """
import re, sys, time
from runner.bundle import archive, trust
from runner.serialization import foreign
from runner.signing import signatures
from runner.errors import RunnerError
data = open(sys.argv[1], "rb").read()
def peak():  # kilobytes; getrusage also counts what the parent had before exec
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before, began, code = peak(), time.process_time(), 0
try:
    if not isinstance(trust.verify(data), archive.Bundle):
        foreign.open_pickle(data)
except RunnerError as error:
    code = error.code
    assert len(str(error)) < 2000
print(code, time.process_time() - began, (peak() - before) / 1024)
"""
    (folder / "object").write_bytes(data)
    command = [sys.executable, "-c", script, str(folder / "object")]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    code, seconds, megabytes = done.stdout.split()
    return int(code), float(seconds), float(megabytes)


def test_the_measure_measures(tmp_path: Path) -> None:
    """A large bundle that is sound goes through, and takes what it takes."""
    data = archive.write_bundle(FACTS, {"flow.pkl": b"x" * 20_000_000, **{f"src/{n}.py": b"" for n in range(10_000)}})
    code, _, megabytes = measured(data, tmp_path)
    assert code == 0
    assert 1 < megabytes < MEGABYTES


# Names

NFC, NFD = unicodedata.normalize("NFC", "src/é.py"), unicodedata.normalize("NFD", "src/é.py")


@pytest.mark.parametrize(
    "names",
    [
        ["/etc/passwd"],
        ["src//etc/passwd"],
        ["src/../../etc/passwd"],
        ["src/a/../b"],
        ["src/."],
        ["src/"],
        ["src"],
        ["other/a.py"],
        ["manifest.json"],
        ["signature.json"],
        ["src/c:/windows"],
        ["src\\a"],
        ["src/a\\..\\b"],
        ["src/a\0b"],
        ["src/a\nb"],
        ["src/a\x1b[2J"],
        ["src/\u202etxt.py"],
        ["src/a\u200b.py"],
        ["src/a\ufeff.py"],
        ["src/a\ue000"],
        ["src/a."],
        ["src/a "],
        ["src/ a"],
        ["src/a./b"],
        ["src/nul"],
        ["src/Aux.py"],
        ["src/com1.tar.gz"],
        ["src/lpt¹"],
        ["src/con /a"],
        ["src/" + "a" * 256],
        ["src/" + "é" * 128],
        ["src/" + "a/" * 600 + "a"],
        ["src/a", "src/a/b"],
        ["src/a/b", "src/a"],
        ["src/a.py", "src/A.py"],
        ["src/a/b.py", "src/A/c.py"],
        ["src/straße", "src/STRASSE"],
        [NFC, NFD],
        ["src/ﬁle", "src/file"],
        ["src/a|b"],
        ["src/a*"],
    ],
)
def test_a_name_that_is_not_one_file_everywhere_is_corrupt(names: list[str]) -> None:
    with pytest.raises(errors.BundleCorrupt, match=r"not safe|differs|not as runner|cannot be read"):
        archive.read_bundle(named(*names))
    with pytest.raises(errors.FlowFailed, match="cannot travel"):
        archive.write_bundle(FACTS, {"flow.pkl": b"x", **dict.fromkeys(names, b"")})


@pytest.mark.parametrize(
    "names",
    [
        ["src/täglich/daten.txt", "src/täglich/mod.py"],
        [NFC],
        [NFD],
        ["src/日本語.py", "src/data/café au lait.csv", "src/auxiliary.py", "src/a..b", "src/com10.py"],
        ["src/A.py", "src/b/A.py", "src/b/c/A.py"],
    ],
)
def test_a_name_that_an_author_may_have_is_none(names: list[str]) -> None:
    assert archive.read_bundle(archive.write_bundle(FACTS, {"flow.pkl": b"x", **dict.fromkeys(names, b"")}))


@pytest.mark.parametrize("name", [5, None, ["src/a"], "src/\ud800"])
def test_what_is_no_name_is_told(name: object) -> None:
    assert invalid_name(["flow.pkl", name])


def test_a_manifest_that_is_too_large_is_told_when_it_is_written() -> None:
    many = [{"task": f"task-{number}", "name": "t", "mapped": False, "upstream": []} for number in range(100_000)]
    with pytest.raises(errors.FlowFailed, match="Map a task over a list"):
        archive.write_bundle(FACTS | {"tasks": many}, {"flow.pkl": b"x"})


def test_a_bundle_of_more_than_4_gb_is_corrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    data = named()
    monkeypatch.setattr(archive, "_LARGEST", 0)
    monkeypatch.setitem(LIMITS, "manifest", (100, "less than the bundle has"))
    with pytest.raises(errors.BundleCorrupt, match="larger than any"):
        archive.read_bundle(data)


def test_a_document_that_is_too_deep_is_none() -> None:
    with pytest.raises(ValueError, match="nested deeper"):
        documents.decode(b'{"format": ' + b"[" * 100_000)


# Listings


def test_a_planted_name_that_is_no_key_is_passed_over(here: Place) -> None:
    version = "2026-11-22t12-10-24-845190-00-00"
    here.write(f"f/{version}", b"x")
    here.write("f/9999-01-01t\x07", b"x")
    here.write("f/9999-01-01t\\..\\..", b"x")
    os.close(os.open(os.fsencode(here.url.removeprefix("file://")) + b"/f/9999-01-01t\xff", os.O_CREAT))
    assert newest_version(here.open(), "f/") == f"f/{version}"


def test_planted_names_neither_hide_runs_nor_reach_the_terminal(here: Place) -> None:
    url = publish(here, "etl.py").rpartition("/")[0]
    home = url.rpartition("/")[2]
    here.write(f"{home}/runs/\x1b[2J/run.json", b"x")
    here.write(f"{home}/runs/r/run.json", b"[" * 100_000)
    here.write(f"{home}/9999-01-01t\x1b[2J", b"x")
    done = start({}, "ls", url)
    assert done.code == 0, done
    assert "\x1b" not in done.stdout + done.stderr
    assert "\\x1b[2J" in done.stderr
    assert "cannot be read" in done.stdout


# A folder's links


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    return folder


@pytest.fixture
def storage(here: Place) -> LocalStorage:
    opened = here.open()
    assert isinstance(opened, LocalStorage)
    return opened


def test_links_out_of_the_root_are_not_followed(storage: LocalStorage, outside: Path, tmp_path: Path) -> None:
    root = tmp_path / "storage"
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    (root / "near").symlink_to(tmp_path / "storage-of-another")
    (tmp_path / "storage-of-another").mkdir()
    attempts: list[Callable[[], object]] = [
        lambda: storage.read("file"),
        lambda: storage.read("folder/secret"),
        lambda: storage.create("folder/new", b"x"),
        lambda: storage.create("near/new", b"x"),
        lambda: storage.create("folder/deep/new", b"x"),
        lambda: storage.delete("folder/secret"),
        lambda: storage.delete("file"),
        lambda: storage.list_folder("folder/"),
        lambda: list(storage.list_recursive("folder/")),
    ]
    for attempt in attempts:
        with pytest.raises(errors.Denied, match="leads out"):
            attempt()
    with pytest.raises(errors.Denied), storage.writer("folder/new") as writer:
        writer.write(b"x")
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    assert storage.list_folder() == ([], [])
    assert list(storage.list_recursive()) == []


def test_links_inside_the_root_are_followed_and_walked_once(storage: LocalStorage, tmp_path: Path) -> None:
    root = tmp_path / "storage"
    storage.create("etl/v1", b"x")
    (root / "etl/newest").symlink_to("v1")
    (root / "alias").symlink_to("etl")
    (root / "etl/round").symlink_to("..")
    assert storage.read("alias/newest") == b"x"
    assert sorted(entry.key for entry in storage.list_recursive()) == ["etl/newest", "etl/v1"]


def test_a_root_that_is_a_link_itself_is_one(storage: LocalStorage, tmp_path: Path) -> None:
    storage.create("etl/v1", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "storage")
    assert LocalStorage(str(tmp_path / "link")).read("etl/v1") == b"x"


@pytest.fixture
def strange(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "storage"
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        with chdir(root):  # a socket's path may have 108 bytes
            listener.bind("socket")
        yield root


@pytest.mark.parametrize("name", ["pipe", "socket"])
def test_what_is_no_plain_file_is_neither_listed_nor_waited_for(
    storage: LocalStorage, strange: Path, name: str
) -> None:
    assert (strange / name).exists()
    began = time.monotonic()
    with pytest.raises(errors.NotFound, match="no plain file"):
        storage.read(name)
    assert storage.list_folder() == ([], [])
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(("mode", "warnings"), [(0o755, 0), (0o775, 0), (0o777, 1), (0o1777, 1)])
def test_a_root_that_everybody_may_write_to_is_told_once(
    here: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warnings: int
) -> None:
    (tmp_path / "storage").chmod(mode)
    for _ in range(2):
        here.open().warn_of_writers()
    assert sum("everybody on this machine can write" in line.message for line in caplog.records) == warnings
