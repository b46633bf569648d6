"""The parts of a secret that are as secret as the whole: leaves of JSON, keys in connection strings, signatures."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from runner.schemes import backends
from runner.secrets.encodings import SHORTEST, base64_lines, encodings_of, quoted_encodings
from runner.secrets.redaction import mask_encodings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What in a JSON secret is no secret by its name, unless its value is a URL with a password or a signature.
_PUBLIC_NAME = re.compile(
    r"type|project_id|client_email|client_id|universe_domain|\w+_uri|\w+_url"
    r"|account(_?name)?|endpoint(_?suffix)?|\w+endpoint|default_?endpoints_?protocol",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(r"(?:^|[?&=])sig=([^&;\s]+)")
_HEADER = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]+-----")
_RANDOM = re.compile(r"[A-Za-z0-9]{16,}")  # what is not all in small letters is no word
_MOST_RANDOM = 8  # of one value
# Where URLs have a password: before @, also where it holds an @ or a slash as it should not; without a host, as Airflow
# writes them. And where other connection strings have one: of libpq, ODBC, ADO and JDBC, and in a URL's query.
_PASSWORDS_IN_URL = (
    r"://[^\s:/?#@]*:([^\s/?#]+)@",
    r"://[^\s:/?#@]*:(\S+)@",
    r"://[^\s:/?#@]+:(?!\d*(?:[/?#]|$))([^\s/?#@]+)(?:[/?#]|$)",
)
_USER_IN_URL = r"://([^\s:/?#@]+):?[^\s/?#@]*@"
_KEYWORDS = (
    r"(?i)(?:^|[\s;?&,])(?:\w*passw(?:or)?d|\w*pwd|pass|passphrase|(?:shared)?access_?key|\w*secret|\w*token|api_?key)"
    r"\s*=\s*(?:'((?:[^'\\]|\\.)*)'|\"([^\"]*)\"|\{([^}]*)\}|([^\s;&]+))"
)
_LONGEST_LINE = 4096  # characters
_NAMES_OF_PASSWORDS = ("pass", "pwd", "secret", "token", "key=", "key =")


def known_secrets() -> dict[str, tuple[str, ...]]:
    """Return the secrets that open storages, with the keys that the JSON object must have; none for plain text."""
    return {name: keys for backend in backends() for name, keys in backend.secrets.items()}


def register_secret(text: str, value: object) -> bool:
    """Mask a secret's text and every part of it that is as secret; return whether some part is too short for it.

    ``value`` is what `parse_secret` made of the text.
    """
    mask_encodings(secret_encodings(text, value))
    return any(0 < len(each) < SHORTEST for each in secret_parts(value))


def secret_encodings(text: str, value: object) -> list[list[str]]:
    """Return what a build looks for, and a run hides, of a secret: the encodings of each part, the part itself first.

    Of lines, which are parts of something longer, base64 is not looked for: it is found as that of the whole.
    """
    parts = [*((text,) if value is not text else ()), *secret_parts(value)]
    texts = [each for each in dict.fromkeys(part.strip() for part in parts) if len(each) >= SHORTEST]
    in_lines = (list(base64_lines(part)) for part in parts if part != part.strip())  # whose last one ends otherwise
    quoted = (list(quoted_encodings(line)) for line in secret_lines(value))
    return [*map(encodings_of, texts), *filter(None, in_lines), *quoted]


def secret_parts(value: object) -> list[str]:
    """Return the texts that are as secret as a value: its leaves, and the keys, signatures and passwords in them."""
    leaves = [str(leaf) for leaf in secret_leaves(value)]
    parts_of = (connection_keys, _signatures_in, passwords_in, _random_parts)
    return [*leaves, *(part for leaf in leaves for parts in parts_of for part in parts(leaf))]


def passwords_in(text: str) -> list[str]:
    """Return the passwords in a URL or another connection string, as they stand there and decoded.

    Lines that are too long for one are passed over: what looks through them takes its time.
    """
    found = [each for line in text.splitlines() if len(line) <= _LONGEST_LINE for each in _passwords_in_line(line)]
    if "%" in text and found:
        from urllib.parse import unquote

        found += [unquote(each) for each in found]
    return [*dict.fromkeys(filter(None, found))]


def _passwords_in_line(text: str) -> Iterator[str]:
    if "://" in text:
        for pattern in _PASSWORDS_IN_URL:
            yield from re.findall(pattern, text)
        yield from (user for user in re.findall(_USER_IN_URL, text) if _random_parts(user))
    lowered = text.lower()
    if "=" in text and any(name in lowered for name in _NAMES_OF_PASSWORDS):
        yield from ("".join(groups) for groups in re.findall(_KEYWORDS, text))


def secret_lines(value: object) -> list[str]:
    """Return the lines of a value that has several, but for short ones and the headers of a PEM."""
    leaves = (str(leaf) for leaf in secret_leaves(value))
    lines = (line.strip() for leaf in leaves if "\n" in leaf for line in leaf.splitlines())
    return [line for line in lines if len(line) >= SHORTEST and not _HEADER.fullmatch(line)]


def register_ambient_secrets(environ: Mapping[str, str]) -> None:
    """Mask the values of the clouds' own variables; values shorter than SHORTEST are ignored without a warning."""
    private = (name for backend in backends() for name in backend.private_variables)
    for name in (*known_secrets(), *private):
        if text := environ.get(name):
            register_secret(text, parse_secret(text))


def parse_secret(text: str) -> Any:
    """Return what a JSON object or array holds; anything else stays text."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def secret_leaves(value: object, name: str = "") -> Iterator[str | int | float]:
    """Yield the texts and numbers in a JSON object or array, or the text itself, that are not public by their name."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from secret_leaves(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from secret_leaves(part, name)
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and not _is_public(name, str(value)):
        yield value


def split_connection_string(text: str) -> dict[str, str]:
    """Return the parts of an Azure connection string; their names may be in any case, and are returned in lower case.

    https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string
    """
    return dict(_connection_pairs(text))


def connection_keys(text: str) -> list[str]:
    """Return the values in an Azure connection string that are as secret alone as in the string."""
    return [part for name, part in _connection_pairs(text) if name in {"accountkey", "sharedaccesssignature"} and part]


def _is_public(name: str, text: str) -> bool:
    """Return whether a part of a JSON secret is no secret by its name, such as ``client_email``."""
    return bool(_PUBLIC_NAME.fullmatch(name)) and not (_SIGNATURE.search(text) or passwords_in(text))


def _signatures_in(text: str) -> Iterator[str]:
    """Yield the signatures of a shared access signature, or of a URL with one, as they stand there and decoded."""
    for signature in _SIGNATURE.findall(text):
        from urllib.parse import unquote

        yield signature
        yield unquote(signature)


def _random_parts(text: str) -> list[str]:
    """Return the parts of a text that can only be keys, and stay the same however it is escaped; none of a URL."""
    if "://" in text or ";" in text or _HEADER.search(text):
        return []
    return [part for part in _RANDOM.findall(text) if not part.isdecimal() and not part.islower()][:_MOST_RANDOM]


def _connection_pairs(text: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]
