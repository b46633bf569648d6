"""What an author's files read of the environment when they are imported is told: a container has another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.authors import Author

BUILD = ("-m", "runner", "build", "flow.py", "--storage", "storage")


def notes(author: Author, imports: str, *body: str, **environ: str) -> list[str]:
    """Build a flow whose file begins so; gives what is said of variables."""
    author.write({"flow.py": author.flow(f"import os\n{imports}", *(body or ("return 1",)))})
    done = author.python(*BUILD, path=None, **environ)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if "is read when" in line]


def said(name: str, file: str = "flow.py", line: int = 5) -> list[str]:
    return [
        f"note: {file}, line {line}: the variable {name} is read when the file is imported: it is the container's there"
    ]


@pytest.mark.parametrize(
    "read",
    [
        "TABLE = os.environ['TABLE']",
        "TABLE = os.environ.get('TABLE', 'dev')",
        "TABLE = os.getenv('TABLE')",
        "TABLE = 'TABLE' in os.environ",
        "def table(): return os.environ.get('TABLE')\nTABLE = table()",
        "from os import environ\nTABLE = environ['TABLE']",
    ],
)
def test_what_is_read_by_its_name_is_told_once_with_its_line(author: Author, read: str) -> None:
    line = 6 if read.startswith("from") else 5
    assert notes(author, f"{read}\n{read}", TABLE="prod") == said("TABLE", line=line)


def test_so_is_what_a_module_reads(author: Author) -> None:
    author.write({"helper.py": "import os\n\nTABLE = os.environ['TABLE']\n"})
    assert notes(author, "import helper", "return helper", TABLE="prod") == said("TABLE", "helper.py", 3)


def test_nothing_is_said_of_the_rest(author: Author) -> None:
    """What is not set, what every machine has, what only a task reads, and what goes through all."""
    assert notes(author, "TABLE = os.environ.get('TABLE', 'dev')") == []
    assert notes(author, "HOME = os.environ['HOME']", HOME=str(author.folder)) == []
    assert notes(author, "", "return os.environ['TABLE']", TABLE="prod") == []
    more = {f"VARIABLE_{number}": "x" for number in range(6)}
    for all_of_them in ("dict(os.environ)", "{**os.environ}", "sorted(os.environ.items())", "os.environ.copy()"):
        assert notes(author, f"ALL = {all_of_them}", **more) == [], all_of_them
