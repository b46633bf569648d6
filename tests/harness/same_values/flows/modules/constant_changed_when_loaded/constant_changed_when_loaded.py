"""What the flow's file does to a module when it is loaded: prefect #15352."""

import state

from runner import Flow, task

state.LIMIT = 10
state.HANDLERS["a"] = len


@task
def told():
    return state.LIMIT, state.call("a", "xyz")


with Flow("constant changed when loaded") as flow:
    told()
