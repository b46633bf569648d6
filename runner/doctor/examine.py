"""``runner doctor``: why it does not work. Looks at all that a run needs, one check after the other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.backends import open_storage
from runner.doctor import machine
from runner.doctor.checks import Check, failed_check, run_check
from runner.doctor.storage_probe import probe
from runner.errors import EnvironmentWrong, RunnerError, UsageError
from runner.location import Location, parse_location
from runner.secrets.named import MOUNT_FOLDER, known_secrets_present, resolve
from runner.secrets.parts import KNOWN
from runner.secrets.redaction import redact
from runner.settings import SECRET, Settings, origins, with_files_read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.backends.base import Storage
    from runner.doctor.checks import State
    from runner.secrets.named import Credentials

# The clouds' own variables, and those of them that hold nothing secret.
_OF_CLOUDS = re.compile(
    r"(AWS|GOOGLE|GCP|AZURE|CLOUDSDK)_\w+|STORAGE_EMULATOR_HOST|SSL_CERT_\w+|\w+_proxy", re.IGNORECASE
)
_SHOWN = re.compile(
    r"\w+_(REGION|PROFILE|FILE|BUNDLE|DIR|PROJECT|HOST|ACCOUNT|AUTHORITY|proxy|ENDPOINT\w*|ROLE_ARN|CLIENT_ID|TENANT_ID)|AWS_ENDPOINT_URL\w*"
    r"|GOOGLE_APPLICATION_CREDENTIALS|SSL_CERT_\w+",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(?<=://)[^/\s]+(?=@)")  # which may hold an @ itself
_HIDDEN = "(set, not shown)"


@dataclass(frozen=True, slots=True)
class Setting:
    """A variable: what it holds, as far as it may be shown, and where that comes from."""

    name: str
    value: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found, in the order in which a run would meet it."""

    settings: list[Setting]
    secrets: list[Setting]
    machine: dict[str, Any]
    checks: list[Check]

    @property
    def code(self) -> int:
        """The exit code of the first check that failed; 0 if none did."""
        return next((check.code for check in self.checks if check.state == "FAILED"), 0)

    def document(self) -> dict[str, Any]:
        """Give it as one JSON document."""
        return {
            "exit_code": self.code,
            "settings": [{"name": one.name, "value": one.value, "origin": one.origin} for one in self.settings],
            "secrets": [{"name": one.name, "origin": one.origin} for one in self.secrets],
            "machine": self.machine,
            "checks": [check.document() for check in self.checks],
        }


def examine(environ: Mapping[str, str], url: str | None = None) -> Report:
    """Look at everything; a URL takes the place of the location that the environment names, and of its results'."""
    read = with_files_read(environ)
    settings, problems = Settings.read(read, needs_location=url is None)
    secrets = {name: run_check("environment", "secret", partial(_found, name, read)) for name in settings.secrets}
    opening = resolve((name for name, check in secrets.items() if check.state == "ok"), read)
    checks = [run_check("environment", "settings", lambda: _read(problems)), *secrets.values()]
    checks.append(run_check("machine", "temporary folder", lambda: machine.temporary_folder(read)))
    for location, writes in _places(settings, url, read, checks):
        checks += _storage(location, opening, read, writes=writes)
    return Report(
        [*_settings(environ, read), *_of_clouds(environ)],
        [Setting(name, None, _origin(name, environ)) for name in settings.secrets],
        machine.facts(environ),
        checks,
    )


def _read(problems: list[str]) -> str:
    if problems:
        raise EnvironmentWrong("; ".join(problems), hint="The README has the table of all variables.")
    return "all variables can be read"


def _found(name: str, environ: Mapping[str, str]) -> str:
    resolve((name,), environ)
    return f"{name} is there"


def _settings(environ: Mapping[str, str], read: Mapping[str, str]) -> Iterator[Setting]:
    for name, text, origin in origins(environ, read):
        shown = text and (_HIDDEN if name in SECRET else _PASSWORD.sub("***", redact(text)))
        if text and name in {"RUNNER_PARAMETERS", "RUNNER_SECRETS"}:
            # names alone: the values of parameters are the flow's affair, and some take RUNNER_SECRETS for a value
            settings, _ = Settings.read({name: text}, needs_location=False)
            shown = ", ".join(settings.parameters or settings.secrets) or _HIDDEN
        if text and name == "RUNNER_TRUSTED_KEYS":  # some take it for the place of the private one
            settings, _ = Settings.read({name: text}, needs_location=False)
            shown = ", ".join(key.text for key in settings.trusted_keys) or _HIDDEN
        yield Setting(name, shown, origin)


def _of_clouds(environ: Mapping[str, str]) -> Iterator[Setting]:
    for name in sorted(environ):
        if environ[name] and _OF_CLOUDS.fullmatch(name):
            text = _PASSWORD.sub("***", redact(environ[name]))
            yield Setting(name, text if _SHOWN.fullmatch(name) else _HIDDEN, "variable")


def _origin(name: str, environ: Mapping[str, str]) -> str:
    """Tell where a secret is found, in the order of `runner.secrets.named.find`."""
    if Path(MOUNT_FOLDER, name).is_file():
        return f"file {MOUNT_FOLDER}/{name}"
    if file := environ.get(f"{name}_FILE"):
        return f"file {file}"
    return "variable" if name in environ else "nowhere"


def _places(
    settings: Settings, url: str | None, environ: Mapping[str, str], checks: list[Check]
) -> Iterator[tuple[Location, bool]]:
    """Give the storages to look at, and whether a run writes there; a URL that is none becomes a check."""
    if url is not None:
        word = "" if "://" in url else environ.get("RUNNER_STORAGE", "").strip().lower()
        try:
            yield _rooted(parse_location(url, word)), True
        except (ValueError, OSError, RuntimeError) as error:  # also: no right to look there, no such home
            checks.append(
                failed_check(url, "location", UsageError(str(error), hint="Write s3://bucket/flow, or a path."))
            )
        return
    if settings.location:
        yield _rooted(settings.location), not (settings.results or settings.baked)
    else:
        checks.append(
            Check("storage", "location", "unknown", "nothing names a storage: give a URL, or set the variables")
        )
    if settings.results:
        yield _standing(settings.results), True


def _rooted(location: Location) -> Location:
    """Let a folder be the storage itself, so that it is missing where it is not mounted."""
    is_object = location.scheme == "file" and Path(location.container, location.key).is_file()
    return location if is_object else location.as_root()


def _standing(location: Location) -> Location:
    """Give the folder that is there already and in which that of the results would be made."""
    if location.scheme != "file":
        return location
    path = Path(location.as_root().container)
    return Location("file", str(next(each for each in (path, *path.parents) if each.is_dir())), "")


def _storage(location: Location, credentials: Credentials, environ: Mapping[str, str], *, writes: bool) -> list[Check]:
    try:
        storage = open_storage(location, credentials, environ)
    except RunnerError as error:
        refused = failed_check(location.url, "credentials", error)
        return [refused, Check(location.url, "storage", "unknown", "not tried, as it could not be opened")]
    checks = list(probe(storage, location.key, writes=writes))
    # asked last, as some credentials are fetched with the first request, and only then have an end
    opened = run_check(storage.url(location.key), "credentials", lambda: _used(storage, credentials, environ))
    return [opened, *checks]


def _used(storage: Storage, credentials: Credentials, environ: Mapping[str, str]) -> tuple[State, str]:
    """Say which credentials open a storage, until when, what other sources said, and which secret was left out."""
    state: State = "ok"
    if storage.credential_source is None:
        name = credentials.name_for(storage.scheme)
        if storage.scheme == "file":
            return state, "a folder needs none"
        told = f"the secret {name}" if name else "those that the environment, or the cloud's own chain, gives"
    else:
        source, until = storage.credential_source.source, storage.credential_source.expires_at()
        told = f"{source.name} ({source.reads})"
        if until:
            state = "note" if until < datetime.now(UTC) else state
            told += f", until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        told += "".join(f"; {other.name}: {said}" for other, said in storage.credential_source.tried)
    cloud = {"s3": "AWS", "gs": "GCP", "azure": "AZURE"}.get(storage.scheme, "")
    unnamed = [name for name in known_secrets_present(environ) if name in KNOWN and name.split("_")[0] == cloud]
    if unnamed and not credentials.name_for(storage.scheme) and "AZURE_STORAGE_CONNECTION_STRING" not in unnamed:
        return "note", f"{told}; {unnamed[0]} is set, but RUNNER_SECRETS does not name it"
    return state, told
