"""A flow that uses most of what a flow may use.

Three variables steer it from outside, so that a run can be gone on with under the same parameters: while ``ETL_GATE``
is ``closed`` one task waits, ``ETL_TRACE`` names a file to which every task adds its name, and what ``ETL_BY`` says
stands in the first task's result: who made it.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

from shop.rates import rate  # type: ignore[import-not-found]  # found by the author, not from here

import runner
from runner import Flow, FlowFailed, Parameter, Task, build_flow, logger, secret, task, unmapped
from runner.environments import LocalEnvironment
from runner.errors import NotFound, RunnerError
from runner.storage import GCS, S3, Azure, Docker, Local

PUBLIC = {
    "Flow": Flow,
    "FlowFailed": FlowFailed,
    "Parameter": Parameter,
    "Task": Task,
    "build_flow": build_flow,
    "logger": logger,
    "secret": secret,
    "task": task,
    "unmapped": unmapped,
}
ARCHIVES = [
    Local("/mnt/archive"),
    S3(bucket="archive", prefix="old"),
    GCS(bucket="archive", prefix="old"),
    Azure(container="archive", prefix="old"),
]
IMAGE = Docker(registry_url="registry.example.com/team")
TRIES: list[int] = []


def tell(name: str) -> None:
    """Tell that a task runs."""
    if file := os.environ.get("ETL_TRACE"):
        with Path(file).open("a", encoding="utf-8") as opened:
            opened.write(f"{name}\n")


@task
def extract(count: int) -> list[dict[str, Any]]:
    """Give rows, and who made them."""
    tell("extract")
    logger().info("extracting %d rows", count)
    return [{"row": row, "by": os.environ.get("ETL_BY")} for row in range(count)]


@task(retries=2, retry_delay=0, timeout=60)
def price(row: dict[str, Any], currency: str) -> int:
    """Give a row's price; the first try for the first row fails."""
    tell(f"price[{row['row']}]")
    if row["row"] == 0 and not TRIES:
        TRIES.append(1)
        raise ConnectionError("the shop is closed")
    found: int = (row["row"] + 1) * rate(currency)
    return found


@task
async def stock(count: int) -> int:
    """Count what is there."""
    tell("stock")
    await asyncio.sleep(0)
    return count * 10


@task
def names() -> list[str]:
    """Tell which of runner's names in this task's globals are what runner gives here."""
    tell("names")
    return sorted(name for name, value in PUBLIC.items() if value is getattr(runner, name))


@task
def places() -> dict[str, Any]:
    """Use what travelled of storages, environment and errors."""
    tell("places")
    try:
        raise NotFound("no such row", hint="Look again.")
    except RunnerError as error:
        told = str(error)
    image = LocalEnvironment(metadata={"image": "org/runner:aws"}).image
    labels = [label for each in ARCHIVES[1:] for label in each.labels]
    return {
        "urls": [each.url for each in ARCHIVES],
        "labels": labels,
        "image": image,
        "registry": IMAGE.registry_url,
        "error": told,
    }


@task
def gate() -> str:
    """Wait for the gate to be opened."""
    tell("gate")
    while os.environ.get("ETL_GATE") == "closed":
        time.sleep(0.02)
    return "open"


@task(name="sum up")
def total(prices: list[int], broken: str | None) -> dict[str, Any]:
    """Sum up, and tell of the flow that this task is of, which its globals name."""
    tell("sum-up")
    print("summing up")
    if broken:
        raise ValueError(f"cannot sum up: {broken}")
    return {"sum": sum(prices), "flow": flow.name, "is a Flow": isinstance(flow, Flow), "task": repr(extract)}


@task(trigger="any_failed")
def alert(outcome: object) -> str:
    """Tell what went wrong."""
    tell("alert")
    return f"{type(outcome).__name__}: {outcome}"


@task(trigger="all_finished", checkpoint=False)
def clean_up() -> str:
    """Clean up, whatever happened."""
    tell("clean-up")
    return "gone"


with Flow("etl", environment=LocalEnvironment(metadata={"image": "org/runner:aws"}, labels=["nightly"])) as flow:
    count = Parameter("count")
    currency = Parameter("currency", default="EUR")
    priced = price.map(extract(count), currency=unmapped(currency))
    others = [stock(count), names(), places()]
    summed = total(priced, Parameter("broken", default=None), upstream_tasks=[gate(upstream_tasks=[priced, *others])])
    alert(summed)
    clean_up(upstream_tasks=[summed])
