"""What every backend promises of bytes: all of them, those of a range alone, little memory, and none of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from runner import errors
from support.contract import (
    CLOUDS,
    MB,
    REAL_BUCKETS,
    noise,
    upload_in_parts,
    write_all,
)

if TYPE_CHECKING:
    from pathlib import Path

    from support.contract import Root


def test_empty_objects_are_objects(root: Root) -> None:
    storage = root.open()
    storage.create(f"{root.prefix}created", b"")
    write_all(storage, f"{root.prefix}written")
    for name in ("created", "written"):
        assert storage.read(root.prefix + name) == root.read(name) == b""
        assert list(storage.stream(root.prefix + name, 0, 10)) == []
        assert list(storage.stream(root.prefix + name, 5)) == []
    assert [
        (entry.key, entry.size) for entry in sorted(storage.list_recursive(root.prefix), key=lambda entry: entry.key)
    ] == [
        (f"{root.prefix}created", 0),
        (f"{root.prefix}written", 0),
    ]
    assert len(storage.list_folder(root.prefix)[1]) == 2
    with pytest.raises(errors.AlreadyExists):
        storage.create(f"{root.prefix}created", b"more")


@pytest.mark.parametrize("size", [100, 8 * MB, 16 * MB + 1])
def test_a_range_gives_those_bytes_alone(root: Root, size: int) -> None:
    data = noise(size)
    root.write("ranges", data)
    storage, key = root.open(), f"{root.prefix}ranges"
    edges = [0, 1, size // 2, size - 1, size, size + 7]
    for offset in edges:
        for length in (None, 0, 1, 50, size, size * 2):
            stop = None if length is None else offset + length
            assert b"".join(storage.stream(key, offset, length)) == data[offset:stop], (offset, length)
    assert all(len(chunk) <= 24 * MB for chunk in storage.stream(key))
    with pytest.raises(errors.NotFound):
        list(storage.stream(f"{root.prefix}none", 5, 10))


STREAM = """
import hashlib, re, sys
from pathlib import Path
from runner.secrets.named import resolve
from runner.environ import process_environ
from runner.backends import open_storage
from runner.location import parse_location

def peak():
    # not getrusage: its peak begins with that of the process which started this one
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

def write(key, blocks):
    digest = hashlib.sha256()
    with storage.writer(key) as writer:
        for number in range(blocks):
            part = block[number:] + block[:number]
            digest.update(part)
            writer.write(part)
    return digest.hexdigest()

def read(key):
    digest = hashlib.sha256()
    for chunk in storage.stream(key):
        digest.update(chunk)
    return digest.hexdigest()

url, prefix = sys.argv[1:]
storage = open_storage(parse_location(url).as_root(), resolve((), process_environ()), process_environ())
block = bytes(range(256)) * 4096
assert write(prefix + "warm-up", 1) == read(prefix + "warm-up")
before = peak()
written = write(prefix + "large", 300)
after_write = peak()
assert read(prefix + "large") == written
print(f"{after_write - before:.0f} {peak() - before:.0f}")
"""


@pytest.mark.parametrize("backend", ["local", *CLOUDS, *REAL_BUCKETS], indirect=True)  # memory holds all of it
def test_300_megabytes_stream_both_ways_within_64_of_extra_memory(root: Root, tmp_path: Path) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", STREAM, root.place.url, root.prefix],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    written, both = map(int, done.stdout.split())
    print(f"extra memory: {written} MB after writing, {both} MB after reading; {time.monotonic() - began:.1f} s")
    assert both < 64
    assert {entry.size for entry in root.open().list_recursive(root.prefix)} == {MB, 300 * MB}


@pytest.mark.parametrize("size", [0, 1, 20 * MB + 3])
def test_what_runner_writes_the_clouds_own_sdk_reads(root: Root, size: int) -> None:
    data, storage = noise(size), root.open()
    storage.create(f"{root.prefix}created", data)
    write_all(storage, f"{root.prefix}written", data[: size // 3], data[size // 3 :])
    assert root.keys() == ["created", "written"]
    assert root.read("created") == root.read("written") == data


@pytest.mark.parametrize("size", [0, 1, 20 * MB + 3])
def test_what_the_clouds_own_sdk_writes_runner_reads(root: Root, size: int) -> None:
    data, storage = noise(size), root.open()
    root.write("put", data)
    upload_in_parts(root, "parts", data)
    assert storage.read(f"{root.prefix}put") == storage.read(f"{root.prefix}parts") == data
    assert {entry.key: entry.size for entry in storage.list_recursive(root.prefix)} == {
        f"{root.prefix}parts": size,
        f"{root.prefix}put": size,
    }


def test_importing_the_storages_imports_neither_obstore_nor_an_sdk() -> None:
    code = """
import sys, runner.storage
from runner.authoring.storages import declare
from runner.backends.aws import s3
from runner.backends.azure import blob
from runner.backends.gcp import gcs
from runner.backends.local import files
from runner.storage import GCS, S3, Azure, Local
heavy = {"obstore", "boto3", "botocore", "google", "azure", "requests"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
