"""Store a Prefect 1 flow in a bucket by Prefect's own S3 storage, without any Prefect server; print its key.

Run by the python of `prefect_python(1, …)` as a script, so that the flow is defined in `__main__` and travels by value:

    AWS_ENDPOINT_URL=http://127.0.0.1:5000 python store.py BUCKET KEY ok|fail|params|…
"""

import argparse
import os
import threading

os.environ.setdefault("PREFECT__LOGGING__LEVEL", "ERROR")  # Prefect logs to stdout, where only the key should be.

from prefect import Flow, Parameter, resource_manager, task
from prefect.engine import signals
from prefect.storage import S3
from prefect.tasks.secrets import PrefectSecret


@task
def numbers() -> list[int]:
    """Begin the graph."""
    return [1, 2, 3]


@task
def double(number: int) -> int:
    """Run once for each number, mapped."""
    return 2 * number


@task
def total(addends: list[int]) -> int:
    """Reduce what was mapped."""
    return sum(addends)


@task
def refuse(value: int) -> int:
    """Fail, as a user's own code does."""
    msg = f"{value} is refused"
    raise ValueError(msg)


@task
def scale(value: int, factor: int) -> int:
    """Use the required parameter."""
    return value * factor


@task
def label(day: str, value: int) -> str:
    """Use the parameter that has a default."""
    return f"{day}: {value}"


@resource_manager
class Guarded:
    """A resource that no pickle can hold, nor can its manager be in one."""

    def __init__(self) -> None:
        self.guard = threading.Lock()

    def setup(self) -> object:
        """Make the resource."""
        return threading.Lock()

    def cleanup(self, lock: object) -> None:
        """Have it no more."""


@task
def length(secret: str, lock: object) -> int:
    """Use a secret and a resource."""
    with lock:
        return len(secret)


@task(checkpoint=False)
def unkept() -> object:
    """Return what Prefect is told not to keep."""
    return iter([1])


@task
def refuse_odd(number: int) -> int:
    """Fail for some elements, by a signal of Prefect's for one."""
    if number == 3:
        raise signals.FAIL("3 is refused")
    if number % 2:
        msg = f"{number} is refused"
        raise ValueError(msg)
    return number


def ok_flow() -> Flow:
    """Succeed: `total` is 12."""
    with Flow("prefect1-ok") as flow:
        total(double.map(numbers()))
    return flow


def fail_flow() -> Flow:
    """Fail: `refuse` raises ValueError("12 is refused"), and `scale`, which needs it, never runs."""
    with Flow("prefect1-fail") as flow:
        scale(refuse(total(double.map(numbers()))), 2)
    return flow


def params_flow() -> Flow:
    """Take `day`, by default "2026-01-01", and `factor`, which is required: `label` is "2026-01-01: 60" for 5."""
    with Flow("prefect1-params") as flow:
        day = Parameter("day", default="2026-01-01")
        factor = Parameter("factor")
        label(day, scale(total(double.map(numbers())), factor))
    return flow


def keeps_flow() -> Flow:
    """Succeed, with a secret, a resource and a value that are all not to be stored."""
    with Flow("prefect1-keeps") as flow:
        secret = PrefectSecret("PASSWORD")
        with Guarded() as lock:
            length(secret, lock)
        unkept()
    return flow


def mapped_flow() -> Flow:
    """Fail in elements of a mapped task; `total` cannot be made, and is not to blame."""
    with Flow("prefect1-mapped") as flow:
        total(refuse_odd.map([1, 2, 3, 5, 7]))
    return flow


FLOWS = {"ok": ok_flow, "fail": fail_flow, "params": params_flow, "keeps": keeps_flow, "mapped": mapped_flow}


def store(bucket: str, key: str, kind: str) -> str:
    """Do what `flow.register()` does before it calls the server, and return the key.

    https://github.com/PrefectHQ/prefect/blob/1.4.1/src/prefect/core/flow.py
    """
    flow = FLOWS[kind]()
    storage = S3(bucket=bucket, key=key, client_options={"endpoint_url": os.environ["AWS_ENDPOINT_URL"]})
    flow.storage = storage
    flow.result = storage.result
    location: str = storage.add_flow(flow)
    storage.build()
    return location


def parse_arguments() -> argparse.Namespace:
    """Read BUCKET, KEY and KIND from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bucket")
    parser.add_argument("key")
    parser.add_argument("kind", choices=FLOWS)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parse_arguments()
    print(store(arguments.bucket, arguments.key, arguments.kind))
