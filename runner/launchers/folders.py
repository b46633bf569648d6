"""Folders of this machine in which a flow and its runs lie: a container has them only where they are mounted."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from runner.errors import EnvironmentWrong
from runner.location import parse_location
from runner.schemes import BAKED_WORD, LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def folders_of(environ: Mapping[str, str]) -> list[str]:
    """Return the absolute paths of the folders that a flow reads and writes, by its variables; none for other storages.

    Example:
        >>> from runner.launchers.folders import folders_of
        >>> folders_of({"RUNNER_LOCATION": "file:///flows/etl/v1", "RUNNER_RESULTS": "s3://results"})
        ['/flows/etl']
    """
    where = {
        name: parse_location(text) for name in ("RUNNER_LOCATION", "RUNNER_RESULTS") if (text := environ.get(name))
    }
    paths = {
        name: PurePosixPath(place.container, place.key) for name, place in where.items() if place.scheme == LOCAL.scheme
    }
    flow = paths.pop("RUNNER_LOCATION", None)
    is_mounted = flow and environ.get("RUNNER_STORAGE") != BAKED_WORD
    return list(dict.fromkeys(map(str, [*([flow.parent] if flow and is_mounted else []), *paths.values()])))


def check_mounted(kind: str, environ: Mapping[str, str], mounted: Iterable[str], option: str) -> None:
    """Refuse a container that has not the folders that its flow lies in, and writes to.

    Args:
        kind: of the launcher.
        environ: the container's variables.
        mounted: the paths in the container at which there are volumes.
        option: how the platform is told of a volume.

    Raises:
        EnvironmentWrong: with the folder that is not there.
    """
    paths = list(mounted)
    for folder in folders_of(environ):
        if not any(PurePosixPath(folder).is_relative_to(path) for path in paths):
            message = f"{folder} is a folder of this machine, and the container on {kind} has nothing mounted there"
            hint = f"Build the flow in a storage that both reach, s3://… say, or mount a volume at this path: {option}."
            raise EnvironmentWrong(message, hint=hint)
