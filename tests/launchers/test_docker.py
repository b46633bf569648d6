"""What a Docker engine would be asked for; `tests/images/test_docker_launcher.py` asks real ones."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from runner import errors
from runner.launchers import Docker, Local
from runner.launchers.base import Order
from runner.launchers.docker.container import check_mounts, make_container, with_files_read
from runner.launchers.docker.engine import open_engine, provide_image
from runner.launchers.docker.options import read_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.schema.documents import ResourcesRecord

ENVIRON = {"RUNNER_LOCATION": "s3://my-flows/etl/v1", "RUNNER_PARAMETERS": '{"day": "it\'s $HOME"}'}
LABELS = {"runner/flow": "etl", "runner/launch": "1"}


def an_order(**given: Any) -> Order:
    order = Order("run-r-1", "org/runner:aws", ENVIRON, {}, {}, LABELS, 10.0)
    return order._replace(**given)


def test_the_command_line_has_an_option_a_line_and_is_quoted_for_a_shell() -> None:
    assert Docker().render(an_order()) == (
        "docker run \\\n"
        "  --rm \\\n"
        "  --pull=missing \\\n"
        "  --name=run-r-1 \\\n"
        "  --env=RUNNER_LOCATION=s3://my-flows/etl/v1 \\\n"
        """  --env='RUNNER_PARAMETERS={"day": "it'"'"'s $HOME"}' \\\n"""
        "  --label=runner/flow=etl \\\n"
        "  --label=runner/launch=1 \\\n"
        "  --cap-drop=ALL \\\n"
        "  --security-opt=no-new-privileges \\\n"
        "  --restart=no \\\n"
        "  --stop-timeout=15 \\\n"
        "  org/runner:aws\n"
    )


def test_the_page_has_the_command_line_and_all_options() -> None:
    page = (Path(__file__).parents[2] / "docs/platforms.md").read_text("utf-8")
    environ = {"RUNNER_LOCATION": "s3://my-flows/etl/2026-11-22t12-10-24-845190-00-00"}
    order = an_order(
        image="org/runner:aws-py3.11",
        environ={**environ, "RUNNER_SECRETS": "AWS_CREDENTIALS"},
        secrets={"AWS_CREDENTIALS": "/etc/flows/aws.json"},
        resources={"cpu": 2, "memory": 4 * 2**30},
        labels={"runner/flow": "etl"},
    )
    rendered = Docker(read_only=True, user="1000:1000").render(order)
    assert f"<!-- docker: a test renders it -->\n```sh\n{rendered}```\n" in page
    table = page.partition("<!-- docker-options:")[2].partition("<!-- end -->")[0]
    options = [name for name in inspect.signature(Docker).parameters if name != "self"]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == options


def test_without_a_run_of_its_own_it_has_no_name_so_that_two_can_run_at_a_time() -> None:
    assert "--name" not in Docker().render(an_order(labels={"runner/flow": "etl"}))


def test_every_option_is_rendered(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("A=1\n")
    resources = {"cpu": 1.5, "memory": 2**30, "gpu": 2, "disk": 10**10}
    docker = Docker(
        engine="tcp://host:1",
        pull="always",
        network=["one", "two"],
        volumes=["/data:/data:ro", "cache:/cache"],
        user=1000,
        read_only=True,
        extra_hosts="db:10.0.0.1",
        env_file=str(tmp_path / "env"),
        remove="never",
        shm_size="1Gi",
        platform="linux/arm64",
        runtime="runsc",
        cap_drop=["NET_RAW"],
        security_opt="label=disable",
        limit_disk=True,
    )
    words = shlex.split(docker.render(an_order(resources=resources, secrets={"DB": '/a, "b"'})))
    assert words[:3] == ["docker", "--host=tcp://host:1", "run"]
    assert {
        "--pull=always",
        "--user=1000",
        "--platform=linux/arm64",
        "--runtime=runsc",
        "--network=one",
        "--network=two",
        f"--env-file={tmp_path}/env",
        "--volume=/data:/data:ro",
        "--volume=cache:/cache",
        '--mount=type=bind,"source=/a, ""b""",target=/run/secrets/DB,readonly',
        "--tmpfs=/tmp",
        "--add-host=db:10.0.0.1",
        "--cap-drop=NET_RAW",
        "--security-opt=label=disable",
        "--storage-opt=size=10000000000",
        "--gpus=2",
        "--read-only",
        "--cpus=1.5",
        "--memory=1073741824",
        "--memory-swap=1073741824",
        "--shm-size=1073741824",
    } <= set(words)
    assert "--rm" not in words


def test_a_service_for_compose_says_the_same() -> None:
    docker = Docker(render="compose", network=["front", "back"], read_only=True, volumes="/data:/data:ro")
    order = an_order(resources={"cpu": 0.5, "gpu": 1}, secrets={"DB": "/run/db"}, plain=("TOKEN",))
    file = yaml.safe_load(docker.render(order))
    assert file["networks"] == {"front": {"external": True}, "back": {"external": True}}
    assert file["services"]["run-r-1"] == {
        "image": "org/runner:aws",
        "container_name": "run-r-1",
        "pull_policy": "missing",
        "user": f"{os.getuid()}:{os.getgid()}",
        "networks": ["front", "back"],
        "environment": {**ENVIRON, "RUNNER_PARAMETERS": '{"day": "it\'s $$HOME"}', "TOKEN": None},
        "labels": LABELS,
        "volumes": [
            "/data:/data:ro",
            {
                "type": "bind",
                "source": "/run/db",
                "target": "/run/secrets/DB",
                "read_only": True,
                "bind": {"create_host_path": False},
            },
        ],
        "read_only": True,
        "tmpfs": ["/tmp"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "cpus": "0.5",
        "deploy": {
            "resources": {"reservations": {"devices": [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]}}
        },
        "restart": "no",
        "stop_grace_period": "15s",
    }
    assert (
        yaml.safe_load(Docker(render="compose", network="host").render(order))["services"]["run-r-1"]["network_mode"]
        == "host"
    )


def test_a_folder_that_holds_flow_or_runs_is_mounted_for_whoever_owns_it(tmp_path: Path) -> None:
    (tmp_path / "my flows/etl").mkdir(parents=True)
    (tmp_path / "my flows/etl/v1").touch()
    flow, results = tmp_path / "my flows/etl", tmp_path / "results"
    environ = {"RUNNER_LOCATION": (flow / "v1").as_uri(), "RUNNER_RESULTS": str(results)}
    config = make_container(an_order(environ=environ), read_options({})).config
    mounts = [(mount["Source"], mount["Target"]) for mount in config["HostConfig"]["Mounts"]]
    assert mounts == [(str(flow), str(flow)), (str(results), str(results))]
    assert config["User"] == f"{os.getuid()}:{os.getgid()}"
    assert f"RUNNER_RESULTS={results.as_uri()}" in config["Env"]
    other = make_container(an_order(environ=environ), read_options({"user": "1:2"})).config
    assert other["User"] == "1:2"
    assert make_container(an_order(), read_options({})).config["User"] == ""


def test_of_a_flow_in_an_image_only_the_results_are_mounted(tmp_path: Path) -> None:
    environ = {"RUNNER_STORAGE": "docker", "RUNNER_LOCATION": "file:///opt/flows/etl/v1"}
    order = an_order(environ={**environ, "RUNNER_RESULTS": tmp_path.as_uri()})
    [mount] = make_container(order, read_options({})).config["HostConfig"]["Mounts"]
    assert mount["Source"] == str(tmp_path)


def test_a_secret_of_runners_own_is_told_by_its_file() -> None:
    config = make_container(an_order(secrets={"RUNNER_SIGNING_KEY": "/keys/mine"}), read_options({})).config
    assert "RUNNER_SIGNING_KEY_FILE=/run/secrets/RUNNER_SIGNING_KEY" in config["Env"]


def test_no_value_of_a_secret_is_rendered() -> None:
    order = an_order(environ={**ENVIRON, "TOKEN": "hunter-22222"}, plain=("TOKEN",))
    for docker in (Docker(), Docker(render="compose")):
        assert "TOKEN" in docker.render(order)
        assert "hunter" not in docker.render(order)
    assert "TOKEN=hunter-22222" in make_container(order, read_options({})).config["Env"]


def test_files_of_variables_are_read_as_dockers_command_line_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_bytes(b'\xef\xbb\xbf# comment\n\n  A=1 \nQUOTED="x"\nHERE\nNOWHERE\nRUNNER_LOCATION=file:///other\nE=\n')
    container = make_container(an_order(), read_options({"env_file": str(file)}))
    read = with_files_read(container, {"HERE": "yes"})["Env"]
    assert read == ["A=1 ", "E=", "HERE=yes", 'QUOTED="x"', *container.config["Env"]]


@pytest.mark.parametrize("text", ["export A=1\n", "A=1\n=2\n"])
def test_a_file_of_variables_that_is_none_is_told_without_its_values(tmp_path: Path, text: str) -> None:
    (tmp_path / "env").write_text(text)
    container = make_container(an_order(), read_options({"env_file": str(tmp_path / "env")}))
    with pytest.raises(errors.EnvironmentWrong, match=r"line \d of .*env begins with no variable's name"):
        with_files_read(container, {})


def test_a_file_of_variables_that_is_not_there_is_told(tmp_path: Path) -> None:
    container = make_container(an_order(), read_options({"env_file": str(tmp_path / "env")}))
    with pytest.raises(errors.EnvironmentWrong, match="env cannot be read"):
        with_files_read(container, {})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"pull": "sometimes"}, "pull is one of missing, always, never"),
        ({"remove": True}, "remove is one of ended, auto, never"),
        ({"render": "podman"}, "render is one of run, compose"),
        ({"read_only": "yes"}, "read_only is true or false"),
        ({"limit_disk": 1}, "limit_disk is true or false"),
        ({"user": ["a", "b"]}, "user is one text"),
        ({"user": ""}, "user takes a text"),
        ({"network": {"a": 1}}, "network takes a text, or a list"),
        ({"network": [None]}, "network takes a text, or a list"),
        ({"volumes": "/data"}, "'/data' is no volume"),
        ({"volumes": "/data:data"}, "is no volume"),
        ({"volumes": "/a:/b:ro:z"}, "is no volume"),
        ({"extra_hosts": "db"}, "'db' is no host with its address"),
        ({"shm_size": "big"}, "shm_size is a size of less than 8 EiB, and not 'big'"),
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense_is_told_by_its_name(given: dict[str, Any], told: str) -> None:
    with pytest.raises(errors.UsageError, match=told):
        Docker(**given)


def test_a_volume_from_here_has_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert read_options({"volumes": ["./a:/a", "~/b:/b:ro", "named:/c"]}).volumes == (
        f"{tmp_path.resolve()}/a:/a",
        "/home/me/b:/b:ro",
        "named:/c",
    )


def test_what_is_not_there_is_not_mounted(tmp_path: Path) -> None:
    container = make_container(an_order(secrets={"DB": str(tmp_path / "db")}), read_options({}))
    with pytest.raises(errors.EnvironmentWrong, match=f"there is no {tmp_path}/db, which was to be /run/secrets/DB"):
        check_mounts(container)
    (tmp_path / "db").touch()
    check_mounts(container)
    folder = make_container(an_order(secrets={"DB": str(tmp_path)}), read_options({}))
    with pytest.raises(errors.EnvironmentWrong, match=f"there is no {tmp_path}, which was to be /run/secrets/DB"):
        check_mounts(folder)
    volume = make_container(an_order(), read_options({"volumes": f"{tmp_path}/dta:/data"}))
    with pytest.raises(errors.EnvironmentWrong, match=f"there is no {tmp_path}/dta, which was to be a volume"):
        check_mounts(volume)


def test_an_engine_that_does_not_answer_is_unreachable() -> None:
    docker = Docker(engine="unix:///no/such.sock")
    for call in (lambda: docker.launch(an_order()), lambda: docker.describe("a"), lambda: docker.logs("a")):
        with pytest.raises(errors.Unreachable, match=r"no engine answers at unix:///no/such.sock"):
            call()


def test_without_the_sdk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("docker.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "docker", None)
    docker = Docker()
    asked = (partial(call, "a") for call in (docker.describe, docker.remove, docker.logs))
    for call in (docker.check, lambda: docker.launch(an_order()), *asked):
        with pytest.raises(errors.EnvironmentWrong, match=r"the launcher docker needs .*flow-runner\[docker\]"):
            call()


FACTS = {"ApiVersion": "1.41", "SystemTime": "2026-11-27T12:00:00Z"}


class FakeEngine(ThreadingHTTPServer):
    """An engine that says what real ones say seldom: by method and path a status and a body, or several in turn."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any] | list[tuple[int, Any]]] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answering)

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.server_address[1]}"


class _Answering(BaseHTTPRequestHandler):
    server: FakeEngine

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = f"{self.command} {re.sub(r'^/v[0-9.]+', '', self.path).partition('?')[0]}"
        self.server.asked.append(asked)
        facts = {"ApiVersion": "1.41", "SystemTime": "2026-11-27T12:00:00Z"}
        answer = self.server.answers.get(asked, (200, facts))
        status, body = answer.pop(0) if isinstance(answer, list) else answer
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - as the library names them

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def container_in(status: str, **state: Any) -> dict[str, Any]:
    return {
        "Id": "c",
        "Image": "i",
        "Created": "2026-11-27T12:00:00.123456789Z",
        "State": {"Status": status, "ExitCode": 0, **state},
        "HostConfig": {"Memory": 2**28},
        "NetworkSettings": {"Networks": {}},
    }


@pytest.mark.parametrize(
    ("status", "state", "expected"),
    [
        ("created", {}, ("waiting", "", None)),
        ("configured", {}, ("waiting", "", None)),
        ("created", {"Error": "no such program", "ExitCode": 127}, ("ended", "StartError", 127)),
        ("running", {}, ("running", "", None)),
        ("paused", {}, ("running", "Paused", None)),
        ("stopping", {}, ("running", "", None)),
        ("exited", {"ExitCode": 76}, ("ended", "", 76)),
        ("exited", {"ExitCode": 137, "OOMKilled": True}, ("ended", "OOMKilled", 137)),
        ("exited", {"ExitCode": 0, "OOMKilled": True}, ("ended", "", 0)),
        ("dead", {"ExitCode": 137, "Error": "its device is busy"}, ("ended", "", 137)),
        ("removing", {"ExitCode": 1}, ("ended", "", 1)),
    ],
    ids=str,
)
def test_what_an_engine_says_of_a_container(
    engine: FakeEngine, status: str, state: dict[str, Any], expected: tuple[str, str, int | None]
) -> None:
    engine.answers["GET /containers/run-r-1/json"] = 200, container_in(status, **state)
    engine.answers["GET /events"] = 200, {"Type": "container", "Action": "create", "Actor": {"Attributes": {}}}
    seen = Docker(engine=engine.url).describe("run-r-1")
    assert (seen.phase, seen.reason, seen.exit_code) == expected
    assert seen.is_hopeless == (seen.reason == "StartError")
    assert seen.events == (("create",) if seen.phase == "ended" else ())


def test_a_kill_of_which_the_engine_says_nothing_more_is_told_with_the_limit(engine: FakeEngine) -> None:
    engine.answers["GET /containers/run-r-1/json"] = 200, container_in("exited", ExitCode=137)
    engine.answers["GET /events"] = 200, {}
    assert "as for lack of memory, which this engine may not tell: --memory gives it more than 256 MiB" in (
        Docker(engine=engine.url).describe("run-r-1").message
    )


@pytest.mark.parametrize(
    ("status", "kind"), [(500, errors.Unreachable), (403, errors.Denied), (400, errors.EnvironmentWrong)]
)
def test_a_failure_of_the_engine_is_no_word_on_the_container(
    engine: FakeEngine, status: int, kind: type[errors.RunnerError]
) -> None:
    engine.answers["GET /containers/run-r-1/json"] = status, {"message": "as it is"}
    with pytest.raises(kind, match="as it is"):
        Docker(engine=engine.url).describe("run-r-1")


def test_an_engine_that_went_away_is_unreachable(engine: FakeEngine) -> None:
    docker = Docker(engine=engine.url)
    engine.answers["GET /containers/run-r-1/json"] = 404, {"message": "no such container"}
    assert docker.describe("run-r-1").phase == "absent"
    engine.shutdown()
    engine.server_close()
    with pytest.raises(errors.Unreachable, match="does not answer"):
        docker.describe("run-r-1")


@pytest.mark.parametrize(
    ("resources", "words"),
    [({"gpu": 1}, "GPUs"), ({"memory": 2**30}, "limit of memory"), ({"cpu": 1}, "cores")],
)
def test_what_an_engine_leaves_out_in_silence_is_refused_and_removed(
    engine: FakeEngine, resources: ResourcesRecord, words: str
) -> None:
    found = {**container_in("created"), "HostConfig": {}}
    engine.answers["GET /containers/run-r-1/json"] = 200, found
    with pytest.raises(errors.EnvironmentWrong, match=f"without .*{words}"):
        Docker(engine=engine.url).launch(an_order(resources=resources))
    assert engine.asked[-1] == "DELETE /containers/c"


def test_a_name_that_is_taken_before_its_container_is_there_is_waited_for(engine: FakeEngine) -> None:
    unseen = (404, {"message": "no such container"})
    engine.answers["GET /containers/run-r-1/json"] = [unseen, unseen, unseen, (200, container_in("running"))]
    engine.answers["POST /containers/create"] = 409, {"message": "the name is already in use"}
    assert Docker(engine=engine.url).launch(an_order()) == {"id": "c", "image": "i"}


def test_what_the_engine_warns_of_is_told(engine: FakeEngine) -> None:
    engine.answers["GET /containers/run-r-1/json"] = 404, {"message": "no such container"}
    engine.answers["POST /containers/create"] = 201, {"Id": "c", "Warnings": ["no swap limit"]}
    engine.answers["GET /containers/c/json"] = 200, container_in("created")
    told: list[str] = []
    docker = Docker(engine=engine.url)
    docker.tell = told.append
    assert docker.launch(an_order()) == {"id": "c", "image": "i"}
    assert told == ["the engine warns: no swap limit"]


@pytest.mark.parametrize(
    ("network", "url", "times"),
    [
        ("default", "http://localhost:5000", 1),
        ("front", "http://127.0.0.1:5000/x", 1),
        ("host", "http://localhost:5000", 0),
        ("default", "http://localhost.example.com", 0),
    ],
)
def test_an_address_of_this_machine_is_another_one_in_a_container(
    engine: FakeEngine, network: str, url: str, times: int
) -> None:
    engine.answers["GET /containers/run-r-1/json"] = 200, container_in("running")
    docker, told = Docker(engine=engine.url, network=network), list[str]()
    docker.tell = told.append
    docker.launch(an_order(environ={**ENVIRON, "AWS_ENDPOINT_URL": url}))
    assert [line.partition(" ")[0] for line in told] == ["AWS_ENDPOINT_URL"] * times


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("pull access denied for x, repository does not exist or may require 'docker login'", errors.EnvironmentWrong),
        ("manifest for x:1 not found: manifest unknown", errors.EnvironmentWrong),
        ("unauthorized: authentication required", errors.CredentialsRefused),
        ("dial tcp: lookup registry.example.com: no such host", errors.Unreachable),
        ("toomanyrequests: You have reached your pull rate limit", errors.Unreachable),
    ],
)
@pytest.mark.parametrize("status", [200, 404])
def test_an_image_that_cannot_be_pulled_is_told_by_name_and_why(
    engine: FakeEngine, said: str, kind: type[errors.RunnerError], status: int
) -> None:
    engine.answers["GET /containers/run-r-1/json"] = 404, {"message": "no such container"}
    engine.answers["GET /images/org/runner:aws/json"] = 404, {"message": "no such image"}
    engine.answers["POST /images/create"] = status, {"error" if status == 200 else "message": said}
    with pytest.raises(kind, match=r"org/runner:aws .*cannot be pulled.*not published: docker buildx bake aws,"):
        Docker(engine=engine.url).launch(an_order())


@pytest.mark.filterwarnings("ignore:docker-credential-none-of-that-name")
def test_where_a_credential_helper_is_missing_an_image_is_asked_for_without(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A config.json of Docker Desktop's stays behind when that has gone; images of everybody's need no credentials."""
    (tmp_path / "config.json").write_text('{"credsStore": "none-of-that-name"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    engine.answers["GET /images/org/runner:aws/json"] = 404, {"message": "no such image"}
    told: list[str] = []
    with open_engine(engine.url) as api:
        provide_image(api, "org/runner:aws", "missing", "", told.append)
    assert "none-of-that-name" in told[-1]
    assert engine.asked[-1] == "POST /images/create"


def test_another_launcher_looks_into_no_image() -> None:
    with pytest.raises(errors.UsageError, match="local cannot look what flow is in team/etl:7"):
        Local().flow_in("team/etl:7")
