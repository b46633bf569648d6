"""Async generators, timeouts, and a loop in a thread: ray #25018."""

import asyncio
from contextvars import copy_context

from runner import Flow, task


async def numbers():
    for number in range(3):
        await asyncio.sleep(0)
        yield number


class Counter:
    def __aiter__(self):
        return numbers()


@task
async def listed():
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.01)
    except TimeoutError as error:
        return [number async for number in Counter()], type(error).__name__, len(copy_context()) >= 0


@task
def by_hand():
    return asyncio.run(asyncio.to_thread(sum, [1, 2]))


with Flow("event loop") as flow:
    listed()
    by_hand()
