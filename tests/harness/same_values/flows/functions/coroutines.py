"""Coroutine functions, as tasks and gathered in one: cloudpickle #509."""

import asyncio
from contextlib import asynccontextmanager

from runner import Flow, task


async def double(number):
    await asyncio.sleep(0)
    return 2 * number


@asynccontextmanager
async def opened(name):
    yield name.upper()


@task
async def gathered():
    async with opened("a") as name:
        return name, await asyncio.gather(*(double(number) for number in range(3)))


with Flow("coroutines") as flow:
    gathered()
