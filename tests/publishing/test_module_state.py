"""What a program has done to modules beside the flow's file is told: nobody does so where the flow runs."""

from __future__ import annotations

import sys
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from runner.publishing.module_state import state_of
from runner.publishing.telling import Seen

if TYPE_CHECKING:
    from support.authors import Author

GUARD = 'if __name__ == "__main__":\n'
CONF = """
value = 1
engine = None
_made = []
class Settings:
    def __init__(self):
        self.level = 1
    def configure(self, level):
        self.level = level
settings = Settings()
def init(new):
    global value, added
    value = added = new
def prepare():
    _connect()
def _connect():
    global engine
    engine = Settings()
"""


def notes(author: Author, lines: str, result: str = "conf.value") -> list[str]:
    """Build a flow that does something below its guard, which stands at line 14; gives what is said of it."""
    text = author.flow("import conf", f"return {result}").replace(GUARD, f"{GUARD}    {lines}\n")
    author.write({"flow.py": text, "conf.py": CONF})
    done = author.python("flow.py")
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("note: ")]


def changed(what: str) -> str:
    return (
        f"note: flow.py, line 14: {what} is changed here, and not where the flow runs; "
        "change it where its own module, or the flow's file, is imported"
    )


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("conf.init(9)", [changed("conf.added"), changed("conf.value")]),
        ("conf.settings.configure(2)", [changed("conf.settings")]),
        ("conf.prepare()", [changed("conf.engine")]),
        ("vars(conf)['value'] = 9", [changed("conf.value")]),
        ("conf.init", []),
    ],
)
def test_a_functions_change_is_told_with_the_line_that_calls_it(author: Author, lines: str, told: list[str]) -> None:
    assert notes(author, lines) == told


def test_what_no_line_shows_and_what_runs_have_left_is_told_with_the_line_that_defines_it(author: Author) -> None:
    [note] = notes(author, "sys = __import__('sys'); list(map(sys.modules['conf'].init, [1])); conf._made += [1]")[:1]
    assert note == changed("conf._made")
    text = author.flow("import conf", "return conf._made.append(1)").replace(GUARD, f"{GUARD}    flow.run()\n")
    author.write({"flow.py": text})
    assert (
        "note: conf.py, line 4: conf._made is another value where the flow runs: flow.run(), or what this program does "
        "besides, changes it here"
    ) in author.python("flow.py").stderr


def state(module: ModuleType, monkeypatch: pytest.MonkeyPatch, **variables: Any) -> dict[str, str]:
    vars(module).update(variables)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return {each.label: each.told for each in state_of(Seen("flow", modules=["flow", module.__name__, "absent"]))}


def test_of_a_module_each_variable_is_compared_wherever_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = ModuleType("conf"), ModuleType("conf")
    here.__file__, there.__file__ = "/home/a/conf.py", "/tmp/b/conf.py"
    found = state(here, monkeypatch, home="/home/a/words", LIMIT=1, sys=sys)
    assert sorted(found) == ["the constant LIMIT of conf", "the module conf", "the variable home of conf"]
    assert state(there, monkeypatch, home="/tmp/b/words", LIMIT=1) == found


def test_results_in_a_cache_are_state_and_what_fails_when_it_is_looked_at_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken(dict[str, int]):
        __module__ = "conf"

        def __len__(self) -> int:
            raise RuntimeError

    module, cached = ModuleType("conf"), lru_cache(abs)
    before = state(module, monkeypatch, cached=cached, broken=Broken())
    cached(-1)
    after = state(module, monkeypatch)
    assert before["the variable cached of conf"] != after["the variable cached of conf"]
    assert before["the variable broken of conf"] == after["the variable broken of conf"]


@pytest.mark.parametrize("kept", ["cache", "classmethod\n    @cache"])
def test_so_is_that_of_a_method(author: Author, kept: str) -> None:
    lines = f"from functools import cache\nclass A:\n    @{kept}\n    def of(self):\n        return 1\nHELD = A()"
    text = author.flow(lines, "return HELD.of()")
    author.write({"flow.py": text.replace(GUARD, f"{GUARD}    HELD.of()\n")})
    assert "what the cache of A.of holds here is not there where" in author.python("flow.py").stderr


def test_a_cache_of_the_flows_file_that_was_filled_is_told(author: Author) -> None:
    text = author.flow("from functools import cache\n@cache\ndef of():\n    return 1", "return of()")
    author.write({"flow.py": text.replace(GUARD, f"{GUARD}    of()\n")})
    assert (
        "note: flow.py, line 6: what the cache of of holds here is not there where" in author.python("flow.py").stderr
    )
