"""A flow's file may do something else each time that it is imported; what runs is what the manifest says."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING

import pytest

from support.authors import Author

if TYPE_CHECKING:
    from pathlib import Path

FLOW = """
import os
import time
from runner import Flow, Parameter, task

@task
def told(**given):
    return given

with Flow("etl") as flow:
    {line}
"""


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path, tmp_path / "storage")


def build(author: Author, line: str, parts: str = "") -> str:
    author.write({"flow.py": FLOW.format(line=line)})
    return author.publish("-m", "runner", "build", "flow.py", "--storage", str(author.root), PARTS=parts)


@pytest.mark.parametrize("value", ["time.time()", "str(time.time_ns())", "[time.time(), {'a': time.time()}]"])
def test_a_default_is_the_one_that_is_told(author: Author, value: str) -> None:
    url = build(author, f"told(when=Parameter('when', default={value}))")
    [told] = author.bundle(url).manifest["parameters"]
    for run in ("one", "two"):
        assert author.run(url, RUNNER_RUN_ID=run).code == 0
        result = author.root / f"etl/runs/{run}/attempts/0001/results/told.pkl"
        assert pickle.loads(result.read_bytes()) == {"when": told["default"]}


def test_a_value_that_is_given_is_taken_all_the_same(author: Author) -> None:
    url = build(author, "told(when=Parameter('when', default=time.time()))")
    assert author.run(url, RUNNER_RUN_ID="r", RUNNER_PARAMETERS=json.dumps({"when": 0})).code == 0
    result = author.root / "etl/runs/r/attempts/0001/results/told.pkl"
    assert pickle.loads(result.read_bytes()) == {"when": 0}


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("[told() for _ in os.environ['PARTS'].split()]", "told-2, told-3"),
        ("told(a=Parameter(os.environ['PARTS'].replace(' ', '_')))", "parameter a, parameter a_b_c"),
    ],
)
def test_other_tasks_or_parameters_are_refused(author: Author, line: str, other: str) -> None:
    url = build(author, line, "a b c")
    ran = author.run(url, PARTS="a", RUNNER_PARAMETERS=json.dumps({"a_b_c": 1} if "parameter" in other else {}))
    assert ran.code == 1
    assert f"the flow has other tasks or parameters here than where it was built: {other}." in ran.lines[-1]["message"]


OTHERS = [("a", "b", "ab"), ("b", "a", "ba"), ("b", "b", "bb")]
FLOW_OF_TWO = """
import glob
import os
import time
from runner import Flow, task

@task
def first(part):
    with open({file!r}, "a") as file:
        file.write(part)
    return part

@task
def second(part):
    while not glob.glob({results!r}, recursive=True):
        time.sleep(0.01)
    os.path.exists({file!r} + ".again") or os.kill(os.getpid(), 9)
    return part

with Flow("etl") as flow:
    second(first({part}))
"""


@pytest.mark.parametrize(("before", "after", "made"), [*OTHERS, ("a", "a", "a")])
@pytest.mark.parametrize("part", ["os.environ['PART']", "[{os.environ['PART']}][0].pop()"])
def test_a_result_of_other_arguments_is_made_again(
    author: Author, tmp_path: Path, before: str, after: str, made: str, part: str
) -> None:
    """The flow was built with ``a``; a run that dies goes on where the same is asked for, and nowhere else."""
    file, results = tmp_path / "made", f"{author.root}/etl/runs/r/attempts/*/results/**/first.pkl"
    author.write({"flow.py": FLOW_OF_TWO.format(file=str(file), part=part, results=results)})
    build = ("-m", "runner", "build", "flow.py", "--storage", str(author.root))
    url = author.publish(*build, path=None, PART="a")
    assert author.run(url, RUNNER_RUN_ID="r", PART=before).code == 137
    (tmp_path / "made.again").touch()
    assert author.run(url, RUNNER_RUN_ID="r", PART=after).code == 0
    assert file.read_text() == made
    outcome = json.loads((author.root / "etl/runs/r/outcome.json").read_text())
    given = [pickle.loads((author.root / each["result"]["key"]).read_bytes()) for each in outcome["tasks"]]
    assert given == [after, after]
