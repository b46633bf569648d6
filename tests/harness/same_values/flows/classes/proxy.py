"""A proxy that hands on every attribute travels: cpython #133015."""

from runner import Flow, task


class Lazy:
    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)


PROXY = Lazy([3, 1])


@task
def asked():
    return PROXY.index(1), PROXY.inner


with Flow("proxy") as flow:
    asked()
