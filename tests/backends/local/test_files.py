"""What is special to plain files; what holds for every storage is in `tests/backends/contract`."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from runner import errors
from runner.backends import open_storage
from runner.backends.local import files
from runner.backends.local.files import LocalStorage
from runner.location import parse_location
from runner.secrets.named import Credentials

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(str(tmp_path))


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def temporary(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".tmp-*")]


@pytest.mark.parametrize("renames", [True, False])
@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK])
def test_a_file_system_without_links_creates_exclusively(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, *, renames: bool
) -> None:
    def refuse(*_paths: object, **_options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    if not renames:
        monkeypatch.setattr(files, "_rename_to_new", lambda *_paths: False)
    storage.create("etl/v1", b"mine")
    assert (tmp_path / "etl/v1").read_bytes() == b"mine"
    with pytest.raises(errors.AlreadyExists):
        storage.create("etl/v1", b"theirs")
    assert storage.read("etl/v1") == b"mine"
    assert temporary(tmp_path) == []


def test_nobody_sees_half_a_file_where_there_are_no_links(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looked between the creation of a lock and its content took it for a broken one.

    https://github.com/oratis/LISA/pull/275, https://github.com/openclaw/openclaw/pull/81388,
    https://github.com/GoogleCloudPlatform/gcsfuse/issues/178
    """
    seen: list[bool] = []
    write = files._write

    def look(descriptor: int, data: memoryview | bytes) -> None:
        seen.append((tmp_path / "etl/v1").exists())
        write(descriptor, data)

    monkeypatch.setattr(os, "link", mock.Mock(side_effect=OSError(errno.ENOTSUP, "no links")))
    monkeypatch.setattr(files, "_write", look)
    storage.create("etl/v1", b"mine")
    assert storage.read("etl/v1") == b"mine"
    assert seen
    assert not any(seen)


def test_a_full_disk_without_links_leaves_no_half_file(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: object, **_options: object) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(files, "_rename_to_new", lambda *_paths: False)
    storage = LocalStorage(str(tiny))
    with pytest.raises(errors.WriteFailed, match="No space left"):
        storage.create("etl/v1", bytes(1_200_000))  # fits once, and not beside its temporary copy
    assert storage.list_folder("etl/") == ([], [])
    assert temporary(tiny) == []


def test_a_create_whose_link_answers_wrongly_recognises_its_own_file(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def lose(*paths: Any, **options: Any) -> None:
        link(*paths, **options)
        raise OSError(errno.EIO, "the answer was lost")  # as NFS does

    monkeypatch.setattr(os, "link", lose)
    storage.create("etl/v1", b"mine")
    assert storage.read("etl/v1") == b"mine"


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL])
def test_a_file_system_without_nameless_files_links_a_named_one(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    opened = os.open

    def refuse(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(code, os.strerror(code))
        return opened(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", refuse)
    linked: list[str] = []
    link = os.link

    def note(source: Path, target: Path) -> None:
        linked.append(str(source))
        link(source, target)

    monkeypatch.setattr(os, "link", note)
    storage.create("etl/v1", b"mine")
    assert ".tmp-" in linked[0]
    with pytest.raises(errors.AlreadyExists):
        storage.create("etl/v1", b"theirs")
    assert storage.read("etl/v1") == b"mine"
    assert temporary(tmp_path) == []


def test_a_system_that_has_no_nameless_files_links_a_named_one(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As macOS and Windows."""
    monkeypatch.delattr(os, "O_TMPFILE")
    storage.create("etl/v1", b"mine")
    with pytest.raises(errors.AlreadyExists):
        storage.create("etl/v1", b"theirs")
    assert storage.read("etl/v1") == b"mine"
    assert temporary(tmp_path) == []


CREATING = """
import itertools, sys
from runner.backends.local import files
from runner.backends.local.files import LocalStorage
storage = LocalStorage(sys.argv[1])
print(flush=True)
for number in itertools.count():
    storage.create(f"etl/{number}", b"x" * 100_000)
"""


def test_a_create_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    for number in range(15):
        root = tmp_path / str(number)
        with subprocess.Popen([sys.executable, "-c", CREATING, str(root)], stdout=subprocess.PIPE) as creating:
            assert creating.stdout
            creating.stdout.readline()
            while not (root / "etl/3").exists():
                assert creating.poll() is None
            time.sleep(number / 5000)  # at another moment of a create each time
            creating.kill()
        names = {path.name for path in (root / "etl").iterdir()}
        assert names == {str(at) for at in range(len(names))}
        assert {path.stat().st_size for path in (root / "etl").iterdir()} == {100_000}


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600), (0, 0o666)])
def test_modes_follow_the_umask(storage: LocalStorage, tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        storage.create("etl/created", b"1")
        with storage.writer("etl/written") as writer:
            writer.write(b"2")
    finally:
        os.umask(before)
    modes = [(tmp_path / "etl" / name).stat().st_mode & 0o777 for name in ("created", "written")]
    assert modes == [mode, mode]
    assert (tmp_path / "etl").stat().st_mode & 0o777 == 0o777 & ~umask


def test_file_and_folders_are_synced_before_a_write_has_succeeded(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    storage.create("etl/runs/created", b"1")
    # the new folders' own entries, then the file, then the folder that names it
    assert set(synced[:2]) == {str(tmp_path), str(tmp_path / "etl")}
    assert synced[2].startswith(f"{tmp_path}/etl/runs/")
    assert "created" not in synced[2]
    assert synced[3:] == [str(tmp_path / "etl/runs")]
    synced.clear()
    with storage.writer("etl/runs/written") as writer:
        writer.write(b"2")
        assert synced == []
    assert ".tmp-" in synced[0]
    assert synced[1:] == [str(tmp_path / "etl/runs")]


def test_temporary_files_are_never_seen(storage: LocalStorage, tmp_path: Path) -> None:
    with storage.writer("etl/v1") as writer:
        writer.write(b"1")
        assert len(temporary(tmp_path)) == 1
        assert storage.list_folder("etl/") == ([], [])
        assert list(storage.list_recursive()) == []
    assert temporary(tmp_path) == []
    assert [entry.key for entry in storage.list_recursive()] == ["etl/v1"]


def test_what_writers_that_died_left_is_swept(storage: LocalStorage, tmp_path: Path) -> None:
    storage.create("etl/runs/1/end.json", b"1")
    for folder in (".", "etl", "etl/runs/1", "etl/runs/1/empty/deep"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / ".tmp-0123456789abcdef").write_bytes(b"half")
    storage.sweep("etl/runs/1/")
    assert len(temporary(tmp_path)) == 2
    storage.sweep("etl/")
    storage.sweep("none/")
    assert temporary(tmp_path) == [".tmp-0123456789abcdef"]
    assert storage.read("etl/runs/1/end.json") == b"1"


def test_a_sweep_passes_over_what_it_may_not_remove_and_what_is_anothers(
    storage: LocalStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etl").mkdir()
    gone, kept, left = (f".tmp-{digit * 16}" for digit in "abc")
    for name in (gone, kept, left, ".tmp-another's"):
        (tmp_path / "etl" / name).write_bytes(b"half")
    unlink = os.unlink

    def refuse(path: str) -> None:
        if path.endswith(kept):
            raise PermissionError
        if path.endswith(gone):
            raise FileNotFoundError
        unlink(path)

    monkeypatch.setattr(os, "unlink", refuse)
    storage.sweep("etl/")
    assert sorted(temporary(tmp_path)) == [gone, ".tmp-another's", kept]


def test_the_blocks_own_error_is_not_taken_for_the_disks(storage: LocalStorage, tmp_path: Path) -> None:
    for error in (PermissionError("the flow's"), OSError("the flow's"), FileExistsError("the flow's")):
        with pytest.raises(type(error), match="the flow's"), storage.writer("etl/v1"):
            raise error
    assert temporary(tmp_path) == []


def test_a_file_that_goes_while_its_folder_is_listed_hides_no_other(storage: LocalStorage, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        storage.create(name, b"1")
    (tmp_path / "gone").symlink_to("nowhere")
    assert [entry.key for entry in storage.list_folder()[1]] == ["a", "b", "c"]


def test_a_full_disk_fails_the_write_and_leaves_nothing(tiny: Path) -> None:
    storage = LocalStorage(str(tiny))
    with pytest.raises(errors.WriteFailed, match="No space left on device") as refusal:
        storage.create("etl/v1", bytes(3_000_000))
    assert refusal.value.code == 73
    assert not refusal.value.transient
    assert "Make room" in refusal.value.hint

    def overfill() -> None:
        with storage.writer("etl/v2") as writer:
            for _ in range(40):
                writer.write(bytes(100_000))

    with pytest.raises(errors.WriteFailed, match="No space left on device"):
        overfill()
    assert storage.list_folder("etl/") == ([], [])
    assert temporary(tiny) == []
    storage.create("etl/v3", b"there is room again")


AS_NOBODY = """
import os, sys
from runner.errors import RunnerError
from runner.backends.local import files
from runner.backends.local.files import LocalStorage
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
storage = LocalStorage(sys.argv[1])

def written():
    with storage.writer("shut/new") as writer:
        writer.write(b"1")

for call in (
    lambda: storage.read("open"), lambda: storage.read("secret"), lambda: storage.create("shut/new", b"1"), written,
    lambda: storage.create("newer/new", b"1"), lambda: storage.list_folder("dark/"),
    lambda: list(storage.list_recursive("dark/")),
):
    try:
        print("done", call())
    except RunnerError as error:
        print(type(error).__name__, error.code, error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_who_may_not_is_denied_and_learns_as_whom(tmp_path: Path) -> None:
    root = tmp_path / "storage"
    for folder in (root, root / "shut", root / "dark"):
        folder.mkdir()
    (root / "open").write_bytes(b"open")
    (root / "secret").write_bytes(b"secret")
    (root / "secret").chmod(0o600)
    (root / "dark").chmod(0o700)
    for folder in (tmp_path, *tmp_path.parents[:-1]):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o111)
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, str(root)], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert lines[0] == "done b'open'", done
    assert len(lines) == 7
    for line, what in zip(lines[1:], ["read", "write", "write", "write", "read", "read"], strict=True):
        assert line.startswith(f"Denied 77 not allowed to {what} {root}/"), line
        assert f"user {NOBODY}" in line


def test_who_may_not_is_denied_also_where_users_have_no_numbers(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows."""
    monkeypatch.delattr(os, "geteuid")
    monkeypatch.setattr(os, "link", mock.Mock(side_effect=PermissionError()))
    with pytest.raises(errors.Denied, match="Give yourself the right to write there"):
        storage.create("etl/v1", b"1")


def test_a_read_only_file_system_fails_the_write(tiny: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(tiny)], check=True)
    with pytest.raises(errors.WriteFailed, match="Read-only file system") as refusal:
        LocalStorage(str(tiny)).create("etl/v1", b"1")
    assert refusal.value.code == 73
    assert not refusal.value.transient


def test_a_disk_that_may_come_back_is_worth_another_try(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(errno.EIO, "as a file system over a network says")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(errors.WriteFailed) as refusal:
        storage.create("etl/v1", b"1")
    assert refusal.value.transient


def test_a_folder_is_no_object(storage: LocalStorage) -> None:
    storage.create("etl/v1", b"1")
    with pytest.raises(errors.NotFound):
        storage.read("etl")
    with pytest.raises(errors.NotFound):
        storage.read("etl/v1/deeper")
    with pytest.raises(errors.WriteFailed, match="Not a directory"):
        storage.create("etl/v1/deeper", b"1")


def test_a_name_too_long_for_a_file_is_not_found_and_not_written(storage: LocalStorage) -> None:
    name = "x" * 300
    with pytest.raises(errors.NotFound):
        storage.read(name)
    with pytest.raises(errors.WriteFailed, match="File name too long"):
        storage.create(name, b"1")


def test_urls_are_percent_encoded_and_lead_back(storage: LocalStorage) -> None:
    storage.create("etl/a b#ü%", b"1")
    url = storage.url("etl/a b#ü%")
    assert url.endswith("/etl/a%20b%23%C3%BC%25")
    location = parse_location(url)
    assert open_storage(location, Credentials({}), {}).read(location.key) == b"1"


@pytest.mark.parametrize(
    "text",
    [
        "/a/b/c",
        "/a//b",
        "/a/./b",
        "/a/.b/c",
        "/a/..",
        "/a/../b/c",
        "/a/b/",
        "/a",
        "/",
        "a/b",
        ".",
        "~/a",
        "/a b/c",
        "/ä/ö%",
    ],
)
def test_a_path_is_taken_as_pathlib_takes_it(text: str) -> None:
    """Of most paths it is known without it, which costs each start 5 ms."""
    path = Path(text).expanduser().absolute()
    location = parse_location(text)
    assert (location.container, location.key) == (str(path.parent), path.relative_to(path.parent).as_posix())
    assert location.url == Path(location.container, location.key).as_uri()


@pytest.mark.parametrize(("code", "words"), [(errno.EROFS, "so that it can be written"), (errno.ENOSPC, "Make room")])
def test_the_remedy_fits_what_the_system_answers(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def refuse(*_paths: object, **_options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(errors.WriteFailed, match=words):
        storage.create("etl/v1", b"mine")
