"""What is read of control groups: as they were recorded on other machines, and as the engine's version 1 has them.

The trees in ``cgroup/v2`` hold, of real groups of version 2, the files of which the contents were published:

- ``user-service``: a service of a user's systemd with MemoryMax=512M, killed in it; Ubuntu 24.04, Linux 6.6.87.
  github.com/realtyz/ops-manual, ``Linux/10_性能分析与排障/11_横切_容器与服务视角_cgroup治理.md``
- ``raspberry-pi``: a shell killed in a group of 400 kB, by a kernel that has neither ``oom_group_kill`` nor
  ``memory.peak``. "Linux Control Groups: Fork Bomb Revisited", written for CSE 522S of Washington University
- ``oom-group``: a server that went with its whole group, as ``memory.oom.group`` was 1; Linux 7.0. A student's report
  on namespaces and control groups ("Часть 3 - cgroups", group ``lab1-memory``)
- ``backup``: held at its ``memory.high``, and nothing killed; Linux 5.6.
  https://lore.kernel.org/cgroups/20200409112505.2e1fc150@hemera.lan.sysophe.eu
- ``unlimited``: a fresh group with all its files; Linux 6.7. github.com/intel/memory-usage-analyzer, the page on
  ``config.py``
- ``systemd-in-docker``: ``docker run --memory 1g`` with systemd in it, of which a service was killed at its own
  128 MB, in a group below. A course on running a server, the part on OOM (container ``cffcaaa5d26c``)

Where the source does not give ``/proc/self/cgroup`` and ``cgroup.controllers``, they are the usual ones.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner import cgroup
from runner.cgroup import Limits

MB = 1024 * 1024
V2 = Path(__file__).parent / "data/cgroup/v2"
MEMINFO = "MemTotal:       16384000 kB\nMemFree:         1000000 kB\n"
# «docker run --memory 512m --cpus 1.5», Debian 12: the group lies at the mount
DOCKER_V2 = {
    "proc/self/cgroup": "0::/\n",
    "sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n",
    "sys/fs/cgroup/memory.max": "536870912\n",
    "sys/fs/cgroup/memory.current": "20971520\n",
    "sys/fs/cgroup/cpu.max": "150000 100000\n",
}
# a service of systemd's under a slice that is limited, seen from the machine; the topmost group has no such files
SLICE_V2 = {
    "proc/self/cgroup": "0::/team.slice/job.service\n",
    "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
    "sys/fs/cgroup/team.slice/memory.max": "1073741824\n",
    "sys/fs/cgroup/team.slice/memory.current": "41943040\n",
    "sys/fs/cgroup/team.slice/cpu.max": "max 100000\n",
    "sys/fs/cgroup/team.slice/job.service/memory.max": "max\n",
    "sys/fs/cgroup/team.slice/job.service/memory.current": "10485760\n",
    "sys/fs/cgroup/team.slice/job.service/cpu.max": "max 100000\n",
}
# the same container on a machine with version 1: its path is the machine's, and is not there
DOCKER_V1 = {
    "proc/self/cgroup": "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "20971520\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
}
FREE_V1 = {
    "proc/self/cgroup": "9:memory:/\n4:cpu,cpuacct:/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "20971520\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
}
# «docker run --memory 64m» on Debian 12's engine with version 1, after a process in it asked for 200 MB
KILLED_V1 = {
    "proc/self/cgroup": "4:memory:/docker/fca949b8de27\n0::/docker/fca949b8de27\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "67108864\n",
    "sys/fs/cgroup/memory/memory.max_usage_in_bytes": "67108864\n",
    "sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
}


def tree(root: Path, *made: dict[str, str]) -> str:
    for files in made:
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return str(root)


@pytest.mark.parametrize(
    ("files", "version", "memory", "used", "cpus"),
    [
        (DOCKER_V2, 2, 512 * MB, 20 * MB, 1.5),
        (SLICE_V2, 2, 1024 * MB, 10 * MB, None),
        (DOCKER_V1, 1, 512 * MB, 20 * MB, 0.5),
        (FREE_V1, 1, None, 20 * MB, None),
        ({}, None, None, None, None),
    ],
    ids=["docker v2", "slice v2", "docker v1", "no limit v1", "no cgroups"],
)
def test_limits_are_read_of_both_versions(
    tmp_path: Path, files: dict[str, str], version: int | None, memory: int | None, used: int | None, cpus: float | None
) -> None:
    root = tree(tmp_path, files, {"proc/meminfo": MEMINFO})
    assert cgroup.read_limits(root) == Limits(version, memory, used, cpus, 16384000 * 1024)


def test_where_no_file_counts_memory_all_is_unknown(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert cgroup.read_limits(root) == Limits(None, None, None, None, None)
    assert (cgroup.count_oom_kills(root), cgroup.peak_memory(root), cgroup.memory_limit(root)) == (None, None, None)


def test_a_limit_is_found_with_the_file_that_sets_it(tmp_path: Path) -> None:
    root = tree(tmp_path, SLICE_V2)
    assert cgroup.memory_limit(root) == (1024 * MB, f"{root}/sys/fs/cgroup/team.slice/memory.max")
    real = cgroup.memory_limit()
    assert real is None or real.file.startswith("/sys/fs/cgroup/")


def test_version_1_reports_a_limit_above_that_a_container_does_not_see(tmp_path: Path) -> None:
    stat = {"sys/fs/cgroup/memory/memory.stat": "cache 0\nrss 1\nhierarchical_memory_limit 268435456\n"}
    root = tree(tmp_path, DOCKER_V1, stat)
    assert cgroup.memory_limit(root) == (256 * MB, f"{root}/sys/fs/cgroup/memory/memory.stat")
    assert cgroup.read_limits(root).memory == 256 * MB
    tree(tmp_path, {name: text.replace("268435456", "9223372036854771712") for name, text in stat.items()})
    assert cgroup.read_limits(root).memory == 512 * MB


@pytest.mark.parametrize(
    ("recorded", "kills", "peak", "limit"),
    [
        ("user-service", 1, 512 * MB, 512 * MB),
        ("raspberry-pi", 1, None, 409600),
        ("oom-group", 2, None, 64 * MB),
        ("backup", 0, None, 2304 * MB),
        ("unlimited", 0, 0, None),
        ("systemd-in-docker", 1, 173756416, 1024 * MB),
    ],
)
def test_kills_peak_and_limit_are_read_of_recorded_groups(
    recorded: str, kills: int, peak: int | None, limit: int | None
) -> None:
    root = str(V2 / recorded)
    assert cgroup.count_oom_kills(root) == kills
    assert cgroup.peak_memory(root) == peak
    found = cgroup.memory_limit(root)
    assert (found and found.size) == limit


def test_a_kill_in_a_group_below_is_not_this_ones(tmp_path: Path) -> None:
    """A kernel with ``memory.events.local`` would have written there what was counted of this group itself: nothing."""
    shutil.copytree(V2 / "systemd-in-docker", tmp_path / "root")
    own = (V2 / "unlimited/sys/fs/cgroup/memoryusageanalyzer/memory.events.local").read_text()
    root = tree(tmp_path / "root", {"sys/fs/cgroup/memory.events.local": own})
    assert cgroup.count_oom_kills(root) == 0
    assert cgroup.describe_oom_kill(0, root) is None


GIVE_MORE = (
    "give it more (docker run --memory, or resources.limits.memory in Kubernetes), or let tasks hold less at a time"
)
MACHINE = (
    "so the machine, or another group, had none left; have this much memory kept for it (resources.requests.memory in "
    "Kubernetes), or run less beside it on the machine"
)
SERVICE = "user.slice/user-1000.slice/user@1000.service/app.slice/labm6.service"


@pytest.mark.parametrize(
    ("recorded", "usage", "remedy"),
    [
        ("user-service", "the limit is 512 MiB ({mount}/" + SERVICE + "/memory.max), 512 MiB were in use; ", GIVE_MORE),
        ("raspberry-pi", "the limit is 0.4 MiB ({mount}/child/memory.max); ", GIVE_MORE),
        (
            "systemd-in-docker",
            "of the limit of 1024 MiB ({mount}/memory.max) no more than 165.7 MiB were in use, ",
            MACHINE,
        ),
    ],
)
def test_a_kill_is_described_with_its_limit_and_the_remedy(recorded: str, usage: str, remedy: str) -> None:
    root = str(V2 / recorded)
    usage = usage.format(mount=f"{root}/sys/fs/cgroup")
    assert cgroup.describe_oom_kill(0, root) == f"the kernel killed it for memory: {usage}{remedy}"


def test_a_kill_in_version_1_is_described_with_its_limit_and_the_remedy(tmp_path: Path) -> None:
    text = cgroup.describe_oom_kill(0, tree(tmp_path, KILLED_V1))
    assert text is not None
    assert text.startswith("the kernel killed it for memory: the limit is 64 MiB")
    assert "/sys/fs/cgroup/memory/memory.limit_in_bytes), 64 MiB were in use; give it more" in text


def test_without_a_limit_it_is_the_machine_that_had_none_left(tmp_path: Path) -> None:
    counted = {"sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"}
    used = {"sys/fs/cgroup/memory/memory.max_usage_in_bytes": "20971520\n"}
    text = cgroup.describe_oom_kill(2, tree(tmp_path, FREE_V1, counted))
    assert text is not None
    assert "no limit is set, but the machine had none left; have this much memory kept" in text
    text = cgroup.describe_oom_kill(2, tree(tmp_path, used))
    assert text is not None
    assert "the machine had none left (20 MiB in use here at the most); " in text


@pytest.mark.parametrize("recorded", ["user-service", "raspberry-pi", "oom-group", "backup", "systemd-in-docker"])
def test_what_was_counted_before_is_no_proof(recorded: str) -> None:
    root = str(V2 / recorded)
    assert cgroup.describe_oom_kill(cgroup.count_oom_kills(root), root) is None


@pytest.mark.parametrize("before", [None, 0])
def test_where_the_kernel_does_not_count_nothing_is_claimed(tmp_path: Path, before: int | None) -> None:
    """Linux before 4.13 has no ``oom_kill`` in version 1; gVisor has no such file."""
    old = {"sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n"}
    for root in (tree(tmp_path / "old", DOCKER_V1, old), tree(tmp_path / "gvisor", DOCKER_V1), str(tmp_path)):
        assert cgroup.count_oom_kills(root) is None
        text = cgroup.describe_oom_kill(before, root)
        assert text is not None
        assert text.startswith("whether for memory, which is the usual reason, the kernel does not say here")
        assert "docker inspect (State.OOMKilled)" in text


@pytest.mark.parametrize("version", [1, 2])
def test_too_few_processes_are_described_with_their_limit_and_the_remedy(tmp_path: Path, version: int) -> None:
    """«docker run --pids-limit 12», of either version."""
    group, folder = (DOCKER_V1, "sys/fs/cgroup/pids") if version == 1 else (DOCKER_V2, "sys/fs/cgroup")
    root = tree(tmp_path, group, {f"{folder}/pids.max": "12\n", f"{folder}/pids.events": "max 1\n"})
    text = cgroup.describe_process_limit(root)
    assert text.startswith("the kernel refused it another process or thread: 12 are all that there may be here (")
    assert f"({root}/{folder}/pids.max); allow it more (docker run --pids-limit; " in text
    tree(tmp_path, {f"{folder}/pids.max": "max\n"})
    assert "ulimit" in cgroup.describe_process_limit(root)


@pytest.mark.parametrize("refusal", ['RuntimeError("can\'t start new thread")', "MemoryError()"])
def test_a_limited_address_space_is_told_as_that_and_not_as_too_few_processes(refusal: str) -> None:
    script = f"from runner import cgroup; print(cgroup.process_limit_error({refusal}))"
    limited = ["prlimit", "--as=1073741824", sys.executable, "-c", script]
    told = subprocess.run(limited, capture_output=True, text=True, check=True).stdout
    assert "its address space is limited to 1024 MiB" in told
    assert "ulimit -v" in told
    assert "process or thread" not in told
    free = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "address space" not in free


def test_it_loads_nothing_that_is_not_loaded_already() -> None:
    before = "import sys, runner.errors; before = set(sys.modules); "
    script = before + "import runner.cgroup; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["runner.cgroup"]
