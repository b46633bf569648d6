"""The one container that an engine is asked for, as its API has it: from it come the call, and what is rendered."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runner.errors import EnvironmentWrong
from runner.launchers.folders import folders_of
from runner.location import parse_location
from runner.secrets.named import MOUNT_FOLDER
from runner.settings import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.launchers.base import Order
    from runner.launchers.docker.options import Options
    from runner.schema.documents import JsonObject

_SECONDS_MORE = 5  # than the flow's grace, until an engine that is told to stop its container kills it


class Container(NamedTuple):
    """What an engine is asked for.

    Args:
        name: of the container.
        config: the body of the API's call, but for the variables of ``env_file``, which are read when it is made:
            https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerCreate
        env_file: files with more variables.
        networks: further ones that it is connected to before it starts.
        pull: when the image is pulled.
        platform: of the image; empty for the engine's own.
        plain: variables whose values are not to be shown.
    """

    name: str
    config: JsonObject
    env_file: tuple[str, ...]
    networks: tuple[str, ...]
    pull: str
    platform: str
    plain: tuple[str, ...]

    @property
    def image(self) -> str:
        """The image's name."""
        image: str = self.config["Image"]
        return image

    @property
    def environ(self) -> dict[str, str | None]:
        """The variables by name, without the values of those that are not to be shown."""
        variables = dict(text.split("=", 1) for text in self.config["Env"])
        return {**variables, **dict.fromkeys(self.plain)}


def make_container(order: Order, options: Options) -> Container:
    """Return the container of an order."""
    environ, resources = dict(order.environ), order.resources
    mounts = [*_mounted_secrets(order.secrets, environ), *_mounted_folders(environ)]
    host: JsonObject = {
        "NetworkMode": next(iter(options.network), "default"),
        "Binds": list(options.volumes),
        "Mounts": mounts,
        "ReadonlyRootfs": options.read_only,
        "Tmpfs": {"/tmp": ""} if options.read_only else {},  # noqa: S108 - its well-known place
        "ExtraHosts": list(options.extra_hosts),
        "CapDrop": list(options.cap_drop),
        "SecurityOpt": list(options.security_opt),
        "RestartPolicy": {"Name": "no"},
        "AutoRemove": options.remove == "auto" and not order.command,  # of which it is asked how it ended
    }
    if "cpu" in resources:
        host["NanoCpus"] = int(resources["cpu"] * 10**9)
    if "memory" in resources:
        host["Memory"] = host["MemorySwap"] = resources["memory"]
    if "gpu" in resources:
        host["DeviceRequests"] = [{"Driver": "", "Count": resources["gpu"], "Capabilities": [["gpu"]]}]
    if "disk" in resources and options.limit_disk:
        host["StorageOpt"] = {"size": str(resources["disk"])}
    if options.shm_size:
        host["ShmSize"] = options.shm_size
    if options.runtime:
        host["Runtime"] = options.runtime
    config: JsonObject = {
        "Image": order.image,
        "Cmd": list(order.command) or None,
        "Env": [f"{name}={text}" for name, text in sorted(environ.items())],
        "Labels": dict(sorted(order.labels.items())),
        "User": options.user or (f"{os.getuid()}:{os.getgid()}" if mounts else ""),
        "StopTimeout": math.ceil(order.grace) + _SECONDS_MORE,
        "HostConfig": host,
    }
    return Container(
        order.name, config, options.env_file, options.network[1:], options.pull, options.platform, order.plain
    )


def check_mounts(container: Container) -> None:
    """Refuse to mount what is not on this machine, where Podman would make a folder. Raises EnvironmentWrong."""
    host = container.config["HostConfig"]
    for mount in host["Mounts"]:
        is_there = Path.is_file if mount["Target"].startswith(f"{MOUNT_FOLDER}/") else Path.exists
        if not is_there(Path(mount["Source"])):
            message = f"there is no {mount['Source']}, which was to be {mount['Target']} in the container"
            raise EnvironmentWrong(message, hint="Correct its path: --secret NAME=PATH of a file, or RUNNER_RESULTS.")
    for source in (volume.partition(":")[0] for volume in host["Binds"]):
        if source.startswith("/") and not Path(source).exists():
            message = f"there is no {source}, which was to be a volume, and the engine would make an empty folder of it"
            raise EnvironmentWrong(message, hint="Make it, or correct its path: -O volumes=SOURCE:TARGET.")


def with_files_read(container: Container, environ: Mapping[str, str]) -> JsonObject:
    """Return the body of the API's call, with the variables of the files; others of the same name beat them."""
    read: dict[str, str] = {}
    for path in container.env_file:
        read |= _read_env_file(path, environ)
    given = {text.partition("=")[0] for text in container.config["Env"]}
    more = [f"{name}={text}" for name, text in sorted(read.items()) if name not in given]
    return {**container.config, "Env": [*more, *container.config["Env"]]}


def _mounted_secrets(secrets: Mapping[str, str], environ: dict[str, str]) -> Iterator[JsonObject]:
    """Yield the file of each secret where runner looks for it; a variable of runner's own is told where that is."""
    for name, path in sorted(secrets.items()):
        target = f"{MOUNT_FOLDER}/{name}"
        if name in VARIABLES:
            environ[f"{name}_FILE"] = target
        source = str(Path(path).expanduser().absolute())
        yield {"Type": "bind", "Source": source, "Target": target, "ReadOnly": True}


def _mounted_folders(environ: dict[str, str]) -> Iterator[JsonObject]:
    """Yield the folders of this machine in which the flow and its runs lie, under the same paths."""
    if text := environ.get("RUNNER_RESULTS"):
        environ["RUNNER_RESULTS"] = parse_location(text).url
    for folder in folders_of(environ):
        yield {"Type": "bind", "Source": folder, "Target": folder}


def _read_env_file(path: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Read a file of variables as the engine's command line does: https://docs.docker.com/reference/cli/docker/container/run/#env.

    Raises EnvironmentWrong, which quotes no value.
    """
    try:
        lines = Path(path).expanduser().read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        message = f"the env_file {path} cannot be read: {error}"
        raise EnvironmentWrong(message, hint="Correct its path: -O env_file=PATH.") from error
    read = {}
    for number, line in enumerate(map(str.lstrip, lines), 1):
        name, equals, value = line.partition("=")
        if not line or line.startswith("#"):
            continue
        if not name or any(map(str.isspace, name)):
            message = f"line {number} of {path} begins with no variable's name"
            raise EnvironmentWrong(message, hint="Write NAME=VALUE, without export and without quotes.")
        if equals or name in environ:
            read[name] = value if equals else environ[name]
    return read
