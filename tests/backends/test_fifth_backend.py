"""A backend of somebody else's: one folder and one registered row, and every way to name a storage knows it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runner import schemes
from runner.authoring.storages import declare
from runner.backends import open_storage
from runner.doctor.examine import examine
from runner.images import image_for
from runner.location import Location, parse_location
from runner.secrets.named import resolve
from runner.settings import Settings
from runner.storage import S3
from support.flows import HERE
from support.memory import MEMORY
from support.memory.declaration import Memory
from support.memory.storage import MemoryStorage
from support.places import memory_place

TESTS = Path(__file__).parents[1]


@pytest.mark.usefixtures("memory_backend")
def test_a_registered_backend_is_known_by_its_scheme_and_by_its_word() -> None:
    where = Location("memory", "bucket", "team/etl")
    assert parse_location("memory://bucket/team/etl") == parse_location("bucket/team/etl", "memory") == where
    assert where.url == "memory://bucket/team/etl"
    assert where.as_root() == where.as_run() == where
    settings = Settings.from_environ({"RUNNER_STORAGE": "memory", "RUNNER_LOCATION": "bucket/team/etl"})
    assert settings.location == where
    assert isinstance(open_storage(where, resolve((), {}), {}, patience=5), MemoryStorage)
    assert image_for("memory", None) == f"org/runner:slim-py{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.usefixtures("memory_backend")
def test_a_registered_backend_is_declared_by_its_url_as_an_author_would() -> None:
    declared = declare("memory://bucket/team")
    assert isinstance(declared, Memory)
    assert (declared.url, declared.labels) == ("memory://bucket/team", ("memory-flow-storage",))


@pytest.mark.usefixtures("memory_backend")
def test_the_doctor_probes_a_registered_backend() -> None:
    checks = {check.name: check for check in examine({}, memory_place().url).checks}
    for name in ("list", "create", "create again", "replace", "read", "delete"):
        assert checks[name].state == "ok", checks[name]


def test_a_backend_that_is_not_registered_is_unknown(memory_backend: None) -> None:
    del memory_backend
    choice = "choose one of file, s3, gs, azure, memory$"
    with pytest.raises(ValueError, match=f"unknown scheme 'ftp' in 'ftp://a/b': {choice}"):
        parse_location("ftp://a/b")
    schemes.unregister(MEMORY)
    with pytest.raises(
        ValueError, match=r"unknown scheme 'memory' in 'memory://a/b': choose one of file, s3, gs, azure$"
    ):
        parse_location("memory://a/b")
    with pytest.raises(ValueError, match=r"unknown storage 'memory': choose one of local, s3, gcs, azure, docker$"):
        parse_location("a/b", "memory")


@pytest.mark.parametrize("taken", [{"scheme": "s3"}, {"word": "gcs"}, {"word": "docker"}])
def test_no_backend_takes_the_scheme_or_the_word_of_another(taken: dict[str, str]) -> None:
    names = {"scheme": "free", "word": "free", "title": "x", "opener": "a:b", "declaration": "a:b"} | taken
    before = schemes.backends()
    with pytest.raises(ValueError, match="is taken by another backend"):
        schemes.register(schemes.Backend(**names))  # type: ignore[arg-type]
    assert schemes.backends() == before
    schemes.unregister(schemes.Backend(**names))  # type: ignore[arg-type]
    assert schemes.backends() == before


def test_each_row_names_what_there_is() -> None:
    for row in schemes.backends():
        assert callable(schemes.import_by_name(row.opener)), row.scheme
        assert isinstance(schemes.import_by_name(row.declaration), type), row.scheme
    assert schemes.import_by_name(schemes.S3.declaration) is S3


BUILD_AND_RUN = """
import json, os, sys
from support.memory import registered
from support.places import memory_place

with registered():
    place = memory_place()
    from runner.cli import cli
    from runner.runtime.channel import Channel
    from runner.runtime.run import run

    sys.argv[0] = "runner"
    cli.main(["build", sys.argv[1], "--storage", f"{place.url}/team"], standalone_mode=False)
    (flow,) = {key.rpartition("/")[0] for key in place.keys()}
    environ = {"RUNNER_STORAGE": "memory", "RUNNER_LOCATION": f"{place.url}/{flow}", "RUNNER_RUN_ID": "r"}
    (_, messages), (orders, _) = os.pipe(), os.pipe()
    verdict = run(environ, Channel(messages, orders, os.getppid(), b""), sys.stderr)
    cli.main(["show", f"{place.url}/{flow}/runs/r"], standalone_mode=False)
    print(json.dumps({"code": verdict.exit_code, "keys": place.keys()}))
"""


def test_a_flow_is_built_run_and_shown_in_a_registered_backend(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUILD_AND_RUN, str(HERE / "etl.py")],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(TESTS), "DB_PASSWORD": "made-up-secret"},
    )
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr
    *shown, last = done.stdout.splitlines()
    ran = json.loads(last)
    assert ran["code"] == 0, done.stderr
    assert any(key.endswith("/runs/r/outcome.json") for key in ran["keys"])
    assert any("succeeded" in line for line in shown)
