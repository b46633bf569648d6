"""Locks and queues for coroutines that are made before any loop runs: jupyter-server/jupyter_server #935."""

import asyncio

from runner import Flow, task

LOCK = asyncio.Lock()
LIMIT = asyncio.Semaphore(1)
QUEUE = asyncio.Queue()
QUEUE.put_nowait("first")


@task
async def told():
    async with LOCK, LIMIT:
        return await QUEUE.get(), QUEUE.empty()


with Flow("locks of asyncio") as flow:
    told()
