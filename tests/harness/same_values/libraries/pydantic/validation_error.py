"""A validation error ends a task, and is told: pydantic #7404."""

from pydantic import BaseModel, ValidationError

from runner import Flow, task


class Model(BaseModel):
    name: str
    age: int = 0


@task
def failed():
    return Model(age="x")


@task
def caught():
    try:
        Model.model_validate_json("this is not JSON")
    except ValidationError as error:
        return error.error_count(), error.title, str(error)


with Flow("validation error") as flow:
    failed()
    caught()
