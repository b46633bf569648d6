"""Texts, numbers and tuples whose classes make them of other arguments: dill #164."""

from runner import Flow, task


class Range(tuple):
    __slots__ = ()

    def __new__(cls, start, end):
        return super().__new__(cls, (start, end))


class Tag(str):
    __slots__ = ("colour",)

    def __new__(cls, text, *, colour):
        self = super().__new__(cls, text)
        self.colour = colour
        return self


RED = Tag("a", colour="red")


@task
def told(given):
    return RED.upper(), RED.colour, given == (1, 2), given, {RED: 1}["a"]


with Flow("own new") as flow:
    told(Range(1, 2))
