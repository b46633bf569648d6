"""``runner doctor``: checks all that a run needs, in the order in which a run would need it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from runner.backends import open_storage
from runner.doctor import machine
from runner.doctor.checks import Check, failed_check, run_check
from runner.doctor.storage_probe import probe
from runner.errors import EnvironmentWrong, RunnerError, UsageError
from runner.location import Location, parse_location
from runner.schemes import backend_of
from runner.secrets.named import MOUNT_FOLDER, known_secrets_present, resolve
from runner.secrets.redaction import redact
from runner.settings import SECRET_VARIABLES, Settings, variable_origins, with_files_read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.backends.base import Storage
    from runner.doctor.checks import CheckDocument, State
    from runner.doctor.machine import MachineDocument
    from runner.secrets.named import Credentials

# The clouds' own variables, and those of them whose values are no secrets.
_CLOUD_VARIABLE = re.compile(
    r"(AWS|GOOGLE|GCP|AZURE|CLOUDSDK)_\w+|STORAGE_EMULATOR_HOST|SSL_CERT_\w+|\w+_proxy", re.IGNORECASE
)
_PUBLIC_VARIABLE = re.compile(
    r"\w+_(REGION|PROFILE|FILE|BUNDLE|DIR|PROJECT|HOST|ACCOUNT|AUTHORITY|proxy|ENDPOINT\w*|ROLE_ARN|CLIENT_ID|TENANT_ID)|AWS_ENDPOINT_URL\w*"
    r"|GOOGLE_APPLICATION_CREDENTIALS|SSL_CERT_\w+",
    re.IGNORECASE,
)
_PASSWORD = re.compile(r"(?<=://)[^/\s]+(?=@)")  # it may contain an @ itself
_NOT_SHOWN = "(set, not shown)"


class SettingDocument(TypedDict):
    """A variable in the document of ``runner doctor --json``."""

    name: str
    value: str | None
    origin: str


class SecretDocument(TypedDict):
    """A named secret in the document of ``runner doctor --json``."""

    name: str
    origin: str


class DoctorDocument(TypedDict):
    """The document of ``runner doctor --json``."""

    exit_code: int
    settings: list[SettingDocument]
    secrets: list[SecretDocument]
    machine: MachineDocument
    checks: list[CheckDocument]


@dataclass(frozen=True, slots=True)
class ReportedSetting:
    """A variable: its value, as far as it may be shown, and where that comes from."""

    name: str
    value: str | None
    origin: str


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """Everything that was found, in the order in which a run would need it."""

    settings: list[ReportedSetting]
    secrets: list[ReportedSetting]
    machine: MachineDocument
    checks: list[Check]

    @property
    def code(self) -> int:
        """The exit code of the first check that failed; 0 if none did."""
        return next((check.code for check in self.checks if check.state == "FAILED"), 0)

    def document(self) -> DoctorDocument:
        """Return the report as one JSON document."""
        return {
            "exit_code": self.code,
            "settings": [{"name": one.name, "value": one.value, "origin": one.origin} for one in self.settings],
            "secrets": [{"name": one.name, "origin": one.origin} for one in self.secrets],
            "machine": self.machine,
            "checks": [check.document() for check in self.checks],
        }


def examine(environ: Mapping[str, str], url: str | None = None) -> DoctorReport:
    """Make all checks; a URL takes the place of the location that the environment names, and of its results'."""
    read = with_files_read(environ)
    settings, problems = Settings.read(read, needs_location=url is None)
    secrets = {name: run_check("environment", "secret", partial(_find_secret, name, read)) for name in settings.secrets}
    opening = resolve((name for name, check in secrets.items() if check.state == "ok"), read)
    checks = [run_check("environment", "settings", lambda: _check_settings(problems)), *secrets.values()]
    checks.append(run_check("machine", "temporary folder", lambda: machine.check_temporary_folder(read)))
    for location, writes in _locations(settings, url, read, checks):
        checks += _storage_checks(location, opening, read, writes=writes)
    return DoctorReport(
        [*_settings(environ, read), *_cloud_settings(environ)],
        [ReportedSetting(name, None, _origin(name, environ)) for name in settings.secrets],
        machine.describe_machine(environ),
        checks,
    )


def _check_settings(problems: list[str]) -> str:
    if problems:
        raise EnvironmentWrong("; ".join(problems), hint="The README has the table of all variables.")
    return "all variables can be read"


def _find_secret(name: str, environ: Mapping[str, str]) -> str:
    resolve((name,), environ)
    return f"{name} is there"


def _settings(environ: Mapping[str, str], read: Mapping[str, str]) -> Iterator[ReportedSetting]:
    for name, text, origin in variable_origins(environ, read):
        shown = text and (_NOT_SHOWN if name in SECRET_VARIABLES else _PASSWORD.sub("***", redact(text)))
        if text and name in {"RUNNER_PARAMETERS", "RUNNER_SECRETS"}:
            # names alone: the values of parameters are the flow's affair, and some take RUNNER_SECRETS for a value
            settings, _ = Settings.read({name: text}, needs_location=False)
            shown = ", ".join(settings.parameters or settings.secrets) or _NOT_SHOWN
        if text and name == "RUNNER_TRUSTED_KEYS":  # some take it for the place of the private one
            settings, _ = Settings.read({name: text}, needs_location=False)
            shown = ", ".join(key.text for key in settings.trusted_keys) or _NOT_SHOWN
        yield ReportedSetting(name, shown, origin)


def _cloud_settings(environ: Mapping[str, str]) -> Iterator[ReportedSetting]:
    for name in sorted(environ):
        if environ[name] and _CLOUD_VARIABLE.fullmatch(name):
            text = _PASSWORD.sub("***", redact(environ[name]))
            yield ReportedSetting(name, text if _PUBLIC_VARIABLE.fullmatch(name) else _NOT_SHOWN, "variable")


def _origin(name: str, environ: Mapping[str, str]) -> str:
    """Return where a secret is found, in the order of `runner.secrets.named.find_secret`."""
    if Path(MOUNT_FOLDER, name).is_file():
        return f"file {MOUNT_FOLDER}/{name}"
    if file := environ.get(f"{name}_FILE"):
        return f"file {file}"
    return "variable" if name in environ else "nowhere"


def _locations(
    settings: Settings, url: str | None, environ: Mapping[str, str], checks: list[Check]
) -> Iterator[tuple[Location, bool]]:
    """Yield the locations to check, and whether a run writes there; an invalid URL becomes a failed check."""
    if url is not None:
        word = "" if "://" in url else environ.get("RUNNER_STORAGE", "").strip().lower()
        try:
            yield _as_root(parse_location(url, word)), True
        except (ValueError, OSError, RuntimeError) as error:  # also: no right to look there, no such home
            checks.append(
                failed_check(url, "location", UsageError(str(error), hint="Write s3://bucket/flow, or a path."))
            )
        return
    if settings.location:
        yield _as_root(replace(settings.location, alias="")), not (settings.results or settings.baked)
    else:
        checks.append(
            Check("storage", "location", "unknown", "nothing names a storage: give a URL, or set the variables")
        )
    if settings.results:
        yield _nearest_folder(settings.results), True


def _as_root(location: Location) -> Location:
    """Return the location with a folder as its container, which is then reported missing where it is not mounted."""
    is_object = location.scheme == "file" and Path(location.container, location.key).is_file()
    return location if is_object else location.as_root()


def _nearest_folder(location: Location) -> Location:
    """Return the nearest existing ancestor of the results folder."""
    if location.scheme != "file":
        return location
    path = Path(location.as_root().container)
    return Location("file", str(next(each for each in (path, *path.parents) if each.is_dir())), "")


def _storage_checks(
    location: Location, credentials: Credentials, environ: Mapping[str, str], *, writes: bool
) -> list[Check]:
    try:
        storage = open_storage(location, credentials, environ)
    except RunnerError as error:
        failed = failed_check(location.url, "credentials", error)
        return [failed, Check(location.url, "storage", "unknown", "not tried, as it could not be opened")]
    checks = list(probe(storage, location.key, writes=writes))
    # checked last, as some credentials are fetched with the first request, and only then have an end
    opened = run_check(
        storage.url(location.key), "credentials", lambda: _describe_credentials(storage, credentials, environ)
    )
    return [opened, *checks]


def _describe_credentials(storage: Storage, credentials: Credentials, environ: Mapping[str, str]) -> tuple[State, str]:
    """Describe the credentials that open a storage, until when, what other sources lack, and a secret left unnamed."""
    state: State = "ok"
    backend = backend_of(storage.scheme)
    if storage.credential_source is None:
        if not backend.secrets:
            return state, f"{backend.title} needs none"
        name = credentials.name_for(storage.scheme)
        message = f"the secret {name}" if name else "those that the environment, or the cloud's own chain, gives"
    else:
        source, until = storage.credential_source.source, storage.credential_source.expires_at()
        message = f"{source.name} ({source.reads})"
        if until:
            state = "note" if until < datetime.now(UTC) else state
            message += f", until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        message += "".join(f"; {other.name}: {reason}" for other, reason in storage.credential_source.tried)
    unnamed = [name for name in known_secrets_present(environ) if name in backend.secrets]
    if unnamed and not credentials.name_for(storage.scheme) and "AZURE_STORAGE_CONNECTION_STRING" not in unnamed:
        return "note", f"{message}; {unnamed[0]} is set, but RUNNER_SECRETS does not name it"
    return state, message
