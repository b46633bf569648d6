"""Every kind of bad input through the real entrypoint: its exit code, its one error line, and nothing unpickled."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

from runner.bundle import archive
from runner.errors import BundleCorrupt, Incompatible
from support import schemas
from support.canary import VERSION, Opened, facts_of
from support.flows import located, outcome_of, publish
from support.places import Place, local_place
from support.servers.s3_as_aws import S3AsAws
from support.starting import Ran, start, without_privileges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = f"marked/{VERSION}"


class Marker:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.close, (Opened(self.path),)


class Marked:
    """A place with bundles that bear a marker."""

    def __init__(self, place: Place, marker: Path) -> None:
        self.place, self.marker = place, marker
        self.pickled = cloudpickle.dumps(Marker(marker))
        self.facts = facts_of("marked", VERSION)

    def write(self, **changed: Any) -> bytes:
        return archive.write_bundle(self.facts | changed, {"flow.pkl": self.pickled, "src/mod.py": b"VALUE = 1\n"})

    def refused(self, data: bytes, code: int, *said: str, **environ: str) -> Ran:
        """Store the bytes, start, and see that they are refused for this reason and were not unpickled."""
        self.place.write(KEY, data)
        done = start(located(self.place, "marked") | {"RUNNER_RUN_ID": "r"} | environ)
        message = done.error["message"]
        assert done.code == code, done
        assert all(word in message for word in said), message
        assert not self.marker.exists()
        end = json.loads(self.place.read("marked/runs/r/attempts/0001/end.json"))
        assert (end["state"], end["exit_code"], end["error"]["message"]) == ("refused", code, message)
        schemas.validate_place(self.place)
        return done


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    place = local_place(tmp_path / "storage")
    yield place
    schemas.validate_place(place)


@pytest.fixture
def marked(here: Place, tmp_path: Path) -> Marked:
    return Marked(here, tmp_path / "unpickled")


def test_the_marker_marks(marked: Marked) -> None:
    """What the tests below rely on: a whole bundle is unpickled, and that creates the file."""
    marked.place.write(KEY, marked.write())
    done = start(located(marked.place, "marked"))
    assert done.code == 65
    assert "holds no flow" in done.error["message"]
    assert marked.marker.exists()


# The environment


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, ["RUNNER_LOCATION is not set", "docs/running.md"]),
        ({"RUNNER_STORAGE": "s3"}, ["RUNNER_LOCATION is not set"]),
        ({"RUNNER_STORAGE": "s3", "RUNNER_LOCATIN": "b/k"}, ["RUNNER_LOCATION is not set", "RUNNER_LOCATIN?"]),
        ({"RUNNER_STORGE": "s3", "RUNNER_LOCATION": "b/k"}, ["RUNNER_STORAGE is not set", "RUNNER_STORGE?"]),
        ({"RUNNER_LOCATION": "my-flows/etl"}, ["RUNNER_STORAGE is not set", "no URL"]),
        ({"RUNNER_STORAGE": "ftp", "RUNNER_LOCATION": "b/k"}, ["unknown storage 'ftp'", "local, s3, gcs, azure"]),
        ({"RUNNER_LOCATION": "ftp://b/k"}, ["unknown scheme 'ftp'", "s3"]),
        ({"RUNNER_STORAGE": "gcs", "RUNNER_LOCATION": "s3://b/k"}, ["RUNNER_LOCATION", "'gcs'", "s3://b/k"]),
        ({"RUNNER_STORAGE": "s3", "RUNNER_LOCATION": "/etl"}, ["names no bucket"]),
        ({"RUNNER_LOCATION": "azure:///etl"}, ["names no bucket or container"]),
        ({"RUNNER_LOCATION": "s3://b/../k"}, ["RUNNER_LOCATION", "'..'"]),
        ({"RUNNER_STORAGE": "local", "RUNNER_LOCATION": "/"}, ["RUNNER_LOCATION"]),
        ({"RUNNER_STORAGE": "local", "RUNNER_LOCATION": "~no-such-user/x"}, ["RUNNER_LOCATION", "home"]),
        ({"RUNNER_STORAGE": "local", "RUNNER_LOCATION": "n" * 300}, ["RUNNER_LOCATION", "too long"]),
        ({"RUNNER_LOCATION_FILE": "/none"}, ["RUNNER_LOCATION_FILE", "/none", "cannot be read"]),
        ({"RUNNER_LOCATION": "s3://b/k", "RUNNER_RUN_ID": "a/b"}, ["RUNNER_RUN_ID", "'a/b'"]),
        ({"RUNNER_LOCATION": "s3://b/k", "RUNNER_TIMEOUT": "soon"}, ["RUNNER_TIMEOUT", "'soon'", "seconds"]),
        ({"RUNNER_LOCATION": "s3://b/k", "RUNNER_EXECUTOR": "threads:0"}, ["RUNNER_EXECUTOR", "threads:N"]),
        ({"RUNNER_LOCATION": "s3://b/k", "RUNNER_LOG_LEVEL": "LOUD"}, ["RUNNER_LOG_LEVEL", "DEBUG"]),
        ({"RUNNER_LOCATION": "s3://b/k", "RUNNER_RESULTS": "ftp://b"}, ["RUNNER_RESULTS", "ftp"]),
        ({"RUNNER_LOCATION": "s3://b/k", "RUNNER_TRUSTED_KEYS": "x"}, ["RUNNER_TRUSTED_KEYS", "no public key"]),
        ({"RUNNER_LOCATION": "s3://b/k", "RUNNER_SECRETS": "DB_PASSWORD"}, ["DB_PASSWORD", "/run/secrets/"]),
        (
            {"RUNNER_LOCATION": "s3://b/k", "RUNNER_SECRETS": "AWS_CREDENTIALS", "AWS_CREDENTIALS": "{bad"},
            ["AWS_CREDENTIALS", "no JSON object", "SECRET_ACCESS_KEY"],
        ),
        (
            {"RUNNER_LOCATION": "s3://b/k", "RUNNER_SECRETS": "AWS_CREDENTIALS", "AWS_CREDENTIALS": "[]"},
            ["AWS_CREDENTIALS", "no JSON object"],
        ),
        (
            {
                "RUNNER_LOCATION": "s3://b/k",
                "RUNNER_SECRETS": "AWS_CREDENTIALS,GONE",
                "AWS_CREDENTIALS": '{"ACCESS_KEY": "AKIDSECRET"}',
            },
            ["AWS_CREDENTIALS has no SECRET_ACCESS_KEY", "GONE"],
        ),
        (
            {"RUNNER_LOCATION": "azure://c/k", "RUNNER_SECRETS": "AZURE_CREDENTIALS", "AZURE_CREDENTIALS": "{}"},
            ["AZURE_CREDENTIALS must be a connection string"],
        ),
        ({"RUNNER_LOCATION": "s3://b/k", "RUNNER_SECRETS": "s3cr:et=v@lue"}, ["RUNNER_SECRETS", "names"]),
        ({"RUNNER_LOCATION": "s3://b/k", "RUNNER_PARAMETERS": "{day: 1}"}, ["RUNNER_PARAMETERS", "no JSON"]),
        ({"RUNNER_LOCATION": "s3://b/k", "RUNNER_PARAMETERS": "[1]"}, ["RUNNER_PARAMETERS", "no JSON object"]),
        ({"RUNNER_LOCATION": "s3://b/k", "RUNNER_PARAMETERS": '{"a": NaN}'}, ["RUNNER_PARAMETERS", "NaN"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_environment_is_told(environ: dict[str, str], said: list[str]) -> None:
    done = start(environ)
    assert done.code == 78
    assert len(done.lines) == 1
    message = done.error["message"]
    assert all(word in message for word in said), message
    assert "AKIDSECRET" not in message
    assert "v@lue" not in message


def test_all_that_is_wrong_is_told_at_once() -> None:
    done = start({"RUNNER_STORAGE": "ftp", "RUNNER_TIMEOUT": "x", "RUNNER_PARAMETERS": "x", "RUNNER_RUN_ID": "-"})
    assert done.code == 78
    assert all(f"RUNNER_{name}" in done.error["message"] for name in ("STORAGE", "TIMEOUT", "PARAMETERS", "RUN_ID"))


def test_unknown_variables_of_the_prefix_are_ignored(here: Place) -> None:
    publish(here, "etl.py")
    environ = located(here, "e-t-l-taglich") | {"RUNNER_OS": "Linux", "RUNNER_TOOL_CACHE": "/x", "RUNNER_LOCATIN": "y"}
    assert start(environ).code == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{}", ["parameter 'kind' is required"]),
        ('{"kind": "do well", "knid": 1, "x": 2}', ["no parameter 'knid'", "no parameter 'x'", "kind, file"]),
    ],
)
def test_parameters_that_the_flow_does_not_take_are_told_before_it_is_unpickled(
    here: Place, given: str, said: list[str]
) -> None:
    publish(here, "trouble.py")
    done = start(located(here, "trouble") | {"RUNNER_PARAMETERS": given})
    assert done.code == 78
    assert all(word in done.error["message"] for word in said)


def test_missing_parameters_are_told_without_unpickling(marked: Marked) -> None:
    data = marked.write(parameters=[{"name": "day", "required": True}])
    marked.refused(data, 78, "'day' is required", "RUNNER_PARAMETERS")


# What is not there


def test_what_is_not_there_is_told_by_name(place: Place) -> None:
    publish(place, "trouble.py")
    before = place.keys()
    for key in ("none", f"trouble/{VERSION}", "trouble/own-key"):
        done = start(located(place, key))
        assert done.code == 66
        assert f"{place.url}/{key}" in done.error["message"]
        assert "runner ls" in done.error["message"]
    assert place.keys() == before


def test_a_bucket_that_is_not_there_is_told_by_name(place: Place, tmp_path: Path) -> None:
    container = place.url.partition("://")[2]
    location = str(tmp_path / "gone" / "no-such-bucket" / "etl") if place.word == "local" else "no-such-bucket/etl"
    done = start(located(place, "") | {"RUNNER_LOCATION": location})
    assert done.code == 66, done
    assert "no-such-bucket" in done.error["message"]
    assert container not in done.error["message"]


def test_a_bucket_alone_names_no_flow(moto: Any) -> None:
    done = start(moto.environ | {"RUNNER_STORAGE": "s3", "RUNNER_LOCATION": "my-flows"})
    assert done.code == 66
    assert "s3://my-flows" in done.error["message"]


# Bundles that are no bundles


def test_an_empty_object_is_no_flow(marked: Marked) -> None:
    marked.refused(b"", 65, "empty", "Build the flow again")


def test_something_else_is_no_flow(marked: Marked) -> None:
    marked.refused(b'{"some": "json"}', 65, "neither a bundle nor a pickle")


@pytest.mark.parametrize("length", [1, 2, 30, 43, 100, -300, -22, -1])
def test_a_truncated_bundle_is_corrupt(marked: Marked, length: int) -> None:
    marked.refused(marked.write()[:length], 65)


def test_any_single_flipped_bit_makes_a_bundle_corrupt(marked: Marked) -> None:
    data = marked.write()
    assert archive.read_bundle(data).members["flow.pkl"] == marked.pickled
    for position in range(len(data)):
        for flipped in (0x01, 0x20, 0x80, 0xFF):
            damaged = bytearray(data)
            damaged[position] ^= flipped
            if archive.is_bundle(bytes(damaged)):
                with pytest.raises(BundleCorrupt):
                    archive.read_bundle(bytes(damaged))
            else:
                assert position < 2
    assert not marked.marker.exists()


@pytest.mark.parametrize("where", ["first", "manifest", "pickle", "directory", "last"])
def test_a_flipped_byte_is_found_before_anything_is_unpickled(marked: Marked, where: str) -> None:
    data = bytearray(marked.write())
    positions = {"first": 0, "manifest": 60, "directory": len(data) - 100, "last": len(data) - 1}
    position = positions.get(where) or data.index(marked.pickled) + 5 if where != "first" else 0
    data[position] ^= 0x01
    marked.refused(bytes(data), 65, "Build the flow again")


def test_a_zip_that_is_no_bundle_is_told(marked: Marked) -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("flow.pkl", marked.pickled)
    marked.refused(buffer.getvalue(), 65, "a zip, but no bundle")


def test_what_another_zip_writer_writes_is_no_bundle(marked: Marked) -> None:
    """The same members, compressed, with today's date: whole to any zip reader, and yet not what runner writes."""
    with zipfile.ZipFile(BytesIO(marked.write())) as source:
        members = {name: source.read(name) for name in source.namelist()}
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    marked.refused(buffer.getvalue(), 65, "corrupt")


@pytest.mark.parametrize(("leading", "trailing"), [(b"", b"\0"), (b"", b"more"), (b"\0", b""), (b"#!/bin/sh\n", b"")])
def test_bytes_before_or_after_a_bundle_are_refused(marked: Marked, leading: bytes, trailing: bytes) -> None:
    marked.refused(leading + marked.write() + trailing, 65)


@pytest.mark.parametrize(
    "name", ["src/../../escaped", "/escaped", "src//escaped", "src/./escaped", "src\\escaped", "escaped", "src/c:x"]
)
def test_a_path_outside_the_bundle_is_refused(marked: Marked, tmp_path: Path, name: str) -> None:
    members = {"flow.pkl": marked.pickled, name: b"escaped"}
    listed = [
        {"name": each, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for each, data in members.items()
    ]
    # the writer itself refuses such names
    manifest = archive.encode_manifest({"format": 1, **marked.facts, "members": listed})
    data = b"".join(archive.zip_pieces({"manifest.json": manifest, **members}))
    marked.refused(data, 65, "the name of a member is not safe", TMPDIR=str(tmp_path))
    assert not list(tmp_path.rglob("*escaped*"))


def test_a_bundle_without_a_flow_is_corrupt(marked: Marked) -> None:
    marked.refused(archive.write_bundle(marked.facts, {"src/mod.py": b""}), 65)


@pytest.mark.parametrize("lacking", ["flow", "python", "requires", "parameters", "image"])
def test_a_manifest_that_lacks_something_is_corrupt(marked: Marked, lacking: str) -> None:
    del marked.facts[lacking]
    marked.refused(marked.write(), 65, lacking)


def test_a_manifest_of_a_newer_format_asks_for_a_newer_image(marked: Marked) -> None:
    marked.refused(marked.write(format=2), 76, "format 2", "reads format 1", "newer image")


def test_a_newer_format_is_told_whatever_else_is_new_in_it() -> None:
    newer: Any = {"format": 7, "members": "elsewhere"}
    with pytest.raises(Incompatible):
        archive.read_bundle(archive.write_bundle(newer, {}))


# Bundles that do not fit


def test_another_python_is_refused_and_the_image_named_that_fits(marked: Marked) -> None:
    other = {"version": "3.99.1", "implementation": "cpython"}
    here = platform.python_version()
    marked.refused(marked.write(python=other), 76, "Python 3.99.1", f"Python {here}", "org/runner:slim-py3.99")


def test_another_implementation_is_refused(marked: Marked) -> None:
    other = {"version": platform.python_version(), "implementation": "pypy"}
    marked.refused(marked.write(python=other), 76, "pypy", "cpython")


def test_a_missing_module_is_named_with_the_lines_that_install_it(marked: Marked) -> None:
    requires = [
        {"module": "not_installed", "distribution": "Not-Installed", "version": "1.2.3"},
        {"module": "json", "distribution": "builtin", "version": "1"},
        {"module": "_not_installed", "distribution": "Not-Installed", "version": "1.2.3"},
    ]
    done = marked.refused(marked.write(requires=requires), 76, "not_installed, _not_installed")
    image = f"org/runner:slim-py3.{sys.version_info.minor}"
    assert f"FROM {image}\nUSER root\nRUN pip install Not-Installed==1.2.3\nUSER 65532\n" in done.error["message"]


def test_in_an_image_its_own_name_is_advised(marked: Marked) -> None:
    image = {"RUNNER_IMAGE": "team/runner:aws-py3.98"}
    other = {"version": "3.99.1", "implementation": sys.implementation.name}
    marked.refused(marked.write(python=other), 76, "Use team/runner:aws-py3.99,", **image)


@pytest.mark.parametrize(
    ("image", "named"),
    [("team/image:7", "team/image:7"), ("org/runner:aws", f"org/runner:aws-py3.{sys.version_info.minor}")],
)
def test_the_lines_begin_with_the_flows_own_image(marked: Marked, image: str, named: str) -> None:
    requires = [{"module": "not_installed", "distribution": "Not-Installed", "version": "1.2.3"}]
    marked.refused(marked.write(requires=requires, image=image), 76, f"FROM {named}\nUSER root\n")


def test_the_manifest_names_what_a_real_flow_needs(here: Place, tmp_path: Path) -> None:
    """Built where numpy is, started where it is not (without site-packages that hold it)."""
    url = publish(here, "needs_numpy.py")
    facts = archive.read_bundle(here.read(f"needs-numpy/{url.rpartition('/')[2]}")).manifest
    [need] = facts["requires"]
    assert (need["module"], need["distribution"]) == ("numpy", "numpy")
    (tmp_path / "numpy.py").write_text("raise ImportError('hidden')")
    hidden = "import sys, importlib.util as u; f = u.find_spec; u.find_spec = lambda n: None if n == 'numpy' else f(n)"
    (tmp_path / "sitecustomize.py").write_text(hidden)
    done = start(located(here, "needs-numpy") | {"PYTHONPATH": str(tmp_path)})
    assert done.code == 76
    assert f"RUN pip install numpy=={need['version']}\n" in done.error["message"]


def test_an_older_version_than_allowed_is_not_trusted(marked: Marked) -> None:
    marked.refused(marked.write(), 79, VERSION, "2027", RUNNER_MIN_VERSION="2027-01-01t00-00-00-000000-00-00")


def test_an_object_that_cannot_be_run_is_no_flow(here: Place) -> None:
    here.write("bad/number", cloudpickle.dumps({"a": 1}))
    done = start(located(here, "bad/number"))
    assert done.code == 65
    assert "dict" in done.error["message"]
    assert "cannot be run" in done.error["message"]


def test_a_raw_pickle_that_needs_a_missing_module_names_it(here: Place) -> None:
    here.write("bad/gone", b"\x80\x04\x8c\x0dnot_installed\x8c\x01f\x93.")
    done = start(located(here, "bad/gone"))
    assert done.code == 76
    assert "not_installed" in done.error["message"]


def test_an_envelope_of_another_python_is_refused_before_it_is_unpickled(marked: Marked) -> None:
    flow = base64.b64encode(marked.pickled).decode()
    marked.refused(json.dumps({"flow": flow, "versions": {"python": "3.7.9"}}).encode(), 76, "Python 3.7.9")


def test_an_envelope_whose_flow_is_no_base64_is_no_flow(marked: Marked) -> None:
    marked.refused(b'{"flow": "?", "versions": {}}', 65, "neither a bundle nor a pickle")


def test_a_plain_pickle_is_never_new_enough(marked: Marked) -> None:
    marked.refused(marked.pickled, 79, "RUNNER_MIN_VERSION", RUNNER_MIN_VERSION="2020-01-01")


def test_a_flow_that_leaves_while_it_is_loaded_is_told(here: Place) -> None:
    here.write("bad/leaves", b"\x80\x04\x8c\x03sys\x8c\x04exit\x93K\x05\x85R.")
    done = start(located(here, "bad/leaves"))
    assert done.code == 65
    assert "sys.exit(5)" in done.error["message"]


# Tasks that misbehave


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("fail", ["task misbehave failed", "ValueError", "no such day"]),
        ("leave", ["task misbehave failed", "sys.exit(3)"]),
        ("leave at once", ["ended its own process", "exit status 0"]),
        ("generate", ["task misbehave failed", "generator", "cannot be pickled"]),
        ("give a lock", ["task misbehave failed", "result['db'].lock", "cannot be pickled"]),
        ("give an open file", ["task misbehave failed", "cannot be pickled", "BufferedReader"]),
    ],
)
def test_what_a_task_does_wrong_is_the_flows_failure(here: Place, kind: str, said: list[str]) -> None:
    publish(here, "trouble.py")
    given = {"RUNNER_PARAMETERS": json.dumps({"kind": kind}), "RUNNER_RUN_ID": "r"}
    done = start(located(here, "trouble") | given)
    assert done.code == 1
    assert all(word in done.error["message"] for word in said), done.error["message"]
    outcome = outcome_of(here, "r", "trouble")
    assert outcome["state"] == "failed"
    if kind == "leave at once":  # nobody was left to tell of the task
        assert [task["task"] for task in outcome["tasks"]] in (["calm"], [])
    else:
        [failed] = [task for task in outcome["tasks"] if task["state"] == "failed"]
        assert "/runner/" not in failed["error"]["traceback"].replace("/runner/serialization/pickling", "")


# Results that cannot be written


def test_no_right_to_write_results_is_told(tmp_path: Path) -> None:
    place = local_place(tmp_path / "storage")
    publish(place, "etl.py")
    with S3AsAws() as s3:
        kept = place.keys()
        s3.objects |= {key: place.read(key) for key in kept}
        s3.can_write = False
        environ = s3.server.environ | {"RUNNER_STORAGE": "s3", "RUNNER_LOCATION": f"{s3.bucket}/e-t-l-taglich"}
        done = start(environ)
    assert done.code == 73
    assert "not allowed to write" in done.error["message"]
    assert "s3:PutObject" in done.error["message"]


def test_a_right_to_write_that_is_lost_on_the_way_is_told(tmp_path: Path) -> None:
    """The run can be begun and claimed, and its results are refused: the attempt's end is then refused as well."""
    place = local_place(tmp_path / "storage")
    publish(place, "etl.py")
    with S3AsAws() as s3:
        kept = place.keys()
        s3.objects |= {key: place.read(key) for key in kept}
        s3.can_write = False
        home = "e-t-l-taglich/runs/r"
        environ = s3.server.environ | {"RUNNER_STORAGE": "s3", "RUNNER_LOCATION": f"{s3.bucket}/e-t-l-taglich"}
        taken: set[str] = set()
        answer = s3._act

        def act(request: Any) -> Any:
            s3.can_write = not request.key.startswith(f"{home}/attempts/0001/results/")
            taken.add(request.key)
            return answer(request)

        s3._act = act  # type: ignore[method-assign]
        done = start(environ | {"RUNNER_RUN_ID": "r", "RUNNER_PATIENCE": "2"})
        assert done.code == 73
        assert "a result could not be written" in done.error["message"]
        end = json.loads(s3.objects[f"{home}/attempts/0001/end.json"])
        assert (end["state"], end["exit_code"]) == ("crashed", 73)
        schemas.validate("end", end)
        assert f"{home}/outcome.json" not in s3.objects


@pytest.mark.parametrize("closed", ["storage", "storage/e-t-l-taglich"])
def test_no_right_to_look_into_a_folder_is_told(here: Place, tmp_path: Path, closed: str) -> None:
    publish(here, "etl.py")
    (tmp_path / closed).chmod(0)
    done = start(located(here, f"e-t-l-taglich/{VERSION}"), prefix=without_privileges())
    (tmp_path / closed).chmod(0o755)
    assert done.code in {77, 78}
    assert str(tmp_path / closed) in done.error["message"]


def test_no_right_to_write_in_a_folder_is_told(here: Place, tmp_path: Path) -> None:
    publish(here, "etl.py")
    folder = tmp_path / "storage" / "e-t-l-taglich"
    folder.chmod(0o555)
    done = start(located(here, "e-t-l-taglich"), prefix=without_privileges())
    folder.chmod(0o755)
    assert done.code == 73
    assert "not allowed to write" in done.error["message"]
    assert str(folder) in done.error["message"]
    assert f"user {os.geteuid()}" in done.error["message"]


def test_no_right_to_read_what_became_of_a_run_is_told_as_such(here: Place, tmp_path: Path) -> None:
    publish(here, "etl.py")
    environ = located(here, "e-t-l-taglich") | {"RUNNER_RUN_ID": "r"}
    assert start(environ).code == 0
    outcome = tmp_path / "storage/e-t-l-taglich/runs/r/outcome.json"
    outcome.chmod(0)
    done = start(environ, prefix=without_privileges())
    outcome.chmod(0o644)
    assert done.code == 77
    assert f"not allowed to read {outcome}" in done.error["message"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here: not root, or not allowed to")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_result_too_large_for_the_disk_is_told_and_the_end_still_written(here: Place, small_disk: Path) -> None:
    publish(here, "trouble.py")
    given = {"RUNNER_PARAMETERS": '{"kind": "give much"}', "RUNNER_RUN_ID": "r", "RUNNER_RESULTS": str(small_disk)}
    done = start(located(here, "trouble") | given)
    assert done.code == 73
    assert "No space left on device" in done.error["message"]
    assert "misbehave.pkl" in done.error["message"]
    assert "Make room" in done.error["message"]
    end = json.loads((small_disk / "trouble/runs/r/attempts/0001/end.json").read_text())
    schemas.validate("end", end)
    assert (end["state"], end["exit_code"]) == ("crashed", 73)
