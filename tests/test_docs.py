"""What the README says of variables, exit codes and commands is what the code does."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import click
import pytest

from runner import cli, errors
from runner.settings import VARIABLES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def table(name: str, text: str = README) -> list[list[str]]:
    """The rows of the table between the comment of this name and its end, without the head."""
    part = text.partition(f"<!-- {name}:")[2].partition("<!-- end -->")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize(("cloud", "module"), [("aws", "sources"), ("gcp", "credentials"), ("azure", "credentials")])
def test_the_tables_of_sources_are_those_of_the_code(cloud: str, module: str) -> None:
    sources = import_module(f"runner.backends.{cloud}.{module}").SOURCES
    told = table(cloud, (ROOT / "docs/credentials.md").read_text("utf-8"))
    assert told == [[source.name, source.reads, source.way, source.images] for source in sources]


def classes(kind: type[errors.RunnerError]) -> list[type[errors.RunnerError]]:
    return [kind, *(each for sub in kind.__subclasses__() for each in classes(sub))]


def test_the_table_of_variables_is_that_of_the_settings() -> None:
    assert table("variables") == [[f"`{name}`", meaning] for name, meaning in VARIABLES.items()]


def test_the_table_of_exit_codes_names_every_class_under_its_code() -> None:
    listed = {row[0]: set(re.findall(r"`(\w+)`", row[2])) for row in table("codes")}
    by_code: dict[str, set[str]] = {"0": set(), "128+n": set()}
    for kind in classes(errors.RunnerError)[1:]:
        by_code.setdefault(str(kind.code), set()).add(kind.__name__)
    assert listed == by_code


def test_the_tree_of_errors_in_its_docstring_is_drawn_as_the_classes_are() -> None:
    drawn = re.findall(r"[├└]── (\w+)(?: +(\d+))?", errors.__doc__ or "")
    by_name = {kind.__name__: kind for kind in classes(errors.RunnerError)[1:]}
    assert [name for name, _ in drawn] == list(by_name)
    assert all(by_name[name].code == int(code) for name, code in drawn if code)


@pytest.mark.parametrize("command", sorted(cli.cli.commands))
def test_every_command_is_in_the_readme_has_help_and_takes_json(command: str) -> None:
    assert f"`runner {command}" in README
    parameters = cli.cli.commands[command].params
    assert any("--json" in parameter.opts for parameter in parameters if isinstance(parameter, click.Option))
    assert cli.cli.commands[command].help


@pytest.mark.parametrize("path", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), target
