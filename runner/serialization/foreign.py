"""What runner did not write, made to look like a flow: functions, objects with ``.run()``, other systems' pickles."""

from __future__ import annotations

import base64
import inspect
import json
import re
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from runner.errors import BundleCorrupt, UsageError
from runner.limits import limit_of, parts_in
from runner.model.flow import FlowGraph
from runner.model.task import Node, Parameter, Task
from runner.serialization import prefect_states

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BEGINNING = 100_000  # bytes, in which a script imports what it uses
_MOST_PARTS = 1000  # values in an envelope, which has five: a few bytes of JSON become many times as much in memory


def as_flow(obj: Any, name: str | None = None) -> FlowGraph:
    """Make a flow of anything that can be called or has a ``.run()``; a `FlowGraph` is one already.

    Its one task has the flow's name. Raises UsageError for anything else.
    """
    if isinstance(obj, FlowGraph):
        if name is not None and name != obj.name:
            message = f"flow {obj.name!r} has a name, and build_flow was given {name!r}"
            raise UsageError(message, hint="Leave name out.")
        return obj
    if isinstance(obj, Task):
        obj, name = obj.function, name or obj.name
    if isinstance(obj, type) or not (callable(obj) or callable(getattr(obj, "run", None))):
        message = f"{type(obj).__name__} {name or ''} cannot be run: it is no flow, cannot be called and has no .run()"
        raise UsageError(message.replace("  ", " "), hint="Give a Flow, a function, or an object with a run method.")
    name = name or getattr(obj, "name", None) or getattr(obj, "__name__", None) or type(obj).__name__
    flow = FlowGraph(str(name))
    if prefect_states.is_flow_of_1(obj):  # which does not know what module defines it: it is the one that calls us
        return _filled(flow, Prefect1Run(obj), [(p.name, p.required, p.default) for p in obj.parameters()])
    flow.module = getattr(obj, "__module__", None) or type(obj).__module__
    function = obj if callable(obj) else obj.run
    return _filled(flow, ForeignCall(function), _parameters(function))


def open_pickle(data: bytes) -> tuple[bytes, dict[str, str]]:
    """Return the pickle, and what its envelope says of versions, of an object that runner did not write.

    Known are a raw pickle (what Prefect 0.x stored) and the JSON envelope of Prefect 1.4:
    ``{"flow": <base64>, "versions": {"cloudpickle", "prefect", "python"}}``. Raises BundleCorrupt for anything else.
    """
    if data[:1] == b"\x80":
        return data, {}
    hint = "Build the flow again."
    if not data:
        message = "the object is empty"
        raise BundleCorrupt(message, hint=hint)
    try:
        if len(data) > limit_of("envelope") or parts_in(data) > _MOST_PARTS:
            raise ValueError  # noqa: TRY301 - handled as any other JSON that is no envelope
        envelope = json.loads(data)
        versions = envelope["versions"]
        return base64.b64decode(envelope["flow"], validate=True), {name: str(versions[name]) for name in versions}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if re.match(rb"(?s)(.*\n)?(from|import)[ \t]+prefect\b", data[:_BEGINNING]):
            message = "the object is a script, as Prefect 1 stores with stored_as_script=True, and no bundle"
            raise BundleCorrupt(message, hint="Publish the flow that it defines: runner build FILE.") from error
        message = "the object is neither a bundle nor a pickle of a flow"
        raise BundleCorrupt(message, hint=hint) from error


def _filled(flow: FlowGraph, function: Callable[..., Any], parameters: list[tuple[str, bool, Any]]) -> FlowGraph:
    with flow:
        given = {
            name: Parameter(name) if required else Parameter(name, default=default)
            for name, required, default in parameters
        }
        flow.add(Node(Task(function, name=flow.name), (), given, (), mapped=False))
    return flow


def _parameters(function: Callable[..., Any]) -> list[tuple[str, bool, Any]]:
    """Return a callable's parameters as (name, required, default)."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):  # a builtin without a signature
        return []
    listed = []
    for parameter in signature.parameters.values():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        required = parameter.default is parameter.empty
        if parameter.kind is parameter.POSITIONAL_ONLY:
            if required:
                message = f"parameter {parameter.name!r} of {function!r} can only be given by position"
                raise UsageError(message, hint="Let it be given by name.")
            continue
        listed.append((parameter.name, required, None if required else parameter.default))
    return listed


class ForeignCall:
    """Calls a function, and fails when what it returns is a state that says failed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, **parameters: Any) -> Any:
        """Return what the function returns, or a coroutine that does. Raises what the flow failed with."""
        if prefect_states.is_flow(self.function):
            return prefect_states.call_flow(self.function, parameters)
        value = self.function(**parameters)
        return _later(value) if isinstance(value, Coroutine) else prefect_states.value_of_success(value)


ForeignCall.__module__ = "runner"  # see runner.model.flow.FlowGraph


async def _later(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return prefect_states.value_of_success(await coroutine)


class Prefect1Run:
    """Runs a flow of Prefect 1; see `run_flow_of_1`."""

    def __init__(self, flow: Any) -> None:
        self.flow = flow

    def __call__(self, **parameters: Any) -> Mapping[str, Any]:
        """Return the tasks' results by slug, but for those that Prefect would not keep. Raises ForeignFailed."""
        return prefect_states.run_flow_of_1(self.flow, parameters)


Prefect1Run.__module__ = "runner"  # see runner.model.flow.FlowGraph
