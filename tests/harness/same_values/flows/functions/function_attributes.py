"""Attributes, docstring, defaults and names of a function: cloudpickle #251."""

from runner import Flow, task


def work(a, b=2, *, c=3) -> int:
    """Work."""
    work.calls += 1
    return a + b + c


work.calls = 0
work.tags = ("x",)


@task
def told():
    work(1)
    names = work.__name__, work.__qualname__, work.__module__
    return work.calls, work.tags, work.__doc__, work.__kwdefaults__, work.__annotations__, names


with Flow("function attributes") as flow:
    told()
