"""A function of a helper for which the flow's file registers a type of its own: dask/distributed #4562."""

from render import render

from runner import Flow, task


class Human:
    name = "Only"


@render.register(Human)  # refused
def render_human(human):
    return f"[{human.name}]"


@task
def rendered():
    return render(Human()), render(1)


with Flow("single dispatch of a helper") as flow:
    rendered()
