"""How all of the process makes JSON is changed by the file: Juniper/py-junos-eznc #1404."""

import datetime
import json

from runner import Flow, task

json.JSONEncoder.default = lambda self, value: f"<{type(value).__name__}>"
json.dumps.__kwdefaults__["sort_keys"] = True


@task
def told():
    return json.dumps({"b": datetime.date(2026, 1, 1), "a": 1})


with Flow("json that knows more") as flow:
    told()
