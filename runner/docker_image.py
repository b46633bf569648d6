"""Docker storage: a flow baked into an image of its own, through the Docker SDK for Python and an engine.

Where a bucket holds many versions of a flow, an image holds one: bundle, dependencies, files and variables, and the
entrypoint of the image that it is based on. ``docker run IMAGE`` runs it.
"""

from __future__ import annotations

import json
import platform
import re
import sys
import tarfile
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TYPE_CHECKING, Any

from runner.errors import (
    CredentialsRefused,
    EnvironmentWrong,
    FlowFailed,
    NotFound,
    RunnerError,
    Unreachable,
    UsageError,
    WriteFailed,
)
from runner.storage.declared import Declared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from runner.publish import Published

_TAIL = 20  # lines of a build step's output that are shown when it fails
# https://github.com/distribution/reference: a path component, and a tag
_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class Docker(Declared):
    """An image that holds the flow; built on an engine, and pushed if a registry is named.

    It has no home for results: ``RUNNER_RESULTS`` names one when the image is run.

    Args:
        registry_url: the registry, and perhaps a folder of it, to push to: ``registry.example.com/team``.
        image_name: by default the flow's slug.
        image_tag: by default the slugified time of the build.
        base_image: by default ``org/runner:slim`` of this Python. It must have runner's entrypoint.
        dockerfile: the path of a Dockerfile, whose folder is its context, to build the base from instead.
        python_dependencies: what ``pip install`` is given, each as one word: ``pandas>=2,<3``.
        files: by path on this machine, where in the image each file or folder is put.
        env_vars: variables of the image.
        build_args: what ``ARG`` gets, in the Dockerfile and for ``pip install``: ``{"PIP_INDEX_URL": …}``.
        path: the folder of the image in which the flow lies.
    """

    def __init__(  # noqa: PLR0913 - one for each part of an image
        self,
        registry_url: str | None = None,
        *,
        image_name: str | None = None,
        image_tag: str | None = None,
        base_image: str | None = None,
        dockerfile: str | None = None,
        python_dependencies: Sequence[str] = (),
        files: Mapping[str, str] | None = None,
        env_vars: Mapping[str, str] | None = None,
        build_args: Mapping[str, str] | None = None,
        path: str = "/opt/flows",
        secrets: Sequence[str] = (),
        labels: Sequence[str] = (),
        add_default_labels: bool = True,
    ) -> None:
        """See the class. Raises UsageError for what makes no image."""
        super().__init__(key=None, secrets=secrets, labels=labels, add_default_labels=add_default_labels)
        if base_image and dockerfile:
            message = "base_image and dockerfile are both given, and each says what the image is based on"
            raise UsageError(message, hint="Give one; a Dockerfile names its base in FROM.")
        if isinstance(python_dependencies, str):
            message = "python_dependencies take a list of requirements, not one text"
            raise UsageError(message, hint='Write python_dependencies=["pandas>=2"].')
        if not path.startswith("/"):
            message = f"path {path!r} is not absolute"
            raise UsageError(message, hint="Give the folder of the image in which the flow is to lie: /opt/flows.")
        self.registry_url = registry_url and registry_url.partition("://")[2 if "://" in registry_url else 0].strip("/")
        self.image_name = image_name
        self.image_tag = image_tag
        self.base_image = base_image
        self.dockerfile = dockerfile
        self.python_dependencies = tuple(python_dependencies)
        self.files = dict(files or {})
        self.env_vars = dict(env_vars or {})
        self.build_args = dict(build_args or {})
        self.path = path.rstrip("/")

    @property
    def url(self) -> str:
        """See `Declared.url`; the folder in the image."""
        return f"file://{self.path}"

    @property
    def default_labels(self) -> tuple[str, ...]:
        """None: whoever can pull the image can run it."""
        return ()

    def publish(self, *, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Published:
        """Build the image, load the flow in it, and push it if there is a registry.

        The URL that is given is the image's name, with the digest if it was pushed. Raises UsageError for a file or
        name that cannot be used, Unreachable without an engine, NotFound when the base image is missing, FlowFailed
        when a build step fails, WriteFailed and CredentialsRefused when the push does, and what loading the flow and
        `runner.publish.publish` raise.
        """
        from runner.publish import publish
        from runner.storage.local import Local

        for file in (*self.files, *((self.dockerfile,) if self.dockerfile else ())):
            if not Path(file).exists():
                message = f"there is no file {Path(file).absolute()}"
                raise UsageError(message, hint="Correct its path in the flow's Docker storage.")
        with _engine() as engine, TemporaryDirectory(prefix="runner-") as folder:
            published = publish(self.flow, Local(folder, secrets=self.secrets), include=include, exclude=exclude)
            slug, version = published.url.rpartition(f"{Path(folder).as_uri()}/")[2].split("/")
            name, tag = self._named(slug, version)
            image = self._build(engine, name, tag, Path(folder), f"{slug}/{version}")
            _check(engine, image)
            digest = _push(engine, name, tag) if self.registry_url else None
        return replace(published, url=f"{name}:{tag}" + (f"@{digest}" if digest else ""))

    def _named(self, slug: str, version: str) -> tuple[str, str]:
        name, tag = self.image_name or slug, self.image_tag or version
        if not _NAME.fullmatch(name) or not _TAG.fullmatch(tag):
            message = f"{name}:{tag} is no name for an image: lower-case letters, digits, '.', '_' and '-'"
            raise UsageError(message, hint="Set image_name and image_tag.")
        return f"{self.registry_url}/{name}" if self.registry_url else name, tag

    def _build(self, engine: Any, name: str, tag: str, bundles: Path, key: str) -> str:
        """Build the image from a context of its own, and give its id."""
        base = self.base_image or f"org/runner:slim-py{'.'.join(platform.python_version_tuple()[:2])}"
        if self.dockerfile:
            path = Path(self.dockerfile).absolute()
            base = _run_build(engine, path=str(path.parent), dockerfile=path.name, buildargs=self.build_args)
        text = self._dockerfile(base, _user(engine, base), key)
        with TemporaryFile() as context:
            with tarfile.open(fileobj=context, mode="w") as tar:
                member = tarfile.TarInfo("Dockerfile")
                member.size = len(text)
                tar.addfile(member, BytesIO(text))
                tar.add(bundles / key, arcname=f"flows/{key}")
                for number, file in enumerate(self.files):
                    tar.add(file, arcname=f"files/{number}")
            context.seek(0)
            given = {"fileobj": context, "custom_context": True, "buildargs": self.build_args}
            return _run_build(engine, tag=f"{name}:{tag}", **given)

    def _dockerfile(self, base: str, user: str, key: str) -> bytes:
        """Write the Dockerfile; what stands in JSON there goes through no shell."""
        lines = [f"FROM {base}", "USER root"]
        lines += [f"ARG {name}" for name in self.build_args]
        lines += [f"ENV {name}={_quoted(value)}" for name, value in self.env_vars.items()]
        lines += [f"COPY {json.dumps([f'files/{n}', target])}" for n, target in enumerate(self.files.values())]
        if self.python_dependencies:
            lines.append(f"RUN {json.dumps(['pip', 'install', *self.python_dependencies])}")
        lines.append(f"COPY {json.dumps(['flows/', f'{self.path}/'])}")
        lines.append(f"ENV RUNNER_STORAGE=docker RUNNER_LOCATION={_quoted(f'{self.path}/{key}')}")
        lines += [f"USER {user}"] if user else []
        return "\n".join(lines).encode() + b"\n"


def _quoted(value: str) -> str:
    if "\n" in value:
        message = "a variable of several lines cannot be laid in an image"
        raise UsageError(message, hint="Put it in a file, and name that in a variable NAME_FILE.")
    return '"' + re.sub(r'(["\\$])', r"\\\1", value) + '"'


@contextmanager
def _engine() -> Iterator[Any]:
    """Give a client of the engine that ``docker`` uses too. Raises EnvironmentWrong and Unreachable."""
    try:
        import docker
    except ImportError as error:
        message = "Docker storage needs the Docker SDK for Python"
        raise EnvironmentWrong(message, hint="Run pip install 'flow-runner[docker]'.") from error
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        message = f"no Docker engine answers: {error}"
        raise Unreachable(message, hint="Start one, or say in DOCKER_HOST where it is.") from error
    try:
        yield client
    finally:
        client.close()


def _user(engine: Any, base: str) -> str:
    """Give the user of the base image, which may be the empty text for root. Raises NotFound."""
    from docker.errors import APIError

    try:
        try:
            image = engine.images.get(base)
        except APIError:
            image = engine.images.pull(base)
    except APIError as error:
        message = f"there is no base image {base}: {error.explanation or error}"
        raise NotFound(message, hint="Correct base_image, log in to its registry, or build it here.") from error
    return str(image.attrs["Config"].get("User") or "")


def _run_build(engine: Any, **options: Any) -> str:
    """Build an image, telling its steps on standard error, and give its id. Raises FlowFailed."""
    from docker.errors import APIError

    output: list[str] = []
    image = ""
    try:
        for told in engine.api.build(rm=True, forcerm=True, decode=True, **options):
            if "error" in told:
                lines = "".join(output).splitlines()[-_TAIL:]
                message = f"the image cannot be built: {told['error']}"
                raise FlowFailed(message, hint="\n".join(["The last that was printed:", *lines]))
            text = told.get("stream", "")
            output.append(text)
            if text.startswith("Step "):
                print(text.rstrip(), file=sys.stderr)  # noqa: T201 - a build may take minutes
            image = told.get("aux", {}).get("ID", image)
    except APIError as error:
        message = f"the image cannot be built: {error.explanation or error}"
        raise FlowFailed(message, hint="Correct the flow's Docker storage.") from error
    return image


def _check(engine: Any, image: str) -> None:
    """Load the flow in its image, without a network. Raises the error that a run would end with."""
    from docker.errors import ContainerError, DockerException

    try:
        engine.containers.run(image, ["check"], network_mode="none", remove=True)
    except ContainerError as error:
        told = (error.stderr or b"").decode(errors="replace").rpartition("runner: ")[2].strip()
        kinds = {kind.code: kind for kind in RunnerError.__subclasses__()}
        message = f"the flow cannot be loaded in its image: {told or f'exit code {error.exit_status}'}"
        hint = "What is missing may be named in python_dependencies; nothing was pushed."
        raise kinds.get(error.exit_status, FlowFailed)(message, hint=hint) from error
    except DockerException as error:
        message = f"the flow cannot be loaded in its image: {error}"
        raise FlowFailed(message, hint="Base it on one of runner's images: it needs their entrypoint.") from error


def _push(engine: Any, name: str, tag: str) -> str:
    """Push the image and give its digest. Raises CredentialsRefused and WriteFailed."""
    from docker.errors import DockerException

    digest = refusal = ""
    try:
        for told in engine.api.push(name, tag, stream=True, decode=True):
            digest = told.get("aux", {}).get("Digest", digest)
            refusal = told.get("error", refusal)
    except DockerException as error:
        refusal = str(error)
    if digest and not refusal:
        return str(digest)
    registry = name.partition("/")[0]
    message = f"{name}:{tag} could not be pushed: {refusal or 'the registry told no digest'}"
    if re.search(r"unauthorized|authentication|no basic auth|denied|forbidden", refusal, re.IGNORECASE):
        raise CredentialsRefused(message, hint=f"Run docker login {registry}, as somebody who may push there.")
    raise WriteFailed(message, hint="The image is here; check the registry's address, and push it again.")
