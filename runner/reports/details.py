"""The rest of the page: parameters, versions, signatures, launches and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.launchers.remedies import remedy_for
from runner.logs import json_text
from runner.reports.gathered import time_text, told
from runner.reports.markup import Html, block, fields, fitting, joined, row, section, table, tag, text
from runner.runs.launches import became

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.reports.gathered import Gathered
    from runner.runs.launches import ShownLaunch
    from runner.schema.documents import LaunchEnd, Manifest, ParameterRecord

_LOG, _PARAMETERS, _NEEDS = 60_000, 50_000, 12_000  # bytes
_MOST_EVENTS = 30


def parameters_section(facts: Gathered) -> Html:
    """Return the parameters that the run was given, and those that its flow has a value for itself."""
    given = facts.request["parameters"] if facts.request else {}
    manifest = facts.flow.manifest
    declared = {one["name"]: one for one in manifest["parameters"]} if manifest else {}
    rows = [row(text(name, 200), _value(value), Html("given")) for name, value in given.items()]
    others = [one for name, one in declared.items() if name not in given]
    rows += [row(text(one["name"], 200), _default(one), Html("default")) for one in others]
    if not rows:
        return Html()
    kept = fitting(rows, _PARAMETERS)
    note = tag("p", Html(f"{len(rows) - kept:,} more are left out.")) if kept < len(rows) else Html()
    heads = [("Parameter", ""), ("Value", ""), ("From", "")]
    return section("parameters", "Parameters", table(heads, rows[:kept], label="Table of parameters"), note)


def _value(value: Any) -> Html:
    try:
        return tag("code", text(json_text(value, ensure_ascii=False), 2000))
    except RecursionError:
        return Html("nested too deep to be shown")


def _default(one: ParameterRecord) -> Html:
    if one["required"]:
        return Html("none")
    return _value(one["default"]) if "default" in one else tag("code", text(one.get("default_repr", ""), 2000))


def versions_section(facts: Gathered) -> Html:
    """Return what ran: bundle, image, versions, and who signed what."""
    end, request, manifest = facts.end, facts.request, facts.flow.manifest
    claim = facts.status.claim
    bundle = end["bundle"] if end else request["bundle"] if request else None
    image = told(claim, "image") or told(request, "image")
    python = told(end, "python") or told(claim, "python")
    return section(
        "versions",
        "What ran",
        fields(
            ("Bundle", tag("code", text(bundle["url"], 1200)) if bundle else Html()),
            ("SHA-256", tag("code", text(bundle["sha256"])) if bundle else Html()),
            ("Bundle signed", text(f"by {facts.flow.signed_by or 'nobody'}", 200) if manifest else Html()),
            ("Outcome signed", _signed(facts, told(end, "signature", "key")) if end else Html()),
            ("Image", text(image, 600)),
            ("Python", joined(text(python, 60), _built_with(manifest))),
            ("Executor", text(told(request, "executor"), 300)),
            ("Labels", text(", ".join(request["labels"]) if request else "", 2000)),
            ("Asked for by", _requester(facts)),
            ("Repeats", _reuse(facts)),
            (
                "Built by",
                text(f"runner {told(manifest, 'runner')}, cloudpickle {told(manifest, 'cloudpickle')}", 300)
                if manifest
                else Html(),
            ),
            ("Needs", _needs(manifest)),
            ("Secrets", text(", ".join(manifest["secrets"]), 2000) if manifest else Html()),
        ),
        tag("p", text(f"Of the bundle: {facts.flow.note}.", 600), class_="note") if facts.flow.note else Html(),
    )


def _signed(facts: Gathered, key: str) -> Html:
    if not key:
        return Html("by nobody")
    believed = " (trusted here)" if facts.is_checked and not facts.untrusted else ""
    return text(f"by {key}{believed}", 300)


def _built_with(manifest: Manifest | None) -> Html:
    return text(f"; built with {manifest['python']['version']}", 100) if manifest else Html()


def _requester(facts: Gathered) -> Html:
    host, uid = (told(facts.request, "by", name) for name in ("host", "uid"))
    return text(f"{host}, uid {uid}" if uid else host, 300)


def _reuse(facts: Gathered) -> Html:
    reuse = facts.request.get("reuse") if facts.request else None
    if not reuse:
        return Html()
    return text(f"run {reuse['run_id']}" + (f", from {reuse['from']} on" if reuse["from"] else ""), 400)


def _needs(manifest: Manifest | None) -> Html:
    if manifest is None:
        return Html()
    pins = dict.fromkeys(f"{need['distribution']} {need['version']}" for need in manifest["requires"])
    return text(", ".join(pins), _NEEDS)


def launches_section(facts: Gathered) -> Html:
    """Return where the run was launched, and what the platforms said."""
    if not facts.launches:
        return Html()
    is_over = not facts.status.is_active
    rows = [_launch(shown, is_over=is_over) for shown in facts.launches]
    heads = [("Launch", "n"), ("On", ""), ("Name", ""), ("At", ""), ("Image", ""), ("Became", "")]
    left_out = facts.launch_count - len(facts.launches)
    note = tag("p", Html(f"The {left_out:,} launches before these are left out.")) if left_out > 0 else Html()
    last = facts.launches[-1]["end"]
    return section(
        "launches",
        "Launches",
        table(heads, rows, label="Table of launches"),
        note,
        *(_said(last) if last else []),
        _handles(facts),
    )


def _launch(shown: ShownLaunch, *, is_over: bool) -> Html:
    claim = shown["claim"]
    kind, name, at, image = (
        (claim["kind"], claim["name"], claim["launched"], told(claim, "image")) if claim else ("",) * 4
    )
    return row(
        (Html(str(shown["launch"])), "n"),
        text(kind, 60),
        text(name, 200),
        (text(time_text(at), 40), "t"),
        text(image, 300),
        (text(became(shown, is_over=is_over), 600), "long"),
    )


def _said(end: LaunchEnd) -> list[Html]:
    """Return what the platform said of the last launch, and what to do about it."""
    parts = []
    if remedy := remedy_for(end["reason"] or ""):
        parts.append(tag("p", Html("Remedy: "), text(remedy, 600), class_="why"))
    if end["events"]:
        events = "\n".join(end["events"][-_MOST_EVENTS:])
        parts += [tag("h3", Html("Events")), block(text(events, 12_000, lines=True), "Events")]
    if end["log"]:
        parts += [
            tag("h3", Html("Last lines of the container")),
            block(text("\n".join(end["log"]), 12_000, keep_end=True, lines=True), "Last lines of the container"),
        ]
    return parts


def _handles(facts: Gathered) -> Html:
    """Return by what the platform knows the object of the last launch."""
    handle = facts.launches[-1]["handle"]
    if handle is None:
        return Html()
    said = ", ".join(f"{name} {value}" for name, value in handle["handle"].items())
    return fields(("The platform's own name", tag("code", text(said, 1500))))


def log_section(lines: Sequence[str]) -> Html:
    """Return the last lines of the log."""
    if not lines:
        return Html()
    said = f"The last {len(lines)} lines; runner logs has all."
    shown = block(text("\n".join(lines), _LOG, keep_end=True, lines=True), "Lines of the log", "block end")
    return section("log", "Log", tag("p", Html(said)), shown)
