"""The parts of a secret that are as secret as the whole: leaves of JSON, keys in connection strings, signatures."""

from __future__ import annotations

import json
import os
import re
from binascii import a2b_base64
from typing import TYPE_CHECKING, Any

from runner.schemes import backends
from runner.secrets.encodings import SHORTEST, base64_lines, encodings_of, quoted_encodings
from runner.secrets.redaction import mask_encodings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Patterns are text, which `re` compiles and keeps when it is needed: most starts need none.

# What in a JSON secret is no secret by its name, unless its value is a URL with a password or a signature.
_PUBLIC_NAME = (
    r"(?i)type|project_id|client_email|client_id|universe_domain|\w+_uri|\w+_url"
    r"|account(_?name)?|endpoint(_?suffix)?|\w+endpoint|default_?endpoints_?protocol"
)
_SIGNATURE = r"(?:^|[?&=])(?:sig|X-\w+-(?:Signature|Security-Token))=([^&;\s]+)"
_HEADER = r"-----(BEGIN|END) [A-Z0-9 ]+-----"
_RANDOM = r"[A-Za-z0-9]{16,}"  # what is not all in small letters is no word
_MOST_RANDOM = 8  # of one value
_WORD_IN_URL = r"[A-Za-z0-9_-]{16,}"
_BEFORE_PATH = r"\w+://[^\s/?#]*"
# Where URLs have a password: before @, also where it holds an @ or a slash as it should not; without a host, as Airflow
# writes them. And where other connection strings have one: of libpq, ODBC, ADO and JDBC, and in a URL's query.
_PASSWORDS_IN_URL = (
    r"://[^\s:/?#@]*:([^\s/?#]+)@",
    r"://[^\s:/?#@]*:(\S+)@",
    r"://[^\s:/?#@]+:(?!\d*(?:[/?#]|$))([^\s/?#@]+)(?:[/?#]|$)",
)
_USER_IN_URL = r"://([^\s:/?#@]+):?[^\s/?#@]*@"
_KEYWORDS = (
    r"(?i)(?:^|[\s;?&,{'\"])(?:\w*passw(?:or)?d|\w*pwd|pass|passphrase|(?:shared)?access_?key|\w*secret|\w*token|api_?key)"
    r"['\"]?\s*[=:]\s*(?:'((?:[^'\\]|\\.)*)'|\"([^\"]*)\"|\{([^}]*)\}|([^\s;&]+))"
)
_IN_NETRC = r"(?:^\s*|\s(?:login|account)\s.*\s)password\s+(\S+)"
_PAIR = r"[^\s:/]+(?::[^\s:/]*)*:([^\s:/]+)"  # user and password as curl takes them, or a line of .pgpass
_LONGEST_LINE = 4096  # characters
_NAMES_OF_PASSWORDS = ("pass", "pwd", "secret", "token", "key")
NOT_SHOWN = "what is no file (not shown, as it may be what belongs into one)"
_PLAIN_PATH = r"~?(/[a-z0-9._-]{1,32})+"  # which no key and no token looks like


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
    parts_of = (_unquoted, connection_keys, _signatures_in, passwords_in, _passwords_in_pairs, random_parts, _decoded)
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
        yield from (user for user in re.findall(_USER_IN_URL, text) if random_parts(user))
    lowered = text.lower()
    if ("=" in text or ":" in text) and any(name in lowered for name in _NAMES_OF_PASSWORDS):
        yield from ("".join(groups) for groups in re.findall(_KEYWORDS, text))
    if "password" in text:
        yield from re.findall(_IN_NETRC, text)


def secret_lines(value: object) -> list[str]:
    """Return the lines of a value that has several, but for short ones and the headers of a PEM."""
    leaves = (str(leaf) for leaf in secret_leaves(value))
    lines = (line.strip() for leaf in leaves if "\n" in leaf for line in leaf.splitlines())
    return [line for line in lines if len(line) >= SHORTEST and not re.fullmatch(_HEADER, line)]


def shown_path(text: str) -> str:
    """Return what a message may show of a value that should name a file: some take such a variable for the secret's.

    That is a file that is there, or what is plainly a path: ``/run/secrets/key``, or one into a folder that is there.
    """
    if re.fullmatch(_PLAIN_PATH, text):
        return text
    folder = "/".join(text.split("/", 2)[:2])
    is_below = text.startswith("/") and text.count("/") > 1 and len(folder) > 1
    try:  # without pathlib, which costs the start 5 ms
        is_path = os.path.lexists(os.path.expanduser(text)) or (is_below and os.path.isdir(folder))  # noqa: PTH111, PTH112
    except ValueError:
        is_path = False
    return text if is_path else NOT_SHOWN


def register_ambient_secrets(environ: Mapping[str, str]) -> None:
    """Mask the values of the clouds' own variables; values shorter than SHORTEST are ignored without a warning.

    So are values that stand where a file's name belongs: what a cloud's SDK says of the file would show them.
    """
    files = (
        name
        for backend in backends()
        for name in (*backend.file_variables, *(f"{one}_FILE" for one in backend.secrets))
    )
    for name in files:
        if (text := environ.get(name)) and shown_path(text) != text:
            register_secret(text, parse_secret(text))
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
    is_named = bool(re.fullmatch(_PUBLIC_NAME, name))
    return is_named and not (
        re.search(_SIGNATURE, text) or passwords_in(text) or ("://" in text and random_parts(text))
    )


def _signatures_in(text: str) -> Iterator[str]:
    """Yield the signatures of a shared access signature, or of a URL with one, as they stand there and decoded."""
    for signature in re.findall(_SIGNATURE, text):
        from urllib.parse import unquote

        yield signature
        yield unquote(signature)


def random_parts(text: str) -> list[str]:
    """Return the parts of a text that can only be keys, and stay the same however it is escaped.

    Of a URL they are words of its path and query, as a webhook's has: an error about it tells these without the host.
    """
    if ";" in text or re.search(_HEADER, text):
        return []
    if "://" in text:
        words = re.findall(_WORD_IN_URL, re.sub(_BEFORE_PATH, " ", text))
        return [word for word in words if any(map(_is_random, re.findall(_RANDOM, word)))][:_MOST_RANDOM]
    return [part for part in re.findall(_RANDOM, text) if _is_random(part)][:_MOST_RANDOM]


def _is_random(part: str) -> bool:
    return not part.isdecimal() and not part.islower()


def _unquoted(text: str) -> list[str]:
    """Return a text without the quotes around it, which ``docker run --env-file`` leaves there."""
    text = text.strip()
    return [text[1:-1]] if text[:1] in {'"', "'"} and text[-1:] == text[:1] else []


def _passwords_in_pairs(text: str) -> list[str]:
    """Return the passwords in lines that are a user and a password."""
    lines = (line.strip() for line in text.splitlines() if len(line) <= _LONGEST_LINE and "://" not in line)
    return [found[1] for line in lines if (found := re.fullmatch(_PAIR, line))]


def _decoded(text: str) -> list[str]:
    """Return what base64 in a text hides, if that is a text, and the parts of it: a key's file, user and password."""
    found = []
    for word in dict.fromkeys(("".join(text.split()), text.rpartition(" ")[2])):
        try:
            decoded = a2b_base64(word, strict_mode=True).decode()
        except ValueError:
            continue
        if len(decoded) >= SHORTEST and "".join(decoded.split()).isprintable():
            found += [decoded, *secret_parts(parse_secret(decoded))]
    return found


def _connection_pairs(text: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]
