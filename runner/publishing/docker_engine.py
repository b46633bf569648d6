"""Docker storage: a flow baked into an image of its own, through the Docker SDK for Python and an engine.

Where a bucket holds many versions of a flow, an image holds one: bundle, dependencies, files and variables, and the
entrypoint of the image that it is based on. ``docker run IMAGE`` runs it.
"""

from __future__ import annotations

import json
import re
import sys
import tarfile
from contextlib import contextmanager
from io import BytesIO
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from runner.errors import (
    CredentialsRefused,
    EnvironmentWrong,
    FlowFailed,
    Incompatible,
    NotFound,
    Unreachable,
    WriteFailed,
    from_code,
)
from runner.logs import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runner.schema.documents import Manifest

_TAIL = 20  # lines of a build step's output that are shown when it fails


@contextmanager
def open_engine() -> Iterator[Any]:
    """Yield a client of the engine in DOCKER_HOST, or of the usual one. Raises EnvironmentWrong and Unreachable."""
    try:
        import docker
    except ImportError as error:
        message = "Docker storage needs the Docker SDK for Python"
        raise EnvironmentWrong(message, hint="Run pip install 'flow-runner[docker]'.") from error
    from docker.credentials.errors import StoreError
    from requests import RequestException

    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        message = f"no Docker engine answers: {error}"
        raise Unreachable(message, hint="Start one, or say in DOCKER_HOST where it is.") from error
    try:
        yield client
    except StoreError as error:
        message = f"the credential helper that ~/.docker/config.json names does not work: {error}"
        raise CredentialsRefused(message, hint="Correct credsStore and credHelpers there.") from error
    except (docker.errors.DockerException, RequestException) as error:
        message = f"the Docker engine failed: {error}"
        raise Unreachable(message, hint="Look at its log, and try again.") from error
    finally:
        client.close()


@contextmanager
def build_context(dockerfile: bytes, contents: Mapping[str, Path]) -> Iterator[Any]:
    """Yield a build's context, an open tar: the Dockerfile, and what in the image everybody may read."""

    def readable(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mode |= 0o555 if member.isdir() or member.mode & 0o100 else 0o444
        return member

    with TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w", dereference=True) as tar:
            described = tarfile.TarInfo("Dockerfile")
            described.size = len(dockerfile)
            tar.addfile(described, BytesIO(dockerfile))
            for name, path in contents.items():
                tar.add(path, arcname=name, filter=readable)
        file.seek(0)
        yield file


def user_of(engine: Any, base: str) -> str:
    """Return the user of the base image, which may be the empty text for root. Raises NotFound."""
    from docker.errors import APIError, DockerException

    try:
        try:
            image = engine.images.get(base)
        except APIError:
            image = engine.images.pull(base)
    except DockerException as error:
        message = f"there is no base image {base}: {getattr(error, 'explanation', None) or error}"
        raise NotFound(message, hint="Correct base_image, log in to its registry, or build it here.") from error
    return str(image.attrs["Config"].get("User") or "")


def build_image(engine: Any, **options: Any) -> str:
    """Build an image, printing its steps on standard error, and return its id. Raises FlowFailed."""
    from docker.errors import DockerException

    output: list[str] = []
    image = ""
    try:
        for line in engine.api.build(rm=True, forcerm=True, decode=True, **options):
            if "error" in line:
                lines = "".join(output).splitlines()[-_TAIL:]
                message = f"the image cannot be built: {line['error']}"
                raise FlowFailed(message, hint="\n".join(["The last that was printed:", *lines]))
            text = line.get("stream", "")
            output.append(text)
            if text.startswith("Step "):
                print(printable(text.rstrip()), file=sys.stderr)  # noqa: T201 - a build may take minutes
            image = line.get("aux", {}).get("ID", image)
    except DockerException as error:
        message = f"the image cannot be built: {getattr(error, 'explanation', None) or error}"
        raise FlowFailed(message, hint="Correct the flow's Docker storage.") from error
    return image


def check_image(engine: Any, image: str, manifest: Manifest) -> None:
    """Load the flow in its image, without a network. Raises the error that a run would end with."""
    from docker.errors import DockerException

    given = {parameter["name"]: None for parameter in manifest["parameters"]}  # only their names matter for loading
    printed, code = b"", None
    try:
        environ = {"RUNNER_PARAMETERS": json.dumps(given)}
        container = engine.containers.create(image, ["check", "--json"], network_mode="none", environment=environ)
        try:
            container.start()
            code = container.wait()["StatusCode"]
            printed = container.logs(stdout=True, stderr=False)
        finally:
            container.remove(force=True)
    except DockerException as error:
        printed = str(error).encode()
    try:
        answer = json.loads(printed)
        message, loaded = f"the flow cannot be loaded in its image: {answer.get('message')}", answer.get("flow")
    except (ValueError, AttributeError):
        message = (
            f"the image does not run its flow: {printed.decode(errors='replace').strip() or f'it ended with {code}'}"
        )
        raise FlowFailed(message, hint="Base it on one of runner's images, whose entrypoint it needs.") from None
    if code or loaded != manifest["flow"]["name"]:
        kind = from_code(code or 0) or FlowFailed
        hint = (
            "In Docker storage, python_dependencies and base_image say what is there." if kind is Incompatible else ""
        )
        raise kind(message.rstrip("."), hint=hint)


def push_image(engine: Any, name: str, tag: str) -> str:
    """Push the image and return its digest. Raises CredentialsRefused and WriteFailed."""
    from docker.errors import DockerException
    from requests import RequestException

    digest = refusal = ""
    try:
        for line in engine.api.push(name, tag, stream=True, decode=True):
            digest = line.get("aux", {}).get("Digest", digest)
            refusal = line.get("error", refusal)
    except (DockerException, RequestException) as error:
        refusal = str(error)
    if digest and not refusal:
        return str(digest)
    first = name.partition("/")[0]
    registry = f" {first}" if re.search(r"[.:]|^localhost$", first) else ""
    message = f"{name}:{tag} could not be pushed: {refusal or 'the registry told no digest'}"
    if re.search(r"unauthorized|authentication|no basic auth|denied|forbidden", refusal, re.IGNORECASE):
        raise CredentialsRefused(message, hint=f"Run docker login{registry}, as somebody who may push there.")
    raise WriteFailed(message, hint="The image is here; check the registry's address, and push it again.")
