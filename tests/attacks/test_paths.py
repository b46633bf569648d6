"""Attacks with names: of members, of objects, and of links in a folder that is a storage."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runner.bundle import archive
from runner.signing import signatures
from support.canary import AUTHOR, NEWER, SLUG, Canary, Target, facts_of
from support.starting import start

ROOT = Path(__file__).parents[2]


def named(target: Target, *names: str) -> bytes:
    """A bundle, signed by a careless author, whose own writer would not have written these names."""
    members = {"flow.pkl": target.canary.pickled, **dict.fromkeys(names, target.canary.source)}
    digests = [{"name": n, "size": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in members.items()]
    manifest = archive.encode_manifest({"format": 1, **facts_of(), "members": digests})
    signature = signatures.sign(AUTHOR, signatures.BUNDLE, manifest)
    return b"".join(archive.zip_pieces({"manifest.json": manifest, **members, "signature.json": signature}))


def test_a_member_climbs_out_of_the_folder(target: Target, tmp_path: Path) -> None:
    """Unpacked as it is named, it would overwrite the module that is imported next (zip slip)."""
    target.put(named(target, "src/../../escaped.py"))
    target.refuses(65, "no path inside its folder")
    assert not list(tmp_path.rglob("escaped.py"))


def test_a_member_has_an_absolute_path(target: Target, tmp_path: Path) -> None:
    """A path joined with an absolute one is the absolute one."""
    target.put(named(target, f"src/{tmp_path}/escaped.py"))
    target.refuses(65)
    assert not (tmp_path / "escaped.py").exists()


def test_a_name_is_two_files_to_a_reviewer_and_one_to_the_system(target: Target) -> None:
    """Where case does not count, the second takes the place of the first that was reviewed."""
    for names in (["src/check.py", "src/Check.py"], ["src/\u00e9.py", "src/e\u0301.py"], ["src/a", "src/a/b.py"]):
        target.put(named(target, *names))
        target.refuses(65, "one file or folder with another")


def test_a_name_reads_otherwise_than_it_is(target: Target) -> None:
    """With a character that turns the line round, «exe.py» is shown as «yp.exe»; with one that is not shown, two names
    look alike."""
    for name in ("src/\u202eyp.exe", "src/os\u200b.py", "src/a\x1b[8m.py"):
        target.put(named(target, name))
        done = target.check()
        assert (done.code, name in done.stderr) == (65, False), done
    target.refuses(65, "not shown")


def test_a_module_passes_as_an_installed_one(target: Target) -> None:
    """A bundle brings a json.py and an os.py. Its folder comes last on the path, and none is imported."""
    pickled = b"\x80\x04cjson\ndumps\n0cshutil\nrmtree\n0N."
    sources = {f"src/{name}.py": target.canary.source for name in ("json", "shutil", "os", "runner", "sitecustomize")}
    target.put(archive.write_bundle(facts_of(), {"flow.pkl": pickled, **sources}, AUTHOR))
    done = target.check()
    assert (done.code, "a module json of its own" in done.stderr) == (76, True)
    assert not target.canary.executed


def test_a_version_is_a_link_out_of_the_folder(target: Target, tmp_path: Path) -> None:
    """Who may write to the folder, and not read the rest, has the container read it instead."""
    outside = tmp_path / "outside"
    outside.write_bytes(target.bundle())
    folder = tmp_path / "storage" / SLUG
    folder.mkdir()
    (folder / NEWER).symlink_to(outside)
    target.refuses(66, location=SLUG)
    done = start(target.trusting, "inspect", f"{target.place.url}/{SLUG}/{NEWER}")
    assert (done.code, "leads out" in done.stderr) == (77, True), done


def test_the_folder_of_runs_is_a_link(target: Target, tmp_path: Path) -> None:
    """What a run writes would be written elsewhere, with the container's rights."""
    outside = tmp_path / "outside"
    outside.mkdir()
    target.put(target.bundle())
    (tmp_path / "storage" / SLUG / "runs").symlink_to(outside)
    done = target.run()
    assert done.code not in {0, 65}, done
    assert list(outside.iterdir()) == []


def test_a_version_is_a_pipe(target: Target, tmp_path: Path) -> None:
    """To open a pipe that nobody writes to waits for ever."""
    folder = tmp_path / "storage" / SLUG
    folder.mkdir()
    os.mkfifo(folder / NEWER)
    assert stat.S_ISFIFO((folder / NEWER).stat().st_mode)
    target.refuses(66, location=SLUG)
    target.refuses(66, location=f"{SLUG}/{NEWER}")


@pytest.mark.parametrize("name", ["9999-01-01t\x1b[2J", "9999-01-01t\\..\\..", "9999-01-01t\x07"])
def test_an_object_has_the_greatest_name_and_none_that_can_be_used(target: Target, name: str) -> None:
    """A name that no storage of runner's takes is the newest, so that no start of the flow succeeds any more."""
    target.put(target.bundle())
    target.put(target.canary.pickled, f"{SLUG}/{name}")
    target.accepts(SLUG)
    done = start({}, "ls", f"{target.place.url}/{SLUG}")
    assert (done.code, "\x1b" in done.stdout) == (0, False), done


def test_a_module_lies_in_the_working_directory(target: Target, tmp_path: Path) -> None:
    """A runner.py or json.py where the container starts would be imported first, but for the entrypoint's -P."""
    canary = Canary(tmp_path)
    for name in ("runner", "json", "signing"):
        (tmp_path / f"{name}.py").write_bytes(canary.source)
    command = (ROOT / "Dockerfile").read_text()
    assert '"/opt/runner/bin/python", "-s", "-P", "-m", "runner"' in command
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import json, runner, runner.signing.signatures"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert not canary.executed
    assert target.place.keys() == []
