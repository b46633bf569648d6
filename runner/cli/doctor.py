"""``runner doctor``: all checks as lines for a person, or as one JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runner.cli.format import as_json_option, echo, echo_json
from runner.cli.launch_options import launch_options, launcher_of, wishes_of
from runner.cli.locations import bundle_location
from runner.cli.parameters import Seconds
from runner.doctor.examine import DoctorReport, examine
from runner.doctor.launch_checks import launch_checks
from runner.doctor.machine import describe_machine
from runner.environ import process_environ
from runner.environments import LAUNCHER_KINDS
from runner.errors import UsageError
from runner.runs.display import size_text
from runner.secrets.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.doctor.checks import Check
    from runner.doctor.examine import ReportedSetting
    from runner.doctor.machine import LimitsDocument, MachineDocument

_SHOWN_SECONDS = 0.0005  # less would be shown as 0 ms


@click.command(short_help="Find out why it does not work.")
@click.argument("url", required=False)
@click.option("--launch", "kind", type=click.Choice(LAUNCHER_KINDS), help="Try what a launch of the flow at URL needs.")
@launch_options
@click.option("--within", type=Seconds(min=1), default=300.0, metavar="SECONDS", help="For that, at the most.")
@as_json_option
def doctor(url: str | None, kind: str | None, *, within: float, as_json: bool, **given: Any) -> int:
    """Check the settings, the secrets, the machine, and the storage at URL, or that which the environment names.

    On the storage it reads, lists, creates an object below _doctor/, creates it again (which must be refused) and
    deletes it; the flow is loaded as a run would, and not run. With --launch a container makes these checks where a
    platform has started it, and is removed. Each failure comes with its remedy; the exit code is
    that of the run.
    """
    if kind is None and any(given.values()):
        message = "these options are those of a launch"
        raise UsageError(message, hint="Say where: --launch docker. Else the environment has what a run has.")
    report = examine(process_environ(), url) if kind is None else _examine_launch(url, kind, within, given)
    if as_json:
        echo_json(report.document())
    else:
        echo(*map(redact, _lines(report)))
    return report.code


def _examine_launch(url: str | None, kind: str, within: float, given: Mapping[str, Any]) -> DoctorReport:
    """Make the checks of a launch, of which the container makes those of a run."""
    if url is None:
        raise UsageError(
            "--launch needs a flow", hint="Give its location: runner doctor --launch docker s3://my-flows/etl"
        )
    where, settings = bundle_location(url)
    checks = list(launch_checks(where, settings, launcher_of(kind, given), wishes_of(settings, given), within))
    return DoctorReport([], [], describe_machine(process_environ()), checks)


def _lines(report: DoctorReport) -> list[str]:
    shown = [one for one in report.settings if one.origin != "default"]
    defaults = ", ".join(f"{one.name}={one.value}" for one in report.settings if one.origin == "default" and one.value)
    lines = [f"setting  {one.name} = {one.value or '(empty)'} ({one.origin})" for one in shown]
    lines += [f"default  {defaults}"] if report.settings else []
    lines += [_secret_line(one) for one in report.secrets]
    lines += [f"machine  {fact}" for fact in _machine_lines(report.machine)]
    about = ""
    for check in report.checks:
        if check.about != about:
            lines += ["", check.about]
            about = check.about
        lines.append(_check_line(check))
    wrong = sum(check.state == "FAILED" for check in report.checks)
    summary = "nothing failed" if not wrong else f"{wrong} failed; the exit code {report.code} is that of a run"
    return [*lines, "", summary]


def _secret_line(secret: ReportedSetting) -> str:
    return f"secret   {secret.name} ({secret.origin})"


def _check_line(check: Check) -> str:
    took = "" if check.seconds is None or check.seconds < _SHOWN_SECONDS else f" ({check.seconds * 1000:.0f} ms)"
    message = redact(check.message)
    hint = f". {redact(check.hint)}" if check.hint else ""
    return f"{check.state:7}  {check.name}: {message}{hint}{took}"


def _machine_lines(facts: MachineDocument) -> list[str]:
    limits, image = facts["limits"], facts["image"] or "none of ours"
    libraries = (f"{name} {version or 'not installed'}" for name, version in facts["libraries"].items())
    return [
        f"runner {facts['runner']}, {facts['implementation']} {facts['python']}, {facts['system']}"
        + ("" if facts["user"] is None else f", user {facts['user']}"),
        f"image: {image}" + (f", revision {facts['revision']}" if facts["revision"] else ""),
        ", ".join(libraries),
        "memory: " + _memory_text(limits),
        f"CPUs: {facts['cpus']}" + ("" if limits["cpus"] is None else f", limited to {limits['cpus']:g}"),
    ]


def _memory_text(limits: LimitsDocument) -> str:
    total = "unknown" if limits["total"] is None else size_text(limits["total"])
    if limits["cgroup"] is None:
        return f"{total}, no control groups here"
    used = "" if limits["used"] is None else f", {size_text(limits['used'])} in use"
    limit = "no limit" if limits["memory"] is None else f"limited to {size_text(limits['memory'])}"
    return f"{total}, {limit} (cgroup v{limits['cgroup']}{used})"
