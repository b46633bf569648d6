"""A scanner for secrets in what would travel: known values, variables named like secrets, shapes of keys."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import EnvironmentWrong, FlowFailed
from runner.schemes import backends
from runner.secrets.encodings import SHORTEST, encodings_of
from runner.secrets.matcher import SecretMatcher
from runner.secrets.named import read_secret
from runner.secrets.parts import parse_secret, passwords_in, register_secret, secret_encodings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

log = logging.getLogger("runner.leaks")
_SECRET_NAME = re.compile(
    r"KEY|TOKEN|SECRET|PASSW|PASSPHRASE|PASSCODE|_PASS$|_PAT$|CREDENTIAL|CONNECTION_?STRING|(?<!^)(?<!^OLD)PWD$",
    re.IGNORECASE,
)
_HARMLESS_NAME = re.compile(
    r"RUNNER_(TRUSTED_KEYS|SECRETS)|GPG_KEY|\w+_(FILE|PATH|DIR|NAME|SOCK)|(?!.*(SECRET|PASSW))\w+_(URI|ENDPOINT)"
    r"|.*KEYBOARD.*",
    re.IGNORECASE,
)
_AZURITE_KEY = (
    rb"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6"  # its key is in its documentation, the same for everybody
)
_PLACEHOLDER = rb"pass|secret|changeme|example"
_PLACEHOLDER_PASSWORD = re.compile(f"{_PLACEHOLDER.decode()}|.*[{{}}<>$*]", re.IGNORECASE)
# What is shaped like a key that a cloud gives out, by what messages call it.
_SHAPES = {
    "an AWS access key": re.compile(rb"(?<![A-Za-z0-9])A(?:KIA|SIA)[A-Z2-7]{16}(?![A-Za-z0-9])(?<!EXAMPLE)"),
    "a private key": re.compile(rb"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:\\\\?[nr]|[\sA-Za-z0-9+/=]){40,}"),
    "an Azure account key": re.compile(rb"AccountKey\s*=\s*(?!%b)[A-Za-z0-9+/]{40,}" % _AZURITE_KEY, re.IGNORECASE),
    "an Azure shared access signature": re.compile(rb"[?&;\"'\s=]sig=[A-Za-z0-9%+/]{43,}(?:%3[Dd]|=)"),
    "a Google API key": re.compile(rb"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    "a GitHub token": re.compile(rb"(?<![A-Za-z0-9])gh[opsur]_[A-Za-z0-9]{36}"),
    "a URL with a password": re.compile(
        rb"(?<![a-z])[a-z][a-z0-9+]{1,20}://"  # in a pickle, a digit or letter that is its length may stand before it
        rb"[^\s/:@'\"{}<>$]{1,64}:(?!%b)[^\s/:@'\"{}<>$*]{8,200}@[A-Za-z0-9]" % _PLACEHOLDER,
        re.IGNORECASE,
    ),
}


@dataclass(frozen=True, slots=True)
class Secret:
    """A value to look for: what messages call it, and the encodings in which it may stand in a file or a pickle."""

    name: str
    matcher: SecretMatcher

    def is_in(self, data: bytes) -> bool:
        """Return whether some bytes contain the value."""
        return any(self.matcher.encodings[each] in data for each in self.matcher.candidates(data))


def collect_secrets(names: Iterable[str], environ: Mapping[str, str]) -> list[Secret]:
    """Return the secrets to look for: those of the names that can be found, and variables named like secrets.

    Of a variable that nobody named, and whose name says nothing, the passwords in a URL are looked for.
    """
    found = []
    named = set(names)
    for name in sorted(named):
        try:
            text, value = read_secret(name, environ)
        except EnvironmentWrong:
            continue  # where the flow is built it need not be
        encodings = secret_encodings(text, value)
        found.append(_secret(f"the secret {name}", encodings))
        if value and not encodings:
            log.warning(
                "the secret %s is shorter than %d characters, and is neither looked for nor hidden", name, SHORTEST
            )
    private = {name for backend in backends() for name in (*backend.secrets, *backend.private_variables)}
    for name, text in sorted(environ.items()):
        if name in named:
            continue
        if name in private:  # the clouds' own are as good as named
            encodings = secret_encodings(text, parse_secret(text))
        elif _SECRET_NAME.search(name) and not _HARMLESS_NAME.fullmatch(name):
            encodings = [each for each in secret_encodings(text, parse_secret(text)) if not _is_harmless(each[0])]
        elif "://" in text:
            passwords = (each for each in passwords_in(text) if len(each) >= SHORTEST)
            encodings = [encodings_of(each) for each in passwords if not _PLACEHOLDER_PASSWORD.match(each)]
        else:
            continue
        found.append(_secret(f"the variable {name}", encodings))
    return [secret for secret in found if secret.matcher]


def handed_over_secret(texts: Iterable[str]) -> Secret:
    """Return the secret of what an author handed over in the flow's own code, however short it is."""
    name = "the connection string that was handed over, or the key in it"
    return Secret(name, SecretMatcher({}, {}).with_values(map(encodings_of, filter(None, texts))))


def secret_of_file(name: str, path: Path) -> Secret:
    """Return the secret of a file that only a build step may see, and mask it: its text, lines, and passwords in it."""
    text = path.read_text("utf-8", errors="surrogateescape")
    register_secret(text, text)
    words = {word for line in text.splitlines() for word in line.split() if len(word) >= SHORTEST and "://" in word}
    passwords = [each for line in text.splitlines() for each in passwords_in(line) if len(each) >= SHORTEST]
    return _secret(name, [encodings_of(text.strip()), *map(encodings_of, (*words, *passwords))])


def find_secrets(data: bytes, secrets: Iterable[Secret]) -> list[str]:
    """Return the names of the secrets, and of the well-known shapes, that some bytes contain."""
    known = [f"the value of {secret.name}" for secret in secrets if secret.is_in(data)]
    return known + [name for name, shape in _SHAPES.items() if shape.search(data)]


def refuse_secrets(
    contents: Mapping[str, bytes], secrets: Iterable[Secret], locate: Callable[[str, Callable[[bytes], bool]], str]
) -> None:
    """Refuse contents, by their names, that contain a secret or a well-known shape.

    ``locate`` takes the name of a content and a test of a part's bytes, and returns in which part of it the secret is.
    Raises FlowFailed, which names the secret and where it is, never its value.
    """
    secrets = list(secrets)

    def describe(name: str, secret: str) -> str:
        return f"{secret}, in {locate(name, lambda part: secret in find_secrets(part, secrets))}"

    found = [describe(name, secret) for name, data in contents.items() for secret in find_secrets(data, secrets)]
    if found:
        message = f"what must stay here would travel: {'; '.join(dict.fromkeys(found))}"
        hint = "Read it inside the task: runner.secret(…). allow_secrets=True, or --allow-secrets, lets it travel."
        raise FlowFailed(message, hint=hint)


def _secret(name: str, encodings: Iterable[list[str]]) -> Secret:
    """Return a secret of parts, each with its encodings, but for the key of Azurite, which is everybody's."""
    known = _AZURITE_KEY.decode()
    return Secret(name, SecretMatcher({}, {}).with_values(each for each in encodings if not each[0].startswith(known)))


def _is_harmless(text: str) -> bool:
    """Return whether the value of a variable that nobody named is a word for yes or no, a number, or a path."""
    return text.lower() in {"disabled", "required", "optional"} or text.isdecimal() or text.startswith(("/", "~/"))
