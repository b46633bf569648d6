"""Named secrets: from a name to its value, and which of them the storages understand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.errors import EnvironmentWrong
from runner.secrets.encodings import SHORTEST
from runner.secrets.parts import KNOWN, _parsed, hide_ambient, register_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOUNTED = "/run/secrets"  # where Docker and Kubernetes put them
_short: dict[str, str] = {}  # what is not hidden, by the secret's name: all of it, or a part
_warned: set[str] = set()  # of which of them it was told
_resolved: dict[str, Any] = {}  # what was named and found in this process: a secret's file may be read only once


class Credentials:
    """The values of the secrets that were named, by name; it never shows one."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Take the values; texts, or what a JSON object or array became."""
        self._values = dict(values)

    def __repr__(self) -> str:
        """Show the names alone."""
        return f"Credentials({', '.join(f'{name}=<secret>' for name in sorted(self._values))})"

    def aws(self) -> dict[str, str] | None:
        """Give ``AWS_CREDENTIALS``: ``{"ACCESS_KEY", "SECRET_ACCESS_KEY"[, "SESSION_TOKEN"]}``."""
        return self._values.get("AWS_CREDENTIALS")

    def gcp(self) -> dict[str, str] | None:
        """Give ``GCP_CREDENTIALS``, a service account's JSON key."""
        return self._values.get("GCP_CREDENTIALS")

    def azure(self) -> str | None:
        """Give the connection string: ``AZURE_STORAGE_CONNECTION_STRING`` or ``AZURE_CREDENTIALS``."""
        return self._values.get("AZURE_STORAGE_CONNECTION_STRING") or self._values.get("AZURE_CREDENTIALS")

    def used_by(self, scheme: str) -> str | None:
        """Name the secret that opens a storage of this scheme, if one was named that does."""
        prefix = {"s3": "AWS", "gs": "GCP", "azure": "AZURE"}.get(scheme)
        return next((name for name in KNOWN if name in self._values and name.split("_")[0] == prefix), None)


def resolve(names: Iterable[str], environ: Mapping[str, str]) -> Credentials:
    """Find every named secret and hide its value from all that is printed from now on, and the ambient credentials'.

    Raises EnvironmentWrong, which tells of all that are absent or malformed at once.
    """
    values: dict[str, Any] = {}
    problems = []
    hide_ambient(environ)
    for name in names:
        try:
            values[name] = _resolved[name] = _checked(name, find(name, environ))
        except EnvironmentWrong as error:
            problems.append(str(error))
    if problems:
        raise EnvironmentWrong("; ".join(problem.rstrip(".") for problem in problems))
    for name in values:
        if name in _short and name not in _warned:
            _warn(name)
    return Credentials(values)


def find(name: str, environ: Mapping[str, str]) -> Any:
    """Look one secret up: ``/run/secrets/NAME``, the file that ``NAME_FILE`` names, the variable ``NAME``.

    A JSON object or array is parsed, anything else is text as it stands, less one trailing newline.
    Raises EnvironmentWrong if it is nowhere.
    """
    from pathlib import Path

    mounted, file = Path(MOUNTED, name), environ.get(f"{name}_FILE")
    if mounted.is_file() or file:
        path = mounted if mounted.is_file() else Path(str(file))
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = f"secret {name}: the file {path} cannot be read"
            raise EnvironmentWrong(message, hint="Mount it, and make it readable for this user.") from error
    elif name in environ:
        text = environ[name]
    else:
        message = f"secret {name} is nowhere"
        hint = f"Mount it as {mounted}, or set {name}_FILE to its file or {name} to its value."
        raise EnvironmentWrong(message, hint=hint)
    text = text.removesuffix("\n").removesuffix("\r")
    value = _parsed(text)
    if register_secret(text, value):
        _short[name] = "the secret" if len(text) < SHORTEST else "a part of the secret"
    return value


def secret(name: str) -> Any:
    """Give a flow one of its secrets; see `find`. Raises EnvironmentWrong if it is nowhere."""
    from runner.environ import process_environ

    return _resolved[name] if name in _resolved else find(name, process_environ())


secret.__module__ = "runner"  # pickles name it so, wherever it is defined: docs/formats.md


def _warn(name: str) -> None:
    """Tell the log, if there is one yet: the flow's process has, the supervisor has not, and would tell it again."""
    import logging

    _warned.add(name)
    if logging.getLogger().hasHandlers():
        message = "%s %s is shorter than %d characters, and is neither looked for nor hidden"
        logging.getLogger("runner.credentials").warning(message, _short[name], name, SHORTEST)


def _checked(name: str, value: object) -> object:
    if name not in KNOWN:
        return value
    needed = KNOWN[name]
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
    """List the known secrets that are here, named or not."""
    from pathlib import Path

    return [name for name in KNOWN if name in environ or f"{name}_FILE" in environ or Path(MOUNTED, name).is_file()]
