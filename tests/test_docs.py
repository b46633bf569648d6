"""What the README and the pages of docs say is what the code does."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from runner import cli, errors
from runner.launchers.batch import EVALUATE_ON_EXIT
from runner.limits import LIMITS
from runner.runtime import channel
from runner.settings import VARIABLES

ROOT = Path(__file__).parent.parent
RUNNING = (ROOT / "docs/running.md").read_text("utf-8")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("images/*.md")]
MODULES = sorted((ROOT / "runner").rglob("*.py"))
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text("utf-8")


def table(name: str, text: str = RUNNING) -> list[list[str]]:
    """The rows of the table between the comment of this name and its end, without the head."""
    part = text.partition(f"<!-- {name}:")[2].partition("<!-- end -->")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.mark.parametrize(("cloud", "module"), [("aws", "sources"), ("gcp", "credentials"), ("azure", "credentials")])
def test_the_tables_of_sources_are_those_of_the_code(cloud: str, module: str) -> None:
    sources = import_module(f"runner.backends.{cloud}.{module}").SOURCES
    reported = table(cloud, (ROOT / "docs/credentials.md").read_text("utf-8"))
    assert reported == [[source.name, source.reads, source.way, source.images] for source in sources]


def classes(kind: type[errors.RunnerError]) -> list[type[errors.RunnerError]]:
    """The class and those of runner's own that refine it; flows of other tests may have theirs."""
    ours = [sub for sub in kind.__subclasses__() if sub.__module__ == "runner.errors"]
    return [kind, *(each for sub in ours for each in classes(sub))]


def test_the_table_of_variables_is_that_of_the_settings() -> None:
    assert table("variables") == [[f"`{name}`", meaning] for name, meaning in VARIABLES.items()]


def test_the_table_of_exit_codes_names_every_class_under_its_code() -> None:
    listed = {row[0]: set(re.findall(r"`(\w+)`", row[2])) for row in table("codes")}
    by_code: dict[str, set[str]] = {"0": set(), "128+n": set()}
    for kind in classes(errors.RunnerError)[1:]:
        by_code.setdefault(str(kind.code), set()).add(kind.__name__)
    assert listed == by_code


def test_the_table_of_limits_is_that_of_the_code() -> None:
    units = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    rows = table("limits", (ROOT / "docs/formats.md").read_text("utf-8"))
    told = {kind: (int(size.split()[0]) * units[size.split()[1]], reason) for kind, size, reason in rows}
    assert told == LIMITS


def test_the_tree_of_errors_in_its_docstring_is_drawn_as_the_classes_are() -> None:
    drawn = re.findall(r"[├└]── (\w+)(?: +(\d+))?", errors.__doc__ or "")
    by_name = {kind.__name__: kind for kind in classes(errors.RunnerError)[1:]}
    assert [name for name, _ in drawn] == list(by_name)
    assert all(by_name[name].code == int(code) for name, code in drawn if code)


@pytest.mark.parametrize("command", sorted({*cli.cli.commands} - {"agent"}))  # which works until it is stopped
def test_every_command_is_documented_has_help_and_takes_json(command: str) -> None:
    assert f"| `runner {command}" in (ROOT / "docs/commands.md").read_text("utf-8")
    parameters = cli.cli.commands[command].params
    assert any("--json" in parameter.opts for parameter in parameters if isinstance(parameter, click.Option))
    assert cli.cli.commands[command].help


def test_the_table_of_layers_is_the_contract_that_import_linter_holds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    [contract] = [one for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    layers = [[name.strip().removeprefix("runner.") for name in layer.split("|")] for layer in contract["layers"]]
    assert [re.findall(r"`(\w+)`", names) for names, _ in table("layers", ARCHITECTURE)] == layers


def test_the_table_of_messages_has_every_kind() -> None:
    listed = re.findall(r"`([a-z ]+)`", " ".join(row[0] for row in table("messages", ARCHITECTURE)))
    assert sorted(listed) == sorted(channel._FIELDS)


def process_wide_state(path: Path) -> set[str]:
    """The names in a module that are bound again, grow, or lock, as long as the process lives."""
    tree = ast.parse(path.read_text("utf-8"))
    found = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            name = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
            made = ast.unparse(node.value)
            if name.startswith("_PROCESS_") or made in {"[]", "{}", "set()"} or made.startswith(MUTABLE):
                found.add(name)
    caches = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return found | {node.name for node in caches if any("cache" in ast.unparse(one) for one in node.decorator_list)}


MUTABLE = ("ContextVar(", "threading.", "deque(", "defaultdict(", "WeakKeyDictionary(", "WeakValueDictionary(")


def test_the_table_of_process_wide_state_has_all_of_it() -> None:
    modules = {path: ".".join(path.relative_to(ROOT / "runner").with_suffix("").parts) for path in MODULES}
    found = {f"{module}.{name}" for path, module in modules.items() for name in process_wide_state(path)}
    assert {row[0].strip("`") for row in table("state", ARCHITECTURE)} == found


BEFORE_THE_FORK = """
import json, os, sys
before = set(sys.modules)

def fork():
    new = set(sys.modules) - before
    # what stands in for a module of 0.1.0 was not imported
    print(json.dumps(sorted(name for name in new if getattr(sys.modules[name], "__spec__", None))))
    sys.stdout.flush()
    os._exit(0)

os.fork = fork
sys.argv = ["runner"]
from runner.__main__ import main
main()
"""


def test_before_the_fork_nothing_is_imported_but_what_is_listed() -> None:
    environ = {"PATH": "/usr/bin:/bin", "RUNNER_LOCATION": "s3://bucket/flow"}
    done = subprocess.run([sys.executable, "-c", BEFORE_THE_FORK], env=environ, capture_output=True, check=True)
    found = [name for name in json.loads(done.stdout) if name.split(".")[0] not in sys.stdlib_module_names]
    packages = {name.rpartition(".")[0] for name in found}
    listed = ARCHITECTURE.partition("<!-- before the fork:")[2].partition("<!-- end -->")[0]
    names = {f"runner.{name}" for name in re.findall(r"`([\w.]+)`", listed)}
    assert set(found) - packages == names - packages


def anchors(path: Path) -> set[str]:
    """The names by which the headings of a page are linked to. https://github.com/gjtorikian/html-pipeline"""
    heads = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", path.read_text("utf-8")):
        page = path.parent / target if target else path
        assert page.exists(), target
        assert not anchor or anchor in anchors(page), f"{target}#{anchor}"


def test_the_readme_is_short_and_the_index_has_every_page() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 200
    index = (ROOT / "docs/README.md").read_text("utf-8")
    linked = set(re.findall(r"^\| \[.*?\]\(([^)#]+)\) \|", index, re.MULTILINE))
    pages = {path.name for path in ROOT.glob("docs/*.md")} - {"README.md"}
    assert pages <= linked


def blocks(page: str, language: str) -> list[str]:
    """Give the blocks of code of a page in one language."""
    text = (ROOT / page).read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def read_hcl(text: str) -> list[str]:
    """Give the lines of what is as HCL has it: a block's opening or end, or a name with a value."""
    lines = [line.strip() for line in text.splitlines()]
    assert all(re.fullmatch(r'[a-z]+( "\w+")? \{|\}|\w+ += (".*"|\w+)', line) for line in lines)
    assert sum(line.endswith("{") for line in lines) == lines.count("}")
    return lines


def read_crontab(text: str) -> list[str]:
    """Give the commands of a crontab, where an unescaped % would end one."""
    found = [re.fullmatch(r"(?:[\d*/,-]+ ){5} ((?:[^%]|\\%)+)", line) for line in text.splitlines()]
    assert all(found)
    return [each[1] for each in found if each]


@pytest.mark.parametrize("language", ["yaml", "json", "python", "hcl", "crontab"])
def test_what_is_there_to_copy_can_be_read_and_sets_what_is_known(language: str) -> None:
    readers = {
        "yaml": yaml.safe_load,
        "json": json.loads,
        "python": ast.parse,
        "hcl": read_hcl,
        "crontab": read_crontab,
    }
    read: Any = readers[language]
    found = blocks("docs/platforms.md", language)
    for block in found:
        assert read(block)
    named = set(re.findall(r"RUNNER_[A-Z0-9_]+", "".join(found)))
    assert named
    assert named <= VARIABLES.keys()


def test_what_platforms_start_again_is_what_may_pass() -> None:
    [job] = [yaml.safe_load(block) for block in blocks("docs/platforms.md", "yaml") if "podFailurePolicy" in block]
    [rule] = job["spec"]["podFailurePolicy"]["rules"]
    codes = {int(row[0]) for row in table("codes") if row[0].isdecimal()}
    assert set(rule["onExitCodes"]["values"]) == codes - {0, 69, 71, 74, 75}  # 71 is of whoever launches
    [batch] = [json.loads(block) for block in blocks("docs/platforms.md", "json") if "evaluateOnExit" in block]
    assert batch["retryStrategy"]["evaluateOnExit"] == list(EVALUATE_ON_EXIT)
    again = {one["onExitCode"] for one in EVALUATE_ON_EXIT if "onExitCode" in one}
    assert again <= {"69", "74", "75", "137", "143"}


def test_each_job_of_an_array_is_a_run_of_its_own(tmp_path: Path) -> None:
    [batch] = [json.loads(block) for block in blocks("docs/platforms.md", "json") if "arrayProperties" in block]
    (tmp_path / "runner").write_text('#!/bin/sh\nprintf "%s\\n" "$RUNNER_RUN_ID" "$RUNNER_PARAMETERS" "$@"\n')
    (tmp_path / "runner").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/bin:/usr/bin", "AWS_BATCH_JOB_ID": "4f-0a:7", "AWS_BATCH_JOB_ARRAY_INDEX": "7"}
    command = batch["containerOverrides"]["command"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["4f-0a-7", '{"part": 7}', "run"]


def test_the_flow_for_whoever_comes_from_prefect_1_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    [source] = blocks("docs/prefect1.md", "python")
    monkeypatch.setenv("API_KEY", "hush-hush-1")
    module: dict[str, Any] = {"__name__": "etl"}
    exec(source, module)
    assert module["flow"].run().result("scale") == [10, 20, 30]
