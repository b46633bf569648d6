"""A class of the flow's file is registered by its base in a helper: cloudpickle #391."""

from plugins import SOURCES, Source
from runner import Flow, task


class Json(Source):
    kind = "json"

    def read(self):
        return "rows"


@task
def told():
    return SOURCES["json"]().read()


with Flow("registry in a helper") as flow:
    told()
