"""What lies beside a file that travels, and is named in it by a path made of its ``__file__``, lies there as well."""

from __future__ import annotations

import os
import shlex
import sys
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from runner.publishing.capture import capture
from runner.publishing.source import Source

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


def notes_on(author: Author, monkeypatch: pytest.MonkeyPatch, text: str) -> list[str]:
    """Capture in this process what a flow's file names, beside which a module lies; gives what is said of it."""
    folder = author.write({"flow.py": text, "helper.py": ""})
    program, helper = ModuleType("__main__"), ModuleType("helper")
    program.__file__, helper.__file__ = str(folder / "flow.py"), str(folder / "helper.py")
    helper.__spec__ = spec_from_file_location("helper", helper.__file__)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setitem(sys.modules, "helper", helper)
    return capture(program, source=Source(folder / "flow.py", "flow", "flow")).notes


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


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("inspect.getfile(answer.function)", 10),
        ("getsourcefile(Flow)", None),
        ("inspect.getfile(inspect.currentframe())", 10),
        ("sys._getframe().f_code.co_filename", 10),
        ("(lambda: 1).__code__.co_filename", None),
        ("answer.function.__code__.co_filename", 10),
        ("sys.modules[__name__].__file__", 10),
        ("helper.__file__", 10),
        ("shelve.__file__", None),
    ],
)
def test_so_is_one_that_is_named_by_another_way_to_the_files_own_path(
    author: Author, monkeypatch: pytest.MonkeyPatch, path: str, line: int | None
) -> None:
    author.write({"a.txt": "a"})
    imports = "import inspect, sys, helper, shelve\nfrom pathlib import Path\nfrom inspect import getsourcefile"
    text = author.flow(imports, f"return (Path({path}).parent / 'a.txt').read_text()")
    assert notes_on(author, monkeypatch, text) == ([travels("a.txt", line)] if line else [])


@pytest.mark.parametrize("named", ["sys.argv[0]", "__main__.__file__"])
def test_a_path_made_of_the_programs_file_is_told(author: Author, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    lines = f"import os, sys, __main__\nHERE = os.path.dirname(os.path.abspath({named}))\nUSAGE = sys.argv[0]"
    why = f"{named} is another program's where the flow runs, which lies elsewhere; make the path of __file__"
    assert notes_on(author, monkeypatch, author.flow(lines, "return 1")) == [f"note: flow.py, line 5: {why}"]


def test_so_does_one_beside_a_module_that_travels_and_what_modules_so_named_need(author: Author) -> None:
    worker = "import runpy\nfrom pathlib import Path\nMORE = Path(__file__).parent / 'more.txt'\nimport part\n"
    helper = "import runpy\nfrom pathlib import Path\nran = runpy.run_path(Path(__file__).parents[1] / 'worker.py')\n"
    author.write({"flow.py": author.flow("import acme.helper", "return acme.helper.ran['MORE'].read_text()")})
    author.write(
        {"acme/__init__.py": "", "acme/helper.py": helper, "worker.py": worker, "part.py": "", "more.txt": "m"}
    )
    assert notes(author) == [travels("worker.py", 3, "acme/helper.py"), travels("more.txt", 3, "worker.py")]
    assert author.answer(author.publish(*BUILD, "flow.py", "--storage", str(author.root))) == "m"


def test_a_program_can_be_executed_there(author: Author) -> None:
    """A bundle does not say which files may be: those that begin as a program does."""
    author.write({"tool": "#!/bin/sh\necho told\n", "words": "#words"})
    (author.folder / "project" / "tool").chmod(0o755)
    ran = "return subprocess.check_output([HERE / 'tool'], text=True), os.access(HERE / 'words', os.X_OK)"
    author.write({"flow.py": author.flow(f"{HEAD}\nimport subprocess", ran)})
    assert author.answer(author.publish(*BUILD, "flow.py", "--storage", str(author.root))) == ("told\n", False)


def test_a_folder_travels_where_it_is_used_as_one(author: Author) -> None:
    author.write({"data/a.txt": "a", "data/b/c.txt": "c", "data/.hidden": "h"})
    lines = f"{HEAD}\nDATA = HERE / 'data'\nNAME = 'a' + '.txt'"
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
        "FOLDER = HERE.parent / 'other'\nimport sys\nsys.path.append(str(HERE))\nEMPTY = HERE / 'empty'"
    )
    author.write({"flow.py": author.flow(lines, "return 1"), ".env": "A=1"})
    author.write({"out.txt": "", "other/a.txt": ""}, ".")
    (author.folder / "project" / "empty").mkdir()
    out = author.folder / "out.txt"
    assert notes(author) == [
        f"note: flow.py, line 8: {out} lies outside of the folder that travels, and is not there; put it below that",
        "note: flow.py, line 9: .env is hidden, and such files never travel; it is not there",
        "note: flow.py, line 14: empty holds nothing that travels, and is not there; make it where it is needed",
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


def is_open(line: int, file: str = "flow.py") -> str:
    what = "which files this names by __file__ is only known when it runs; those that it reads travel with -i PATH"
    return f"note: {file}, line {line}: {what}"


def test_where_other_files_of_the_folder_may_be_meant_that_is_told_too(author: Author) -> None:
    author.write({"a.txt": "a", "b.txt": "b"})
    body = "return (HERE / 'a.txt').read_text(), [(HERE / name).read_text() for name in ['b.txt']]"
    author.write({"flow.py": author.flow(HEAD, body)})
    assert notes(author) == [travels("a.txt", 11), is_open(11)]
    assert notes(author, "-i", "b.txt") == [travels("a.txt", 11)]
    (author.folder / "project" / "b.txt").unlink()
    assert notes(author) == [travels("a.txt", 11)], "nothing else is there"


@pytest.mark.parametrize(
    "path",
    [
        "next(HERE.glob('*.txt'))",
        "os.path.join(os.path.dirname(__file__) + '/*.txt')",
        "'%s/a.txt' % os.path.dirname(__file__)",
        "'{}/a.txt'.format(HERE)",
        "'/'.join([str(HERE), 'a.txt'])",
        "__file__.replace('flow.py', 'a.txt')",
        "__file__[:-7] + 'a.txt'",
        "__file__.rpartition('/')[0] + '/a.txt'",
        "os.path.splitext(__file__)[0] + '.txt'",
        "os.path.join(os.path.split(__file__)[0], 'a.txt')",
        "(lambda name: HERE / name)('a.txt')",
        "Path(__file__).with_name(str('a.txt'))",
    ],
)
def test_a_path_that_is_only_known_when_it_runs_is_told_with_its_line(author: Author, path: str) -> None:
    author.write({"a.txt": "a", "flow.py": author.flow(HEAD, f"return str({path})")})
    assert notes(author) == [is_open(11)]


def test_that_of_a_module_is_told_but_none_that_names_no_file(author: Author) -> None:
    helper = "from pathlib import Path\nROOT = Path(__file__).parent\ndef here(name):\n    return ROOT / name\n"
    lines = f"{HEAD}\nimport sys, helper\nsys.path.insert(0, str(HERE))\nsys.path.append(os.path.dirname(__file__))"
    bodies = ["print(__file__, Path(__file__).name, f'{__file__}', Path(__file__).stem)", "return helper.here('a')"]
    author.write({"a.txt": "a", "helper.py": helper, "flow.py": author.flow(lines, *bodies)})
    assert notes(author) == [is_open(4, "helper.py")]


def test_a_name_may_be_that_of_a_constant(author: Author) -> None:
    author.write(
        {
            "data/a.txt": "a",
            "flow.py": author.flow(f"{HEAD}\nNAME = 'a.txt'", "return (HERE / 'data' / NAME).read_text()"),
        }
    )
    assert notes(author) == [travels("data/a.txt", 12)]


def refused(author: Author, *arguments: str, file: str = "flow.py") -> str:
    done = author.python(*BUILD, file, "--storage", str(author.root), *arguments)
    assert done.returncode == 1
    assert "travel instead" not in done.stderr
    return done.stderr.removeprefix("runner: ").rstrip()


def test_one_with_a_secret_is_refused_with_the_line_that_names_it_until_it_is_left_behind(author: Author) -> None:
    author.write({"my data.txt": f"x\ngh{'p_' + 'a1' * 18}"})
    author.write({"flow.py": author.flow(HEAD, "return (HERE / 'my data.txt').exists()")})
    assert refused(author) == (
        "what must stay here would travel: a GitHub token, in the file my data.txt, line 2, which flow.py, "
        "line 11, names. Leave it behind: -x 'my data.txt'. Read it inside the task: runner.secret(…). "
        "allow_secrets=True, or --allow-secrets, lets it travel."
    )
    notes(author, "-x", "my data.txt")


def test_so_is_one_that_is_too_large_or_whose_name_cannot_travel(author: Author) -> None:
    author.write({"flow.py": author.flow(HEAD, "return (HERE / 'big.bin').exists()"), "big.bin": ""})
    os.truncate(author.folder / "project" / "big.bin", 60_000_000)
    large = "big.bin (60.0 MB), which flow.py, line 11, names; flow.py (0.0 MB)"
    assert f"the largest files: {large}. Leave them out with exclude=[…], or -x, as in -x big.bin." in refused(author)
    author.write({"flow.py": author.flow(HEAD, "return (HERE / 'b*.txt').exists()"), "b*.txt": "b"})
    fault = "a file's name cannot travel: 'src/b*.txt' has a character that some system gives a meaning"
    assert refused(author) == f"flow.py, line 11: {fault}. Rename it, or leave it behind: -x 'b[*].txt'."


def test_a_folder_that_is_too_large_stays_behind_and_is_told(author: Author) -> None:
    author.write({"data/a.txt": "a", "flow.py": author.flow(HEAD, "return len(list((HERE / 'data').iterdir()))")})
    author.write({"data/big.bin": ""})
    os.truncate(author.folder / "project" / "data" / "big.bin", 60_000_000)
    (note,) = notes(author)
    assert note == (
        "note: flow.py, line 11: data holds 60 MB, more than 50, and is not there; -i takes along what is read"
    )
    assert notes(author, "-x", "big.bin") == [travels("data", 11)]


def test_two_files_that_would_lie_at_one_place_are_refused_with_both_lines(author: Author) -> None:
    author.write(
        {
            "config.json": "1",
            "flow.py": author.flow(
                f"{HEAD}\nimport sys\nsys.path.insert(0, '../lib')\nimport helper",
                "return (HERE / 'config.json').read_text(), helper.TEXT",
            ),
        }
    )
    named = "from pathlib import Path\nTEXT = (Path(__file__).parent / 'config.json').read_text()\n"
    lib = author.write({"helper.py": named, "config.json": "2"}, "lib")
    project = author.folder / "project"
    assert refused(author) == (
        f"../lib/helper.py, line 2: {lib / 'config.json'} would lie at config.json, and there lies "
        f"{project / 'config.json'}, which flow.py, line 14, names. Rename one, or put the module that names it into a "
        "package, whose files lie in a folder of theirs."
    )


@pytest.mark.parametrize("name", ["my data.txt", "a[1].txt", "it's.txt", "-dash.txt", "x=y.txt"])
def test_what_is_told_to_leave_one_behind_does_as_a_shell_reads_it(author: Author, name: str) -> None:
    author.write({name: "x", "flow.py": author.flow(HEAD, f"return (HERE / {name!r}).exists()")})
    (note,) = notes(author)
    told = note.partition("it; ")[2].removesuffix(" leaves it behind")
    url = author.publish(*BUILD, "flow.py", "--storage", str(author.root), *shlex.split(told))
    assert author.sources(url) == ["flow.py"]


def test_nothing_is_taken_that_a_file_names_whose_values_travel(author: Author) -> None:
    author.write({"a.txt": "x", "flow.py": author.flow(HEAD, "return (HERE / 'a.txt').read_text()", by_value=True)})
    by_value = author.python("flow.py")
    assert "HERE is a path of this machine" in by_value.stderr
    assert "takes along a.txt" not in by_value.stderr
