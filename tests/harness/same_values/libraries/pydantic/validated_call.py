"""Arguments of functions and tasks are validated: pydantic #7846."""

from collections import UserDict

from pydantic import BaseModel, PositiveInt, validate_call

from runner import Flow, task


class Other(BaseModel):
    number: float


class Numbers(UserDict[PositiveInt, Other]):
    @validate_call
    def __setitem__(self, key: PositiveInt, value: Other):
        super().__setitem__(key, value)


@validate_call
def scaled(number: float, by: PositiveInt = 2) -> float:
    return number * by


@task
def called():
    return Numbers({"1": {"number": 1}}).data, scaled("1.5"), scaled(1, by=3)


with Flow("validated call") as flow:
    called()
