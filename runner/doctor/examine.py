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
from runner.doctor.apart import made_apart
from runner.doctor.checks import Check, failed_check, run_check
from runner.doctor.run_checks import ABOUT, OVER, RUNS_LIE, run_checks
from runner.doctor.storage_probe import Probed, probe
from runner.errors import EnvironmentWrong, NotFound, RunnerError, UsageError
from runner.location import Location, parse_location, shown_location, split_digest
from runner.schemes import backend_of, backends
from runner.secrets.named import MOUNT_FOLDER, known_secrets_present, resolve
from runner.secrets.parts import shown_path
from runner.secrets.redaction import redact
from runner.settings import SECRET_VARIABLES, Settings, unread, variable_origins, with_files_read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.backends.base import Storage
    from runner.backends.credential_sources import Source
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
# Checks in the order in which a run fails by them, as (about, check): a claim is refused before a bundle is. What is
# not here, a run needs later, or not at all.
_BEFORE_CLAIM = (*(("environment", name) for name in ("settings", "secret")), (ABOUT, "signing key"))
_FROM_STORAGE = ("open", "flow", RUNS_LIE, "run id")
_CLAIM = ("create", "create again")


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
        """The exit code of the check by which a run would fail first; 0 if none failed."""
        failed = [check for check in self.checks if check.state == "FAILED"]
        return min(failed, key=_in_runs_order).code if failed else 0

    def document(self) -> DoctorDocument:
        """Return the report as one JSON document."""
        return {
            "exit_code": self.code,
            "settings": [{"name": one.name, "value": one.value, "origin": one.origin} for one in self.settings],
            "secrets": [{"name": one.name, "origin": one.origin} for one in self.secrets],
            "machine": self.machine,
            "checks": [check.document() for check in self.checks],
        }


def _in_runs_order(check: Check) -> int:
    """Return how early a run fails by what failed."""
    if (check.about, check.name) in _BEFORE_CLAIM:
        return _BEFORE_CLAIM.index((check.about, check.name))
    if check.about == ABOUT:
        return 10 if check.name in _FROM_STORAGE else 30
    return 20 if check.name in _CLAIM else 40


def examine(environ: Mapping[str, str], url: str | None = None) -> DoctorReport:
    """Make all checks; a URL takes the place of the location that the environment names, and of its results'."""
    read = with_files_read(environ)
    settings, problems = Settings.read(read, needs_location=url is None)
    secrets = {name: run_check("environment", "secret", partial(_find_secret, name, read)) for name in settings.secrets}
    opening = resolve((name for name, check in secrets.items() if check.state == "ok"), read)
    checks = [run_check("environment", "settings", lambda: _check_settings(problems)), *secrets.values()]
    for name, meant in unread(environ):
        message = f"{name} is read by nothing{f'; did you mean {meant}?' if meant else ''}"
        checks.append(Check("environment", "settings", "note", message))
    location, is_url = settings.location, url is not None
    if url is not None:
        settings, location = _at_url(settings, url, read, checks)
    goes_on = location and location.key and not problems  # without what guards a run nothing must be loaded
    way = made_apart(ABOUT, lambda: run_checks(settings, opening)) if goes_on else []
    if is_url:  # of a place for flows nobody says that it is one
        way = [_as_place_for_flows(check) if check.code == NotFound.code else check for check in way]
    checks.append(_temporary_folder(read, way))
    for place, probed in _places(settings, way, is_url=is_url):
        checks += _storage_checks(place, opening, read, probed)
    if not location and not is_url:
        checks.append(
            Check("storage", "location", "unknown", "nothing names a storage: give a URL, or set the variables")
        )
    checks += [check for check in way if check.name != RUNS_LIE or check.state == "FAILED"]
    return DoctorReport(
        [*_settings(environ, read), *_cloud_settings(environ)],
        [ReportedSetting(name, None, _origin(name, environ)) for name in settings.secrets],
        machine.describe_machine(environ),
        checks,
    )


def _as_place_for_flows(check: Check) -> Check:
    return replace(check, state="note", error=None, message=f"{check.message}; none is tried")


def _check_settings(problems: list[str]) -> str:
    if problems:
        raise EnvironmentWrong("; ".join(problems), hint="docs/running.md has the table of all variables.")
    return "all variables can be read"


def _find_secret(name: str, environ: Mapping[str, str]) -> str:
    resolve((name,), environ)
    return f"{name} is there"


def _settings(environ: Mapping[str, str], read: Mapping[str, str]) -> Iterator[ReportedSetting]:
    for name, text, origin in variable_origins(environ, read):
        shown = text and (
            _NOT_SHOWN if name in SECRET_VARIABLES else _PASSWORD.sub("***", shown_location(redact(text)))
        )
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
            text = shown_path(environ[name]) if name in _files() else environ[name]
            text = _PASSWORD.sub("***", redact(text))
            yield ReportedSetting(name, text if _PUBLIC_VARIABLE.fullmatch(name) else _NOT_SHOWN, "variable")


def _files() -> set[str]:
    return {name for backend in backends() for name in backend.file_variables}


def _origin(name: str, environ: Mapping[str, str]) -> str:
    """Return where a secret is found, in the order of `runner.secrets.named.find_secret`."""
    if Path(MOUNT_FOLDER, name).is_file():
        return f"file {MOUNT_FOLDER}/{name}"
    if file := environ.get(f"{name}_FILE"):
        return f"file {shown_path(file)}"
    return "variable" if name in environ else "nowhere"


def _at_url(
    settings: Settings, url: str, environ: Mapping[str, str], checks: list[Check]
) -> tuple[Settings, Location | None]:
    """Return the settings with a URL in the place of what names a run; an invalid one becomes a failed check."""
    word = "" if "://" in url else environ.get("RUNNER_STORAGE", "").strip().lower()
    settings = settings._replace(location=None, results=None, run_id=None, baked=False)
    try:
        text, digest = split_digest(url)
        location = parse_location(text, word)
    except (ValueError, OSError, RuntimeError) as error:  # also: no right to look there, no such home
        wrong = UsageError(str(error), hint="Write s3://bucket/flow, or a path.")
        checks.append(failed_check(shown_location(url), "location", wrong))
        return settings, None
    return settings._replace(location=location, bundle_sha256=digest or settings.bundle_sha256), location


def _temporary_folder(environ: Mapping[str, str], way: list[Check]) -> Check:
    check = run_check("machine", "temporary folder", lambda: machine.check_temporary_folder(environ))
    if check.state == "FAILED" and any(step.name == "load" and step.state == "ok" for step in way):
        message = f"{check.message}, and this flow needs none"
        return Check(check.about, check.name, "note", message, check.seconds)
    return check


def _places(settings: Settings, way: list[Check], *, is_url: bool) -> Iterator[tuple[Location, Probed]]:
    """Yield the locations to check, and what a run does there."""
    home = next((check.message for check in way if check.name == RUNS_LIE and check.state == "ok"), None)
    probed = Probed(has_flow=home is not None, is_named=is_url or settings.run_id is not None)
    is_over = any(check.message == OVER for check in way)  # nothing is written then
    if settings.location:
        writes = not (settings.results or settings.baked or is_over)
        why = OVER if is_over else ""
        yield _as_root(replace(settings.location, alias="")), replace(probed, writes=writes, why=why)
    if settings.results and not is_over:
        results = settings.results.as_root()
        key = results.key if home is None else home
        yield _nearest_folder(replace(results, key=key), below="" if home is None else "runs"), probed


def _as_root(location: Location) -> Location:
    """Return the location with a folder as its container, which is then reported missing where it is not mounted."""
    is_object = location.scheme == "file" and Path(location.container, location.key).is_file()
    return location if is_object else location.as_root()


def _nearest_folder(location: Location, below: str) -> Location:
    """Return the nearest existing ancestor of the folder that holds the results."""
    if location.scheme != "file":
        return location
    path = Path(location.container, location.key, below)
    return Location("file", str(next(each for each in (path, *path.parents) if each.is_dir())), "")


def _storage_checks(
    location: Location, credentials: Credentials, environ: Mapping[str, str], probed: Probed
) -> list[Check]:
    try:
        storage = open_storage(location, credentials, environ)
    except RunnerError as error:
        failed = failed_check(location.url, "credentials", error)
        return [failed, Check(location.url, "storage", "unknown", "not tried, as it could not be opened")]
    checks = list(probe(storage, location.key, probed))
    # checked last, as some credentials are fetched with the first request, and only then have an end
    opened = run_check(
        storage.url(location.key), "credentials", lambda: _describe_credentials(storage, credentials, environ)
    )
    return [opened, *checks]


def _reads(source: Source, environ: Mapping[str, str]) -> str:
    """Return what a source reads, less the variables that are not set."""
    parts = source.reads.split(", ")
    kept = [part for part in parts if part.strip("`") in environ or not re.fullmatch(r"`?[A-Z][A-Z_]+`?", part)]
    return ", ".join(kept or parts)


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
        message = f"{source.name} ({_reads(source, environ)})"
        if until:
            state = "note" if until < datetime.now(UTC) else state
            message += f", until {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        message += "".join(f"; {other.name}: {reason}" for other, reason in storage.credential_source.tried)
    unnamed = [name for name in known_secrets_present(environ) if name in backend.secrets]
    if unnamed and not credentials.name_for(storage.scheme) and "AZURE_STORAGE_CONNECTION_STRING" not in unnamed:
        return "note", f"{message}; {unnamed[0]} is set, but RUNNER_SECRETS does not name it"
    return state, message
