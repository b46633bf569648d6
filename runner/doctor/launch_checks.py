"""What a launch needs, tried: the platform answers, allows it, starts the image, and the storage is reached there."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING

from runner import naming
from runner.doctor.checks import Check, run_check
from runner.errors import Incompatible, NotStarted, RunnerError, from_code
from runner.launchers.launch import find
from runner.launchers.order import Wishes, make_order, options_of
from runner.launchers.remedies import NO_RUNNER, named_no_runner, remedy_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.doctor.checks import State
    from runner.launchers.base import Launcher, Order, Sighting
    from runner.location import Location
    from runner.settings import Settings

_LOOK_SECONDS = 0.5
_LINES = 1000  # of what the doctor says in the container


def launch_checks(
    location: Location, settings: Settings, launcher: Launcher, wishes: Wishes, within: float
) -> Iterator[Check]:
    """Yield the checks of a launch of the flow at a location, of which nothing is left behind.

    In the place of the flow a container runs ``runner doctor``, whose checks are passed on. ``within`` are the seconds
    that it may take to begin.
    """
    about = f"launch on {launcher.kind}"
    yield run_check(about, "platform", launcher.check)
    try:
        found = find(location, settings)
        launcher = launcher.with_defaults(options_of(found.flow, launcher.kind))
        order = make_order(
            found.flow,
            wishes,
            settings,
            name=f"runner-doctor-{naming.new_token()[:12]}",
            run_id=None,
            launch=None,
            needs_image=launcher.needs_image,
        )
    except RunnerError as error:
        yield Check(about, "order", "FAILED", error.message, error=error)
        return
    image = f"image {order.image}" if order.image else "no image is needed"
    yield Check(about, "order", "ok", image)
    said: list[str] = []
    yield run_check(
        about, "container", partial(_try, launcher, order._replace(command=("doctor", "--json")), within, said)
    )
    yield from _passed_on(f"inside of it on {launcher.kind}", said)


def _try(launcher: Launcher, order: Order, within: float, said: list[str]) -> str:
    """Run the doctor in a container, keep what it said, and remove all of it. Raises NotStarted."""
    began = time.monotonic()
    try:
        launcher.launch(order)
        seen = launcher.describe(order.name)
        while seen.phase != "ended":
            if seen.is_hopeless or time.monotonic() - began > within:
                raise NotStarted(f"it did not end within {within:g} s: {seen.text}", hint=remedy_for(seen.reason))
            time.sleep(_LOOK_SECONDS)
            seen = launcher.describe(order.name)
        said += launcher.logs(order.name, _LINES)
    finally:
        launcher.stop(order.name, 0)
        launcher.remove(order.name)
    if not _document_in(said):
        seen = named_no_runner(seen, order.image)
        kind = Incompatible if seen.reason == NO_RUNNER else NotStarted
        raise kind(f"it said nothing: {_ended(seen)}", hint=remedy_for(seen.reason) or "Look at the image.")
    return f"{_ended(seen)}, and was removed"


def _ended(seen: Sighting) -> str:
    code = "" if seen.exit_code is None else f" with {seen.exit_code}"
    return f"it ended{code}{f' ({seen.text})' if seen.reason else ''}"


def _document_in(lines: list[str]) -> dict[str, object] | None:
    for line in reversed(lines):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and isinstance(document.get("checks"), list):
            return document
    return None


def _passed_on(about: str, lines: list[str]) -> Iterator[Check]:
    """Yield the checks that the doctor made in the container."""
    for told in (_document_in(lines) or {}).get("checks", []):  # type: ignore[attr-defined]
        state: State = told["state"]
        kind = from_code(told["exit_code"])
        error = kind(told["message"], hint=told["hint"]) if kind else None
        yield Check(f"{about}: {told['about']}", told["check"], state, told["message"], told["seconds"], error)
