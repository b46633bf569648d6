"""A path of the author's machine is pointed at where a flow is built: what lies there stays there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.authors import Author

BUILD = ("-m", "runner", "build", "flow.py", "--storage", "storage")


@pytest.mark.parametrize(
    ("made", "line"),
    [
        ("HERE = Path(__file__).parent", 5),
        ("WORDS = os.path.join(os.path.dirname(__file__), '')", 5),
        ("HERE = Path.cwd()", 5),
    ],
)
def test_it_is_noted_with_its_line_and_the_advice_works(author: Author, made: str, line: int) -> None:
    name = made.partition(" ")[0]
    lines = f"import os; from pathlib import Path\n{made}"
    body = f"return Path({name}, 'words' + str(chr(46)) + 'txt').read_text()"
    author.write({"flow.py": author.flow(lines, body), "words.txt": "a"})
    done = author.python(*BUILD)
    assert done.returncode == 0, done.stderr
    said = f"note: flow.py, line {line}: {name} is a path of this machine, and what lies there stays here"
    of_file = "note: flow.py, line 9: which files this names by __file__ is only known when it runs"
    is_made_anew = "__file__" in made
    assert (of_file in done.stderr, said in done.stderr) == (is_made_anew, not is_made_anew)
    flow = author.flow(lines, body, by_value=True)
    author.write({"flow.py": flow})
    by_value = author.python("flow.py")
    assert f"note: flow.py, line {line}: {name} is a path of this machine" in by_value.stderr
    author.write(
        {
            "flow.py": author.flow(
                "from importlib.resources import files", "return files('data').joinpath('a').read_text()"
            )
        }
    )
    author.write({"data/a": "a"})
    assert author.answer(author.publish(*BUILD[:-1], str(author.root), "-i", "data/a")) == "a"


@pytest.mark.parametrize("name", ["words.txt", "data"])
def test_what_was_taken_along_lies_beside_the_file_there_and_is_not_noted(author: Author, name: str) -> None:
    lines = "import os; from pathlib import Path\nHERE = Path(__file__).parent\n"
    lines += f"DATA = os.path.join(os.path.dirname(__file__), {name!r})"
    body = "return [each.read_text() for each in HERE.rglob('*.txt')], Path(DATA).exists()"
    author.write({"flow.py": author.flow(lines, body), f"{name}/words.txt" if name == "data" else name: "a b"})
    done = author.python(*BUILD[:-1], str(author.root), "-i", name)
    assert "note:" not in done.stderr
    assert author.answer(done.stdout.strip()) == (["a b"], True)


def test_the_name_of_the_file_itself_is_one_where_its_values_travel(author: Author) -> None:
    author.write({"flow.py": author.flow("", "return open(__file__).read()", by_value=True)})
    assert "__file__ is a path of this machine" in author.python("flow.py").stderr
    text = author.flow("", "return open(__file__).read()")
    author.write({"flow.py": text})
    done = author.python("flow.py")
    assert "note:" not in done.stderr
    assert author.answer(done.stdout.strip()) == text


def test_other_paths_are_not(author: Author) -> None:
    lines = (
        "from pathlib import Path\nTMP = Path('/tmp')\nREL = 'data'\nNONE = str(Path.cwd() / 'none')\nROOT = Path('/')"
    )
    author.write({"flow.py": author.flow(lines, "return TMP, REL, NONE, ROOT")})
    assert "is a path of this machine" not in author.python(*BUILD).stderr
