"""What is read of this machine, and of control groups as they were recorded on others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner import machine

if TYPE_CHECKING:
    from pathlib import Path

MB = 1024 * 1024
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
    for name, text in {**files, "proc/meminfo": MEMINFO}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert machine.limits(tmp_path) == machine.Limits(version, memory, used, cpus, 16384000 * 1024)


def test_where_nothing_tells_of_memory_nothing_is_said(tmp_path: Path) -> None:
    assert machine.limits(tmp_path) == machine.Limits(None, None, None, None, None)


def test_a_library_that_is_absent_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LIBRARIES", ("cloudpickle", "no-such-library"))
    found = machine.facts({"RUNNER_IMAGE": "org/runner:aws"})
    assert found["libraries"]["no-such-library"] is None
    assert found["libraries"]["cloudpickle"]
    assert found["image"] == "org/runner:aws"


def test_a_tmpdir_that_is_not_used_is_told() -> None:
    state, told = machine.temporary_folder({"TMPDIR": "/no/such/folder"})
    assert state == "note"
    assert told.endswith("TMPDIR is /no/such/folder, which cannot")
