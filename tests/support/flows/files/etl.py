"""A small job of every kind of task: parameters, mapping, a secret, a large result, nothing stored, None."""

import runner
from runner import Flow, Parameter, task


@task
def extract(day: str, rows: int) -> list[dict[str, object]]:
    runner.logger().info("extracting %s", day)
    return [{"day": day, "row": row} for row in range(rows)]


@task
def clean(row: dict[str, object]) -> int:
    return int(str(row["row"])) * 2


@task(name="Load it")
async def load(rows: list[int]) -> int:
    return sum(rows)


@task
def large(total: int) -> bytes:
    return bytes([total % 256]) * 3_000_000


@task(checkpoint=False)
def unkept(total: int) -> object:
    return iter([total])


@task
def nothing(total: int) -> None:
    assert total >= 0


with Flow("E.T.L. täglich") as flow:
    day = Parameter("day", default="2026-01-01")
    rows = Parameter("rows", default=3)
    total = load(clean.map(extract(day, rows)))
    large(total)
    unkept(total)
    nothing(total)
