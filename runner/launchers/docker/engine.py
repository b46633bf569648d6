"""A Docker engine, or Podman's socket, and what its failures mean."""

from __future__ import annotations

import re
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from runner.environ import process_environ
from runner.errors import CredentialsRefused, Denied, EnvironmentWrong, TooLarge, Unreachable, UsageError
from runner.images import how_to_build
from runner.limits import limit_of
from runner.publishing.docker_engine import docker_sdk
from runner.schemes import BAKED_WORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.schema.documents import JsonObject

_REFUSED = re.compile(r"unauthorized|authentication|no basic auth|denied|forbidden", re.IGNORECASE)
# What is said of a registry that was not reached, or has no time, in the words of the engines.
_PASSING = re.compile(
    r"dial tcp|no such host|refused|timeout|TLS handshake|\bEOF\b|reset by peer|too ?many ?requests|unavailable",
    re.IGNORECASE,
)


def open_engine(engine: str) -> Any:
    """Return a client of an engine's API: of this one, else as Docker's command line chooses it.

    Raises EnvironmentWrong without the SDK, Denied for whoever may not use the engine, and Unreachable.
    """
    docker = docker_sdk("the launcher docker")
    environ = process_environ()
    where = engine or environ.get("DOCKER_HOST") or "the usual socket"
    try:
        client = docker.from_env(environment={**environ, **({"DOCKER_HOST": engine} if engine else {})})
    except docker.errors.DockerException as error:
        if "PermissionError" in str(error):
            message = f"this user may not use the engine of {where}"
            raise Denied(message, hint="Join the group docker, or name an engine of your own: -O engine=….") from error
        message = f"no engine answers at {where}: {error}"
        raise Unreachable(message, hint="Start it, or say where it is: -O engine=unix:///…, or DOCKER_HOST.") from error
    return client.api


@contextmanager
def told() -> Iterator[None]:
    """Raise what a failure of the engine means: EnvironmentWrong where it refuses, Denied, or Unreachable."""
    docker_sdk("the launcher docker")
    from docker.errors import APIError, DockerException
    from requests import RequestException

    try:
        yield
    except APIError as error:
        said = explanation(error)
        if error.status_code in {401, 403}:
            raise Denied(f"the engine forbids it: {said}", hint="Ask whoever looks after it.") from error
        if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unreachable(f"the engine failed: {said}", hint="Look at its log.") from error
        raise EnvironmentWrong(f"the engine refuses it: {said}", hint="Correct what it names.") from error
    except (DockerException, RequestException) as error:
        raise Unreachable(f"the engine does not answer: {error}", hint="Look at its log.") from error


def provide_image(api: Any, image: str, policy: str, platform: str, tell: Callable[[str], None]) -> None:
    """Pull an image if its policy asks for it. Raises EnvironmentWrong, CredentialsRefused and Unreachable."""
    from docker.errors import APIError, ImageNotFound

    if policy != "always":
        try:
            api.inspect_image(image)
        except ImageNotFound:
            if policy == "never":
                message = f"there is no image {image} on the engine, and pull is never"
                raise EnvironmentWrong(message, hint="Build or load it there, or leave -O pull=never out.") from None
        else:
            return
    tell(f"the image {image} is pulled")
    try:
        lines = _pulled(api, image, platform, tell)
    except APIError as error:
        raise _not_pulled(image, explanation(error)) from error
    if refusals := [line["error"] for line in lines if "error" in line]:
        raise _not_pulled(image, refusals[-1])


def _pulled(api: Any, image: str, platform: str, tell: Callable[[str], None]) -> list[JsonObject]:
    """Return what the engine says while it pulls an image; without credentials if no helper works, as docker does."""
    from docker.errors import APIError, DockerException

    try:
        return list(api.pull(image, platform=platform or None, stream=True, decode=True))
    except APIError:
        raise
    except DockerException as error:
        if "Credentials store error" not in str(error):
            raise
        tell(f"{image} is asked for without credentials, as the helper that Docker's config.json names fails: {error}")
        return list(api.pull(image, platform=platform or None, stream=True, decode=True, auth_config={}))


def baked_bundle(api: Any, image: str) -> tuple[str, bytes]:
    """Return path and bytes of the flow that `runner.storage.Docker` put into an image. Raises UsageError."""
    import tarfile
    from io import BytesIO

    config = api.inspect_image(image)["Config"]
    environ = dict(text.partition("=")[::2] for text in config.get("Env") or ())
    if environ.get("RUNNER_STORAGE") != BAKED_WORD:
        message = f"the image {image} has no flow of its own"
        raise UsageError(message, hint="Build one with the storage Docker, or give a flow's location, and --image.")
    path = environ.get("RUNNER_LOCATION", "")
    number = api.create_container_from_config({"Image": image})["Id"]
    try:
        stream, facts = api.get_archive(number, path)
        if facts["size"] > limit_of("bundle"):
            raise TooLarge(f"{path} of the image {image} is larger than any bundle", hint="Build the image again.")
        with tarfile.open(fileobj=BytesIO(b"".join(stream))) as tar:
            file = tar.extractfile(tar.getmembers()[0])
            return path, file.read() if file else b""
    finally:
        api.remove_container(number, force=True, v=True)


def explanation(error: Any) -> str:
    """Return the engine's sentence."""
    return str(error.explanation or error).strip()


def _not_pulled(image: str, said: str) -> EnvironmentWrong | CredentialsRefused | Unreachable:
    message = f"the image {image} is not on the engine, and cannot be pulled: {said}"
    own = how_to_build(image)
    correct = "Correct its name (--image, or the flow's metadata), or build it there."
    if _PASSING.search(said):
        return Unreachable(message, hint=own or "Look whether the engine reaches its registry, and try again.")
    if _REFUSED.search(said) and "does not exist" not in said:
        return CredentialsRefused(message, hint=own or "Run docker login, as somebody who may pull it.")
    return EnvironmentWrong(message, hint=own or correct)
