"""A transport of the file answers, and an authentication of the file signs: httpx #1401."""

import httpx

from runner import Flow, task


class Signed(httpx.Auth):
    def __init__(self, name):
        self.name = name

    def auth_flow(self, request):
        request.headers["X-Name"] = self.name
        yield request


def answer(request):
    return httpx.Response(200, json={"name": request.headers["X-Name"], "path": request.url.path})


TRANSPORT, AUTH = httpx.MockTransport(answer), Signed("me")


@task
def asked():
    with httpx.Client(transport=TRANSPORT, auth=AUTH, base_url="https://example.com") as client:
        return client.get("/a").json(), client.build_request("GET", "/b").url


with Flow("mocked transport") as flow:
    asked()
