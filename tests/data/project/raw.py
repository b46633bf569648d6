"""Plain pickles, as other programs store flows; the first argument is the folder."""

import base64
import json
import operator
import platform
import sys
from pathlib import Path
from typing import Any

import cloudpickle

from runner import Flow, Parameter, task, unmapped


@task(retries=1)
def double(number: int) -> int:
    """Double it."""
    return 2 * number


@task
def total(numbers: list[int], more: int) -> dict[str, Any]:
    """Sum up, and name the flow."""
    return {"sum": sum(numbers) + more, "flow": written.name}


with Flow("written") as written:
    total(double.map([1, 2, 3]), Parameter("more", default=0))

with Flow("by name") as by_name:  # all functions in it are Python's own, so its pickle holds no bytecode
    product = task(operator.mul, name="product").map([1, 2, 3], unmapped(Parameter("factor", default=2)))
    task(sum, name="sum", trigger="all_finished", retries=1)(product)


def function(day: str = "2026-01-01") -> str:
    """Tell the day."""
    return f"called for {day}"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    pickled = cloudpickle.dumps(written)
    versions = {"cloudpickle": cloudpickle.__version__, "prefect": "1.4.1", "python": platform.python_version()}
    folder.mkdir(parents=True)
    folder.joinpath("flow").write_bytes(pickled)
    folder.joinpath("by-name").write_bytes(cloudpickle.dumps(by_name))
    folder.joinpath("function").write_bytes(cloudpickle.dumps(function))
    envelope = {"flow": base64.b64encode(pickled).decode(), "versions": versions}
    folder.joinpath("envelope").write_text(json.dumps(envelope), "utf-8")
