"""A function that a decorator keeps in a module, where it is looked up: ray-project/ray #40046."""

from routes import get, route

from runner import Flow, task


@route("/")  # refused
def index():
    return "index"


@task
def got():
    return get("/")


with Flow("kept by a decorator") as flow:
    got()
