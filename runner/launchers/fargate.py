"""The sizes that Fargate has: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from runner.errors import EnvironmentWrong

if TYPE_CHECKING:
    from runner.schema.documents import ResourcesRecord

MIB, GIB = 2**20, 2**30
CORES, MEMORY = 1, 2 * GIB  # of a container whose flow says nothing
_UNITS = 1024  # of ECS, in one core
# CPU units: the least and the most memory in MiB, and the steps between them.
_SIZES = {
    256: (512, 2048, 512),
    512: (1024, 4096, 1024),
    1024: (2048, 8192, 1024),
    2048: (4096, 16384, 1024),
    4096: (8192, 30720, 1024),
    8192: (16384, 61440, 4096),
    16384: (32768, 122880, 8192),
}
_NOT_A_SIZE = (256, 1536)
_DISK = range(21, 201)  # GiB; https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-task-storage.html


class Size(NamedTuple):
    """CPU units, of which a core has 1024, and MiB of memory."""

    cpu: int
    memory: int

    @property
    def cores(self) -> str:
        """The cores as AWS Batch writes them: ``0.5``."""
        return f"{self.cpu / _UNITS:g}"


def asked_size(resources: ResourcesRecord) -> Size:
    """Return what a flow asks for, or the default."""
    return Size(math.ceil(resources.get("cpu", CORES) * _UNITS), math.ceil(resources.get("memory", MEMORY) / MIB))


def fargate_size(resources: ResourcesRecord) -> Size:
    """Return the smallest of Fargate's sizes that has what a flow asks for. Raises EnvironmentWrong if none has."""
    if "gpu" in resources:
        message = "the flow asks for a GPU, and Fargate has none"
        raise EnvironmentWrong(message, hint="Launch it on EC2 instances that have them.")
    asked = asked_size(resources)
    for cpu, (least, most, step) in _SIZES.items():
        for memory in range(least, most + 1, step):
            if cpu >= asked.cpu and memory >= asked.memory and (cpu, memory) != _NOT_A_SIZE:
                return Size(cpu, memory)
    message = f"Fargate has no size with {asked.cores} cores and {asked.memory} MiB of memory"
    raise EnvironmentWrong(message, hint="Its largest has 16 cores and 122880 MiB: ask for less, or launch it on EC2.")


def fargate_disk(resources: ResourcesRecord) -> int | None:
    """Return the GiB of disk to ask Fargate for; None where its 20 are enough. Raises EnvironmentWrong."""
    disk = math.ceil(resources.get("disk", 0) / GIB)
    if disk < _DISK.start:
        return None
    if disk not in _DISK:
        message = f"the flow asks for {disk} GiB of disk, and Fargate gives {_DISK[-1]} at the most"
        raise EnvironmentWrong(message, hint="Ask for less: --disk, or mount a file system.")
    return disk
