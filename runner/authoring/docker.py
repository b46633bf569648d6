"""``Docker``: a storage that is an image of the flow's own, built on an engine and pushed to a registry."""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from runner.authoring.declaration import StorageDeclaration, let_pickles_name
from runner.errors import RunnerError, UsageError
from runner.images import image_of
from runner.publishing.capture import folder_of
from runner.publishing.docker_engine import (
    build_context,
    build_image,
    build_with_secrets,
    check_image,
    history_of,
    open_engine,
    push_image,
    user_of,
)
from runner.publishing.image_contents import contents_of, contents_of_context, refuse_secrets
from runner.secrets.parts import passwords_in, random_parts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from runner.publishing.publish import Published
    from runner.secrets.scanner import Secret
    from runner.signing.keys import KeySource

# A registry and path components, and a tag, of https://github.com/distribution/reference
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"(?:[a-z0-9.-]+(?::\d+)?/)?{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TEMPORARY = "runner-base"  # the name of a base that a Dockerfile described, while the image is built on it
_SECRET_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# Where pip finds its configuration and, for requests, its passwords
_PIP_MOUNTS = {
    "pip": "--mount=type=secret,id=pip,target=/etc/pip.conf,required=true",
    "netrc": "--mount=type=secret,id=netrc,target=/run/secrets/netrc,required=true",
}
_INDEX = re.compile(r"\s*(?:-i|-f|--(?:extra-)?index-url|--find-links)\b")
_IN_IMAGE = re.compile(r'/[^$"\\\n]*')  # an absolute path without what a Dockerfile reads as its own


class Docker(StorageDeclaration):
    """An image that holds the flow; built on an engine, and pushed if a registry is named.

    It has no home for results: ``RUNNER_RESULTS`` names one when the image is run. Paths on this machine are relative
    to the file that defines the flow, as with ``include``.

    Args:
        registry_url: the registry, and perhaps a folder of it, to push to: ``registry.example.com/team``.
        image_name: by default the flow's slug.
        image_tag: by default the slugified time of the build.
        base_image: by default ``org/runner:slim`` of this Python. It must have runner's entrypoint.
        dockerfile: the path of a Dockerfile, whose folder is its context, to build the base from instead.
        python_dependencies: what ``pip install`` is given, each as one word: ``pandas>=2,<3``. One with a password or a
            token in its URL is refused: it would stay in the image's history.
        files: by path on this machine, where in the image each file or folder is put; there, it is the image's user's,
            and its mode is what it is here.
        env_vars: variables of the image.
        build_args: what ``ARG`` gets, in the Dockerfile and for ``pip install``. They stay in the image's history, so
            one with a password is refused.
        build_secrets: by id, the path of a file on this machine that build steps see, and that is in no layer: ``pip``
            is pip's configuration, and ``netrc`` its passwords, while ``python_dependencies`` are installed; others
            are for ``RUN --mount=type=secret`` in the Dockerfile. The image is then built by ``docker buildx``.
        path: the folder of the image in which the flow lies.
        secrets: names of the secrets that the flow needs at run time.
        labels: words that an agent must have to run the flow.
        add_default_labels: changes nothing: an image has no default labels, as whoever can pull it can run it.

    Raises:
        UsageError: when an argument makes no image: two bases, a path that is not absolute, a variable without a plain
            name, a password among the build arguments or dependencies, one text where a list is needed.

    Example:
        >>> from runner.storage import Docker
        >>> image = Docker("registry.example.com/team", python_dependencies=["pandas>=2,<3"], files={"x.csv": "/data"})
        >>> image.url, image.labels
        ('file:///opt/flows', ())
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
        build_secrets: Mapping[str, str] | None = None,
        path: str = "/opt/flows",
        secrets: Sequence[str] = (),
        labels: Sequence[str] = (),
        add_default_labels: bool = True,
    ) -> None:
        super().__init__(key=None, secrets=secrets, labels=labels, add_default_labels=add_default_labels)
        _check_base(base_image, dockerfile)
        _check_dependencies(python_dependencies)
        _check_paths([path, *(files or {}).values()])
        _check_variables({**(env_vars or {}), **(build_args or {})})
        _check_passwords((f"the build argument {name}", value) for name, value in (build_args or {}).items())
        _check_passwords(("a line of python_dependencies", each) for each in python_dependencies)
        _check_build_secrets(build_secrets or {})
        self.registry_url = registry_url and registry_url.partition("://")[2 if "://" in registry_url else 0].strip("/")
        self.image_name = image_name
        self.image_tag = image_tag
        self.base_image = base_image
        self.dockerfile = dockerfile
        self.python_dependencies = tuple(python_dependencies)
        self.files = dict(files or {})
        self.env_vars = dict(env_vars or {})
        self.build_args = dict(build_args or {})
        self.build_secrets = dict(build_secrets or {})
        self.path = path.rstrip("/")

    @property
    def url(self) -> str:
        """See `StorageDeclaration.url`; the folder in the image."""
        return f"file://{self.path}"

    @property
    def default_labels(self) -> tuple[str, ...]:
        """None: whoever can pull the image can run it."""
        return ()

    def publish(
        self,
        *,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        sign_with: KeySource | None = None,
        allow_secrets: bool = False,
        check: bool = True,
    ) -> Published:
        """Build the image, load the flow in it, and push it if there is a registry.

        Nothing gets the image's name before the flow could be loaded.

        Args:
            include: as in `StorageDeclaration.build`.
            exclude: as in `StorageDeclaration.build`.
            sign_with: as in `StorageDeclaration.build`.
            allow_secrets: as in `StorageDeclaration.build`, for all that goes into the image.
            check: as in `StorageDeclaration.build`; in the image the flow is loaded in any case.

        Returns:
            As `StorageDeclaration.publish`; the URL is the image's name, with the digest if it was pushed.

        Raises:
            UsageError: when a file or a name cannot be used.
            EnvironmentWrong: when the Docker SDK for Python is not installed, nor docker buildx where it is needed.
            Unreachable: when no engine answers.
            NotFound: when the base image is missing.
            FlowFailed: when a build step fails, or a secret would stay in the image.
            WriteFailed: when the push fails.
            CredentialsRefused: when the registry refuses the push.
            RunnerError: what loading the flow, and `StorageDeclaration.build`, raise.
        """
        from runner.publishing.publish import publish

        files = [self._here(file) for file in self.files]
        build_secrets = {name: self._here(file) for name, file in self.build_secrets.items()}
        secrets = [] if allow_secrets else self._secrets(build_secrets)
        if not allow_secrets:
            refuse_secrets(self._contents(files), secrets)
        with open_engine() as engine, TemporaryDirectory(prefix="runner-") as folder:
            published = publish(
                self.flow,
                replace(self.destination(), url=Path(folder).as_uri()),
                include=include,
                exclude=exclude,
                sign_with=sign_with,
                allow_secrets=allow_secrets,
                check=check,
            )
            slug, version = published.url.rpartition(f"{Path(folder).as_uri()}/")[2].split("/")
            name, tag = self._named(slug, version)
            base = self._base(engine, build_secrets)
            text = self._dockerfile(base, user_of(engine, base), f"{slug}/{version}", f"{name}:{tag}")
            contents = {f"flows/{slug}/{version}": Path(folder, slug, version)}
            contents |= {f"files/{number}": file for number, file in enumerate(files)}
            with build_context(text, contents) as context:
                image = self._build(engine, build_secrets, context=context)
            if base.startswith(f"{_TEMPORARY}:"):
                engine.images.remove(base)
            try:
                if not allow_secrets:
                    refuse_secrets([("the image's history", history_of(engine, image))], secrets)
                check_image(engine, image, published.manifest)
            except RunnerError:
                with suppress(Exception):  # what is left of it is only in the way
                    engine.images.remove(image)
                raise
            engine.images.get(image).tag(name, tag)
            digest = push_image(engine, name, tag) if self.registry_url else None
        return replace(published, url=f"{name}:{tag}" + (f"@{digest}" if digest else ""))

    def _secrets(self, build_secrets: Mapping[str, Path]) -> list[Secret]:
        """Return what must not be in the image: what must not be in a bundle, and the build secrets."""
        from runner.environ import process_environ
        from runner.secrets import scanner

        files = (scanner.secret_of_file(f"the build secret {name}", path) for name, path in build_secrets.items())
        return [*scanner.collect_secrets(self.secrets, process_environ()), *files]

    def _contents(self, files: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
        """Yield all that goes into the image beside the bundle, each with the words for it."""
        for name, value in self.env_vars.items():
            yield f"the image's variable {name}", value.encode()
        for name, value in self.build_args.items():
            yield f"the build argument {name}", value.encode()
        for number, line in enumerate(self.python_dependencies, 1):
            yield f"line {number} of python_dependencies", line.encode()
        for file in files:
            yield from contents_of(file, file.name)
        if self.dockerfile:
            yield from contents_of_context(self._here(self.dockerfile))

    def _here(self, file: str) -> Path:
        """Return the path of a file of this machine. Raises UsageError."""
        path = folder_of(sys.modules.get(self.flow.module)) / Path(file).expanduser()
        if not path.exists():
            message = f"there is no file {path}"
            raise UsageError(message, hint="Give its path relative to the file that defines the flow.")
        return path

    def _named(self, slug: str, version: str) -> tuple[str, str]:
        name, tag = "/".join(filter(None, (self.registry_url, self.image_name or slug))), self.image_tag or version
        if not _NAME.fullmatch(name) or not _TAG.fullmatch(tag):
            message = f"{name}:{tag} is no name for an image: lower-case letters, digits, '.', '_' and '-'"
            raise UsageError(message, hint="Set registry_url, image_name and image_tag.")
        return name, tag

    def _base(self, engine: Any, build_secrets: Mapping[str, Path]) -> str:
        if not self.dockerfile:
            return self.base_image or image_of("slim")
        base = self._build(engine, build_secrets, dockerfile=self._here(self.dockerfile))
        if not build_secrets:
            return base
        tag = base.rpartition(":")[2]
        engine.images.get(base).tag(_TEMPORARY, tag)  # BuildKit finds no image by its id
        return f"{_TEMPORARY}:{tag}"

    def _build(self, engine: Any, build_secrets: Mapping[str, Path], **source: Any) -> str:
        """Build an image from a context or a Dockerfile, with BuildKit where there are build secrets."""
        if build_secrets:
            return build_with_secrets(build_secrets, self.build_args, **source)
        return build_image(engine, self.build_args, **source)

    def _dockerfile(self, base: str, user: str, key: str, image: str) -> bytes:
        """Write the Dockerfile; what stands in JSON there goes through no shell."""
        lines = [f"FROM {base}", "USER root"]
        lines += [f"ARG {name}" for name in self.build_args]
        lines += [f"ENV {name}={_quoted(value)}" for name, value in self.env_vars.items()]
        owner = f"--chown={user} " if user else ""
        lines += [
            f"COPY {owner}{json.dumps([f'files/{number}', target])}"
            for number, target in enumerate(self.files.values())
        ]
        if self.python_dependencies:
            mounts = "".join(f"{_PIP_MOUNTS[name]} " for name in _PIP_MOUNTS if name in self.build_secrets)
            command = ["pip", "install", *self.python_dependencies]
            command = ["env", "NETRC=/run/secrets/netrc", *command] if "netrc" in self.build_secrets else command
            lines.append(f"RUN {mounts}{json.dumps(command)}")
        lines.append(f"COPY {json.dumps(['flows/', f'{self.path}/'])}")
        lines.append(f"ENV RUNNER_STORAGE=docker RUNNER_LOCATION={_quoted(f'{self.path}/{key}')} RUNNER_IMAGE={image}")
        lines.append("CMD []")  # of the base; with any argument the flow is not what runs
        lines += [f"USER {user}"] if user else []
        return "\n".join(lines).encode() + b"\n"


let_pickles_name(Docker)


def _check_base(base_image: str | None, dockerfile: str | None) -> None:
    if base_image and dockerfile:
        message = "base_image and dockerfile are both given, and each says what the image is based on"
        raise UsageError(message, hint="Give one; a Dockerfile names its base in FROM.")


def _check_dependencies(requirements: Sequence[str]) -> None:
    if isinstance(requirements, str):
        message = "python_dependencies take a list of requirements, not one text"
        raise UsageError(message, hint='Write python_dependencies=["pandas>=2"].')


def _check_paths(paths: Iterable[str]) -> None:
    for path in paths:
        if not _IN_IMAGE.fullmatch(path):
            message = f"{path!r} is no absolute path in an image, or has a character that a Dockerfile would change"
            raise UsageError(message, hint="Give one like /opt/flows.")


def _check_variables(variables: Mapping[str, object]) -> None:
    for name, value in variables.items():
        if not _VARIABLE.fullmatch(name) or not isinstance(value, str) or "\n" in value:
            message = f"the variable {name!r} needs a plain name, and a text of one line"
            raise UsageError(message, hint="What has more lines can go into a file, and its path into NAME_FILE.")


def _check_passwords(texts: Iterable[tuple[str, str]]) -> None:
    for place, text in texts:
        users = re.findall(r"(\w+)://([^/\s@]*)@", text)
        in_path = _INDEX.match(text) and random_parts(text)
        if in_path or passwords_in(text) or any(":" in user or not kind.endswith("ssh") for kind, user in users):
            message = f"{place} has a password or a token in it, which would stay in the image's history"
            hint = (
                'Put it into a pip.conf or a netrc, and give that as a build secret: build_secrets={"pip": "pip.conf"}.'
            )
            raise UsageError(message, hint=hint)


def _check_build_secrets(build_secrets: Mapping[str, object]) -> None:
    for name, path in build_secrets.items():
        if not _SECRET_ID.fullmatch(name) or not isinstance(path, str):
            message = f"the build secret {name!r} needs a plain name, and the path of a file"
            raise UsageError(message, hint='Write build_secrets={"pip": "pip.conf"}.')


def _quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\$])', r"\\\1", value) + '"'
