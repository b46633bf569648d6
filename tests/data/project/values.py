"""Flows whose results hold objects of runner's own classes: their pickles name the modules of those classes."""

import operator
import threading
import time

from runner import Flow, FlowFailed, Parameter, Task, task, unmapped
from runner.environments import LocalEnvironment
from runner.errors import (
    AlreadyExists,
    BucketMissing,
    BundleCorrupt,
    CredentialsRefused,
    Denied,
    EnvironmentWrong,
    Incompatible,
    InternalError,
    NotFound,
    ReadFailed,
    RunHeld,
    RunnerError,
    TimedOut,
    TooSlow,
    Unreachable,
    Untrusted,
    UsageError,
    WriteFailed,
)
from runner.storage import GCS, S3, Azure, Docker, Local, Location

ERRORS: list[type[RunnerError]] = [
    AlreadyExists,
    BucketMissing,
    BundleCorrupt,
    CredentialsRefused,
    Denied,
    EnvironmentWrong,
    FlowFailed,
    Incompatible,
    InternalError,
    NotFound,
    ReadFailed,
    RunHeld,
    TimedOut,
    TooSlow,
    Unreachable,
    Untrusted,
    UsageError,
    WriteFailed,
]
plus = task(operator.add, name="plus", retries=2, retry_delay=3, timeout=4, trigger="all_finished")


@task
def parameter() -> Parameter:
    """Give a parameter."""
    return Parameter("day", default="2026-01-01")


@task
def rules() -> Task:
    """Give a task; its function is Python's own, so no bytecode is in the result."""
    return plus


@task
def marked() -> unmapped:
    """Give a mark."""
    return unmapped([1, 2])


def small() -> Flow:
    """Write down a flow of one task."""
    with Flow("small") as flow:
        plus(Parameter("left", default=1), 2)
    return flow


@task
def inner() -> Flow:
    """Give a flow, with a node and a parameter in it."""
    return small()


@task
def report() -> object:
    """Give how a flow went that ran inside of this one."""
    return small().run(left=40)


@task
def failure() -> FlowFailed | None:
    """Give what flow.run() raised."""
    with Flow("broken") as flow:
        task(operator.truediv, name="divide")(1, 0)
    try:
        flow.run()
    except FlowFailed as error:
        return error.with_traceback(None)
    return None


@task
def errors() -> list[RunnerError]:
    """Give an error of each class."""
    return [kind(f"this is {kind.__name__}", hint="Do something.") for kind in ERRORS]


@task
def storages() -> dict[str, object]:
    """Give a storage of each kind, a place in one, and an environment."""
    return {
        "local": Local("/mnt/flows"),
        "s3": S3(bucket="flows", prefix="team", labels=["x"], secrets=["AWS_CREDENTIALS"]),
        "gcs": GCS(bucket="flows", prefix="team"),
        "azure": Azure(container="flows", prefix="team"),
        "docker": Docker(registry_url="registry.example.com/team"),
        "location": Location("s3", "flows", "team/etl"),
        "environment": LocalEnvironment(metadata={"image": "org/runner:aws"}, labels=["big"]),
    }


with Flow("values") as values:
    for each in (parameter, rules, marked, inner, report, failure, errors, storages):
        each()


@task(timeout=0.1)
def too_long() -> None:
    """Go on until the time is over."""
    while True:
        time.sleep(0.01)


@task
def unpicklable() -> object:
    """Give what cannot be stored."""
    return threading.Lock()


@task(trigger="any_failed")
def given(error: BaseException) -> BaseException:
    """Give the exception that this task is given in the place of a value."""
    return error.with_traceback(None)


with Flow("endings") as endings:
    given(too_long())
    given(unpicklable())
