"""ExitStack, suppress, total and key functions, decorated by hand: pydantic/logfire #1542."""

from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cmp_to_key, reduce

from runner import Flow, task

EVENTS = []


@contextmanager
def noted(name):
    EVENTS.append(name)
    try:
        yield name
    finally:
        EVENTS.append(f"end of {name}")


@task
def worked():
    with ExitStack() as stack, suppress(KeyError):
        names = [stack.enter_context(noted(name)) for name in "ab"]
        stack.callback(EVENTS.append, "callback")
        raise KeyError
    return names, EVENTS, reduce(lambda a, b: a * b, [1, 2, 3]), sorted([1, 3], key=cmp_to_key(lambda a, b: b - a))


with Flow("contexts and defaults") as flow:
    worked()
