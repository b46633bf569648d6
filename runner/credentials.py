"""Named secrets: from a name to its value, and which of them the storages understand."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from runner.errors import EnvironmentWrong
from runner.forms import SHORTEST
from runner.redact import hide

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MOUNTED = "/run/secrets"  # where Docker and Kubernetes put them

# The secrets that storages understand, and the keys that each must have: a JSON object with them, or ("",) plain text.
KNOWN: dict[str, tuple[str, ...]] = {
    "AWS_CREDENTIALS": ("ACCESS_KEY", "SECRET_ACCESS_KEY"),
    "GCP_CREDENTIALS": ("type", "client_email", "private_key", "token_uri"),
    "AZURE_CREDENTIALS": (),
    "AZURE_STORAGE_CONNECTION_STRING": (),
}
# What the clouds' own chains read, and is hidden as well where nobody named a secret.
AMBIENT = (
    *KNOWN,
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AZURE_CLIENT_SECRET",
    "AZURE_PASSWORD",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
)
# What in a JSON secret is no secret by its name, unless its value is a URL with a password or a signature.
_PUBLIC = re.compile(
    r"type|project_id|client_email|client_id|universe_domain|\w+_uri|\w+_url"
    r"|account(_?name)?|endpoint(_?suffix)?|\w+endpoint|default_?endpoints_?protocol",
    re.IGNORECASE,
)
_PASSWORD_IN_URL = re.compile(r"://[^/\s]*:[^/\s]*@|[?&]sig=")
_SIGNATURE = re.compile(r"(?:^|[?&=])sig=([^&;\s]+)")
_HEADER = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")
_RANDOM = re.compile(r"[A-Za-z0-9]{16,}")  # if it is not all in small letters, it is no word
_RANDOMS = 8  # of one value

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
    if hide_parts(text, value):
        _short[name] = "the secret" if len(text) < SHORTEST else "a part of the secret"
    return value


def hide_parts(text: str, value: object) -> bool:
    """Hide a secret's text, and all in it that is as secret; give whether any of it is too short for it."""
    whole = (text,) if value is not text else ()
    leaves = list(_leaves(value))
    keys = [key for leaf in leaves for key in (*keys_in(leaf), *_signatures_in(leaf), *_randoms_in(leaf))]
    texts = [*whole, *leaves, *keys]
    lines = (line.strip() for leaf in leaves if "\n" in leaf for line in leaf.splitlines())
    hide(
        *(each for each in texts if len(each) >= SHORTEST),
        lines=(line for line in lines if len(line) >= SHORTEST and not _HEADER.fullmatch(line)),
    )
    return any(0 < len(each) < SHORTEST for each in (*leaves, *keys))


def hide_ambient(environ: Mapping[str, str]) -> None:
    """Hide what stands in the clouds' own variables; of what is too short for it nothing is said."""
    for name in AMBIENT:
        if text := environ.get(name):
            hide_parts(text, _parsed(text))


def is_public(name: str, text: str) -> bool:
    """Whether a part of a JSON secret is none by its name, such as ``client_email``."""
    return bool(_PUBLIC.fullmatch(name)) and not _PASSWORD_IN_URL.search(text)


def secret(name: str) -> Any:
    """Give a flow one of its secrets; see `find`. Raises EnvironmentWrong if it is nowhere."""
    from runner.settings import process_environ

    return _resolved[name] if name in _resolved else find(name, process_environ())


def connection_parts(text: str) -> dict[str, str]:
    """Take an Azure connection string apart; its parts' names may be in any case, and are given in lower case.

    https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string
    """
    return dict(_connection_pairs(text))


def keys_in(text: str) -> list[str]:
    """Give what in an Azure connection string is as secret alone as in the string."""
    return [part for name, part in _connection_pairs(text) if name in {"accountkey", "sharedaccesssignature"} and part]


def _signatures_in(text: str) -> Iterator[str]:
    """Give the signatures of a shared access signature, or of a URL with one, as they stand there and decoded."""
    for signature in _SIGNATURE.findall(text):
        from urllib.parse import unquote

        yield signature
        yield unquote(signature)


def _parsed(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _randoms_in(text: str) -> list[str]:
    """Give what in a text can only be a key, and is the same however the text is escaped; of names in a URL nothing."""
    if "://" in text or ";" in text or _HEADER.search(text):
        return []
    return [run for run in _RANDOM.findall(text) if not run.isdecimal() and not run.islower()][:_RANDOMS]


def _leaves(value: object, name: str = "") -> Iterator[str]:
    """Give the texts and numbers in a JSON object or array that are not public by their name."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part, name)
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and not is_public(name, str(value)):
        yield str(value)


def _warn(name: str) -> None:
    """Tell the log, if there is one yet: the flow's process has, the supervisor has not, and would tell it again."""
    import logging

    _warned.add(name)
    if logging.getLogger().hasHandlers():
        message = "%s %s is shorter than %d characters, and is neither looked for nor hidden"
        logging.getLogger("runner.credentials").warning(message, _short[name], name, SHORTEST)


def _connection_pairs(text: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]


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


def present(environ: Mapping[str, str]) -> list[str]:
    """List the known secrets that are here, named or not."""
    from pathlib import Path

    return [name for name in KNOWN if name in environ or f"{name}_FILE" in environ or Path(MOUNTED, name).is_file()]
