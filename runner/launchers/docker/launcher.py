"""``Docker``: a container on an engine that speaks Docker's API, which Podman's does as well."""

from __future__ import annotations

import math
import re
import time
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from runner.environ import process_environ
from runner.errors import EnvironmentWrong
from runner.launchers.base import LOG_LINES, Launcher, Order, Sighting
from runner.launchers.docker.command import compose, docker_run
from runner.launchers.docker.container import Container, check_mounts, make_container, with_files_read
from runner.launchers.docker.engine import baked_bundle, explanation, open_engine, provide_image, told
from runner.launchers.docker.options import read_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.schema.documents import JsonObject

_KILLED = 137
_HERE = re.compile(r"[a-z0-9+]+://(localhost|127\.0\.0\.1|\[::1\])([:/]|$)")
_MADE_SECONDS, _LOOK_SECONDS = 30.0, 0.1
_BY_SOCKET = "http+docker:"  # what the SDK calls an engine of this machine
_LIVING = {"running", "paused", "restarting", "stopping"}
_NOT_BEGUN = {"created", "configured", "initialized"}  # the last two are Podman's


class Docker(Launcher):
    """Run flows in containers of a Docker engine, or of Podman through its Docker-compatible socket.

    A secret's reference is the path of a file, which is mounted at ``/run/secrets/NAME``. Where the flow, or
    its runs, lie in a folder of this machine, that is mounted as well, under the same path.

    Args:
        engine: its address: ``unix:///run/user/1000/podman/podman.sock``; by default as Docker's own command line
            chooses it, from ``DOCKER_HOST`` or the current context.
        pull: when the image is pulled: ``missing`` (default), ``always`` or ``never``.
        network: one network, or several; ``host`` is the machine's own.
        volumes: ``SOURCE:TARGET`` or ``SOURCE:TARGET:ro``, a folder of this machine or the name of a volume.
        user: ``1000:1000``; by default whoever launches, where files of theirs are mounted, else the image's own.
        read_only: whether the container's files cannot be written to, but those in ``/tmp``.
        extra_hosts: ``NAME:ADDRESS``.
        env_file: files of variables, as Docker's ``--env-file`` takes them.
        remove: ``ended`` (default): once it is written down how it ended; ``auto``: by the engine, as soon as it ends;
            ``never``.
        shm_size: of ``/dev/shm``: ``1Gi``.
        platform: of the image: ``linux/arm64``.
        runtime: of the engine's, by its name: ``runsc``.
        cap_drop: capabilities that are taken away; by default ``ALL``.
        security_opt: by default ``no-new-privileges``.
        limit_disk: whether the disk of the flow's resources is a limit, which few of an engine's storages can keep.
        render: what is rendered: a command line of ``docker run`` (``run``, the default), or ``compose``.

    Example:
        >>> from runner.launchers import Docker
        >>> Docker(network="host", read_only=True).given
        {'network': 'host', 'read_only': True}
    """

    kind = "docker"

    def __init__(  # noqa: PLR0913 - each is an option
        self,
        *,
        engine: str | None = None,
        pull: str | None = None,
        network: str | Sequence[str] | None = None,
        volumes: str | Sequence[str] | None = None,
        user: str | int | None = None,
        read_only: bool | None = None,
        extra_hosts: str | Sequence[str] | None = None,
        env_file: str | Sequence[str] | None = None,
        remove: str | None = None,
        shm_size: str | int | None = None,
        platform: str | None = None,
        runtime: str | None = None,
        cap_drop: str | Sequence[str] | None = None,
        security_opt: str | Sequence[str] | None = None,
        limit_disk: bool | None = None,
        render: str | None = None,
    ) -> None:
        super().__init__(
            engine=engine,
            pull=pull,
            network=network,
            volumes=volumes,
            user=user,
            read_only=read_only,
            extra_hosts=extra_hosts,
            env_file=env_file,
            remove=remove,
            shm_size=shm_size,
            platform=platform,
            runtime=runtime,
            cap_drop=cap_drop,
            security_opt=security_opt,
            limit_disk=limit_disk,
            render=render,
        )
        self._options = read_options(self.given)
        self._engine, self._opened = engine or "", None

    @property
    def _api(self) -> Any:
        """The engine, which is opened when it is first asked for something."""
        if self._opened is None:
            self._opened = open_engine(self._engine)
        return self._opened

    def check(self) -> str:
        """See `Launcher.check`."""
        with told():
            facts = self._api.version()
        parts = [f"{part['Name']} {part['Version']}" for part in facts.get("Components") or ()]
        return f"{(parts or [facts['Version']])[0]} answers"

    def flow_in(self, image: str) -> tuple[str, bytes]:
        """See `Launcher.flow_in`."""
        with told():
            provide_image(self._api, image, self._options.pull, self._options.platform, self.tell)
            return baked_bundle(self._api, image)

    def render(self, order: Order) -> str:
        """See `Launcher.render`; what it runs is removed when it ends, as `launch` has it removed later.

        Where each start is a run of its own it has no name, so that there may be several at a time.
        """
        container = make_container(order, self._options)
        if "runner/launch" not in order.labels:
            container = container._replace(name="")
        if self._options.render == "compose":
            return compose(container, order.name)
        return docker_run(container, engine=self._engine, remove=self._options.remove != "never")

    def launch(self, order: Order) -> dict[str, str]:
        """See `Launcher.launch`; what an engine writes down of a failed start is left to `describe`."""
        container = make_container(order, self._options)
        if "disk" in order.resources and not self._options.limit_disk:
            self.tell("Docker keeps no limit of the disk, unless its storage can: -O limit_disk=true")
        here = [name for name, text in order.environ.items() if _HERE.match(text)]
        mode = container.config["HostConfig"]["NetworkMode"]
        if here and mode != "host" and not mode.startswith("container:"):
            self.tell(
                f"{here[0]} has localhost in it, which a container itself is; with -O network=host, this machine is"
            )
        with told():
            found = self._inspect(order.name) or self._create(container)
            if found["State"]["Status"] in _NOT_BEGUN and not found["State"].get("Error"):
                self._check(container, found)
                self._start(container, found)
        return {"id": found["Id"], "image": found["Image"]}

    def describe(self, name: str) -> Sighting:
        """See `Launcher.describe`."""
        with told():
            found = self._inspect(name)
            if found is None:
                return Sighting("absent")
            state = found["State"]
            if state["Status"] in _LIVING:
                return Sighting("running", "Paused" if state["Status"] == "paused" else "")
            if state["Status"] in _NOT_BEGUN and not state.get("Error"):
                return Sighting("waiting")
            return _ended(found, self._events(found))

    def stop(self, name: str, grace: float) -> None:
        """See `Launcher.stop`; it returns when the container is gone."""
        with told():
            found = self._inspect(name)
            if found and found["State"]["Status"] in _LIVING:
                self._api.stop(found["Id"], timeout=math.ceil(grace))

    def remove(self, name: str) -> None:
        """See `Launcher.remove`."""
        with told():
            from docker.errors import APIError

            found = self._inspect(name)
            if found is None or (self._options.remove == "never" and found["State"]["Status"] not in _NOT_BEGUN):
                return
            try:
                self._api.remove_container(found["Id"], force=True, v=True)
            except APIError as error:
                if error.status_code not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:  # it is gone, or about to go
                    raise

    def logs(self, name: str, lines: int = LOG_LINES) -> list[str]:
        """See `Launcher.logs`; none where the engine sends them elsewhere."""
        with told():
            from docker.errors import APIError

            try:
                written: bytes = self._api.logs(name, tail=lines)
            except APIError:
                return []
        return written.decode(errors="replace").splitlines()

    def _inspect(self, name: str) -> JsonObject | None:
        from docker.errors import APIError

        try:
            found: JsonObject = self._api.inspect_container(name)
        except APIError as error:
            # Podman 4.3 fails with 500 while it removes one
            if error.status_code == HTTPStatus.NOT_FOUND or "no such container" in explanation(error):
                return None
            raise
        return found

    def _create(self, container: Container) -> JsonObject:
        """Have the engine make the container; of two that do it at once, one does, and both find it."""
        from docker.errors import APIError

        config = with_files_read(container, process_environ())
        if self._api.base_url.startswith(_BY_SOCKET):
            check_mounts(container)
        provide_image(self._api, container.image, container.pull, container.platform, self.tell)
        try:
            made = self._api.create_container_from_config(config, container.name, container.platform or None)
        except APIError as error:
            is_taken = error.status_code == HTTPStatus.CONFLICT or "already in use" in explanation(error)
            found = self._wait_for(container.name, _MADE_SECONDS if is_taken else 0.0)
            if found is None:
                message = f"the engine refuses the container: {explanation(error)}"
                raise EnvironmentWrong(message, hint="Correct the image, or the option that it names.") from error
            return found
        for warning in made.get("Warnings") or ():
            self.tell(f"the engine warns: {warning}")
        return self._api.inspect_container(made["Id"])  # type: ignore[no-any-return]

    def _wait_for(self, name: str, seconds: float) -> JsonObject | None:
        """Return a container that another launcher has made, or is making: its name is taken before it can be seen."""
        until = time.monotonic() + seconds
        while (found := self._inspect(name)) is None and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
        return found

    def _check(self, container: Container, found: JsonObject) -> None:
        """Refuse, and remove, a container that is not what was asked for. Raises EnvironmentWrong."""
        asked, has = container.config["HostConfig"], found["HostConfig"]
        for field, words in {
            "Memory": "limit of memory",
            "NanoCpus": "limit of cores",
            "DeviceRequests": "GPUs",
            "ReadonlyRootfs": "read-only files",
        }.items():
            if asked.get(field) and not has.get(field):
                self._api.remove_container(found["Id"], force=True, v=True)
                message = f"the engine makes containers without {words}, which {container.name} was to have"
                raise EnvironmentWrong(message, hint="Ask for none, or take another engine: -O engine=….")

    def _start(self, container: Container, found: JsonObject) -> None:
        """Start what was made. Raises EnvironmentWrong where the engine, as Podman does, writes down no reason."""
        from docker.errors import APIError

        try:
            for network in container.networks:
                if network not in found["NetworkSettings"]["Networks"]:
                    self._api.connect_container_to_network(found["Id"], network)
            self._api.start(found["Id"])
        except APIError as error:
            now = self._inspect(container.name)
            if now and now["State"]["Status"] in _NOT_BEGUN and not now["State"].get("Error"):
                self._api.remove_container(found["Id"], force=True, v=True)
                message = f"the engine does not start the container: {explanation(error)}"
                raise EnvironmentWrong(message, hint="Correct the image, or the option that it names.") from error

    def _events(self, found: JsonObject) -> tuple[str, ...]:
        """Return what the engine remembers of a container's life."""
        since = int(datetime.fromisoformat(found["Created"]).timestamp())
        now = datetime.fromisoformat(self._api.info()["SystemTime"]).timestamp()
        told_of = self._api.events(since, f"{now:.6f}", {"container": found["Id"]}, decode=True)
        return tuple(_event(one) for one in told_of if one.get("Type") == "container")


def _ended(found: JsonObject, events: tuple[str, ...]) -> Sighting:
    """Return what is known of a container that has ended, or could not begin."""
    state, code = found["State"], found["State"]["ExitCode"]
    error = str(state.get("Error") or "")
    if state["Status"] in _NOT_BEGUN:
        return Sighting("ended", "StartError", error, code or None, events, is_hopeless=True)
    if state.get("OOMKilled") and code:
        return Sighting("ended", "OOMKilled", f"it took more than {_limit(found)}", code, events)
    if code == _KILLED and "kill signal=9" in events:
        return Sighting("ended", "Killed", "somebody had the engine send it signal 9", code, events)
    if code == _KILLED and not error:
        # Podman says so since version 5: https://github.com/containers/podman/pull/21523
        unsaid = "as for lack of memory, which this engine may not tell: --memory gives it more than"
        return Sighting("ended", "", f"killed by signal 9, {unsaid} {_limit(found)}", code, events)
    return Sighting("ended", "", error, code, events)


def _limit(found: JsonObject) -> str:
    limit = found["HostConfig"].get("Memory")
    return f"{limit / 2**20:g} MiB" if limit else "the machine's memory"


def _event(event: JsonObject) -> str:
    """Return an event of the engine's as a line: ``die exitCode=137``."""
    attributes = event.get("Actor", {}).get("Attributes", {})
    told = [f"{name}={attributes[name]}" for name in ("signal", "exitCode") if attributes.get(name)]
    return " ".join([str(event.get("Action") or event.get("status")), *told])
