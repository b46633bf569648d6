"""The container that an engine is asked for, as people write it: a command line of ``docker run``, or for Compose."""

from __future__ import annotations

import csv
import json
import shlex
from io import StringIO
from typing import TYPE_CHECKING, Any

from runner.launchers.shell import shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.launchers.docker.container import Container
    from runner.schema.documents import JsonObject

_NETWORK_MODES = ("default", "bridge", "host", "none")


def docker_run(container: Container, *, engine: str, remove: bool) -> str:
    """Return the command line of a shell that starts the container, waits for it, and ends with its code."""
    docker = f"docker --host={shell_word(engine)} run" if engine else "docker run"
    options = [f"--{name}={shell_word(text)}" if text else f"--{name}" for name, text in _flags(container)]
    lines = [docker, *(["--rm"] if remove else []), *options]
    lines += [shlex.join([container.image, *(container.config["Cmd"] or ())])]
    return " \\\n  ".join(lines) + "\n"


def _flags(container: Container) -> Iterator[tuple[str, str]]:
    """Yield the options of the command line; one without a text is a switch."""
    config, host = container.config, container.config["HostConfig"]
    for name, text in (
        ("pull", container.pull),
        ("name", container.name),
        ("user", config["User"]),
        ("platform", container.platform),
        ("runtime", host.get("Runtime", "")),
    ):
        if text:
            yield name, text
    networks = [] if host["NetworkMode"] == "default" else [host["NetworkMode"], *container.networks]
    lists = {
        "network": networks,
        "env-file": container.env_file,
        "env": [name if text is None else f"{name}={text}" for name, text in container.environ.items()],
        "label": [f"{name}={text}" for name, text in config["Labels"].items()],
        "volume": host["Binds"],
        "mount": map(_mount, host["Mounts"]),
        "tmpfs": host["Tmpfs"],
        "add-host": host["ExtraHosts"],
        "cap-drop": host["CapDrop"],
        "security-opt": host["SecurityOpt"],
        "storage-opt": [f"{name}={text}" for name, text in host.get("StorageOpt", {}).items()],
        "gpus": [str(request["Count"]) for request in host.get("DeviceRequests", [])],
    }
    for name, texts in lists.items():
        for text in texts:
            yield name, text
    if host["ReadonlyRootfs"]:
        yield "read-only", ""
    if "NanoCpus" in host:
        yield "cpus", _cores(host)
    for name, field in (("memory", "Memory"), ("memory-swap", "MemorySwap"), ("shm-size", "ShmSize")):
        if field in host:
            yield name, str(host[field])
    yield "restart", host["RestartPolicy"]["Name"]
    yield "stop-timeout", str(config["StopTimeout"])


def _mount(mount: JsonObject) -> str:
    """Return a mount as the command line has it: fields as in a file of comma-separated values."""
    fields = [f"type={mount['Type']}", f"source={mount['Source']}", f"target={mount['Target']}"]
    line = StringIO()
    csv.writer(line, lineterminator="").writerow([*fields, *(["readonly"] if mount.get("ReadOnly") else [])])
    return line.getvalue()


def _cores(host: JsonObject) -> str:
    return f"{host['NanoCpus'] / 10**9:.9f}".rstrip("0").rstrip(".")


def compose(container: Container, service: str) -> str:
    """Return a file for Compose with the container as its one service: https://github.com/compose-spec/compose-spec."""
    config, host = container.config, container.config["HostConfig"]
    networks = [host["NetworkMode"], *container.networks]
    is_mode = host["NetworkMode"].startswith((*_NETWORK_MODES, "container:"))
    entries: JsonObject = {
        "image": config["Image"],
        "command": config["Cmd"],
        "container_name": container.name,
        "pull_policy": container.pull,
        "platform": container.platform,
        "runtime": host.get("Runtime"),
        "user": config["User"],
        "network_mode": host["NetworkMode"] if is_mode and host["NetworkMode"] != "default" else "",
        "networks": [] if is_mode else networks,
        "env_file": list(container.env_file),
        "environment": container.environ,
        "labels": config["Labels"],
        "volumes": [*host["Binds"], *map(_long_volume, host["Mounts"])],
        "read_only": host["ReadonlyRootfs"],
        "tmpfs": list(host["Tmpfs"]),
        "extra_hosts": host["ExtraHosts"],
        "cap_drop": host["CapDrop"],
        "security_opt": host["SecurityOpt"],
        "storage_opt": host.get("StorageOpt"),
        "cpus": _cores(host) if "NanoCpus" in host else None,
        "mem_limit": host.get("Memory"),
        "memswap_limit": host.get("MemorySwap"),
        "shm_size": host.get("ShmSize"),
        "deploy": _devices(host.get("DeviceRequests", [])),
        "restart": host["RestartPolicy"]["Name"],
        "stop_grace_period": f"{config['StopTimeout']}s",
    }
    file: JsonObject = {"services": {service: {name: value for name, value in entries.items() if value}}}
    if not is_mode:
        file["networks"] = {name: {"external": True} for name in networks}
    return "\n".join(_yaml(file)) + "\n"


def _long_volume(mount: JsonObject) -> JsonObject:
    read_only = {"read_only": True} if mount.get("ReadOnly") else {}
    bind = {"bind": {"create_host_path": False}}
    return {"type": mount["Type"], "source": mount["Source"], "target": mount["Target"], **read_only, **bind}


def _devices(requests: list[JsonObject]) -> JsonObject:
    devices = [{"driver": "nvidia", "count": request["Count"], "capabilities": ["gpu"]} for request in requests]
    return {"resources": {"reservations": {"devices": devices}}} if devices else {}


def _yaml(value: Any, indent: str = "") -> Iterator[str]:
    """Yield the lines of a dictionary; a text is one of JSON, in which Compose puts no variables in."""
    for name, held in value.items():
        key = f"{indent}{name if name.replace('_', '').isalnum() else json.dumps(name)}:"
        if isinstance(held, dict):
            yield key
            yield from _yaml(held, indent + "  ")
        elif isinstance(held, list) and any(isinstance(one, dict) for one in held):
            yield key
            yield from (f"{indent}  - {_scalar(one)}" for one in held)
        else:
            yield f"{key} {_scalar(held)}"


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("$", "$$")
