"""Links: what they lead to travels where it lies in the folder that does and is not hidden, and is told otherwise."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from runner.publishing.below import files_below

if TYPE_CHECKING:
    from support.authors import Author

BUILD = ("-m", "runner", "build", "flow.py")
HEAD = "from pathlib import Path\nHERE = Path(__file__).parent"


def links(author: Author, **targets: str) -> Path:
    """Lay links in the project, by their names with / as __; gives its folder."""
    folder = author.write({"secret.txt": "s", "keys/id": "k"}, "other").parent / "project"
    author.write({".env": "A=1", "data/a.txt": "a", "data/.dot": "d", "more/b.txt": "b", "private.txt": "p"})
    for name, target in targets.items():
        (folder / name.replace("__", "/")).symlink_to(target)
    return folder


def built(author: Author, *arguments: str) -> tuple[list[str], list[str]]:
    """Build the flow; gives what travels, and what is said."""
    done = author.python(*BUILD, "--storage", str(author.root), *arguments)
    assert done.returncode == 0, done.stderr
    sources = author.sources(done.stdout.strip())
    return sources, [line.removeprefix("note: ") for line in done.stderr.splitlines() if line.startswith("note:")]


def outside(place: str, target: Path) -> str:
    return f"{place} leads to {target}, outside of the folder that travels, and is not there; put it below that"


def hidden(place: str, target: Path) -> str:
    return f"{place} leads to {target}, which is hidden, and such files never travel; it is not there"


def test_links_that_a_line_names_travel_only_to_what_would(author: Author) -> None:
    lines = ["(HERE / 'out').exists()", "(HERE / 'keys/id').exists()", "(HERE / 'conf').exists()"]
    lines += ["list((HERE / 'me').iterdir())", "(HERE / 'in').read_text()", "list((HERE / 'slash').iterdir())"]
    folder = links(
        author, out="../other/secret.txt", keys="../other/keys", conf=".env", me=".", **{"in": "data/a.txt"}, slash="/"
    )
    author.write({"flow.py": author.flow(HEAD, *lines, "return 1")})
    me = "me leads to the folder that flow.py lies in, and is not there; take along what is read of it with -i"
    sources, said = built(author)
    assert sources == ["flow.py", "in"]
    other = folder.parent / "other"
    assert [each.partition(": ")[2] for each in said] == [
        outside("out", other / "secret.txt"),
        outside("keys/id", other / "keys" / "id"),
        hidden("conf", folder / ".env"),
        me,
        "in travels, as this line names it; -x in leaves it behind",
        "slash leads to the folder that flow.py lies in, and is not there; take along what is read of it with -i",
    ]
    assert [int(each.partition("line ")[2].partition(":")[0]) for each in said] == [9, 10, 11, 12, 13, 14]


def test_of_a_folder_that_a_line_names_links_do_not_lead_out(author: Author) -> None:
    folder = links(
        author, data__out="../../other/secret.txt", data__y=".dot", data__up="..", data__more="../more", data__loop="."
    )
    author.write({"flow.py": author.flow(HEAD, "return sorted(each.name for each in (HERE / 'data').iterdir())")})
    sources, said = built(author, "-x", "data/up/*")
    assert sources == ["data/a.txt", "data/more/b.txt", "flow.py"]
    assert [each.partition(": ")[2] for each in said] == [
        "data travels, as this line names it; -x data leaves it behind",
        outside("data/out", folder.parent / "other" / "secret.txt"),
        hidden("data/y", folder / "data" / ".dot"),
    ]


def test_neither_do_those_in_a_folder_that_is_included_but_what_is_itself_included_is_followed(author: Author) -> None:
    folder = links(author, data__out="../../other/secret.txt", data__y=".dot", keys="../other/keys", conf=".env")
    author.write({"flow.py": author.flow(HEAD, "return 1")})
    sources, said = built(author, "-i", "data", "-i", "keys", "-i", "conf")
    assert sources == ["conf", "data/a.txt", "flow.py", "keys/id"]
    assert said == [
        outside("data/out", folder.parent / "other" / "secret.txt"),
        hidden("data/y", folder / "data" / ".dot"),
    ]
    assert built(author, "-i", "data", "-x", "data/y", "-i", "data/out")[1] == []


def test_nor_do_those_in_a_package(author: Author) -> None:
    author.write({"pack/__init__.py": "", "pack/own.txt": "o"})
    folder = links(author, pack__out="../../other/secret.txt", pack__keys="../../other/keys", pack__data="../data")
    author.write({"flow.py": author.flow("import pack", "return pack.__name__")})
    sources, said = built(author)
    assert sources == ["flow.py", "pack/__init__.py", "pack/data/a.txt", "pack/own.txt"]
    other = folder.parent / "other"
    assert said == [outside("pack/keys", other / "keys"), outside("pack/out", other / "secret.txt")]
    listed = "import pkgutil, pack\nnames = [each.name for each in pkgutil.iter_modules(pack.__path__)]"
    author.write({"flow.py": author.flow(listed, "return names")})
    assert built(author) == (sources, said)


def test_two_folders_that_lead_to_each_other_end(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.txt").touch()
        (tmp_path / name / "link").symlink_to(tmp_path / other)
    found = files_below(tmp_path, PurePosixPath("x"))
    assert [*found.files] == ["x/a/a.txt", "x/a/link/b.txt", "x/b/b.txt", "x/b/link/a.txt"]
