"""A module that may be missing, and one that is only for types: prefect #16855."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import a_module_that_is_nowhere

try:
    import another_module_that_is_nowhere as fast
except ImportError:
    fast = None

try:
    import tomllib
except ImportError:
    import tomli as tomllib


@task if False else (lambda function: function)
def total(numbers: Iterable[int], how: a_module_that_is_nowhere.How = None) -> int:
    return sum(numbers)


from runner import Flow, task


@task
def told():
    return fast, total([1, 2]), tomllib.loads("a = 1"), total.__annotations__


with Flow("optional import") as flow:
    told()
