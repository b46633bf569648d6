"""``flow.run()`` before ``flow.storage.build()`` in one program: what tasks change meanwhile is not published."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from support.authors import Author

if TYPE_CHECKING:
    from pathlib import Path

FLOW = """
from runner import Flow, Parameter, task
from runner.storage import Local

seen = []

@task
def add(row, rows=[]):
    rows.append(row)
    seen.append(row)
    return list(rows), list(seen)

@task
def extend(rows):
    rows.append(1)
    return list(rows)

def make():
    with Flow("etl", storage=Local({root!r})) as flow:
        add(1)
        extend([0])
        extend(Parameter("rows", default=[5]))
    return flow
"""
BY_FILE = """
flow = make()
if __name__ == "__main__":
    report = flow.run()
    print(*[report.result(name) for name in ("add", "extend", "extend-2")])
    flow.run()
    print(flow.storage.build())
"""
BY_VALUE = """
if __name__ == "__main__":
    flow = make()
    flow.run()
    print(flow.storage.build())
"""


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path, tmp_path / "storage")


def results(author: Author, url: str, **environ: str) -> list[Any]:
    ran = author.run(url, RUNNER_RUN_ID="r", **environ)
    assert ran.code == 0, ran
    folder = author.root / "etl/runs/r/attempts/0001/results"
    return [pickle.loads((folder / f"{name}.pkl").read_bytes()) for name in ("add", "extend", "extend-2")]


def test_the_file_travels_as_a_first_run_found_it(author: Author) -> None:
    author.write({"flow.py": FLOW.format(root=str(author.root)) + BY_FILE})
    done = author.python("flow.py")
    first, url = done.stdout.strip().splitlines()
    assert results(author, url) == [([1], [1]), [0, 1], [5, 1]]
    assert first == "([1], [1]) [0, 1] [5, 1]"
    for changed in ("an argument of task extend", "the default of parameter rows", "seen in add", "a default of add"):
        assert f"{changed} was changed by flow.run(): it travels as the file makes it" in done.stderr


def test_of_values_it_is_told_that_they_travel_as_they_are(author: Author) -> None:
    author.write({"flow.py": FLOW.format(root=str(author.root)) + BY_VALUE})
    done = author.python("flow.py")
    assert "a default of add was changed by flow.run(): it travels as it is now" in done.stderr
    assert results(author, done.stdout.strip())[0] == ([1, 1], [1, 1])


def test_a_flow_that_is_run_and_changes_nothing_is_built_without_a_word(author: Author) -> None:
    author.write({"flow.py": author.flow("", "return 1").replace("    print", "    flow.run()\n    print")})
    assert "flow.run()" not in author.python("flow.py").stderr


@pytest.mark.parametrize("line", ["    report = flow.run()", "    flow.run()", "    print(flow.storage"])
def test_what_is_changed_below_the_guard_besides_is_no_runs_doing(author: Author, line: str) -> None:
    """Be it before the first run, between two, or after them."""
    changed = BY_FILE.replace(line, f"    seen.append(0)\n{line}")
    author.write({"flow.py": FLOW.format(root=str(author.root)) + changed})
    done = author.python("flow.py")
    above = FLOW + changed[: changed.index("seen.append(0)")]
    why = f"flow.py, line {len(above.splitlines())}: seen in add"
    assert f"the values of the flow's file travel instead of the file: {why}" in done.stderr
    assert 0 in results(author, done.stdout.strip().splitlines()[-1])[0][1]
