"""A class of a helper whose method the flow's file patches: ray-project/ray #12627."""

from foo import Foo

from runner import Flow, task


def patched_init(self):  # refused
    self.name = "patched"


Foo.__init__ = patched_init


@task
def made():
    return Foo().name


with Flow("method patched when loaded") as flow:
    made()
