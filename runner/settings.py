"""Settings: the environment's variables, read into one tuple with names."""

from __future__ import annotations

import re
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.errors import EnvironmentWrong, UsageError
from runner.location import Location, check_key, check_sha256, parse_location, split_digest
from runner.schemes import BAKED_WORD, storage_word, storage_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from runner.signing.keys import PrivateKey, PublicKey

# Every variable and what it means, in the order of the table in docs/running.md, which a test compares with this one.
VARIABLES = {
    "RUNNER_STORAGE": "`local`, `s3`, `gcs`, `azure`, or `docker`: a flow that was baked into this image",
    "RUNNER_LOCATION": "`bucket/key`, `container/blob` or a path; or a whole URL (then the storage may be left out)",
    "RUNNER_SECRETS": "names of secrets, comma separated: `AWS_CREDENTIALS,DB_PASSWORD`",
    "RUNNER_PARAMETERS": "the flow's parameters, a JSON object",
    "RUNNER_RUN_ID": "begin, go on with, or repeat the run of this id; absent: a new one",
    "RUNNER_RESULTS": "another storage URL for the run's documents; needed for `docker`",
    "RUNNER_EXECUTOR": "`threads` (default), `threads:8` or `sequential`",
    "RUNNER_TIMEOUT": "seconds that the run may take, from this start on",
    "RUNNER_GRACE": "seconds between asking the flow to stop and killing it (default 10)",
    "RUNNER_PATIENCE": "seconds that failing storage is borne once a run has begun (default 60); before it, at most 8",
    "RUNNER_HEARTBEAT": "seconds between signs of life (default 15); after three without one another start takes over",
    "RUNNER_TRUSTED_KEYS": "public keys, comma separated, each with its role (`flows:…,runs:…`); "
    "whatever none of them signed is refused",
    "RUNNER_SIGNING_KEY": "a private key, which signs what this process writes: for flows at a build, else for runs",
    "RUNNER_MIN_VERSION": "refuse bundles older than this version",
    "RUNNER_MAX_AGE": "seconds; with trusted keys, refuse pointers to the newest version, and aliases, that are older",
    "RUNNER_BUNDLE_SHA256": "refuse any bundle but that of this digest; or `#sha256=…` at the end of the location",
    "RUNNER_LOG_LEVEL": "`DEBUG`, `INFO` (default), `WARNING` or `ERROR`",
    "RUNNER_LOG_FORMAT": "`json` (default without a terminal) or `text`",
    "RUNNER_LAUNCH": "the number of the launch that this start is, set by launchers; a later one takes its place",
    "RUNNER_WEBHOOK_SECRET": "signs what an agent posts to its `--webhook`",
    "RUNNER_IMAGE": "the name of the image, set in each of ours; claims and advice quote it",
}
SECRET_VARIABLES = frozenset({"RUNNER_SIGNING_KEY", "RUNNER_WEBHOOK_SECRET"})  # never shown, nor quoted in an error
# They say what may run and what is believed, here or by whom a webhook tells; one that a broken template left empty
# would let everything.
_SAFETY = ("TRUSTED_KEYS", "SIGNING_KEY", "MIN_VERSION", "MAX_AGE", "BUNDLE_SHA256", "WEBHOOK_SECRET")
NEVER_EMPTY = frozenset(f"RUNNER_{name}" for name in _SAFETY)
# What is misspelt, and would have held something back, must not let it start.
_GUARDS = (*_SAFETY, "SECRETS", "PARAMETERS", "RUN_ID")
_NEAR = 0.75  # of 1: PARAMS is so near to PARAMETERS
_SECRET_FIELDS = frozenset({"signing_key", "webhook_secret", "environ"})
_VERSION = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:t[0-9-]*)?"  # or its beginning; compared as text, so in this form
_MOST_DIGITS = 18  # so that what is counted stays below 2**63
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Settings(NamedTuple):  # not a dataclass: those take a start half a millisecond each to make, this one more
    """The settings of one start, one field a variable; `VARIABLES` says what each one means."""

    baked: bool = False  # the flow lies in this image, where nothing else can be kept
    location: Location | None = None
    secrets: tuple[str, ...] = ()
    parameters: dict[str, Any] | None = None  # None: not given
    run_id: str | None = None
    results: Location | None = None
    executor: str = "threads"
    timeout: float | None = None
    grace: float = 10.0
    patience: float = 60.0
    heartbeat: float = 15.0
    trusted_keys: tuple[PublicKey, ...] = ()
    signing_key: PrivateKey | None = None
    min_version: str | None = None
    max_age: float | None = None
    bundle_sha256: str | None = None  # of the variable, or of the location
    log_level: str = "INFO"
    log_format: str | None = None
    launch: int | None = None
    image: str | None = None
    webhook_secret: str | None = None
    environ: Mapping[str, str] = MappingProxyType({})

    def __repr__(self) -> str:
        """Show all fields; a private key, and the environment, which contains secrets, as ``<secret>``."""
        held = self._asdict().items()
        shown = ((name, "<secret>" if name in _SECRET_FIELDS and value else repr(value)) for name, value in held)
        return f"Settings({', '.join(f'{name}={text}' for name, text in shown)})"

    @property
    def temporary(self) -> str:
        """The folder for temporary files, without a try to write: Python's own search leaves a file if it is killed."""
        return self.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - its well-known place

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], *, needs_location: bool = True) -> Settings:
        """Read all variables, or their files. Raises EnvironmentWrong, which names everything that is wrong at once."""
        settings, problems = cls.read(environ, needs_location=needs_location)
        if problems:
            raise EnvironmentWrong("; ".join(problems), hint="docs/running.md has the table of all variables.")
        return settings

    @classmethod
    def read(cls, environ: Mapping[str, str], *, needs_location: bool = True) -> tuple[Settings, list[str]]:
        """Return the settings, and what is wrong with variables that cannot be read, which have their defaults."""
        problems: list[str] = []
        variables = _Variables(environ, problems)
        storage = variables.text("RUNNER_STORAGE")
        location, digest = _read_location(variables, storage, needed=needs_location)
        settings = cls(
            baked=(storage or "").lower() == BAKED_WORD,
            location=location,
            secrets=variables.get("RUNNER_SECRETS", _read_names, ()),
            parameters=variables.get("RUNNER_PARAMETERS", _read_parameters, None),
            run_id=variables.get("RUNNER_RUN_ID", check_run_id, None),
            results=variables.get("RUNNER_RESULTS", parse_location, None),
            executor=variables.get("RUNNER_EXECUTOR", _check_executor, "threads"),
            timeout=variables.get("RUNNER_TIMEOUT", _read_seconds, None),
            grace=variables.get("RUNNER_GRACE", _read_grace, 10.0),
            patience=variables.get("RUNNER_PATIENCE", _read_seconds, 60.0),
            heartbeat=variables.get("RUNNER_HEARTBEAT", _read_seconds, 15.0),
            trusted_keys=variables.get("RUNNER_TRUSTED_KEYS", _read_trusted_keys, ()),
            signing_key=variables.get("RUNNER_SIGNING_KEY", _read_signing_key, None),
            min_version=variables.get("RUNNER_MIN_VERSION", _check_version, None),
            max_age=variables.get("RUNNER_MAX_AGE", _read_seconds, None),
            bundle_sha256=_read_digest(variables, digest),
            log_level=variables.get(
                "RUNNER_LOG_LEVEL", _choice_of(_LEVELS, lambda text: re.sub("^WARN$", "WARNING", text.upper())), "INFO"
            ),
            log_format=variables.get("RUNNER_LOG_FORMAT", _choice_of(("json", "text"), str.lower), None),
            launch=variables.get("RUNNER_LAUNCH", _read_count, None),
            image=variables.text("RUNNER_IMAGE"),
            webhook_secret=variables.text("RUNNER_WEBHOOK_SECRET"),
            environ=environ,
        )
        for name, meant in unread(environ):
            if meant.endswith(_GUARDS) and meant not in environ and f"{meant}_FILE" not in environ:
                problems.append(f"{name} is read by nothing; the name is {meant}")
        if settings.max_age and not settings.trusted_keys:
            problems.append("RUNNER_MAX_AGE: without RUNNER_TRUSTED_KEYS anybody can make a pointer of any age")
        return settings, problems


def with_files_read(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with the content of each file that a ``NAME_FILE`` names, as the value of ``NAME``.

    A pipe can be read only once, and two processes need its content. A file that cannot be read stays named.
    """
    read = dict(environ)
    secrets = _Variables(environ, []).text("RUNNER_SECRETS") or ""
    for name in (*VARIABLES, *(secret.strip() for secret in secrets.split(","))):
        file = environ.get(f"{name}_FILE")
        if file:
            with suppress(OSError, ValueError):
                # the names were read above; if they could not be, the file stays named, and is reported as unreadable
                read[name] = (name == "RUNNER_SECRETS" and secrets) or _read_file(name, file)
                del read[f"{name}_FILE"]
    return read


def variable_origins(environ: Mapping[str, str], read: Mapping[str, str]) -> Iterator[tuple[str, str | None, str]]:
    """Yield every variable with its text, or that of its default, and its origin: variable, file or default.

    Takes the environment as it was, and as `with_files_read` returned it.
    """
    from runner.secrets.parts import shown_path

    defaults = Settings()
    for name in VARIABLES:
        if file := environ.get(f"{name}_FILE"):
            yield name, read.get(name, "").strip() or None, f"file {shown_path(file)}"
        elif text := environ.get(name, "").strip():
            yield name, text, "variable"
        else:
            default = getattr(defaults, name.removeprefix("RUNNER_").lower(), None)
            yield name, str(default) if default else None, "default"


def unread(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the names that begin as ours do and are none, each with the one that it is near to, or an empty text."""
    known = {*VARIABLES, "RUNNER_REVISION", *map(str.strip, environ.get("RUNNER_SECRETS", "").split(","))}
    words = {name: name.removesuffix("_FILE") for name in environ if name.startswith("RUNNER_")}
    return [(name, _nearest(word)) for name, word in words.items() if name not in known and word not in known]


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    word = name.removeprefix("RUNNER_")  # GitHub's agents have RUNNER_VERSION, and mean no RUNNER_MIN_VERSION
    words = [known.removeprefix("RUNNER_") for known in VARIABLES if known.startswith(name[:8])]
    close = get_close_matches(word, words, n=1, cutoff=_NEAR)
    return f"RUNNER_{close[0]}" if close else ""


def names_no_flow(environ: Mapping[str, str]) -> bool:
    """Return whether no variable says what to run, as when somebody tries an image for the first time."""
    return not any(
        name.removesuffix("_FILE") in {"RUNNER_STORAGE", "RUNNER_LOCATION"} for name, text in environ.items() if text
    )


class _Variables:
    """The variables, or the content of their files; it collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str], problems: list[str]) -> None:
        self.environ, self.problems = environ, problems

    def text(self, name: str) -> str | None:
        file = self.environ.get(f"{name}_FILE")
        if file:  # which beats the variable, of a setting as of a secret
            try:
                text = _plain(_read_file(name, file))
            except (OSError, ValueError):  # it is no UTF-8, or its name no path
                from runner.secrets.parts import shown_path

                self.problems.append(f"{name}_FILE names {shown_path(file)}, which cannot be read")
                return None
        else:
            text = _plain(self.environ.get(name, ""))
        named = next((each for each in (name, f"{name}_FILE") if each in self.environ), None)
        if named and not text and name in NEVER_EMPTY:
            self.problems.append(f"{named} is set, but empty: unset it to do without it, or give it its value")
        return text

    def get(self, name: str, read: Callable[[str], Any], default: Any) -> Any:
        text = self.text(name)
        if text is None:
            return default
        try:
            return read(text)
        except (ValueError, OSError, RuntimeError) as error:
            self.problems.append(f"{name}: {error}")
            return default


def _plain(text: str) -> str | None:
    return text.strip().removeprefix("\ufeff").strip() or None


def _read_file(name: str, file: str) -> str:
    """Return what a variable's file holds; a warning is printed of a secret's that others may read."""
    from runner.limits import read_text

    if name in SECRET_VARIABLES:
        from runner.signing.keys import warn_if_exposed

        warn_if_exposed(file)
    return read_text(file, "setting's file")


def _read_location(variables: _Variables, storage: str | None, *, needed: bool) -> tuple[Location | None, str | None]:
    """Return the location, and the digest that it ends with, if it does."""
    text = variables.text("RUNNER_LOCATION")
    if storage and storage_word(storage) not in (words := storage_words()):
        variables.problems.append(f"RUNNER_STORAGE: unknown storage {storage!r}: choose one of {', '.join(words)}")
        return None, None
    if text is None:
        if needed:
            near = _did_you_mean("RUNNER_LOCATION", variables.environ)
            variables.problems.append(f"RUNNER_LOCATION is not set{near}")
            if not storage and (near := _did_you_mean("RUNNER_STORAGE", variables.environ)):
                variables.problems.append(f"RUNNER_STORAGE is not set{near}")
        return None, None
    if not storage and "://" not in text:
        near = _did_you_mean("RUNNER_STORAGE", variables.environ)
        variables.problems.append(f"RUNNER_STORAGE is not set{near}, and RUNNER_LOCATION is no URL")
        return None, None
    try:
        text, digest = split_digest(text)
        location = parse_location(text, (storage or "").lower())
        if location.key:
            check_key(location.key)
    except (ValueError, UsageError, OSError, RuntimeError) as error:  # no right to look there, no such home
        variables.problems.append(f"RUNNER_LOCATION: {str(error).rstrip('.')}")
        return None, None
    return location, digest


def _read_digest(variables: _Variables, of_location: str | None) -> str | None:
    digest: str | None = variables.get("RUNNER_BUNDLE_SHA256", check_sha256, None)
    if digest and of_location and digest != of_location:
        variables.problems.append("RUNNER_BUNDLE_SHA256 and the location's #sha256= are not the same digest")
    return digest or of_location


def _did_you_mean(name: str, environ: Mapping[str, str]) -> str:
    """Return a question after a variable that is set and nearly has the name; empty without one."""
    from difflib import get_close_matches

    others = [other for other in environ if other.upper().startswith("RUN") and other not in VARIABLES]
    close = get_close_matches(name, others, n=1, cutoff=0.8)
    return f" (did you mean it by {close[0]}?)" if close else ""


def _read_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in names):
        message = "something in it is no name; give the secrets' names, comma separated, never their values"
        raise ValueError(message)  # which is not shown: it may well be a value
    return names


def _read_parameters(text: str) -> dict[str, Any]:
    from runner.schema.json_values import read_json

    try:
        value = read_json(text)
    except (ValueError, RecursionError) as error:
        message = f"no JSON ({error})"
        raise ValueError(message) from error
    if not isinstance(value, dict):
        message = 'no JSON object; write {"name": value}'
        raise ValueError(message)  # noqa: TRY004 - a value from outside, not a type of ours
    return value


def _read_trusted_keys(text: str) -> tuple[PublicKey, ...]:
    from runner.signing.keys import read_public

    return read_public(text)


def _read_signing_key(text: str) -> PrivateKey:
    from base64 import b64encode

    from runner.secrets.parts import register_secret
    from runner.secrets.redaction import mask
    from runner.signing.keys import ROLES, read_private

    secret = re.sub(rf"^(?:{'|'.join(ROLES)}):\s*", "", text)  # its role is none
    register_secret(secret, secret)  # also one that cannot be read
    key = read_private(text)
    mask(key.pem.decode(), b64encode(key.raw).decode())  # whichever of the two was given
    return key


def _check_version(text: str) -> str:
    if not re.fullmatch(_VERSION, text):
        message = f"{text!r} is no version; those begin with a date, as in 2026-11-22t12-10-24-845190-00-00"
        raise ValueError(message)
    return text


def check_run_id(text: str) -> str:
    """Return a run id. Raises ValueError for what can be none."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", text):
        message = f"{text!r} is no run id: a letter or digit, then at most 127 letters, digits, '.', '_' and '-'"
        raise ValueError(message)
    return text


def _check_executor(text: str) -> str:
    kind, colon, number = text.partition(":")
    if (kind == "sequential" and not colon) or (
        kind == "threads" and (not colon or (number.isdigit() and int(number)))
    ):
        return text
    message = f"unknown executor {text!r}: choose threads, threads:N or sequential"
    raise ValueError(message)


def _read_seconds(text: str) -> float:
    from runner.limits import MOST_SECONDS

    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= MOST_SECONDS:
        message = f"{text!r} is no positive number of seconds, of which {MOST_SECONDS:g} are the most"
        raise ValueError(message)
    return seconds


def _read_count(text: str) -> int:
    if not text.isdecimal() or len(text) > _MOST_DIGITS or int(text) == 0:
        message = f"{text!r} is no number, counted from 1"
        raise ValueError(message)
    return int(text)


def _read_grace(text: str) -> float:
    return 0.0 if re.fullmatch(r"0+(\.0*)?", text) else _read_seconds(text)


def _choice_of(choices: tuple[str, ...], fold: Callable[[str], str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if fold(text) not in choices:
            message = f"{text!r}: choose one of {', '.join(choices)}"
            raise ValueError(message)
        return fold(text)

    return read
