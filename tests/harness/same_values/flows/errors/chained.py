"""A chain of exceptions, notes and groups is told in full: prefect #3383."""

from runner import Flow, task


class Broken(Exception):
    pass


@task
def chained():
    try:
        {}["key"]
    except KeyError as error:
        broken = Broken("no key")
        broken.add_note("look at the table")
        raise broken from error


@task
def grouped():
    raise ExceptionGroup("two", [ValueError(1), TypeError("x")])


with Flow("chained") as flow:
    chained()
    grouped()
