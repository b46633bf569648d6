"""What is measured: a flow of one task, a function whose first statement notes the time."""

from runner import Flow, task


def first_line() -> int:
    """Note when the first line of the flow ran."""
    import os
    import time

    with open(os.environ["BENCH_OUT"], "w", encoding="utf-8") as file:  # noqa: PTH123 - without importing pathlib
        file.write(repr(time.time()))
    return 1


with Flow("first line") as flow:
    task(first_line)()
