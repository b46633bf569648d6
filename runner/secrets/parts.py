"""What in a secret's value must be hidden: its leaves, keys in connection strings, signatures."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from runner.secrets.encodings import SHORTEST
from runner.secrets.redaction import hide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


def register_secret(text: str, value: object) -> bool:
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
            register_secret(text, _parsed(text))


def is_public(name: str, text: str) -> bool:
    """Whether a part of a JSON secret is none by its name, such as ``client_email``."""
    return bool(_PUBLIC.fullmatch(name)) and not _PASSWORD_IN_URL.search(text)


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


def _connection_pairs(text: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]
