"""Names that only the body of a class in a task uses travel: cloudpickle #255."""

from dataclasses import dataclass, field

from runner import Flow, task

LIMIT = 5


@task
def row():
    @dataclass
    class Row:
        number: int = LIMIT
        tags: list = field(default_factory=list)

    return Row().number, Row().tags


with Flow("names of a class body") as flow:
    row()
