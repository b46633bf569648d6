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

from runner.environ import process_environ
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
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runner.schema.documents import Manifest

_TAIL = 20  # lines of a build step's output that are shown when it fails


def docker_sdk(what: str = "Docker storage") -> Any:
    """Return the Docker SDK for Python. Raises EnvironmentWrong, which tells what needs it."""
    try:
        import docker
    except ImportError as error:
        message = f"{what} needs the Docker SDK for Python"
        raise EnvironmentWrong(message, hint="Run pip install 'flow-runner[docker]'.") from error
    return docker


@contextmanager
def open_engine() -> Iterator[Any]:
    """Yield a client of the engine in DOCKER_HOST, or of the usual one. Raises EnvironmentWrong and Unreachable."""
    docker = docker_sdk()
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
    """Yield a build's context, an open tar: the Dockerfile, and files with their modes; everybody may read the flow."""

    def readable(member: tarfile.TarInfo) -> tarfile.TarInfo:
        if member.name.startswith("flows/"):
            member.mode |= 0o444
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


def build_image(
    engine: Any, build_args: Mapping[str, str], *, context: Any = None, dockerfile: Path | None = None
) -> str:
    """Build an image from a context or a Dockerfile, printing its steps on standard error, and return its id.

    Raises FlowFailed.
    """
    from docker.errors import DockerException

    output: list[str] = []
    image = ""
    source = (
        {"path": str(dockerfile.parent), "dockerfile": dockerfile.name}
        if dockerfile
        else {"fileobj": context, "custom_context": True}
    )
    try:
        for line in engine.api.build(rm=True, forcerm=True, decode=True, buildargs=dict(build_args), **source):
            if "error" in line:
                raise _not_built(line["error"], "".join(output))
            text = line.get("stream", "")
            output.append(text)
            if text.startswith("Step "):
                _show(text)
            image = line.get("aux", {}).get("ID", image)
    except DockerException as error:
        message = f"the image cannot be built: {getattr(error, 'explanation', None) or error}"
        raise FlowFailed(message, hint="Correct the flow's Docker storage.") from error
    return image


def build_with_secrets(
    secrets: Mapping[str, Path], build_args: Mapping[str, str], *, context: Any = None, dockerfile: Path | None = None
) -> str:
    """Do as `build_image` does, by ``docker buildx`` on the same engine: a secret that a step sees is in no layer.

    The engine's API takes no secrets, but in a session that only BuildKit's own clients speak:
    https://github.com/docker/docker-py/issues/2230. Raises EnvironmentWrong and FlowFailed.
    """
    import shutil
    import subprocess
    from tempfile import TemporaryDirectory

    environ = process_environ()
    client = shutil.which("docker", path=environ.get("PATH")) or ""
    installed = client and subprocess.run([client, "buildx", "version"], capture_output=True, check=False)  # noqa: S603
    if not installed or installed.returncode:
        message = "an image with build secrets is built by docker buildx, which is not installed"
        raise EnvironmentWrong(message, hint="Install the docker client with its plugin buildx.")
    with TemporaryDirectory(prefix="runner-") as folder:
        command = [client, "buildx", "build", "--builder=default", "--load", "--progress=plain", "--provenance=false"]
        command += [f"--iidfile={folder}/id"]
        command += [
            f'--secret=id={name},"src={str(path).replace(chr(34), 2 * chr(34))}"' for name, path in secrets.items()
        ]
        command += [f"--build-arg={name}={value}" for name, value in build_args.items()]
        command += [f"--file={dockerfile}", str(dockerfile.parent)] if dockerfile else ["-"]
        # the client's own choice of an engine may be another than the SDK's
        host = {"DOCKER_HOST": environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"}
        built = subprocess.Popen(  # noqa: S603 - what an author declared
            command,
            stdin=context or subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**environ, **host},
            text=True,
            errors="replace",
        )
        output = []
        with built:
            for line in built.stderr or ():
                output.append(redact(line))
                if re.match(r"#\d+ \[", line):
                    _show(output[-1])
        if built.returncode:
            raise _not_built(f"docker buildx ended with {built.returncode}", "".join(output))
        with open(f"{folder}/id", encoding="utf-8") as file:  # noqa: PTH123 - a word
            return file.read().strip()


def history_of(engine: Any, image: str) -> bytes:
    """Return what whoever can pull an image reads of it without running it: its history, variables and labels."""
    found = engine.images.get(image)
    config = found.attrs["Config"]
    lines = [str(layer.get("CreatedBy", "")) for layer in found.history()]
    lines += [*(config.get("Env") or ()), *map("=".join, (config.get("Labels") or {}).items())]
    return "\n".join(lines).encode()


def _show(step: str) -> None:
    print(printable(step.rstrip()), file=sys.stderr)  # noqa: T201 - a build may take minutes


def _not_built(reason: str, output: str) -> FlowFailed:
    lines = output.splitlines()[-_TAIL:]
    return FlowFailed(f"the image cannot be built: {reason}", hint="\n".join(["The last that was printed:", *lines]))


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
