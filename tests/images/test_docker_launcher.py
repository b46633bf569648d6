"""Flows launched in containers, on a Docker engine and on Podman's socket: the suite of all launchers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.cli.build import load_file
from runner.launchers import Docker
from runner.storage import Docker as BakedInto
from support.containers import build, docker
from support.flows import HERE as FLOWS
from support.flows import outcome_of
from support.launching import HASTE, LaunchContract, Platform, wait_for
from support.places import s3_place
from support.servers import free_port
from support.servers.engine import NoEngine
from support.servers.podman import copy_images, start_podman
from support.servers.registry import start_registry
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.places import Place
    from support.servers import Server

IMAGE = "tested/runner:slim-py3.11"
ROOT = Path(__file__).parents[2]
DEFAULT = "unix:///var/run/docker.sock"
QUICK = ("-e", "RUNNER_HEARTBEAT=0.5", "-e", "RUNNER_GRACE=2")


@pytest.fixture(scope="session")
def podman(images: dict[str, str]) -> Iterator[str]:
    """The address of Podman's service."""
    del images
    try:
        with start_podman(IMAGE) as address:
            yield address
    except NoEngine as error:
        pytest.skip(str(error))


def options_of(**options: str) -> list[str]:
    return [word for name, text in options.items() for word in ("-O", f"{name}={text}")]


def on_engine(host: str, folder: Place, tmp_path: Path) -> Iterator[Platform]:
    """A folder of this machine, of which nothing is said but its flow's location, and an engine, left as it was."""
    marks = tmp_path / "marks"
    marks.mkdir()
    engine = [f"--host={host}"] if host else []
    given = {name: os.environ[name] for name in ("DOCKER_HOST",) if name in os.environ}
    options = ["--image", IMAGE, *QUICK, "-O", f"volumes={marks}:/marks", "-e", "MARK=/marks/mark"]

    def kill(name: str) -> None:
        docker(*engine, "kill", name)

    yield Platform(
        Docker(engine=host or None),
        folder,
        kill,
        lambda name: docker(*engine, "inspect", name).code == 0,
        (*options, *(("-O", f"engine={host}") if host else ())),
        given,
    ).publish()
    launches = [key for key in folder.keys() if re.search(r"/launches/\d+\.json$", key)]  # noqa: SIM118
    if names := [json.loads(folder.read(key))["name"] for key in launches]:
        docker(*engine, "rm", "--force", *names)


SLEEPING, ENTRYLESS, OTHER = "launched/sleeping:1", "launched/entryless:1", "launched/other:1"
SECRET_FLOW = """
import runner

@runner.task
def look():
    return len(runner.secret("DB_PASSWORD"))

with runner.Flow("secretive") as flow:
    look()
"""


@pytest.fixture(scope="session")
def strange_images(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An image that never claims a run, one whose entrypoint is not there, and one that does something else."""
    del images
    context = tmp_path_factory.mktemp("context")
    made = [
        build(f'FROM {IMAGE}\nENTRYPOINT ["sleep", "1000"]\n', context, SLEEPING),
        build(f'FROM {IMAGE}\nENTRYPOINT ["/no/such/program"]\n', context, ENTRYLESS),
        build(f'FROM {IMAGE}\nENTRYPOINT ["echo", "hello"]\n', context, OTHER),
    ]
    assert [done.code for done in made] == [0, 0, 0], made
    yield
    docker("rmi", "--force", SLEEPING, ENTRYLESS, OTHER)


class ContainerStates(LaunchContract):
    """What becomes of containers, as each engine tells it.

    ``oom`` is its word for an end for lack of memory; ``not_started`` the code where a container does not start: of a
    run that was not begun, where the engine writes down why, else of a call that it refused.
    """

    oom: str | None
    not_started: int

    @pytest.fixture
    def on(self, platform: Platform) -> str:
        """The option of the docker client that names the engine."""
        return f"--host={platform.launcher.given.get('engine') or os.environ.get('DOCKER_HOST', DEFAULT)}"

    def test_a_lack_of_memory_is_told_with_its_remedy(self, platform: Platform) -> None:
        done = platform.launch("eat", "-f", "--memory", "200Mi", *HASTE)
        assert done.code == 137, done
        end, launch_end = platform.store().read_end(1), platform.store().read_launch_end(1)
        assert end is not None
        assert launch_end is not None
        assert end["state"] == "crashed"
        assert "memory" in str(end["error"])
        assert (launch_end["reason"], launch_end["exit_code"]) == (self.oom, 137)
        assert "200 MiB" in str(launch_end["message"])

    def test_a_stop_by_hand_is_a_cancelling_by_signal(self, platform: Platform, on: str) -> None:
        followed = platform.begin("hold", "-f", *HASTE)
        platform.until_running()
        assert docker(on, "stop", platform.name()).code == 0
        out, _ = followed.communicate(timeout=60)
        assert followed.returncode == 143, out
        end = platform.store().read_end(1)
        assert end is not None
        assert (end["state"], end["exit_code"]) == ("cancelled", 143)
        assert platform.outcome() is None

    def test_what_never_claims_is_removed_and_launched_again_and_given_up(
        self, platform: Platform, strange_images: None
    ) -> None:
        del strange_images
        copy_images(platform.launcher.given.get("engine"), SLEEPING)
        done = platform.launch("ok", "--image", SLEEPING, "--start-timeout", "2", "--start-retries", "1")
        assert done.code == 71, done
        ends = [platform.store().read_launch_end(number) for number in (1, 2)]
        assert [end and end["state"] for end in ends] == ["never started"] * 2
        assert not any(platform.is_there(platform.name(number=number)) for number in (1, 2))
        assert list(platform.store().list_attempts()) == []

    def test_what_cannot_start_is_told_and_not_tried_again(self, platform: Platform, strange_images: None) -> None:
        del strange_images
        copy_images(platform.launcher.given.get("engine"), ENTRYLESS)
        done = platform.launch("ok", "--image", ENTRYLESS, "--start-retries", "3")
        assert (done.code, "/no/such/program" in done.stderr) == (self.not_started, True), done
        end = platform.store().read_launch_end(1)
        assert (end and end["reason"]) == ("StartError" if self.not_started == 71 else None)
        assert len(platform.store().list_launches()) == 1
        assert not platform.is_there(platform.name())

    def test_an_image_that_does_not_start_runner_is_told_by_its_name_and_not_tried_again(
        self, platform: Platform, strange_images: None
    ) -> None:
        del strange_images
        copy_images(platform.launcher.given.get("engine"), OTHER)
        done = platform.launch("ok", "--image", OTHER, "--start-retries", "3")
        told = f"the image {OTHER} did not start runner, exit code 0: hello. Build the image FROM one of runner's"
        assert (done.code, told in done.stderr) == (76, True), done
        shown = start(platform.place.environ, "show", platform.store().url)
        assert "remedy   Build the image FROM one of runner's" in shown.stdout, shown
        doctor = ("doctor", "--launch", "docker", platform.url, *platform.options, "--image", OTHER)
        environ = platform.place.environ | platform.environ | {"RUNNER_PARAMETERS": '{"kind": "ok"}'}
        checked = start(environ, *doctor)
        assert (checked.code, f"the image {OTHER} did not start runner" in checked.stdout) == (76, True), checked.stdout
        assert len(platform.store().list_launches()) == 1
        assert not platform.is_there(platform.name())

    def test_an_image_that_is_not_there_is_told_by_its_name(self, platform: Platform) -> None:
        done = platform.launch("ok", "--image", "launched/none:1", "-O", "pull=never")
        assert (done.code, "no image launched/none:1" in done.stderr) == (78, True), done
        done = platform.launch("ok", "-f", *HASTE)  # corrected, it is the same launch
        assert done.code == 0, done
        assert len(platform.store().list_launches()) == 1

    def test_a_run_that_is_cancelled_before_its_container_began_is_over(self, platform: Platform) -> None:
        assert platform.launch("ok", "--image", "launched/none:1", "-O", "pull=never").code == 78
        assert platform.cancel().code == 0
        assert platform.launch("ok", "-f", *HASTE).code == 143
        assert not platform.is_there(platform.name())

    def test_a_run_that_is_cancelled_while_it_waits_is_over_and_its_container_gone(
        self, platform: Platform, strange_images: None
    ) -> None:
        del strange_images
        copy_images(platform.launcher.given.get("engine"), SLEEPING)
        followed = platform.begin("ok", "-f", "--image", SLEEPING)
        wait_for(lambda: platform.launcher.describe(platform.name()).phase == "running")
        assert platform.cancel().code == 0
        out, _ = followed.communicate(timeout=60)
        assert followed.returncode == 143, out
        assert not platform.is_there(platform.name())

    def test_a_run_that_is_over_stays_as_it_is_when_it_is_cancelled(self, platform: Platform) -> None:
        assert platform.launch("ok", "-f", *HASTE).code == 0
        platform.cancel()
        assert platform.outcome()["state"] == "succeeded"

    def test_options_reach_the_container(self, platform: Platform, on: str) -> None:
        options = options_of(read_only="true", shm_size="1Mi", network="host", extra_hosts="db:10.0.0.1")
        done = platform.launch("hold", "--cpu", "1.5", "--memory", "1Gi", *options, *HASTE)
        assert done.code == 0, done
        [found] = json.loads(docker(on, "inspect", platform.name()).stdout)
        host = found["HostConfig"]
        assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (1_500_000_000, 2**30, 2**30)
        assert (host["ReadonlyRootfs"], host["ShmSize"], host["NetworkMode"]) == (True, 2**20, "host")
        assert ("/tmp" in host["Tmpfs"], host["ExtraHosts"]) == (True, ["db:10.0.0.1"])
        assert (host["RestartPolicy"]["Name"], host["AutoRemove"]) == ("no", False)
        assert found["Config"]["User"] == f"{os.getuid()}:{os.getgid()}"
        assert found["Config"]["StopTimeout"] == 15
        assert found["Config"]["Labels"].items() >= {"runner/flow": "launched", "runner/run-id": "r"}.items()
        status = Path(f"/proc/{found['State']['Pid']}/status").read_text()
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status

    def test_a_secret_is_a_file_that_is_mounted(self, platform: Platform, on: str, tmp_path: Path) -> None:
        (tmp_path / "secretive.py").write_text(SECRET_FLOW)
        (tmp_path / "password").write_text("hunter-22222\n")
        (tmp_path / "password").chmod(0o600)
        built = start({}, "build", str(tmp_path / "secretive.py"), "--storage", platform.place.url)
        command = ["launch", "docker", built.stdout.strip(), "--run-id", "r", *platform.options]
        command += ["--secret", f"DB_PASSWORD={tmp_path}/password", "-O", "remove=never"]
        done = start(platform.environ, *command, "-f", *HASTE)
        assert done.code == 0, done
        name = json.loads(start({}, "show", f"{built.stdout.strip().rpartition('/')[0]}/runs/r", "--json").stdout)
        [container] = docker(on, "ps", "--all", "--quiet", "--filter=label=runner/flow=secretive").stdout.split()
        assert name["state"] == "succeeded"
        assert "hunter" not in docker(on, "inspect", container).stdout
        docker(on, "rm", container)

    def test_a_secret_whose_file_is_not_there_is_told(self, platform: Platform) -> None:
        done = platform.launch("ok", "--secret", "DB_PASSWORD=/no/such/password")
        assert (done.code, "/no/such/password" in done.stderr) == (78, True), done
        assert not platform.is_there(platform.name())

    def test_what_the_engine_removes_by_itself_is_told_from_the_storage(self, platform: Platform) -> None:
        done = platform.launch("ok", "-f", "-O", "remove=auto", *HASTE)
        assert done.code == 0, done
        assert not platform.is_there(platform.name())


class TestDocker(ContainerStates):
    """The suite on a Docker engine, and what only that has."""

    oom, not_started = "OOMKilled", 71

    @pytest.fixture
    def platform(self, images: dict[str, str], folder: Place, tmp_path: Path) -> Iterator[Platform]:
        del images
        yield from on_engine("", folder, tmp_path)

    def test_what_is_rendered_is_what_is_launched(self, platform: Platform, on: str, tmp_path: Path) -> None:
        (tmp_path / "env").write_text("FROM_FILE=1\n")
        (tmp_path / "key").write_text("secret")
        options = options_of(read_only="true", network="host", env_file=f"{tmp_path}/env", shm_size="1Mi")
        more = ("--memory", "1Gi", "--cpu", "0.5", "--secret", f"KEY={tmp_path}/key")
        assert platform.launch("hold", *options, *more, *HASTE).code == 0
        rendered = platform.launch("hold", "--render", *options, *more).stdout
        assert rendered.startswith("docker run \\\n  --rm \\\n")
        script = rendered.replace("docker run \\\n  --rm", "docker create")
        made = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        launched, other = json.loads(docker(on, "inspect", platform.name(), made.stdout.strip()).stdout)
        docker("rm", made.stdout.strip())
        its_own = {"RUNNER_LAUNCH=1"}
        assert set(launched["Config"].pop("Env")) - its_own == set(other["Config"].pop("Env"))
        assert launched["Config"]["Labels"].pop("runner/launch") == "1"
        for facts in (launched, other):
            for of_the_client in ("Hostname", "AttachStdout", "AttachStderr"):
                del facts["Config"][of_the_client]
        assert launched["Config"] == other["Config"]
        told = {name: (value, other["HostConfig"][name]) for name, value in launched["HostConfig"].items()}
        assert {name: both for name, both in told.items() if (both[0] or None) != (both[1] or None)} == {}

    def test_a_shim_that_is_killed_leaves_no_run_that_nobody_concludes(self, platform: Platform, on: str) -> None:
        followed = platform.begin("hold", "-f", *HASTE)
        platform.until_running()
        number = docker(on, "inspect", "--format={{.Id}}", platform.name()).stdout.strip()
        for command in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # a process that has ended meanwhile
                if "containerd-shim" in (words := command.read_text()) and number in words:
                    os.kill(int(command.parent.name), signal.SIGKILL)
        out, _ = followed.communicate(timeout=120)
        assert followed.returncode == 137, out
        end = platform.store().read_end(1)
        assert end is not None
        assert end["state"] in {"crashed", "lost"}
        assert not platform.is_there(platform.name())

    def test_an_image_that_a_registry_does_not_have_is_told_and_one_that_is_down(self, platform: Platform) -> None:
        with start_registry() as host:
            done = platform.launch("ok", "--image", f"{host}/team/none:1")
            assert (done.code, f"the image {host}/team/none:1" in done.stderr) == (78, True), done
        down = platform.launch("ok", "--image", f"127.0.0.1:{free_port()}/team/none:1")
        assert (down.code, "try again" in down.stderr) == (69, True), down

    def test_an_image_that_is_pulled_is_told(self, platform: Platform) -> None:
        with start_registry() as host:
            docker("tag", IMAGE, f"{host}/team/runner:1")
            assert docker("push", f"{host}/team/runner:1").code == 0
            docker("rmi", f"{host}/team/runner:1")
            done = platform.launch("ok", "-f", "--image", f"{host}/team/runner:1", *HASTE)
            docker("rmi", f"{host}/team/runner:1")
        assert done.code == 0, done
        assert f"the image {host}/team/runner:1 is pulled" in done.stderr

    def test_gpus_that_the_engine_has_none_of_are_told(self, platform: Platform) -> None:
        done = platform.launch("ok", "--gpu", "1", *HASTE)
        assert (done.code, "gpu" in done.stderr) == (71, True), done
        assert not platform.is_there(platform.name())

    def test_a_limit_of_the_disk_is_kept_or_refused_or_told_to_be_none(self, platform: Platform) -> None:
        refused = platform.launch("ok", "--disk", "1Gi", "-O", "limit_disk=true")
        assert (refused.code, "storage-opt" in refused.stderr) == (78, True), refused
        told = platform.launch("ok", "-f", "--disk", "1Gi", *HASTE)
        assert (told.code, "-O limit_disk=true" in told.stderr) == (0, True), told

    def test_a_container_is_in_all_its_networks_before_it_begins(self, platform: Platform, on: str) -> None:
        names = ["launched-front", "launched-back"]
        for name in names:
            docker(on, "network", "create", name)
        try:
            assert platform.launch("hold", "-O", f"network={json.dumps(names)}", *HASTE).code == 0
            [found] = json.loads(docker(on, "inspect", platform.name()).stdout)
            assert sorted(found["NetworkSettings"]["Networks"]) == sorted(names)
        finally:
            docker(on, "rm", "--force", platform.name())
            for name in names:
                docker(on, "network", "rm", name)

    def test_a_network_that_is_not_there_is_told(self, platform: Platform) -> None:
        done = platform.launch("ok", "-O", "network=launched-none", "--start-retries", "3")
        assert (done.code, "launched-none" in done.stderr) == (71, True), done

    def test_the_image_of_a_team_and_the_options_of_a_flow_travel_with_it(
        self, platform: Platform, on: str, tmp_path: Path
    ) -> None:
        dockerfile = f"FROM {IMAGE}\nUSER root\nRUN pip install jmespath\nUSER 65532\n"
        assert build(dockerfile, tmp_path, "launched/derived:1").code == 0
        (tmp_path / "derived.py").write_text(
            "import jmespath\nimport runner\nfrom runner.environments import LocalEnvironment\n"
            "@runner.task\ndef look():\n    return jmespath.search('a', {'a': 1})\n"
            "with runner.Flow('derived') as flow:\n    look()\n"
            "flow.environment = LocalEnvironment(metadata={'image': 'launched/derived:1'},"
            " options={'docker': {'remove': 'never', 'network': 'none'}})\n"
        )
        built = start({}, "build", str(tmp_path / "derived.py"), "--storage", platform.place.url)
        assert built.code == 0, built
        done = start(platform.environ, "launch", "docker", built.stdout.strip(), "-f", *HASTE)
        assert done.code == 0, done
        [container] = docker(on, "ps", "--all", "--quiet", "--filter=label=runner/flow=derived").stdout.split()
        assert docker(on, "inspect", "--format={{.HostConfig.NetworkMode}}", container).stdout == "none\n"
        docker(on, "rm", container)
        docker("rmi", "launched/derived:1")

    def test_a_flow_in_a_bucket_is_reached_with_a_secret_or_a_file_of_variables(
        self, platform: Platform, moto: Server, tmp_path: Path
    ) -> None:
        bucket = s3_place(moto)
        url = start(bucket.environ, "build", str(FLOWS / "launched.py"), "--storage", bucket.url).stdout.strip()
        keys = {"ACCESS_KEY": "AWS_ACCESS_KEY_ID", "SECRET_ACCESS_KEY": "AWS_SECRET_ACCESS_KEY"}
        secret = json.dumps({name: moto.environ[variable] for name, variable in keys.items()})
        (tmp_path / "aws.json").write_text(secret)
        (tmp_path / "env").write_text("".join(f"{name}={text}\n" for name, text in bucket.environ.items()))
        by_secret = ["--secret", f"AWS_CREDENTIALS={tmp_path}/aws.json", "-e", "AWS_ENDPOINT_URL", "-e", "AWS_REGION"]
        command = ["launch", "docker", url, "-p", "kind=ok", "-f", "--image", IMAGE, *HASTE]
        for number, told in enumerate((by_secret, options_of(env_file=f"{tmp_path}/env"))):
            more = [*told, *options_of(network="host"), "--run-id", f"r{number}"]
            done = start(bucket.environ | platform.environ, *command, *more)
            assert done.code == 0, done
            assert outcome_of(bucket, f"r{number}", "launched")["state"] == "succeeded"

    def test_a_flow_in_its_image_is_launched_where_results_have_a_place(
        self, platform: Platform, folder: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flow = load_file(FLOWS / "launched.py").flow
        flow.storage = BakedInto(base_image=IMAGE)
        image = flow.storage.build()
        command = ["launch", "docker", f"docker://{image}", "-p", "kind=ok", "--run-id", "baked", "-f", *HASTE]
        refused = start(platform.environ, *command)
        assert (refused.code, "RUNNER_RESULTS is not set" in refused.stderr) == (78, True), refused
        results = folder.url.replace("/flows", "/results")
        Path(results.removeprefix("file://")).mkdir()
        done = start({**platform.environ, "RUNNER_RESULTS": results}, *command)
        assert done.code == 0, done
        shown = json.loads(start({}, "show", f"{results}/launched/runs/baked", "--json").stdout)
        assert (shown["state"], len(shown["launches"])) == ("succeeded", 1)
        other = start({"RUNNER_RESULTS": results, **platform.environ}, "launch", "docker", f"docker://{IMAGE}")
        assert (other.code, "has no flow of its own" in other.stderr) == (2, True), other
        monkeypatch.setenv("RUNNER_RESULTS", results)
        assert flow.launch(Docker(), kind="ok").wait()["state"] == "succeeded"
        docker("rmi", "--force", *docker("images", "--quiet", "launched").stdout.split())

    def test_the_engine_tells_what_happened(self, platform: Platform) -> None:
        followed = platform.begin("hold", "-f", *HASTE)
        platform.until_running()
        platform.kill(platform.name())
        followed.communicate(timeout=60)
        end = platform.store().read_launch_end(1)
        assert end is not None
        assert end["events"][:2] == ["create", "start"]
        assert end["events"][-2:] == ["kill signal=9", "die exitCode=137"]
        assert (end["reason"], end["message"]) == ("Killed", "somebody had the engine send it signal 9")

    def test_a_launcher_without_an_engine_ends_with_69(self, platform: Platform) -> None:
        done = platform.launch("ok", "-O", "engine=unix:///no/such.sock")
        assert (done.code, "no engine answers at unix:///no/such.sock" in done.stderr) == (69, True), done


class TestPodman(ContainerStates):
    """The suite on Podman's socket; of an end for lack of memory it says 137 alone."""

    oom, not_started = None, 78

    @pytest.fixture
    def platform(self, podman: str, folder: Place, tmp_path: Path) -> Iterator[Platform]:
        yield from on_engine(podman, folder, tmp_path)
