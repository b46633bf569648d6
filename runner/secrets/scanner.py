"""What must not travel with a flow: values of secrets, of variables that say so, and well-known shapes of keys."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.errors import EnvironmentWrong, FlowFailed
from runner.secrets.encodings import SHORTEST, encoded, encodings_of
from runner.secrets.named import find
from runner.secrets.parts import is_public, keys_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

log = logging.getLogger("runner.leaks")
_SAYS_SO = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|CONNECTION_?STRING", re.IGNORECASE)
_HARMLESS = re.compile(
    r"RUNNER_(TRUSTED_KEYS|SECRETS)|GPG_KEY|\w+_(FILE|PATH|DIR|NAME|SOCK|URI|ENDPOINT)|.*KEYBOARD.*", re.IGNORECASE
)
_AZURITE = rb"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6"  # its key is in its documentation, the same for everybody
_PLACEHOLDER = rb"pass|secret|changeme|example"
# By what it is called: the shapes in which clouds give keys out.
_SHAPES = {
    "an AWS access key": re.compile(rb"(?<![A-Za-z0-9])A(?:KIA|SIA)[A-Z2-7]{16}(?![A-Za-z0-9])(?<!EXAMPLE)"),
    "a private key": re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\\\\?[nr]|[\sA-Za-z0-9+/=]){40,}"),
    "an Azure account key": re.compile(rb"AccountKey\s*=\s*(?!%b)[A-Za-z0-9+/]{40,}" % _AZURITE, re.IGNORECASE),
    "an Azure shared access signature": re.compile(rb"[?&;\"'\s=]sig=[A-Za-z0-9%+/]{43,}(?:%3[Dd]|=)"),
    "a Google API key": re.compile(rb"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    "a GitHub token": re.compile(rb"(?<![A-Za-z0-9])gh[opsur]_[A-Za-z0-9]{36}"),
    "a URL with a password": re.compile(
        rb"\b[a-z][a-z0-9+]{1,20}://[^\s/:@'\"{}<>$]{1,64}:(?!%b)[^\s/:@'\"{}<>$*]{8,200}@[A-Za-z0-9]" % _PLACEHOLDER,
        re.IGNORECASE,
    ),
}


@dataclass(frozen=True, slots=True)
class Secret:
    """A value to look for: what it is called, and the forms in which it may stand in a file or a pickle."""

    name: str
    forms: frozenset[bytes]


def secrets_of(names: Iterable[str], environ: Mapping[str, str]) -> list[Secret]:
    """Give what is secret here: the named secrets that can be found, and variables whose name says what they hold."""
    found = []
    named = set(names)
    for name in sorted(named):
        try:
            value = find(name, environ)
        except EnvironmentWrong:
            continue  # where the flow is built it need not be
        secret = _secret(f"the secret {name}", value)
        if secret.forms:
            found.append(secret)
        elif value:
            log.warning(
                "the secret %s is shorter than %d characters, and is neither looked for nor hidden", name, SHORTEST
            )
    for name, value in sorted(environ.items()):
        if name not in named and _SAYS_SO.search(name) and not _HARMLESS.fullmatch(name):
            secret = _secret(f"the variable {name}", _parsed(value))
            found += [secret] if secret.forms else []
    return found


def handed_over_secret(texts: Iterable[str]) -> Secret:
    """Give what an author handed over in person, however short it is."""
    name = "the connection string that was handed over, or the key in it"
    return Secret(name, frozenset(text.encode() for text in texts if text))


def find_secrets(data: bytes, secrets: Iterable[Secret]) -> list[str]:
    """Name what of the secrets, and of the well-known shapes, stands in some bytes."""
    known = [f"the value of {secret.name}" for secret in secrets if any(form in data for form in secret.forms)]
    return known + [name for name, shape in _SHAPES.items() if shape.search(data)]


def refuse_secrets(
    places: Mapping[str, bytes], secrets: Iterable[Secret], locate: Callable[[str, Callable[[bytes], bool]], str]
) -> None:
    """Refuse to let anything of this leave. ``locate`` says where in a place it is, given a test of a part's bytes.

    Raises FlowFailed, which names what it is and where it sits, never what it says.
    """
    secrets = list(secrets)

    def told(place: str, what: str) -> str:
        return f"{what}, in {locate(place, lambda part: what in find_secrets(part, secrets))}"

    found = [told(place, what) for place, data in places.items() for what in find_secrets(data, secrets)]
    if found:
        message = f"what must stay here would travel: {'; '.join(dict.fromkeys(found))}"
        hint = "Read it inside the task: runner.secret(…). allow_secrets=True, or --allow-secrets, lets it travel."
        raise FlowFailed(message, hint=hint)


def _secret(name: str, value: Any) -> Secret:
    return Secret(name, frozenset(encoded(form) for text in _texts(value) for form in encodings_of(text)))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text) if text.lstrip().startswith(("{", "[")) else text
    except (ValueError, RecursionError):
        return text


def _texts(value: Any, name: str = "") -> Iterator[str]:
    """Give the texts that are as secret as the value: JSON's leaves, the keys of a connection string, a PEM's lines."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, str(key))
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, name)
    elif isinstance(value, str) and not is_public(name, value) and not _is_harmless(value):
        text = value.strip()
        candidates = [text, *keys_in(text), *(line.strip() for line in text.splitlines()[1:-1])]
        known = _AZURITE.decode()
        yield from (each for each in dict.fromkeys(candidates) if len(each) >= SHORTEST and not each.startswith(known))


def _is_harmless(text: str) -> bool:
    """Whether a value is a word that says yes or no, a number, or the path of something on this machine."""
    return text.lower() in {"disabled", "required", "optional"} or text.isdecimal() or text.startswith(("/", "~/"))
