"""What cannot travel is refused with its line and with advice, and whoever follows that has a flow that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.authors import Author

# What is made, and what a task does with it that gives 3.
KINDS = {
    "lock": ("import threading\nHELD = threading.Lock()", "with HELD: return 3"),
    "compiled struct": (
        "import struct\nHELD = struct.Struct('<hI')",
        "return HELD.size // 2",
    ),
    "open file": ("import os\nHELD = open(os.devnull, 'w')", "return HELD.write('abc')"),
    "generator": ("HELD = (number for number in range(3, 6))", "return next(HELD)"),
    "connection": (
        "import sqlite3\nHELD = sqlite3.connect(':memory:', check_same_thread=False)",
        "return HELD.execute('select 3').fetchone()[0]",
    ),
    "weak references": (
        "import weakref\nclass HELD:\n    known = weakref.WeakValueDictionary()\n    number = 3",
        "return HELD.number + len(HELD.known)",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_works_in_the_flows_file(author: Author, kind: str) -> None:
    author.write({"flow.py": author.flow(*KINDS[kind])})
    assert author.answer(author.publish("flow.py")) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_refused_with_its_line_where_the_files_values_travel(author: Author, kind: str) -> None:
    made, used = KINDS[kind]
    author.write({"flow.py": author.flow(made, used, by_value=True)})
    refused = author.python("flow.py")
    text = (author.folder / "project" / "flow.py").read_text("utf-8").splitlines()
    [line] = [number for number, each in enumerate(text, 1) if each.startswith(("HELD =", "class HELD"))]
    assert refused.returncode == 1
    assert f"flow.py, line {line}: the flow cannot be pickled" in refused.stderr
    assert "→ HELD" in refused.stderr
    assert "Make it inside the task that needs it, or in a module of its own" in refused.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_in_a_module_of_its_own_it_works(author: Author, kind: str) -> None:
    made, used = KINDS[kind]
    imports = "\n".join(line for line in made.splitlines() if line.startswith("import "))
    flow = author.flow(f"{imports}\nfrom held import HELD", used, by_value=True)
    author.write({"flow.py": flow, "held.py": f"{made}\n"})
    assert author.answer(author.publish("flow.py")) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_inside_the_task_it_works(author: Author, kind: str) -> None:
    made, used = KINDS[kind]
    inside = "\n".join(f"    {line}" for line in f"{made}\n{used}".splitlines()).lstrip()
    author.write({"flow.py": author.flow("", inside, by_value=True)})
    assert author.answer(author.publish("flow.py")) == 3
