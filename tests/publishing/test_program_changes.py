"""What a program changes of other modules' before it builds a flow is told with its line, or refused."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from runner.publishing.program_changes import Program

if TYPE_CHECKING:
    from pathlib import Path

    from support.authors import Author

BUILD = ("-m", "runner", "build", "flow.py", "--storage", "storage")
GUARD = 'if __name__ == "__main__":\n'
SETTINGS = (
    "LIMIT = 1\nlimit = 1\nOPTIONS = {'a': 1}\nKNOWN = []\nclass Kind:\n    size = 1\nMADE = Kind()\ndef of(): ...\n"
)
LINE = 14  # the first below the guard


def write(author: Author, *lines: str, imports: str = "import settings", result: str = "1", above: str = "") -> None:
    """Write a flow's file that does something below its guard."""
    text = author.flow(imports, f"return {result}")
    done = "".join(f"    {line}\n" for line in lines)
    author.write({"flow.py": text.replace(GUARD, f"{above}{GUARD}{done}"), "settings.py": SETTINGS})


def notes(author: Author, *command: str) -> list[str]:
    done = author.python(*(command or ("flow.py",)))
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("note: ")]


def said(what: str, line: int = LINE, file: str = "flow.py") -> str:
    return (
        f"note: {file}, line {line}: {what} is changed here, and not where the flow runs; "
        "change it where its own module, or the flow's file, is imported"
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("settings.limit = 3", "settings.limit"),
        ("settings.limit += 2", "settings.limit"),
        ("settings.limit: int = 3", "settings.limit"),
        ("del settings.limit", "settings.limit"),
        ("settings.OPTIONS['a'] = 3", "settings.OPTIONS['a']"),
        ("settings.OPTIONS.update(a=3)", "settings.OPTIONS"),
        ("settings.KNOWN.append(3)", "settings.KNOWN"),
        ("settings.Kind.size = 3", "settings.Kind.size"),
        ("settings.MADE.size = 3", "settings.MADE.size"),
        ("setattr(settings, 'limit', 3)", "settings.limit"),
        ("delattr(settings, 'limit')", "settings.limit"),
        ("settings.__dict__['limit'] = 3", "settings.limit"),
        ("vars(settings).update(limit=3)", "settings.limit"),
        ("settings.limit, other = 3, 4", "settings.limit"),
        ("import decimal; decimal.getcontext().prec = 3", "decimal.getcontext().prec"),
    ],
)
def test_what_it_changes_is_told_with_its_line(author: Author, line: str, what: str) -> None:
    write(author, line)
    assert notes(author) == [said(what)]
    assert notes(author, *BUILD) == [], "nothing is changed by what is not executed"


def test_so_is_what_it_has_by_name_and_what_functions_do_that_it_calls(author: Author) -> None:
    above = "def main():\n    OPTIONS['a'] = 2\n    if not OPTIONS: main()\n\ndef other():\n    OPTIONS['b'] = 2\n\n"
    write(author, "main()", imports="from settings import OPTIONS", result="OPTIONS", above=above)
    assert notes(author) == [said("OPTIONS['a']", 14)]


def test_so_is_what_a_program_beside_the_file_does_at_its_top(author: Author) -> None:
    write(author, result="settings.limit")
    author.write({"build.py": "import flow, settings\nsettings.limit = 3\nprint(flow.flow.storage.build())\n"})
    assert notes(author, "build.py") == [said("settings.limit", 2, "build.py")]


@pytest.mark.parametrize(
    ("line", "line_of_it"),
    [
        ("value = 3", 5),
        ("globals()['value'] = 3", 5),
        ("exec('value = 3')", 5),
        ("setattr(sys.modules[__name__], ''.join('value'), 3)", 5),
        ("value = 2; exec(''); value = 3", 5),
        ("main()", 2),
        ("other()", None),
    ],
)
def test_the_line_that_changes_something_of_the_programs_own_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, line_of_it: int | None
) -> None:
    program = ModuleType("__main__")
    program.__file__ = str(tmp_path / "flow.py")
    text = "def main():\n    global value; value = 3\ndef other(): value = 3\nif __name__ == '__main__':\n    {}\n"
    (tmp_path / "flow.py").write_text(text.format(line))
    monkeypatch.setitem(sys.modules, "__main__", program)
    change = Program(program).change_of("__main__", "value")
    assert (change and change.line) == line_of_it


@pytest.mark.parametrize("task", ["settings.LIMIT", "__import__('settings').LIMIT"])
def test_a_constant_of_anothers_is_refused_with_the_line_and_the_advice_works(author: Author, task: str) -> None:
    """Also where only the task imports it, so that no value of it would travel."""
    write(author, "settings.LIMIT = 3", result=task)
    done = author.python("flow.py")
    assert f"flow.py, line {LINE}: the constant LIMIT of settings would have another value" in done.stderr
    assert "Set it where its module is imported, or in the flow's file where that is" in done.stderr
    assert (done.returncode, author.root.exists()) == (1, False)
    write(author, imports="import settings\nsettings.LIMIT = 3", result=task)
    assert author.answer(author.publish()) == 3


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("OWN['a'] = 2", "OWN['a']"),
        ("OWN.update(a=2)", "OWN"),
        ("OWN = {'a': 2}", "OWN"),
        ("main()", "OWN['a']"),
        ("OTHER['a'] = 2; flow.run(); own = OWN", None),
    ],
)
def test_what_is_left_out_and_would_be_published_by_the_program_is_told(
    author: Author, line: str, what: str | None
) -> None:
    """As the file's own variables that its tasks use: `runner build` has the one, `python flow.py` the other."""
    imports = "OWN, OTHER = {'a': 1}, {}\ndef main():\n    OWN['a'] = 2"
    write(author, line, imports=imports, result="OWN['a']")
    told = notes(author, *BUILD)
    assert len(told) == (what is not None), told
    if what:
        place = "flow.py, line 6" if line == "main()" else f"flow.py, line {LINE + 2}"
        assert told[0].startswith(f"note: {place}: {what} is changed here by python flow.py alone: what stands below")
        assert author.answer(author.publish()) == 2


def test_of_what_is_its_own_the_flows_or_the_processs_nothing_is_told(author: Author) -> None:
    lines = (
        "import sys, os; from pathlib import Path; from runner.storage import Local",
        "flow.environment = None; OWN = {}; OWN['a'] = 1; OWN.update(b=2)",
        "sys.argv[0] = 'x'; sys.path.append('x'); settings.of().x if False else settings.Kind()",
    )
    write(author, *lines)
    assert notes(author) == []
    environment = "flow.environment = it.flow.environment = None"
    build = f"from flow import flow\nimport flow as it\n{environment}\nprint(flow.storage.build())\n"
    author.write({"build.py": build})
    assert notes(author, "build.py") == []
