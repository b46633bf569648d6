"""Flows of Prefect 2 and 3 of which it was, or is, not plain how they end; many are of reports to Prefect, linked here.

`try_flows.py` runs them. Those that are generators are of Prefect 3 alone.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

from prefect import flow, task
from prefect.states import Cancelled, Completed, Crashed, Failed

TRIES: dict[str, int] = {}
EITHER: dict[str, Any] = {}  # what can be run by name, also of Prefect 2
GENERATORS: dict[str, Any] = {}


@task
def fine(value: Any = 1) -> Any:
    return value


@task
def boom(value: int = 1) -> None:
    raise ValueError(f"boom {value}")


@task
def only_even(number: int) -> int:
    if number % 2:
        raise ValueError(f"boom {number}")
    return number


@task
async def later(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def tried(name: str) -> int:
    TRIES[name] = TRIES.get(name, 0) + 1
    return TRIES[name]


def either(function: Any = None, **options: Any) -> Any:
    if function is None:
        return partial(either, **options)
    EITHER[function.__name__] = made = flow(name=function.__name__, **options)(function)
    return made


def generates(function: Any) -> Any:
    GENERATORS[function.__name__] = made = flow(name=function.__name__)(function)
    return made


@either
def value() -> Any:
    return fine(3)


@either
def futures() -> Any:
    return fine.map([0, 2])


@either
def one_of_many_futures() -> Any:  # https://github.com/PrefectHQ/prefect/issues/11667
    return only_even.map(range(3))


@either
def one_future() -> Any:
    return boom.submit()


@either
def tuple_of_futures() -> Any:
    return fine.submit(1), boom.submit(1)


@either
def set_of_futures() -> Any:
    return {boom.submit(1)}


@either
def dict_of_futures() -> Any:
    return {"a": fine.submit(1), "b": [fine.submit([2])]}


@either
def dict_with_a_failure() -> Any:  # Prefect says Completed: only lists, tuples and sets of states decide
    return {"a": boom.submit(1), "b": fine.submit(2)}


@either
def nested_futures() -> Any:  # Completed, too: https://github.com/PrefectHQ/prefect/issues/23137
    return [boom.map([1]), fine.map([2])]


@either
def states() -> Any:
    return [fine(1, return_state=True), fine(2, return_state=True)]


@either
def states_of_which_one_failed() -> Any:
    return [fine(1, return_state=True), boom(1, return_state=True)]


@either
def a_state() -> Any:
    return boom(return_state=True)


@either
def a_state_beside_a_value() -> Any:
    boom(return_state=True)
    return 1


@either
def nothing_returned() -> None:  # https://github.com/PrefectHQ/prefect/issues/14470
    boom(return_state=True)


@either
def raised() -> None:
    raise KeyError("k")


@either
def raised_in_a_task() -> None:
    boom()


@either
def made_failed() -> Any:  # https://github.com/PrefectHQ/prefect/issues/7220
    return Failed(message="Time to die")


@either
def made_cancelled() -> Any:  # https://github.com/PrefectHQ/prefect/pull/7699
    return Cancelled(message="I want to skip this")


@either
def made_crashed() -> Any:
    return Crashed(message="gone")


@either
def made_completed() -> Any:  # https://github.com/PrefectHQ/prefect/pull/7316
    return Completed(message="done", data=5)


@either(retries=1)
def retried() -> Any:  # https://github.com/PrefectHQ/prefect/issues/6834
    return [only_even.submit(tried("retried"))]


@either(persist_result=True)
def persisted() -> Any:  # https://github.com/PrefectHQ/prefect/issues/22101
    return fine({"answer": 42})


@either(timeout_seconds=0.2)
def timed_out() -> None:
    for _ in range(100):
        time.sleep(0.1)


@either
def wrong_parameter(number: int = "no") -> int:  # type: ignore[assignment]
    return number


@either
def left() -> None:
    raise SystemExit(0)


@flow
def inner() -> Any:
    return [boom(return_state=True), fine(return_state=True)]


@either
def states_of_a_flow_within() -> Any:
    return inner(return_state=True)


@either
def raised_in_a_flow_within() -> Any:
    return value(return_state=True), raised()


@either
async def coroutine() -> Any:
    return await later(7)


@either
async def coroutine_raised() -> None:
    raise KeyError("k")


@either
async def coroutine_states() -> Any:
    return [await later(1, return_state=True), await inner_later(return_state=True)]


@flow
async def inner_later() -> Any:
    raise ValueError("boom 1")


@either
async def coroutine_made_failed() -> Any:
    return Failed(message="Time to die")


@generates
def generator() -> Iterator[Any]:  # https://github.com/PrefectHQ/prefect/pull/14061
    yield fine(1)
    yield [fine.submit(2)]


@generates
def generator_raised() -> Iterator[Any]:
    yield fine(1)
    boom()


@generates
def generator_made_failed() -> Iterator[Any]:
    yield fine(1)
    return Failed(message="Time to die")


@generates
def generator_states() -> Iterator[Any]:
    yield fine(1)
    return [boom(return_state=True), fine(return_state=True)]


@generates
async def generator_later() -> AsyncIterator[Any]:
    yield await later(1)
    yield await later(2)


@generates
async def generator_later_raised() -> AsyncIterator[Any]:
    yield await later(1)
    raise KeyError("k")


def calls_a_flow() -> Any:
    return inner()


async def calls_a_flow_later() -> Any:
    return await coroutine_made_failed(return_state=True)


EITHER |= {"partial": partial(inner), "calls_a_flow": calls_a_flow, "calls_a_flow_later": calls_a_flow_later}
