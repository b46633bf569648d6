"""What the flow's file leaves with a module of its author's, and nobody leaves with it where the flow runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.authors import Author

BUILD = ("-m", "runner", "build", "flow.py", "--storage", "storage")
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
def test_it_is_refused_with_its_line(author: Author, defined: str, line: int, place: str) -> None:
    author.write({"handlers.py": HANDLERS})
    author.write({"flow.py": author.flow(f"import handlers\n{defined}", "return handlers.handle('upper', 'a')")})
    built = author.python(*BUILD)
    assert built.returncode == 1
    said = f"upper is kept in handlers.{place}, which does not have it where the flow runs"
    assert f"flow.py, line {line}: {said}" in built.stderr
    assert not (author.folder / "project" / "storage").exists()


def test_the_advice_works(author: Author) -> None:
    own = "from handlers import register\n@register('upper')\ndef upper(text):\n    return text.upper()\n"
    author.write({"handlers.py": HANDLERS, "mine.py": own})
    author.write({"flow.py": author.flow("import handlers", "import mine", "return handlers.handle('upper', 'a')")})
    assert author.answer(author.publish(*BUILD[:-1], str(author.root))) == "A"


def test_what_it_imports_or_remembers_is_no_such_thing(author: Author) -> None:
    """A helper that imports the flow's file has its functions there, too; a cache is filled again."""
    author.write({"handlers.py": HANDLERS, "later.py": "def late():\n    from flow import own\n    return own\n"})
    lines = "import handlers, later\ndef own(): pass\nhandlers.CACHE[own, 1] = 2"
    author.write({"flow.py": author.flow(lines, "return handlers.CACHE, later.late() is own")})
    assert author.answer(author.publish(*BUILD[:-1], str(author.root))) == ({}, True)
