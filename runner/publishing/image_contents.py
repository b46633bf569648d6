"""All that goes into an image beside the bundle, which is searched for secrets as the bundle is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import FlowFailed
from runner.publishing.docker_engine import docker_sdk
from runner.secrets import scanner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from runner.secrets.scanner import Secret


def contents_of(path: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield a file, or all files of a folder, each with the words for it."""
    if path.is_dir():
        for each in sorted(path.rglob("*")):
            if each.is_file():
                yield f"the file {name}/{each.relative_to(path)}", each.read_bytes()
    else:
        yield f"the file {name}", path.read_bytes()


def contents_of_context(dockerfile: Path) -> Iterator[tuple[str, bytes]]:
    """Yield a Dockerfile, and what of its folder is sent to the engine: all that ``.dockerignore`` does not exclude.

    Raises EnvironmentWrong.
    """
    folder = dockerfile.parent
    ignore = folder / ".dockerignore"
    lines = ignore.read_text("utf-8").splitlines() if ignore.exists() else []
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    yield f"the file {dockerfile.name}", dockerfile.read_bytes()
    for name in sorted(docker_sdk().utils.build.exclude_paths(str(folder), patterns, dockerfile=dockerfile.name)):
        if name != dockerfile.name and (folder / name).is_file():
            yield f"the file {name}", (folder / name).read_bytes()


def refuse_secrets(contents: Iterable[tuple[str, bytes]], secrets: list[Secret]) -> None:
    """Refuse what holds a secret, or a well-known shape of one. Raises FlowFailed, which tells where it is."""
    found = [f"{secret}, in {place}" for place, data in contents for secret in scanner.find_secrets(data, secrets)]
    if found:
        message = f"what must stay here would be in the image: {'; '.join(dict.fromkeys(found))}"
        hint = (
            "Read it inside the task: runner.secret(…); what only the build needs is a build secret: "
            'build_secrets={"pip": "pip.conf"}. allow_secrets=True, or --allow-secrets, lets it into the image.'
        )
        raise FlowFailed(message, hint=hint)
