"""A function that a decorator keeps in a module, where it is looked up: ray-project/ray #40046."""

import time

from routes import get, route

from runner import Flow, task

STARTED = time.time_ns()  # another value each time, so that values travel


@route("/")  # refused
def index():
    return "index"


@task
def got():
    return get("/"), STARTED


with Flow("kept by a decorator by value") as flow:
    got()
