"""Batch jobs of a real cluster of Slurm on this machine."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.errors import UsageError
from runner.launchers import Slurm
from runner.launchers.base import Order
from runner.launchers.remedies import remedy_for
from runner.launchers.slurm import _sighting
from support.launching import LaunchContract, Platform, wait_for
from support.servers import slurm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.places import Place
    from support.servers.slurm import Slurm as Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if program := slurm.missing_program():
        pytest.skip(f"{program} is not installed: make .cache/platforms-installed does that, as root on Debian")
    with slurm.start_slurm(tmp_path_factory.mktemp("slurm")) as started:
        yield started


@pytest.fixture
def platform(here: Place, tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Platform:
    for name, value in cluster.environ.items():
        monkeypatch.setenv(name, value)
    tmp_path.chmod(0o755)

    def job(name: str) -> str:
        return cluster.run("squeue", "--noheader", f"--name={name}", "--states=pending,running", "--format=%A").strip()

    def kill(name: str) -> None:
        """Kill all processes of a job, but Slurm's own."""
        mark = f"/job_{job(name)}/step_batch/task_0"
        pids = [path.name for path in Path("/proc").iterdir() if path.name.isdecimal() and mark in cgroups(path.name)]
        subprocess.run(["kill", "-9", *pids], check=False)

    options = ("-e", "RUNNER_HEARTBEAT=0.5", "-e", "RUNNER_GRACE=2", "-e", f"MARK={tmp_path / 'mark'}")
    output = f"output={tmp_path / 'a job.log'}"
    return Platform(
        Slurm(output=output.partition("=")[2]),
        here,
        kill,
        lambda name: bool(job(name)),
        ("-O", output, *options),
        cluster.environ,
        keeps_logs=True,
    ).publish()


def cgroups(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


class TestSlurm(LaunchContract):
    """The suite of all launchers."""


def test_a_job_beyond_its_memory_is_told_with_the_remedy(platform: Platform) -> None:
    done = platform.launch("eat", "-f", "--memory", "150Mi")
    assert done.code == 137, done
    end = platform.store().read_end(1)
    assert end is not None
    assert end["state"] == "crashed"


def test_a_job_that_no_node_can_run_is_told_in_slurms_words(platform: Platform) -> None:
    done = platform.launch("ok", "--memory", "100Gi", "--start-timeout", "5", "--start-retries", "0")
    assert (done.code, "Requested node configuration is not available" in done.stderr) == (78, True), done
    done = platform.launch("ok", "-O", "partition=none", run_id="s")
    assert (done.code, "invalid partition" in done.stderr) == (78, True), done


def test_a_job_that_waits_too_long_is_removed_and_nobody_finds_it_later(platform: Platform) -> None:
    """What occupies the only node is another job."""
    done = platform.launch("ok", "-O", 'arguments=["--hold"]', "--start-timeout", "2", "--start-retries", "0")
    assert (done.code, "JobHeldUser" in done.stderr) == (71, True), done
    assert not platform.is_there(platform.name())


def test_a_job_out_of_time_ends_by_its_own_hand(platform: Platform) -> None:
    """Slurm sends SIGTERM some seconds before the end of a job's time: the flow ends with what it has."""
    done = platform.launch("hold", "-f", "-O", "time=1", "-e", "RUNNER_GRACE=2")
    assert done.code == 143, done
    end = platform.store().read_end(1)
    assert end is not None
    assert (end["state"], "signal 15" in (end["error"] or {"message": ""})["message"]) == ("cancelled", True)


def test_a_job_that_slurm_starts_again_goes_on(platform: Platform, cluster: Cluster) -> None:
    assert platform.launch("hold once", "-d", "-O", "requeue=true").code == 0
    platform.until_running()
    job = cluster.run("squeue", "--noheader", f"--name={platform.name()}", "--format=%A").strip()
    cluster.run("scontrol", "requeue", job)
    wait_for(lambda: "BeginTime" in cluster.run("squeue", "--noheader", "--format=%r") or platform.outcome())
    cluster.run("scontrol", "update", f"jobid={job}", "starttime=now")
    wait_for(platform.outcome)
    assert platform.outcome()["attempt"] == 2


def test_an_array_of_jobs_is_as_many_runs(platform: Platform, cluster: Cluster, tmp_path: Path) -> None:
    script = platform.launch("ok", "--render", run_id="given").stdout
    script = script.replace("RUNNER_RUN_ID=given", "RUNNER_RUN_ID=given-$SLURM_ARRAY_TASK_ID")
    (tmp_path / "array.sh").write_text(script.replace("#SBATCH --dependency=singleton\n", "#SBATCH --array=1-3\n"))
    cluster.run("sbatch", str(tmp_path / "array.sh"))
    wait_for(lambda: all(platform.outcome(f"given-{number}") for number in (1, 2, 3)))


def test_a_job_has_nothing_of_the_job_from_within_which_it_is_launched(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm gives a job all SLURM_* of who submits it; and a user's own choices for commands hide none from us."""
    for name in ("SLURM_ARRAY_TASK_ID", "SLURM_CPU_BIND", "SBATCH_JOB_NAME", "SBATCH_ARRAY_INX", "SQUEUE_PARTITION"):
        monkeypatch.setenv(name, "7")
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path}/environ\n")
    program.chmod(0o755)
    launcher = Slurm(output=str(tmp_path / "a.log"), python=str(program))
    launcher.launch(Order(platform.name(), "", {}, {}, {}, {}, 2.0))
    wait_for(lambda: launcher.describe(platform.name()).phase == "ended")
    assert launcher.describe(platform.name()).exit_code == 0
    written = (tmp_path / "environ").read_text()
    assert f"SLURM_JOB_NAME={platform.name()}\n" in written
    assert "=7\n" not in written
    launcher.remove(platform.name())
    assert (tmp_path / "a.log").exists()  # whoever named it may keep other logs there


def test_what_a_sites_own_commands_say_besides_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"squeue": "CLUSTER: north\n7787233\n7787232\n", "sbatch": "sbatch: no partition specified\n7787232;north\n"}
    for name, words in said.items():
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/{name}.asked\nprintf "{words}"\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    launcher, order = Slurm(output=str(tmp_path / "log")), Order("run-r-1", "", {}, {}, {}, {}, 2.0)
    assert launcher.launch(order) == {"job": "7787232"}  # it is there
    assert "--all" in (tmp_path / "squeue.asked").read_text().split()  # also those of hidden partitions
    (tmp_path / "squeue").write_text("#!/bin/sh\n")
    assert launcher.launch(order) == {"job": "7787232"}


@pytest.mark.parametrize("word", ["--cluster mpp2", "-M mpp2", "--array=1-9", "--job-name=x", "-Jx", "--hold --out=x"])
def test_what_would_make_another_job_of_it_is_no_argument(word: str) -> None:
    with pytest.raises(UsageError, match="no argument of a launch"):
        Slurm(arguments=[word])
    assert Slurm(arguments=["--nodelist=a,m", "--exclusive", "-N 1", "--account=--array"])


def test_the_script_says_what_the_flow_needs(platform: Platform) -> None:
    done = platform.launch(
        "ok",
        "--render",
        *("--cpu", "1.5", "--memory", "4Gi", "--gpu", "2", "--disk", "1Gi"),
        *("-O", "partition=short", "-O", "account=lab"),
        *("-O", 'setup=["module load python"]', "-O", "container=apptainer", "--image", "org/runner:slim"),
        *("--secret", "DB_PASSWORD=/shared/it's"),
    )
    lines = done.stdout.splitlines()
    asked = ("cpus-per-task=2", "mem=4096M", "gpus=2", "tmp=1024M", "partition=short", "account=lab", "no-requeue")
    assert {f"#SBATCH --{option}" for option in asked} <= set(lines)
    assert lines.index("module load python") < next(n for n, line in enumerate(lines) if line.startswith("export"))
    assert """export DB_PASSWORD_FILE='/shared/it'"'"'s'""" in lines
    assert shlex.split(lines[-1])[:5] == ["exec", "apptainer", "run", "--nv", "--bind=/shared/it's:/shared/it's:ro"]
    assert lines[-1].endswith("docker://org/runner:slim")


@pytest.mark.parametrize(("container", "option"), [("apptainer", "--bind"), ("podman-hpc", "--volume")])
def test_the_folders_of_the_flow_and_its_runs_are_mounted_into_a_container(container: str, option: str) -> None:
    environ = {"RUNNER_LOCATION": "file:///shared/flows/etl/v", "RUNNER_RESULTS": "file:///shared/results"}
    order = Order("etl", "team/etl:7", environ, {}, {}, {}, 10.0)
    last = shlex.split(Slurm(container=container).render(order).splitlines()[-1])
    folders = ("/shared/flows/etl", "/shared/results")
    assert [word for word in last if word.startswith(option)] == [f"{option}={folder}:{folder}" for folder in folders]


def test_a_plain_secret_is_in_what_is_submitted_and_in_nothing_that_is_rendered() -> None:
    order = Order("etl", "", {"DB_PASSWORD": "hush"}, {}, {}, {}, 10.0, plain=("DB_PASSWORD",))
    assert 'export DB_PASSWORD="$DB_PASSWORD"' in Slurm().render(order)
    assert "hush" not in Slurm().render(order)
    assert "export DB_PASSWORD=hush" in Slurm()._script(order, {})


@pytest.mark.parametrize(
    ("state", "why", "is_queued"),
    [
        ("PENDING", "Priority", True),
        ("PENDING", "QOSMaxJobsPerUserLimit", True),
        ("PENDING", "JobHeldUser", False),
        ("PENDING", "launch_failed_requeued_held", False),
        ("PENDING", "PartitionDown", False),
        ("CONFIGURING", "None", False),
    ],
)
def test_a_job_in_its_queue_is_not_one_that_hangs(state: str, why: str, is_queued: bool) -> None:  # noqa: FBT001
    assert _sighting(state, "0:0", why).is_queued == is_queued


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"partition": "short\ntouch /tmp/x"}, "partition of slurm is a text of one line"),
        ({"time": "1\n#SBATCH --x"}, "time of slurm is a text of one line"),
        ({"output": "/a\nb"}, "output of slurm is a text of one line"),
        ({"account": True}, "account of slurm is a text of one line"),
        ({"arguments": ["--hold\ntouch /tmp/x"]}, "arguments of slurm is a text of one line"),
        ({"setup": [1]}, "setup of slurm is a list of lines"),
        ({"requeue": "maybe"}, "requeue of slurm is true or false"),
    ],
    ids=str,
)
def test_an_option_is_one_line_of_the_script(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Slurm(**given)


def test_what_an_option_says_is_no_option_of_its_own(tmp_path: Path) -> None:
    order = Order("etl", "", {"A": "b"}, {}, {}, {}, 10.0)
    lines = (
        Slurm(partition="x --wrap=y", output=f"{tmp_path}/a b.log", constraint="fast&gpu").render(order).splitlines()
    )
    assert {"#SBATCH '--partition=x --wrap=y'", f"#SBATCH '--output={tmp_path}/a b.log'"} <= set(lines)
    assert "#SBATCH '--constraint=fast&gpu'" in lines


def test_a_secret_that_a_jobs_shell_cannot_have_is_refused() -> None:
    for name, path, told in (
        ("DB.PASSWORD", "/a", "no variable 'DB.PASSWORD_FILE'"),
        ("DB", "/a:b", "cannot be bound"),
    ):
        with pytest.raises(UsageError, match=told):
            Slurm(container="apptainer").render(Order("etl", "i", {}, {name: path}, {}, {}, 10.0))


def test_the_script_in_the_docs_is_what_is_rendered() -> None:
    order = Order(
        "etl",
        "org/runner:aws-py3.11",
        {"RUNNER_LOCATION": "s3://my-flows/etl"},
        {"AWS_CREDENTIALS": "/shared/secrets/aws.json"},
        {"cpu": 2, "memory": 4 * 2**30},
        {},
        30.0,
        3600.0,
    )
    launcher = Slurm(
        partition="short", container="apptainer", output="/shared/logs/%x-%j.log", setup=["module load apptainer"]
    )
    docs = (Path(__file__).parents[2] / "docs/platforms.md").read_text("utf-8")
    assert f"<!-- slurm: a test renders it -->\n```sh\n{launcher.render(order)}```\n" in docs


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("PENDING", "0:0", "Resources"), ("waiting", "Resources", None)),
        (("PENDING", "0:0", "None"), ("waiting", "Pending", None)),
        (("RUNNING", "0:0", "None"), ("running", "", None)),
        (("COMPLETED", "0:0", "None"), ("ended", "", 0)),
        (("FAILED", "76:0", "NonZeroExitCode"), ("ended", "", 76)),
        (("FAILED", "0:9", "None"), ("ended", "", 137)),
        (("OUT_OF_MEMORY", "0:125", "OutOfMemory"), ("ended", "OUT_OF_MEMORY", 137)),
        (("TIMEOUT", "0:0", "TimeLimit"), ("ended", "TIMEOUT", None)),
        (("CANCELLED by 1000", "0:15", "None"), ("ended", "CANCELLED", None)),
        (("CANCELLED+", "0:15", "None"), ("ended", "CANCELLED", None)),
        (("NODE_FAIL", "1:0", "NodeDown"), ("ended", "NODE_FAIL", 1)),
        (("PREEMPTED", "0:15", "None"), ("ended", "PREEMPTED", None)),
    ],
)
def test_slurms_words(words: tuple[str, str, str], expected: tuple[Any, ...]) -> None:
    seen = _sighting(*words)
    assert seen.phase != "ended" or not seen.reason or seen.reason == "CANCELLED" or remedy_for(seen.reason)
    assert (seen.phase, seen.reason, seen.exit_code) == expected
