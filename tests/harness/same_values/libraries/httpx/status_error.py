"""An error of a status ends a task, or is given on: httpx #1990."""

import httpx

from runner import Flow, task

TRANSPORT = httpx.MockTransport(lambda request: httpx.Response(503, text="later"))


def get():
    with httpx.Client(transport=TRANSPORT) as client:
        return client.get("https://example.com/a").raise_for_status()


@task
def failed():
    return get().text


@task
def caught():
    try:
        get()
    except httpx.HTTPStatusError as error:
        return error


@task
def told(error):
    return error.response.status_code, error.response.text, str(error.request.url)


with Flow("status error") as flow:
    failed()
    told(caught())
