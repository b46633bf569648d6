"""What a program sets of the environment here, and its flow's file does not where it is imported, is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner import environ
from runner.publishing.set_variables import set_here

if TYPE_CHECKING:
    from pathlib import Path

    from support.authors import Author

BUILD = ("-m", "runner", "build", "flow.py", "--storage", "storage")
GUARD = 'if __name__ == "__main__":\n'
DOTENV = """
import os
from pathlib import Path

def read(name):
    if Path(name).exists():
        for line in Path(name).read_text().splitlines():
            if line.partition("=")[0] not in os.environ:
                os.environ[line.partition("=")[0]] = line.partition("=")[2]
"""


def notes(author: Author, *command: str, **more: str) -> list[str]:
    """Build the flow; gives what is said of variables."""
    done = author.python(*(command or ("flow.py",)), path=None, **more)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("note: ")]


def said(*names: str, instead: str = "at the top of the flow's file") -> list[str]:
    advice = f"pass it with -e NAME=VALUE, or set it {instead}"
    return [f"note: set here and not where the flow runs: {', '.join(names)}; {advice}"]


def below(text: str, *lines: str) -> str:
    """Give a flow's file with lines below its guard."""
    return text.replace(GUARD, GUARD + "".join(f"    {line}\n" for line in lines))


@pytest.mark.parametrize(
    "line",
    ["os.environ.update(STAGE='prod')", "os.environ.setdefault('STAGE', 'prod')"],
)
def test_what_is_set_below_the_guard_is_told_with_its_line_and_no_value(author: Author, line: str) -> None:
    text = author.flow("import os", "return os.environ.get('STAGE')")
    author.write({"flow.py": below(text, "", line)})
    assert notes(author) == said("STAGE (flow.py, line 15)")
    assert notes(author, *BUILD) == [], "nothing is set by what is not executed"
    url = author.publish()
    assert author.answer(url, STAGE="prod") == "prod", "the advice works"


@pytest.mark.parametrize(
    "lines",
    [
        "os.environ |= {'LAST': '1', 'STAGE': 'prod'}",
        "os.environ.update({'STAGE': 'prod'})",
        "for name in ['STAGE']: os.environ[name] = 'prod'",
        "for name in ['STAGE']: os.environ.setdefault(name, 'prod')",
        "os.environ.update(dict([('STAGE', 'prod')]))",
        "load_dotenv()",
    ],
)
def test_the_line_is_that_which_sets_it_and_none_that_reads_it(author: Author, lines: str) -> None:
    load = "import os\ndef load_dotenv(): vars(os.environ)['_data'].update({b'STAGE': b'prod'})"
    text = author.flow(load, "return os.environ.get('STAGE')")
    author.write({"flow.py": below(text, "print(os.environ['HOME'])", lines, "print(os.environ['STAGE'])")})
    [note] = notes(author)
    assert "STAGE (flow.py, line 16)" in note


def test_no_line_is_told_where_several_may_set_it_nor_the_advice_to_set_it_where_that_stands(author: Author) -> None:
    lines = (
        "import os\nfrom pathlib import Path\nif (env := Path('.env')).exists(): "
        "os.environ.setdefault(*env.read_text().split('='))"
    )
    author.write({".env": "STAGE=prod", "flow.py": author.flow(lines, "return os.environ.get('STAGE')")})
    advice = "pass it with -e NAME=VALUE"
    where = "note: set here and not where the flow runs: STAGE"
    assert notes(author) == [f"{where} (flow.py, line 6); {advice}"]
    author.write({"flow.py": author.flow(f"{lines}\n{lines}", "return os.environ.get('STAGE')")})
    assert notes(author) == [f"{where} (set by this program); {advice}, or set it at the top of the flow's file"]


@pytest.mark.parametrize("by_value", [False, True])
def test_what_the_file_sets_is_told_only_where_the_file_does_not_travel(author: Author, *, by_value: bool) -> None:
    """So is what it sets unless it is set."""
    lines = (
        "import os\nfrom pathlib import Path\nos.environ['STAGE'] = 'prod'\nos.environ.setdefault('MORE', 'x')\n"
        "if 'LAST' not in os.environ: os.environ['LAST'] = str(Path(__file__).parent)"
    )
    author.write({"flow.py": author.flow(lines, "return 1", by_value=by_value)})
    expected = said(
        "LAST (flow.py, line 8)", "MORE (flow.py, line 7)", "STAGE (flow.py, line 6)", instead="in the task"
    )
    assert notes(author) == (expected if by_value else [])


def test_another_value_there_is_told_too(author: Author) -> None:
    text = author.flow("import os\nos.environ['STAGE'] = 'dev'", "return os.environ['STAGE']")
    author.write({"flow.py": below(text, "os.environ.update(STAGE='prod')")})
    assert notes(author) == said("STAGE (flow.py, line 15)")


@pytest.mark.parametrize("first", ["", "os.environ['STAGE'] = 'dev'"])
def test_what_a_task_reads_and_the_program_alone_sets_is_refused_and_each_advice_works(
    author: Author, first: str
) -> None:
    text = author.flow(f"import os\n{first}", "return [os.environ.get('STAGE') for _ in 'a']")
    line = "os.environ['STAGE'] = 'prod'"
    author.write({"flow.py": below(text, line)})
    done = author.python("flow.py")
    assert done.returncode == 1
    why = f"flow.py, line 15: {line[:19]}, which answer reads, is set here and not where the flow runs"
    assert why in done.stderr
    assert not author.root.exists()
    if first:
        author.write({"flow.py": text.replace("'dev'", "'prod'")})
        assert author.answer(author.publish()) == ["prod"]
    else:
        author.write({"flow.py": below(text, "os.environ.setdefault('STAGE', 'prod')")})
        assert notes(author) == said("STAGE (flow.py, line 15)")


def test_so_it_is_where_a_function_sets_it_that_the_program_calls_and_another_module_reads_it(author: Author) -> None:
    author.write({"helper.py": "import os\n\ndef stage():\n    return os.environ.get('STAGE')\n"})
    text = author.flow("import os, helper\ndef main(): os.environ['STAGE'] = 'prod'", "return helper.stage()")
    author.write({"flow.py": below(text, "main()")})
    done = author.python("flow.py")
    assert done.returncode == 1
    assert "flow.py, line 5: os.environ['STAGE'], which stage reads, is set here" in done.stderr


def test_what_a_file_of_variables_sets_is_told_unless_it_travels(author: Author) -> None:
    read = "import os, dotenvs\nfrom pathlib import Path\ndotenvs.read({})"
    author.write({"dotenvs.py": DOTENV, ".env": "LIMIT=30", "settings.env": "LIMIT=30"})
    author.write({"flow.py": author.flow(read.format("'.env'"), "return os.environ.get('LIMIT')")})
    assert notes(author) == notes(author, *BUILD) == said("LIMIT (dotenvs.py, line 9)")
    beside = read.format("Path(__file__).with_name('settings.env')")
    author.write({"flow.py": author.flow(beside, "return os.environ.get('LIMIT')")})
    [note] = notes(author)
    assert "settings.env travels" in note
    assert author.answer(author.publish()) == "30"


def test_what_every_process_has_and_what_tasks_set_is_not_told(author: Author) -> None:
    text = author.flow("import os", "os.environ['IN_A_TASK'] = '1'", "return os.environ.get('SHELL_SET')")
    lines = ("flow.run()", "os.environ['PYTEST_X'] = os.environ['RUNNER_X'] = os.environ['PAGER'] = 'x'")
    author.write({"flow.py": below(text, *lines)})
    assert notes(author, SHELL_SET="1", LC_ALL="C") == []


def test_a_flow_that_cannot_be_loaded_without_them_is_built_and_told(author: Author) -> None:
    text = author.flow("import os\nSTAGE = os.environ['STAGE']", "return STAGE")
    author.write({"pipeline.py": text, "flow.py": "import os\nos.environ['STAGE'] = 'prod'\nimport pipeline\n"})
    author.write({"build.py": "import flow\nprint(flow.pipeline.flow.storage.build())\n"})
    assert notes(author, "build.py") == said("STAGE (flow.py, line 2)")


def test_where_the_system_does_not_tell_with_what_a_process_began_nothing_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STAGE", "prod")
    assert "STAGE" in set_here(str(tmp_path))
    monkeypatch.setattr(environ, "open", lambda *_: (tmp_path / "absent").open(), raising=False)
    assert set_here(str(tmp_path)) == {}
    (tmp_path / "title").write_text("a title of its own\0")
    monkeypatch.setattr(environ, "open", lambda *_: (tmp_path / "title").open("rb"))
    assert set_here(str(tmp_path)) == {}
