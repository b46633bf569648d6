"""Named secrets: from a name to its value, and which of them open a storage."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runner.errors import EnvironmentWrong
from runner.schemes import backend_of
from runner.secrets.encodings import SHORTEST
from runner.secrets.parts import known_secrets, parse_secret, register_ambient_secrets, register_secret, shown_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOUNT_FOLDER = "/run/secrets"  # where Docker and Kubernetes put them


class _Resolved:
    """What this process knows of secrets by name; no dataclass, which would cost each start half a millisecond."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}  # of those that were resolved: a secret's file may be read only once
        self.too_short: dict[str, str] = {}  # what of a secret is not masked: all of it, or a part
        self.warned: set[str] = set()  # the names of those that a warning was logged for


_PROCESS_SECRETS = _Resolved()


class Credentials:
    """The values of named secrets; its ``repr`` shows the names alone."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __repr__(self) -> str:
        return f"Credentials({', '.join(f'{name}=<secret>' for name in sorted(self._values))})"

    def aws(self) -> dict[str, str] | None:
        """Return ``AWS_CREDENTIALS``: ``{"ACCESS_KEY", "SECRET_ACCESS_KEY"[, "SESSION_TOKEN"]}``."""
        return self._values.get("AWS_CREDENTIALS")

    def gcp(self) -> dict[str, str] | None:
        """Return ``GCP_CREDENTIALS``, a service account's JSON key."""
        return self._values.get("GCP_CREDENTIALS")

    def azure(self) -> str | None:
        """Return the connection string: ``AZURE_STORAGE_CONNECTION_STRING`` or ``AZURE_CREDENTIALS``."""
        return self._values.get("AZURE_STORAGE_CONNECTION_STRING") or self._values.get("AZURE_CREDENTIALS")

    def name_for(self, scheme: str) -> str | None:
        """Return the name of the secret that opens a storage of this scheme; None if none of them does."""
        return next((name for name in backend_of(scheme).secrets if name in self._values), None)


def resolve(names: Iterable[str], environ: Mapping[str, str]) -> Credentials:
    """Find every named secret, and mask its value, and those of the ambient credentials, from now on.

    Raises EnvironmentWrong, which names all secrets that are missing or malformed at once.
    """
    values: dict[str, Any] = {}
    problems = []
    register_ambient_secrets(environ)
    for name in names:
        try:
            values[name] = _PROCESS_SECRETS.values[name] = _checked(name, find_secret(name, environ))
        except EnvironmentWrong as error:
            problems.append(str(error))
    if problems:
        raise EnvironmentWrong("; ".join(problem.rstrip(".") for problem in problems))
    for name in values:
        if name in _PROCESS_SECRETS.too_short and name not in _PROCESS_SECRETS.warned:
            _warn(name)
    return Credentials(values)


def hide_named(environ: Mapping[str, str]) -> None:
    """Mask the secrets that RUNNER_SECRETS names, as far as they are found, before a wrong setting is quoted."""
    names = (name.strip() for name in environ.get("RUNNER_SECRETS", "").split(","))
    with suppress(EnvironmentWrong):
        resolve(filter(None, names), environ)


def find_secret(name: str, environ: Mapping[str, str]) -> Any:
    """Return one secret's value, as `read_secret` finds it, and mask it."""
    text, value = read_secret(name, environ)
    if register_secret(text, value):
        _PROCESS_SECRETS.too_short[name] = "the secret" if len(text) < SHORTEST else "a part of the secret"
    return value


def read_secret(name: str, environ: Mapping[str, str]) -> tuple[str, Any]:
    """Return one secret's text and value, from ``/run/secrets/NAME``, the file in ``NAME_FILE``, the variable ``NAME``.

    A JSON object or array is parsed, anything else is text as it stands, less one trailing newline.
    Raises EnvironmentWrong if it is in none of these, or its file cannot be read.
    """
    from pathlib import Path

    from runner.limits import read_text

    mounted, file = Path(MOUNT_FOLDER, name), environ.get(f"{name}_FILE")
    if mounted.is_file() or file:
        path = mounted if mounted.is_file() else Path(str(file))
        try:
            text = read_text(str(path), "secret's file")
        except (OSError, ValueError) as error:
            source = path if path is mounted else f"{name}_FILE = {shown_path(str(file))}"
            message = f"secret {name}: the file {source} cannot be read"
            raise EnvironmentWrong(message, hint="Mount it, and make it readable for this user.") from error
    elif name in environ:
        text = environ[name]
    else:
        message = f"secret {name} is nowhere"
        hint = f"Mount it as {mounted}, or set {name}_FILE to its file or {name} to its value."
        raise EnvironmentWrong(message, hint=hint)
    text = text.removesuffix("\n").removesuffix("\r")
    return text, parse_secret(text)


def secret(name: str) -> Any:
    """Return the value of a secret, and mask it in all that is logged from now on.

    It is read from the file ``/run/secrets/NAME``, the file that the variable ``NAME_FILE`` names, or the variable
    ``NAME``, whichever is there first.

    Args:
        name: the secret's name.

    Returns:
        A JSON object or array parsed, anything else as the text that it is, less one trailing newline.

    Raises:
        EnvironmentWrong: when it is in none of these, or its file cannot be read.

    Example:
        >>> import os
        >>> from runner import secret
        >>> os.environ["DATABASE"] = '{"host": "db.example.com", "password": "made-up"}'  # set by who starts the flow
        >>> secret("DATABASE")["host"]
        'db.example.com'
    """
    from runner.environ import process_environ

    known = _PROCESS_SECRETS.values
    return known[name] if name in known else find_secret(name, process_environ())


secret.__module__ = "runner"  # see runner.model.flow.FlowGraph


def _warn(name: str) -> None:
    """Log a warning, if logging is configured: it is in the flow's process; the supervisor would only repeat it."""
    import logging

    _PROCESS_SECRETS.warned.add(name)
    if logging.getLogger().hasHandlers():
        message = "%s %s is shorter than %d characters, and is neither looked for nor hidden"
        logging.getLogger("runner.credentials").warning(message, _PROCESS_SECRETS.too_short[name], name, SHORTEST)


def _checked(name: str, value: object) -> object:
    needed = known_secrets().get(name)
    if needed is None:
        return value
    if not needed:
        if not isinstance(value, str) or not value:
            message = f"secret {name} must be a connection string"
            raise EnvironmentWrong(message, hint="Copy it whole from the portal: storage account, Access keys.")
        return value
    if not isinstance(value, dict):
        message = f"secret {name} is no JSON object"
        raise EnvironmentWrong(message, hint=f"It must have the keys {', '.join(needed)}.")
    if missing := [key for key in needed if not (isinstance(value.get(key), str) and value[key])]:
        message = f"secret {name} has no {' and no '.join(missing)}"
        raise EnvironmentWrong(message, hint=f"It must have the keys {', '.join(needed)}, each a text.")
    return value


def known_secrets_present(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the known secrets that are set or mounted here, named by RUNNER_SECRETS or not."""
    from pathlib import Path

    return [
        name
        for name in known_secrets()
        if name in environ or f"{name}_FILE" in environ or Path(MOUNT_FOLDER, name).is_file()
    ]
