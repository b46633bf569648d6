"""The hints and the signature of a task's own function: flyte #1337."""

from __future__ import annotations

import inspect
from typing import NamedTuple, get_type_hints

from runner import Flow, task


class Range(NamedTuple):
    start: int
    end: int = 9


def scale(given: Range, by: int = 2) -> list[Range]:
    return [Range(given.start * by, given.end * by)]


@task
def scaled():
    found = get_type_hints(scale)
    return found["given"] is Range, str(inspect.signature(scale)), scale(Range(1)), str(get_type_hints(Range))


with Flow("hints of tasks") as flow:
    scaled()
