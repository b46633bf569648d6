"""How Prefect's flows are called, and what the states in which they end say; Prefect itself is never imported here."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping

_MOST_REASONS = 3  # tasks that a message names


class ForeignFailed(Exception):
    """A flow of another system ended in a state that says failed."""


ForeignFailed.__module__ = "runner"  # see runner.model.flow.FlowGraph


def has(obj: object, name: str) -> bool:
    """Return whether an object has an attribute, of anybody's, whose ``__getattr__`` may raise what it likes."""
    try:
        return hasattr(obj, name)
    except Exception:  # noqa: BLE001 - it has not
        return False


def is_flow(obj: object) -> bool:
    """Return whether this is a flow of Prefect 2 or later, which can be called."""
    return any((kind.__module__, kind.__name__) == ("prefect.flows", "Flow") for kind in type(obj).__mro__)


def is_flow_of_1(obj: object) -> bool:
    """Return whether this is a flow of Prefect 1: not callable, with ``parameters()`` and the slugs of its tasks."""
    return not callable(obj) and all(has(obj, name) for name in ("run", "parameters", "slugs", "sorted_tasks"))


def call_flow(flow: Any, parameters: Mapping[str, Any]) -> Any:
    """Call a flow of Prefect 2 or later, and return its value, or a coroutine that does.

    Whether it succeeded is for its final state to say: of a list of states, some of which failed, the value tells
    nothing. A generator flow has no other way to be asked than what it returns, and its value is the list of what it
    yields. Raises the flow's own exception, or else ForeignFailed.
    """
    if getattr(flow, "isgenerator", False):
        generator = flow(**parameters)
        return _collect_later(generator) if hasattr(generator, "__aiter__") else _collect(generator)
    state = flow(**parameters, return_state=True)
    return _value_later(state) if inspect.isawaitable(state) else _plain(value_of_success(state))


def value_of_success(value: Any) -> Any:
    """Return what a function returned. Raises what says why, if that is one of Prefect's states and no success.

    Several states, in a list, tuple or set of nothing else, are a success if all of them are; so Prefect has it:
    https://docs.prefect.io/v3/concepts/flows#final-state-determination.
    """
    for state in _states_in(value):
        if not _has_succeeded(state):
            raise _failure(state)
    return value


def run_flow_of_1(flow: Any, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run a flow of Prefect 1 without its server, and return by slug those of its tasks' results that it would keep.

    Raises ForeignFailed, which names the tasks that failed.
    """
    # a schedule would make it wait for its next date, and again after every run
    state = flow.run(parameters=dict(parameters), run_on_schedule=False)
    if not state.is_successful():
        raise _failure_of_1(flow, state)
    return {flow.slugs[task]: state.result[task].result for task in flow.sorted_tasks() if _is_kept(task)}


def _is_kept(task: Any) -> bool:
    """Return whether Prefect 1 stores a task's result; of a resource manager it is the manager, which nobody reads.

    https://github.com/PrefectHQ/prefect/blob/1.4.1/src/prefect/engine/task_runner.py
    """
    return getattr(task, "checkpoint", None) is not False and type(task).__name__ != "ResourceInitTask"


def _is_state(value: Any) -> bool:
    kind = type(value)
    return callable(getattr(kind, "is_failed", None)) and (
        hasattr(kind, "is_successful") or hasattr(kind, "is_completed")
    )


def _has_succeeded(state: Any) -> bool:
    succeeded = state.is_successful() if hasattr(state, "is_successful") else state.is_completed()
    return bool(succeeded)


def _failure(state: Any) -> BaseException:
    """Return the author's own exception that made a state one of failure, or one that tells what its states say."""
    if isinstance(error := _result(state), BaseException) and type(error).__module__.partition(".")[0] != "prefect":
        return error
    errors = [_failure(part) for part in _states_in(error) if not _has_succeeded(part)]
    name = getattr(state, "name", None) or type(state).__name__
    reasons = [f"{type(each).__name__}: {each}" for each in errors]
    return _foreign_failure(name, getattr(state, "message", None), reasons, next(iter(errors), None))


def _foreign_failure(name: str, message: str | None, reasons: list[str], cause: BaseException | None) -> ForeignFailed:
    more = [f"and {len(reasons) - _MOST_REASONS} more"] if len(reasons) > _MOST_REASONS else []
    says = [(message or "no reason is known").rstrip("."), *reasons[:_MOST_REASONS], *more]
    failure = ForeignFailed(f"the flow ended as {name}: {'; '.join(says)}")
    failure.__cause__ = cause
    return failure


def _states_in(value: Any) -> list[Any]:
    """Return the states that a value is made of: itself, or if it has nothing else, its elements."""
    if _is_state(value):
        return [value]
    is_group = isinstance(value, (list, tuple, set)) and all(_is_state(each) for each in value)
    return list(value) if is_group else []


def _failure_of_1(flow: Any, state: Any) -> ForeignFailed:
    states = state.result if isinstance(state.result, dict) else {}
    parts = [
        (flow.slugs[task] if part is states[task] else f"{flow.slugs[task]}[{index}]", part)
        for task in flow.sorted_tasks()
        if task in states
        for index, part in enumerate(getattr(states[task], "map_states", None) or [states[task]])
    ]
    failed = [(name, part) for name, part in parts if part is not None and part.is_failed()]
    roots = [each for each in failed if type(each[1]).__name__ != "TriggerFailed"] or failed
    reasons = [f"task {name} failed: {_reason(part)}" for name, part in roots]
    errors = (part.result for _, part in roots if isinstance(part.result, BaseException))
    return _foreign_failure(type(state).__name__, state.message, reasons, next(errors, None))


def _reason(state: Any) -> str:
    error = state.result
    return f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(state.message)


def _result(state: Any) -> Any:
    """Return the value in a state or, of one that is no success, its exception."""
    result = getattr(state, "result", None)  # of Prefect 1 the value, later a method
    return result(raise_on_failure=False) if callable(result) else result


async def _value_later(state: Awaitable[Any]) -> Any:
    import asyncio

    ended = await state
    return await asyncio.to_thread(lambda: _plain(value_of_success(ended)))  # in a loop, results are coroutines


def _collect(generator: Iterator[Any]) -> Any:
    yielded = []
    while True:
        try:
            yielded.append(next(generator))
        except StopIteration as end:
            value_of_success(end.value)
            return _plain(_resolved(yielded))


async def _collect_later(generator: AsyncIterator[Any]) -> Any:
    import asyncio

    yielded = [each async for each in generator]
    return await asyncio.to_thread(lambda: _plain(_resolved(yielded)))


def _resolved(value: Any) -> Any:
    """Wait for the futures in a value, and return it with their states in their places."""
    from prefect.futures import resolve_futures_to_states

    return resolve_futures_to_states(value)


def _plain(value: Any) -> Any:
    """Return a value with what states hold in their places: whoever reads it later may have no Prefect."""
    return _without_states(value) if _holds_state(value, set()) else value


def _holds_state(value: Any, seen: set[int]) -> bool:
    if not isinstance(value, (list, tuple, set, dict)) or id(value) in seen:
        return _is_state(value)
    seen.add(id(value))
    return any(_holds_state(each, seen) for each in (value.values() if isinstance(value, dict) else value))


def _without_states(value: Any) -> Any:
    if _is_state(value):
        return _plain(_result(value))
    if isinstance(value, dict):
        return {key: _without_states(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set)):  # a set, too, becomes a list: not every value can be in one
        return (tuple if isinstance(value, tuple) else list)(_without_states(each) for each in value)
    return value
