"""What is known of a distribution of the author's that is installed for editing travels with its modules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from support.authors import Author

INFO = "acme_pipelines-1.2.dist-info"
ASKS = [
    "from importlib.metadata import version\n__version__ = version('acme-pipelines')\n",
    "import importlib.metadata\n__version__ = importlib.metadata.version(__package__ + '.pipelines')\n",
    "from importlib import metadata\n__version__ = metadata.metadata('acme.pipelines')['Version']\n",
    "import importlib.metadata as told\ndef __getattr__(name): return told.version('acme_pipelines')\n",
]


def install(author: Author, direct_url: str | None) -> Path:
    """Install the author's project for editing; gives the folder in which what is installed lies."""
    told = {"METADATA": "Metadata-Version: 2.1\nName: acme-pipelines\nVersion: 1.2\n", "top_level.txt": "acme\n"}
    told |= {"entry_points.txt": "[acme.plugs]\none = acme:__name__\n", "direct_url.json": direct_url or ""}
    record = "".join(f"{INFO}/{name},,\n" for name in (*told, "RECORD"))
    files: dict[str, str | bytes] = {
        f"{INFO}/{name}": text for name, text in (told | {"RECORD": record}).items() if text
    }
    return author.write(files, folder="env/site-packages")


def editable(author: Author, folder: str = "project") -> str:
    url = (author.folder / folder).as_uri()
    return json.dumps({"dir_info": {"editable": True}, "url": url})


@pytest.mark.parametrize("asks", ASKS)
def test_its_version_is_known_there(author: Author, asks: str) -> None:
    path = install(author, editable(author))
    author.write({"acme/__init__.py": asks, "flow.py": author.flow("import acme", "return acme.__version__")})
    url = author.publish(path=path)
    assert author.sources(url) == ["acme/__init__.py", f"{INFO}/METADATA", f"{INFO}/entry_points.txt", "flow.py"]
    assert author.answer(url) == "1.2"


def test_so_are_its_entry_points_where_the_flow_itself_asks(author: Author) -> None:
    body = "return [each.load() for each in importlib.metadata.entry_points(group='acme.plugs')]"
    author.write({"acme/__init__.py": "", "flow.py": author.flow("import acme, importlib.metadata", body)})
    assert author.answer(author.publish(path=install(author, editable(author)))) == ["acme"]


@pytest.mark.parametrize("name", ["acme-pipelines", "Acme.Pipelines", "acme_pipelines"])
def test_so_is_that_of_one_of_which_nothing_else_travels_if_its_name_stands_there(author: Author, name: str) -> None:
    path = install(author, editable(author, "other"))
    body = [f"name = {name!r}", "return importlib.metadata.version(name)"]
    author.write({"flow.py": author.flow("import importlib.metadata", *body)})
    url = author.publish(path=path)
    assert author.sources(url) == [f"{INFO}/METADATA", f"{INFO}/entry_points.txt", "flow.py"]
    assert author.answer(url) == "1.2"
    body[0] = "name = 'another'"
    author.write({"flow.py": author.flow("import importlib.metadata", *body)})
    assert author.sources(author.publish(path=path)) == ["flow.py"]


def test_of_entry_points_whose_group_stands_there_the_modules_are_told_until_they_travel(author: Author) -> None:
    path = install(author, editable(author, "other"))
    body = "return [each.load() for each in entry_points(group='acme.plugs')]"
    author.write(
        {"src/acme/__init__.py": "", "flow.py": author.flow("from importlib.metadata import entry_points", body)}
    )
    build = ("-m", "runner", "build", "flow.py", "--storage", str(author.root))
    done = author.python(*build, path=path)
    what = "an entry point of acme-pipelines names acme, which does not travel, and is not there"
    assert f"note: flow.py, line 8: {what}; take it along with -i PATH=acme\n" in done.stderr
    done = author.python(*build, "-i", "src/acme=acme", path=path)
    assert "note:" not in done.stderr
    assert author.answer(done.stdout.strip()) == ["acme"]


def test_they_stay_where_nobody_asks_and_can_be_left_out(author: Author) -> None:
    path = install(author, editable(author))
    author.write({"acme/__init__.py": "", "flow.py": author.flow("import acme", "return acme.__name__")})
    assert author.sources(author.publish(path=path)) == ["acme/__init__.py", "flow.py"]
    author.write({"acme/__init__.py": ASKS[0]})
    url = author.publish("-m", "runner", "build", "flow.py", "-x", INFO, "--storage", str(author.root), path=path)
    assert author.sources(url) == ["acme/__init__.py", "flow.py"]


@pytest.mark.parametrize(
    "told", [None, "no JSON", "[]", '{"dir_info": {}, "url": "file:///"}', '{"dir_info": {"editable": true}}']
)
def test_those_of_others_stay(author: Author, told: str | None) -> None:
    author.write({"acme/__init__.py": ASKS[0], "flow.py": author.flow("import acme", "return acme.__version__")})
    assert author.sources(author.publish(path=install(author, told))) == ["acme/__init__.py", "flow.py"]


def test_one_of_which_only_its_address_is_left_is_passed_over(author: Author) -> None:
    path = install(author, editable(author))
    for name in ("METADATA", "entry_points.txt"):
        (path / INFO / name).unlink()
    author.write({"flow.py": author.flow("import importlib.metadata", "return 1")})
    assert author.sources(author.publish(path=path)) == ["flow.py"]
