"""Names that only a checker of types imports: prefect #15942."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from runner import Flow, task

if TYPE_CHECKING:
    from a_package_that_nobody_has import Table  # type: ignore[import]


@dataclass
class Row:
    table: Table
    number: int = 0


@task
def told():
    return [(field.name, field.type) for field in fields(Row)], Row("rows")


with Flow("types only") as flow:
    told()
