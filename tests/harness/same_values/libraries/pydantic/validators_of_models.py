"""Validators of whole models, those of a base class, too: pydantic #11746."""

from pydantic import BaseModel, model_validator

from runner import Flow, task


class Ordered(BaseModel):
    low: int = 0
    high: int = 0

    @model_validator(mode="before")
    @classmethod
    def of_pair(cls, value):
        return dict(zip(["low", "high"], value, strict=True)) if isinstance(value, tuple) else value


class Span(Ordered):
    @model_validator(mode="after")
    def in_order(self):
        if self.low > self.high:
            raise ValueError(f"{type(self).__name__}: {self.low} is above")
        return self


@task
def checked(low):
    return Span.model_validate((low, 5)), Ordered.model_validate((9, 1))


with Flow("validators of models") as flow:
    checked.map([1, 9])
