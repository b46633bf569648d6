"""A cluster of Slurm on this machine: one node, on loopback, with memory limits by control groups."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CONF = """
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge/sock
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/controller.pid
SlurmdPidFile={folder}/node.pid
SlurmctldLogFile={folder}/controller.log
SlurmdLogFile={folder}/node.log
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerNode=200
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
KillWait=2
MinJobAge=300
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE OverSubscribe=FORCE:8 State=UP
"""
_CGROUP = """
CgroupMountpoint=/sys/fs/cgroup
CgroupPlugin=cgroup/v1
ConstrainRAMSpace=yes
ConstrainCores=no
"""
_END_SECONDS = 20
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")


@dataclass(frozen=True)
class Slurm:
    """A cluster that is up; ``environ`` has what its commands need to find it."""

    folder: Path
    environ: dict[str, str]

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=os.environ | self.environ, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done
        return done.stdout


def missing_program() -> str | None:
    """Name what is not installed, if anything is."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return next((name for name in PROGRAMS if shutil.which(name, path=path) is None), None)


@contextmanager
def start_slurm(folder: Path) -> Iterator[Slurm]:
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(mode=0o755)
    folder.chmod(0o755)
    key = folder / "munge" / "key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    host = socket.gethostname().partition(".")[0]
    conf = _CONF.format(folder=folder, host=host, controller=free_port(), node=free_port())
    (folder / "slurm.conf").write_text(conf)
    (folder / "cgroup.conf").write_text(_CGROUP)
    environ = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    munge = [
        *("munged", "--foreground", "--force", f"--socket={folder}/munge/sock", f"--key-file={key}"),
        *(f"--log-file={folder}/munge/log", f"--pid-file={folder}/munge/pid", f"--seed-file={folder}/munge/seed"),
    ]
    with ExitStack() as stack:
        cluster = Slurm(folder, environ)
        for command in (munge, ["slurmctld", "-D", "-i"], ["slurmd", "-D", "-c"]):
            process = subprocess.Popen(
                command, env=os.environ | environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(_end, process)
        _wait_until_idle(cluster)
        yield cluster
        cluster.run("scancel", "--user=root")
        time.sleep(1)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a daemon to end, and kill one that does not: slurmd waits for its steps, and may have lost one."""
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_idle(cluster: Slurm) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if "idle" in cluster.run("sinfo", "--noheader", "--format=%T"):
                return
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, (cluster.folder / "controller.log").read_text()[-2000:]
        time.sleep(0.2)
