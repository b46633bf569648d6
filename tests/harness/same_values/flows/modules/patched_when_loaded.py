"""A library that the flow's file patches when it is loaded: joblib #1371."""

import json

from runner import Flow, task

_default = json.dumps


def dumps(value):
    return _default(value, sort_keys=True, separators=(",", ":"))


json.dumps = dumps


@task
def dumped():
    return json.dumps({"b": 1, "a": 2})


with Flow("patched when loaded") as flow:
    dumped()
