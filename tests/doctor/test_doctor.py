"""What `runner doctor` says where all is well, and in set-ups that are broken as people break them."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner import errors
from runner.backends.credential_sources import ChosenSource, Source
from runner.doctor import examine
from runner.doctor.checks import run_check
from runner.doctor.storage_probe import Answer, check_clock, request_endpoint
from runner.images import image_of
from runner.secrets.named import resolve
from support.flows import publish
from support.places import gcs_place, local_place
from support.servers.s3_as_aws import S3AsAws
from support.starting import Ran, start, without_privileges
from support.wire import Fault, Relay, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.places import Place
    from support.servers import Server

ON_STORAGE = ["credentials", "reach", "clock", "list", "create", "create again", "replace", "read", "delete"]


def examined(environ: dict[str, str], *arguments: str, **options: Any) -> tuple[Ran, dict[str, dict[str, Any]]]:
    """Run doctor for a person and for a program; return the first, and the other's checks by name."""
    ran = start(environ, "doctor", *arguments, **options)
    document = json.loads(start(environ, "doctor", "--json", *arguments, **options).stdout)
    assert ran.code == document["exit_code"]
    assert ran.stderr == ""
    checks = {check["check"]: check for check in document["checks"]}
    assert {line.split()[0] for line in ran.stdout.splitlines() if line} >= {"ok", "default", "machine"}
    return ran, checks


def failure(ran: Ran, name: str) -> str:
    """The one line of a check, which must have failed."""
    lines = [line for line in ran.stdout.splitlines() if line.startswith(f"FAILED   {name}: ")]
    assert len(lines) == 1, ran.stdout
    return lines[0]


@pytest.fixture(scope="module")
def etl(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    place = local_place(tmp_path_factory.mktemp("published") / "flows")
    publish(place, "etl.py")
    [key] = place.keys()
    return f"etl/{key.rpartition('/')[2]}", place.read(key)


@pytest.fixture
def values(tmp_path: Path) -> tuple[str, bytes]:
    """A flow of the same name whose values travel, not its file, which reads a file of its author's."""
    file, place = tmp_path / "with_values.py", local_place(tmp_path / "values")
    file.write_text(
        f"from runner import Flow, task\nTEXT = open({str(file)!r}).read()\n"
        "@task\ndef tell():\n    return TEXT\nwith Flow('etl') as flow:\n    tell()\n"
    )
    built = start({}, "build", str(file), "--storage", place.url)
    assert "note: the values of the flow's file travel" in built.stderr, built
    [key] = place.keys()
    return f"etl/{key.rpartition('/')[2]}", place.read(key)


@pytest.fixture
def s3(etl: tuple[str, bytes]) -> Iterator[S3AsAws]:
    with S3AsAws() as server:
        server.objects[etl[0]] = etl[1]
        yield server


def left_in(server: S3AsAws) -> list[str]:
    """The keys of all but the flow."""
    return list(server.objects)[1:]


def at(server: S3AsAws, location: str = "bucket/etl") -> dict[str, str]:
    return server.server.environ | {"RUNNER_STORAGE": "s3", "RUNNER_LOCATION": location}


# ---- all is well


@pytest.mark.parametrize("below", ["", "/team", "/team/etl"])
def test_a_storage_that_does_all_passes_every_check_and_is_left_as_it_was(place: Place, below: str) -> None:
    place.write("team/etl/file", b"data")
    ran, checks = examined(place.environ, f"{place.url}{below}")
    assert ran.code == 0, ran.stdout
    assert ran.stdout.endswith("\nnothing failed\n")
    assert [name for name in checks if name in ON_STORAGE] == ON_STORAGE
    expected = dict.fromkeys(ON_STORAGE, "ok") | ({"clock": "unknown"} if place.word == "local" else {})
    assert {name: checks[name]["state"] for name in ON_STORAGE} == expected
    assert all(checks[name]["seconds"] > 0 for name in ("list", "create", "create again", "replace", "read", "delete"))
    assert place.keys() == ["team/etl/file"]
    if place.word == "local":
        assert not list(Path(place.url.removeprefix("file://")).rglob("_doctor"))


@pytest.mark.parametrize("backend", ["local", "s3"])
def test_a_location_that_names_a_bundle_is_tried_beside_it(place: Place, backend: str) -> None:
    version = publish(place, "etl.py")
    environ = place.environ | {"RUNNER_STORAGE": backend, "RUNNER_LOCATION": version}
    ran, checks = examined(environ)
    assert ran.code == 0, ran.stdout
    assert checks["delete"]["state"] == "ok"
    assert len(place.keys()) == 1


def test_results_elsewhere_are_tried_and_the_flows_storage_is_only_read(s3: S3AsAws, tmp_path: Path) -> None:
    ran, _ = examined(at(s3) | {"RUNNER_RESULTS": str(tmp_path / "new" / "results")})
    assert ran.code == 0, ran.stdout
    assert {one.method for one in s3.requests} == {"GET", "HEAD"}
    assert f"{tmp_path.as_uri()}\n" in ran.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("backend", ["local"])
def test_a_flow_that_was_baked_into_the_image_is_only_read(place: Place) -> None:
    version = publish(place, "etl.py").removeprefix("file://")
    ran, checks = examined({"RUNNER_STORAGE": "docker", "RUNNER_LOCATION": version})
    assert ran.code == 0, ran.stdout
    assert "create" not in checks
    assert checks["read"]["state"] == "ok"


def test_settings_are_shown_with_their_origin_and_secrets_never(s3: S3AsAws, tmp_path: Path) -> None:
    (tmp_path / "location").write_text("bucket/etl\n")
    (tmp_path / "secret").write_text("hush-hush-1")
    keys = {"ACCESS_KEY": s3.access_key, "SECRET_ACCESS_KEY": s3.secret_key}
    environ = {
        "RUNNER_STORAGE": "s3",
        "RUNNER_LOCATION_FILE": str(tmp_path / "location"),
        "RUNNER_SECRETS": "AWS_CREDENTIALS, TOKEN",
        "AWS_CREDENTIALS": json.dumps(keys),
        "TOKEN_FILE": str(tmp_path / "secret"),
        "RUNNER_PARAMETERS": '{"day": "hush-hush-2"}',
        "AWS_ENDPOINT_URL": s3.url,
        "AWS_REGION": s3.region,
        "AWS_SESSION_TOKEN": "hush-hush-3",
        "NO_PROXY": "http://somebody:hush-hush-4@proxy.example",
    }
    ran, checks = examined(environ)
    document = json.loads(start(environ, "doctor", "--json").stdout)
    assert ran.code == 0, ran.stdout
    assert checks["credentials"]["state"] == "ok"
    for text in (ran.stdout, json.dumps(document)):
        assert not [secret for secret in ("hush-hush", s3.access_key, s3.secret_key) if secret in text]
    lines = ran.stdout.splitlines()
    assert f"setting  RUNNER_LOCATION = bucket/etl (file {tmp_path}/location)" in lines
    assert "setting  RUNNER_STORAGE = s3 (variable)" in lines
    assert "setting  RUNNER_PARAMETERS = day (variable)" in lines
    assert "setting  AWS_SESSION_TOKEN = (set, not shown) (variable)" in lines
    seconds = "RUNNER_GRACE=10.0, RUNNER_PATIENCE=60.0, RUNNER_HEARTBEAT=15.0"
    assert f"default  RUNNER_EXECUTOR=threads, {seconds}, RUNNER_LOG_LEVEL=INFO" in lines
    assert "secret   AWS_CREDENTIALS (variable)" in lines
    assert f"secret   TOKEN (file {tmp_path}/secret)" in lines
    assert document["secrets"][0] == {"name": "AWS_CREDENTIALS", "origin": "variable"}
    assert document["machine"]["libraries"]["obstore"]


# ---- ten and more ways to break it: the exit code, and the remedy


def test_no_location() -> None:
    ran, checks = examined({})
    assert ran.code == 78
    assert "RUNNER_LOCATION is not set. docs/running.md has the table of all variables." in failure(ran, "settings")
    assert checks["location"]["state"] == "unknown"


def test_a_misspelt_variable_and_a_wrong_one_beside_it(s3: S3AsAws) -> None:
    ran, checks = examined(s3.server.environ | {"RUNNER_LOCATON": "s3://bucket/etl", "RUNNER_TIMEOUT": "soon"})
    assert ran.code == 78
    assert "did you mean it by RUNNER_LOCATON?" in failure(ran, "settings")
    assert "RUNNER_TIMEOUT: 'soon'" in failure(ran, "settings")
    assert checks["temporary folder"]["state"] == "ok"


def test_variables_that_nothing_reads_are_noted_and_one_that_guards_is_refused(s3: S3AsAws) -> None:
    environ = s3.server.environ | {"RUNNER_LOCATION": "s3://bucket/etl", "RUNNER_LOGLEVEL": "x", "RUNNER_OS": "Linux"}
    ran, _ = examined(environ)
    assert ran.code == 0, ran.stdout
    assert "RUNNER_LOGLEVEL is read by nothing; did you mean RUNNER_LOG_LEVEL?" in ran.stdout
    assert "RUNNER_OS is read by nothing\n" in ran.stdout
    ran, _ = examined(environ | {"RUNNER_TRUSTED_KEY": "x"})
    assert ran.code == 78
    assert "the name is RUNNER_TRUSTED_KEYS" in failure(ran, "settings")


def test_a_variable_that_is_not_set_is_not_told_to_be_used(s3: S3AsAws) -> None:
    environ = {name: text for name, text in s3.server.environ.items() if name != "AWS_SESSION_TOKEN"}
    ran, checks = examined(environ | {"RUNNER_LOCATION": "s3://bucket/etl"})
    assert "AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`)" in checks["credentials"]["message"], ran.stdout


def test_a_wrong_variable_does_not_keep_the_storage_from_being_tried(s3: S3AsAws) -> None:
    ran, checks = examined(at(s3) | {"RUNNER_TIMEOUT": "soon"})
    assert ran.code == 78
    assert checks["delete"]["state"] == "ok"


def test_an_unknown_storage() -> None:
    ran, _ = examined({"RUNNER_STORAGE": "s4", "RUNNER_LOCATION": "bucket/etl"})
    assert ran.code == 78
    assert "choose one of local, s3, gcs, azure, docker" in failure(ran, "settings")


def test_a_url_that_is_none() -> None:
    ran, _ = examined({}, "s4://bucket")
    assert ran.code == 2
    assert "choose one of file, s3, gs, azure. Write s3://bucket/flow, or a path." in failure(ran, "location")


def test_no_such_bucket(place: Place) -> None:
    ran, checks = examined(place.environ, f"{place.url}-missing")
    assert ran.code == 66
    name, remedy = ("reach", "or mount it") if place.word == "local" else ("list", "Check its name and the account.")
    assert remedy in failure(ran, name)
    assert checks["create"]["state"] == checks["delete"]["state"] == "unknown"


def test_wrong_keys(s3: S3AsAws) -> None:
    ran, checks = examined(at(s3) | {"AWS_ACCESS_KEY_ID": "AKIDOTHER"})
    assert ran.code == 77
    line = failure(ran, "list")
    assert "refused the credentials: InvalidAccessKeyId (credentials used: environment; before it" in line
    assert "Check the keys in use." in line
    assert checks["reach"]["state"] == "ok"
    assert checks["create"]["state"] == "unknown"


def test_no_right_to_list_does_not_keep_the_rest_from_being_tried(s3: S3AsAws) -> None:
    s3.can_list = False
    ran, checks = examined(at(s3))
    assert ran.code == 77
    assert "Give the identity s3:ListBucket." in failure(ran, "list")
    assert [checks[name]["state"] for name in ("create", "create again", "replace", "read", "delete")] == ["ok"] * 5


def test_no_right_to_read(s3: S3AsAws) -> None:
    s3.can_read = False
    ran, checks = examined(at(s3))
    assert ran.code == 77
    assert "Give the identity s3:GetObject." in failure(ran, "read")
    assert checks["create again"]["state"] == "ok"
    assert left_in(s3) == []


def test_no_right_to_write(s3: S3AsAws) -> None:
    s3.can_write = False
    ran, checks = examined(at(s3))
    assert ran.code == start(at(s3)).code == 73
    assert "Give the identity s3:PutObject." in failure(ran, "create")
    assert (checks["read"]["state"], checks["delete"]["state"]) == ("ok", "unknown")


def test_no_right_to_delete_is_a_remark_that_says_what_stays(s3: S3AsAws) -> None:
    s3.can_delete = False
    ran = start(at(s3), "doctor")
    assert ran.code == 0
    [left] = left_in(s3)
    [line] = [line for line in ran.stdout.splitlines() if " delete: " in line]
    assert line.startswith(
        f"note     delete: not allowed, which no run needs; what was written stays: s3://bucket/{left}"
    )
    assert left.startswith("etl/runs/_doctor/")


def test_a_delete_that_fails_says_what_stays(s3: S3AsAws) -> None:
    fault = Fault("answer", "POST", "delete", status=400, body=b"<Error><Code>Odd</Code></Error>")
    with Relay(s3.url, fault) as relay:
        ran = start(at(s3) | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}"}, "doctor")
    assert ran.code == 73
    [left] = left_in(s3)
    assert f"what was written stays: s3://bucket/{left}" in failure(ran, "delete")


def test_an_endpoint_that_is_down(s3: S3AsAws) -> None:
    with refused() as port:
        ran, checks = examined(at(s3) | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    assert ran.code == 69
    line = failure(ran, "reach")
    assert "Check the endpoint's address, the network and the proxy." in line
    assert {checks[name]["state"] for name in ("list", "clock", "create", "read", "delete")} == {"unknown"}


def test_a_named_secret_that_is_missing_does_not_keep_others_from_opening_the_storage(s3: S3AsAws) -> None:
    secret = json.dumps({"ACCESS_KEY": s3.access_key, "SECRET_ACCESS_KEY": s3.secret_key})
    environ = {name: value for name, value in at(s3).items() if "KEY" not in name}
    ran, checks = examined(environ | {"RUNNER_SECRETS": "DB_PASSWORD,AWS_CREDENTIALS", "AWS_CREDENTIALS": secret})
    assert ran.code == 78
    assert "DB_PASSWORD is nowhere. Mount it as /run/secrets/DB_PASSWORD, or set" in failure(ran, "secret")
    assert "secret   DB_PASSWORD (nowhere)" in ran.stdout.splitlines()
    assert checks["delete"]["state"] == "ok"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    folder.mkdir(mode=0o555)
    ran, checks = examined({}, str(folder), prefix=without_privileges())
    assert ran.code == 73
    assert "the right to write there." in failure(ran, "create")
    assert checks["list"]["state"] == "ok"
    assert list(folder.iterdir()) == []


def test_no_folder_for_temporary_files(s3: S3AsAws, values: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START"):
        monkeypatch.delenv(name, raising=False)  # it writes a file as well
    limited = ("prlimit", "--fsize=0")
    ran, _ = examined(at(s3), prefix=limited)
    assert ran.code == start(at(s3), prefix=limited).code == 78
    assert "Give the container a writable folder, --tmpfs /tmp" in failure(ran, "load")
    s3.objects.clear()
    s3.objects[values[0]] = values[1]
    ran, checks = examined(at(s3), prefix=limited)
    assert ran.code == start(at(s3), prefix=limited).code == 0
    assert ", and this flow needs none" in checks["temporary folder"]["message"]
    assert checks["delete"]["state"] == "ok"
    ran, _ = examined(s3.server.environ, "s3://bucket", prefix=limited)
    assert ran.code == 78
    assert "docker run --tmpfs /tmp; in Kubernetes an emptyDir at /tmp" in failure(ran, "temporary folder")


def test_a_clock_that_is_wrong_by_twenty_minutes(s3: S3AsAws) -> None:
    s3.clock_skewed = True
    now = datetime.now(UTC) + timedelta(minutes=20)
    s3._httpd.RequestHandlerClass.date_time_string = lambda *_: format_datetime(now, usegmt=True)  # type: ignore[attr-defined]
    ran, _ = examined(at(s3))
    assert ran.code == 77
    assert "this machine's clock is 20 minutes behind the storage's. Set the clock" in failure(ran, "clock")
    assert "Check the clock of this machine." in failure(ran, "list")


def test_a_certificate_that_is_not_trusted(etl: tuple[str, bytes]) -> None:
    with S3AsAws(tls=True) as server:
        server.objects[etl[0]] = etl[1]
        trusting = at(server)
        ran, checks = examined({name: value for name, value in trusting.items() if name != "AWS_CA_BUNDLE"})
        assert start(trusting, "doctor").code == 0
    assert ran.code == 69
    assert checks["reach"]["state"] == "ok"
    line = failure(ran, "list")
    assert "its certificate is not trusted" in line
    assert "Name the authority's file in AWS_CA_BUNDLE (S3) or SSL_CERT_FILE." in line


def test_googles_library_is_missing(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['google.cloud.storage'] = None\n")
    ran, checks = examined({"PYTHONPATH": str(tmp_path)}, "gs://bucket/etl")
    assert ran.code == 78
    assert f"Use {image_of('gcp')} or pip install 'flow-runner[gcp]'." in failure(ran, "credentials")
    assert checks["storage"]["state"] == "unknown"


def test_a_storage_that_replaces_what_a_second_create_should_leave(s3: S3AsAws) -> None:
    s3.overwrites = True
    ran, _ = examined(at(s3))
    assert ran.code == start(at(s3)).code == 0
    assert "note     create again: a second create of one key was not refused" in ran.stdout
    named = at(s3) | {"RUNNER_RUN_ID": "named"}
    ran, checks = examined(named)
    assert ran.code == start(named).code == 78
    assert "S3: If-None-Match), and no proxy that drops their headers." in failure(ran, "create again")
    assert (checks["read"]["state"], checks["delete"]["state"]) == ("ok", "ok")
    assert not [key for key in s3.objects if "_doctor" in key]


def test_a_right_to_create_is_not_taken_for_one_to_replace(gcs_emulator: Server) -> None:
    """As with Google's role Storage Object Creator: all went well, and then no heartbeat could be written.

    https://github.com/benbjohnson/litestream.io/issues/61
    """
    place = gcs_place(gcs_emulator)
    said = b'{"error": {"code": 403, "message": "x does not have storage.objects.delete access to the object."}}'
    denied = Fault("answer", "POST", "_doctor/", after=2, status=403, body=said)
    with Relay(gcs_emulator.url, denied) as relay:
        environ = place.environ | {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{relay.port}"}
        ran = start(environ, "doctor", f"{place.url}/etl")
    assert ran.code == 77
    assert "Give the identity storage.objects.delete." in failure(ran, "replace")
    assert "FAILED" not in ran.stdout.replace("FAILED   replace", "")


def test_a_storage_that_gives_other_bytes_than_were_stored(s3: S3AsAws) -> None:
    with Relay(s3.url, Fault("answer", "GET", "_doctor/", status=200, body=b"cached")) as relay:
        ran = start(at(s3) | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}"}, "doctor")
    assert "gives other bytes than were stored. Is there a proxy between?" in failure(ran, "read")


# ---- the parts


USED = Source("profile", "~/.aws/credentials", "fast", "all")


@pytest.mark.parametrize("backend", ["s3"])
def test_the_source_of_the_credentials_is_described_with_its_end(place: Place) -> None:
    storage, environ = place.open(), place.environ | {"AWS_CREDENTIALS": "{}"}
    tried = ((Source("variables", "AWS_ACCESS_KEY_ID", "fast", "all"), "AWS_ACCESS_KEY_ID is not set"),)
    until = datetime.now(UTC) + timedelta(hours=1)
    storage.credential_source = ChosenSource(USED, tried, lambda: until)
    message = (
        f"profile (~/.aws/credentials), until {until:%Y-%m-%d %H:%M:%S} UTC; variables: AWS_ACCESS_KEY_ID is not set"
    )
    assert examine._describe_credentials(storage, resolve((), {}), place.environ) == ("ok", message)
    assert examine._describe_credentials(storage, resolve((), {}), environ) == (
        "note",
        f"{message}; AWS_CREDENTIALS is set, but RUNNER_SECRETS does not name it",
    )
    storage.credential_source = storage.credential_source._replace(expires_at=lambda: until - timedelta(hours=2))
    assert examine._describe_credentials(storage, resolve((), {}), place.environ)[0] == "note"


@pytest.mark.parametrize(
    ("ahead", "state", "words"),
    [(0.4, "ok", "less than 2 s"), (-30, "ok", "30 s ahead of"), (90, "note", "90 s behind"), (None, "unknown", "")],
)
def test_a_clock_is_described_as_far_as_it_matters(ahead: float | None, state: str, words: str) -> None:
    found, message = check_clock(Answer(0.01, ahead))
    assert found == state
    assert words in message


def test_an_answer_without_a_date_is_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        import threading

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        found = request_endpoint(f"http://127.0.0.1:{listener.getsockname()[1]}/bucket")
        thread.join()
    assert found is not None
    assert found.ahead is None


def test_a_bug_in_one_check_is_reported_and_ends_nothing() -> None:
    check = run_check("machine", "odd", lambda: str(1 // 0))
    assert (check.state, check.code) == ("FAILED", errors.InternalError.code)
    assert "ZeroDivisionError" in check.message


def test_a_local_place_needs_no_credentials(tmp_path: Path) -> None:
    storage = local_place(tmp_path / "flows").open()
    assert examine._describe_credentials(storage, resolve((), {}), {}) == ("ok", "a folder needs none")
