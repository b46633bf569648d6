"""An event loop of the file's own that runs in a thread: topoteretes/cognee #2938."""

import asyncio
import threading

from runner import Flow, task

LOOP = asyncio.new_event_loop()  # refused
threading.Thread(target=LOOP.run_forever, daemon=True).start()


async def double(number):
    await asyncio.sleep(0)
    return 2 * number


@task
def told():
    return asyncio.run_coroutine_threadsafe(double(4), LOOP).result(timeout=5)


with Flow("loop in a thread") as flow:
    told()
