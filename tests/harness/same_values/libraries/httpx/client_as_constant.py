"""A client cannot be sent: openai-python #837."""

import httpx

from runner import Flow, task

CLIENT = httpx.Client(base_url="https://example.com")  # refused


@task
def asked():
    return CLIENT.base_url.host


with Flow("client as constant") as flow:
    asked()
