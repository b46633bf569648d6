"""Arguments of a class statement reach __init_subclass__ once: cloudpickle #527."""

from runner import Flow, task


class Plugin:
    def __init_subclass__(cls, *, tag, **more):
        super().__init_subclass__(**more)
        cls.tag = tag


class Csv(Plugin, tag="csv"):
    pass


@task
def tag():
    return Csv.tag


with Flow("subclass arguments") as flow:
    tag()
