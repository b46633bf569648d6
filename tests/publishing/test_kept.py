"""What the flow's file leaves with a module of its author's, and nobody leaves with it where the flow runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.authors import Author

HANDLERS = """
_KNOWN = {}
_LIST = []
CACHE = {}
def register(name):
    def keep(function):
        _KNOWN[name] = function
        return function
    return keep
def keep(function):
    _LIST.append(function)
    return function
def handle(name, value):
    return _KNOWN[name](value)
"""


@pytest.mark.parametrize(
    ("defined", "line", "place"),
    [
        ("@handlers.register('upper')\ndef upper(text):\n    return text.upper()", 5, "_KNOWN"),
        ("@task\n@handlers.register('upper')\ndef upper(text):\n    return text.upper()", 5, "_KNOWN"),
        ("def upper(text):\n    return text.upper()\nhandlers.handle = upper", 5, "handle"),
        ("class upper(str):\n    pass\nhandlers._LIST.append(upper)", 5, "_LIST"),
        ("@handlers.keep\ndef upper(_): pass\n@handlers.keep\ndef upper(_): return 1", 5, "_LIST"),
    ],
)
def test_where_the_files_values_travel_it_is_refused_with_its_line(
    author: Author, defined: str, line: int, place: str
) -> None:
    flow = author.flow(f"import handlers\n{defined}", "return handlers.handle('upper', 'a')", by_value=True)
    author.write({"handlers.py": HANDLERS, "flow.py": flow})
    built = author.python("flow.py")
    assert built.returncode == 1
    said = f"upper is kept in handlers.{place}, which does not have it where the flow runs"
    assert f"flow.py, line {line}: {said}" in built.stderr
    assert not author.root.exists()


@pytest.mark.parametrize("register", ["", "@task\n"])
def test_where_the_file_travels_it_is_there(author: Author, register: str) -> None:
    defined = f"import handlers\n{register}@handlers.register('upper')\ndef upper(text):\n    return text.upper()"
    author.write({"handlers.py": HANDLERS, "flow.py": author.flow(defined, "return handlers.handle('upper', 'a')")})
    assert author.answer(author.publish()) == author.at_home() == "A"


def test_the_advice_works(author: Author) -> None:
    own = "from handlers import register\n@register('upper')\ndef upper(text):\n    return text.upper()\n"
    author.write({"handlers.py": HANDLERS, "mine.py": own})
    flow = author.flow("import handlers", "import mine", "return handlers.handle('upper', 'a')", by_value=True)
    author.write({"flow.py": flow})
    assert author.answer(author.publish()) == "A"


@pytest.mark.parametrize(("by_value", "there"), [(False, 1), (True, 0)])
def test_what_it_remembers_is_no_such_thing(author: Author, there: int, *, by_value: bool) -> None:
    """A cache is filled again."""
    lines = "import handlers\ndef own(): pass\nhandlers.CACHE[own, 1] = 2"
    flow = author.flow(lines, "return len(handlers.CACHE)", by_value=by_value)
    author.write({"handlers.py": HANDLERS, "flow.py": flow})
    assert author.answer(author.publish()) == there


def test_a_helper_that_imports_the_flows_file_has_its_functions(author: Author) -> None:
    later = "def late():\n    from flow import own\n    return own\n"
    author.write(
        {"later.py": later, "flow.py": author.flow("import later\ndef own(): pass", "return later.late() is own")}
    )
    assert author.answer(author.publish()) is True
