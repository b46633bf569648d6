"""Messages with newlines, without text, and with odd characters: prefect #2178."""

from runner import Flow, task


class Odd(Exception):
    def __repr__(self):
        return "odd"


@task
def lines():
    raise Odd("first\n  second\tthird – é 😀")


@task
def empty():
    raise LookupError


@task
def not_a_text():
    raise ValueError({"a": [1]}, b"\xff")


with Flow("long and odd texts") as flow:
    lines(), empty(), not_a_text()
