"""A result is of a class that gives its base an argument: cloudpickle #391."""

from runner import Flow, task


class Source:
    def __init_subclass__(cls, *, kind):
        cls.kind = kind


class Json(Source, kind="json"):
    def __init__(self, rows):
        self.rows = rows


@task
def made():
    return Json(3)


with Flow("result of a class with arguments") as flow:
    made()
