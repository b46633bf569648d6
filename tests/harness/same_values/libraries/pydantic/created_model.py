"""A model is created of names: pydantic #3336."""

from pydantic import BaseModel, Field, confloat, create_model

from runner import Flow, task

PORTS = {f"port{number}": (confloat(ge=0), 1.0) for number in (1, 2)}
Flow1 = create_model("Flow1", **PORTS)
Named = create_model("Named", __base__=Flow1, name=(str, Field(alias="n")))


@task
def made():
    return Named(n="x", port1=2).model_dump(by_alias=True), isinstance(Named(n="y"), BaseModel), Flow1()


with Flow("created model") as flow:
    made()
