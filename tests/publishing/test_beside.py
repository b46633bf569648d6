"""What lies beside a file that travels, and is named in it by a path made of its ``__file__``, lies there as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.authors import Author

BUILD = ("-m", "runner", "build")
HEAD = "import os\nimport os.path as osp\nfrom pathlib import Path\nHERE = Path(__file__).resolve().parent"
LINE = 7  # of what stands below it
EVERY_PATH = [
    "HERE / 'data' / 'a.txt'",
    "HERE / 'data/a.txt'",
    "HERE.joinpath('data', 'a.txt')",
    "Path(__file__).with_name('data') / 'a.txt'",
    "(HERE / 'data' / 'a.csv').with_suffix('.txt')",
    "Path(HERE, 'data', 'a.txt')",
    "Path(__file__).absolute().parents[0] / 'data' / 'a.txt'",
    "os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data', 'a.txt')",
    "osp.realpath(osp.join(osp.dirname(__file__), 'more', '..', 'data', 'a.txt'))",
    "os.path.join(os.getcwd(), os.path.dirname(__file__), 'data', 'a.txt')",
    "os.path.dirname(__file__) + '/data/a.txt'",
    "f'{HERE}/data/a.txt'",
]


def notes(author: Author, *arguments: str, file: str = "flow.py") -> list[str]:
    """Build the flow in a file of the project; gives what is said of it."""
    done = author.python(*BUILD, file, "--storage", str(author.root), *arguments)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("note:")]


def travels(place: str, line: int, file: str = "flow.py") -> str:
    return f"note: {file}, line {line}: {place} travels, as this line names it; -x {place} leaves it behind"


@pytest.mark.parametrize("path", EVERY_PATH)
@pytest.mark.parametrize("is_called", [True, False])
def test_a_file_travels_and_is_told_with_the_line_that_names_it(author: Author, path: str, *, is_called: bool) -> None:
    author.write({"data/a.txt": "a", "data/b.txt": "b"})
    lines, body = (
        (HEAD, f"return open({path}).read()") if is_called else (f"{HEAD}\nTEXT = open({path}).read()", "return TEXT")
    )
    author.write({"flow.py": author.flow(lines, body)})
    url = author.publish(*BUILD, "flow.py", "--storage", str(author.root))
    assert author.sources(url) == ["data/a.txt", "flow.py"]
    assert author.answer(url) == "a"
    assert notes(author) == [travels("data/a.txt", LINE + 4 if is_called else LINE + 1)]


def test_so_does_one_beside_a_module_that_travels_and_what_modules_so_named_need(author: Author) -> None:
    worker = "import runpy\nfrom pathlib import Path\nMORE = Path(__file__).parent / 'more.txt'\nimport part\n"
    helper = "import runpy\nfrom pathlib import Path\nran = runpy.run_path(Path(__file__).parents[1] / 'worker.py')\n"
    author.write({"flow.py": author.flow("import acme.helper", "return acme.helper.ran['MORE'].read_text()")})
    author.write(
        {"acme/__init__.py": "", "acme/helper.py": helper, "worker.py": worker, "part.py": "", "more.txt": "m"}
    )
    assert notes(author) == [travels("worker.py", 3, "acme/helper.py"), travels("more.txt", 3, "worker.py")]
    assert author.answer(author.publish(*BUILD, "flow.py", "--storage", str(author.root))) == "m"


def test_a_folder_travels_where_it_is_used_as_one(author: Author) -> None:
    author.write({"data/a.txt": "a", "data/b/c.txt": "c", "data/.hidden": "h"})
    lines = f"{HEAD}\nDATA = HERE / 'data'\nNAME = 'a.txt'"
    author.write({"flow.py": author.flow(lines, "return (DATA / NAME).read_text()")})
    assert notes(author) == [travels("data", 13)]
    url = author.publish(*BUILD, "flow.py", "--storage", str(author.root))
    assert author.sources(url) == ["data/a.txt", "data/b/c.txt", "flow.py"]
    assert author.answer(url) == "a"
    author.write({"flow.py": author.flow(lines, "return (DATA / 'b' / 'c.txt').read_text()")})
    assert notes(author) == [travels("data/b/c.txt", 13)], "of a folder that only leads to a file, that one does"


def test_what_cannot_travel_is_told_and_what_is_not_there_is_not(author: Author) -> None:
    lines = (
        f"{HEAD}\nOUT = HERE.parent / 'out.txt'\nDOT = HERE / '.env'\nNONE = HERE / 'none'\n"
        "FOLDER = HERE.parent / 'other'\nsys_path = [str(HERE)]\nEMPTY = HERE / 'empty'"
    )
    author.write({"flow.py": author.flow(lines, "return 1"), ".env": "A=1"})
    author.write({"out.txt": "", "other/a.txt": ""}, ".")
    (author.folder / "project" / "empty").mkdir()
    out = author.folder / "out.txt"
    assert notes(author) == [
        f"note: flow.py, line 8: {out} lies outside of the folder that travels, and is not there; put it below that",
        "note: flow.py, line 9: .env is hidden, and such files never travel; it is not there",
    ]


def test_what_is_left_out_or_named_by_a_program_alone_is_not_taken(author: Author) -> None:
    author.write({"a.txt": "a"})
    author.write({"flow.py": author.flow(HEAD, "return (HERE / 'a.txt').exists()")})
    assert "a.txt" not in author.sources(
        author.publish(*BUILD, "flow.py", "--storage", str(author.root), "-x", "a.txt")
    )
    below = "\nif __name__ == '__main__':\n    print((HERE / 'a.txt').read_text())\n"
    author.write({"flow.py": author.flow(HEAD, "return 1") + below})
    assert notes(author) == []


def test_where_other_files_of_the_folder_may_be_meant_that_is_told_too(author: Author) -> None:
    author.write({"a.txt": "a", "b.txt": "b"})
    body = "return (HERE / 'a.txt').read_text(), [(HERE / name).read_text() for name in ['b.txt']]"
    author.write({"flow.py": author.flow(HEAD, body)})
    first, second = notes(author)
    assert first == travels("a.txt", 11)
    assert "HERE is a path of this machine, and what lies there stays here" in second
    assert len(notes(author, "-i", "b.txt")) == 1


def test_one_with_a_secret_stays_as_does_what_a_file_names_whose_values_travel(author: Author) -> None:
    author.write({"a.txt": f"x\ngh{'p_' + 'a1' * 18}"})
    author.write({"flow.py": author.flow(HEAD, "return (HERE / 'a.txt').read_text()")})
    stays, instead = notes(author)
    assert "HERE is a path of this machine, and what lies there stays here" in stays
    assert "what must stay here would travel: a GitHub token, in the file a.txt, line 2" in instead
    author.write({"a.txt": "x", "flow.py": author.flow(HEAD, "return (HERE / 'a.txt').read_text()", by_value=True)})
    by_value = author.python("flow.py")
    assert "HERE is a path of this machine" in by_value.stderr
    assert "takes along a.txt" not in by_value.stderr
