"""Asynchronous clients with hooks run in a task: httpx #1449."""

import asyncio

import httpx

from runner import Flow, task

SEEN = []


async def answer(request):
    return httpx.Response(200, text=request.url.params["n"])


async def seen(response):
    SEEN.append(await response.aread())


async def get_all():
    hooks = {"response": [seen]}
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), event_hooks=hooks) as client:
        answers = [await client.get("https://example.com", params={"n": number}) for number in range(3)]
    return [each.text for each in answers]


@task
def asked():
    return asyncio.run(get_all()), SEEN


with Flow("asynchronous") as flow:
    asked()
