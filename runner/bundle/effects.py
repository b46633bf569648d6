"""What a flow's file did to others when it was loaded is done again, once, before its graph runs."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import logs
from runner.tracebacks import type_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FunctionType

    from runner.model.flow import FlowGraph

log = logs.logger("load")


def do_again(flow: FlowGraph) -> None:
    """Call the functions that `runner.publishing.effects` made, in their order; they go from the flow.

    What one of them raises is a warning: what it was for may not be needed there. How log lines are written stays the
    process's own affair, whatever they configure.
    """
    effects: dict[str, FunctionType] = vars(flow).pop("effects", {})
    with logs.kept_as_they_are():
        for effect in effects.values():
            try:
                with _unchanged(effect):
                    effect()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the author's lines raise is told
                _warn(effect, error)


def _warn(effect: FunctionType, error: BaseException) -> None:
    name, line = Path(effect.__code__.co_filename).name, effect.__code__.co_firstlineno
    try:
        message = f"{type_name(type(error))}: {error}"
    except Exception:  # noqa: BLE001 - the author's own __str__
        message = type_name(type(error))
    log.warning(
        "%s, line %d could not be done again where the flow runs: %s; do it in the task that needs it",
        name,
        line,
        message,
    )


@contextmanager
def _unchanged(effect: FunctionType) -> Iterator[None]:
    """Keep what the file's own lists, dictionaries and sets hold: they came as they were after it was done there."""
    held: list[Any] = [effect.__globals__.get(name) for name in vars(effect).get("own", ())]
    own = [each for each in held if type(each) in {list, dict, set, bytearray}]
    before = [each.copy() for each in own]
    try:
        yield
    finally:
        for each, was in zip(own, before, strict=True):
            if isinstance(each, list | bytearray):
                each[:] = was
            else:
                each.clear()
                each.update(was)
