"""The flow's file travels and is imported where the flow runs, or its values do, where that would give another flow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from support.authors import Author

BUILD = ("-m", "runner", "build")
GUARD = 'if __name__ == "__main__":\n    '
INSTEAD = "note: the values of the flow's file travel instead of the file: "
KEY = "hunter2-of-the-database"


def built(author: Author, *command: str, path: Path | None = None, **environ: str) -> tuple[str, str]:
    """Publish the project's flow; gives the bundle's URL, and why its values travel instead of the file, if they do."""
    done = author.python(*(command or ("flow.py",)), path=path, **environ)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    why = re.findall(f"^{INSTEAD}(.*); what the file does to others is not done there$", done.stderr, re.MULTILINE)
    return done.stdout.splitlines()[-1], "".join(why)


def bundles(author: Author) -> int:
    """Count what was published."""
    return len(list(author.root.glob("*/2*")))


# What a file does when it is imported


def test_a_file_that_builds_runs_and_prints_at_its_top_does_none_of_it_where_it_is_loaded(author: Author) -> None:
    text = author.flow("print('at the top')", "print('in the task')", "return 3").replace(GUARD, "")
    more = "\nprint('ran here:', flow.run().result('answer'))\nsay = print\nsay('kept')\n"
    author.write({"flow.py": f"{text}{more}"})
    done = author.python("flow.py")
    top, url, inside, ran_here, kept = done.stdout.splitlines()
    assert (top, inside, ran_here, kept) == ("at the top", "in the task", "ran here: 3", "kept")
    assert author.sources(url) == ["flow.py"]
    ran = author.run(url)
    assert ran.code == 0, ran
    assert not re.search("at the top|ran here|kept|storage/etl$", ran.stdout, re.MULTILINE), ran.stdout
    assert "in the task" in ran.stdout
    assert bundles(author) == 1


def test_what_build_gives_while_the_file_is_loaded_is_the_folder_of_its_bundles(author: Author) -> None:
    author.write({"flow.py": author.flow("", "return URL").replace(f"{GUARD}print(", "print(URL := ")})
    url, why = built(author)
    assert (author.sources(url), why) == (["flow.py"], "")
    assert author.answer(url) == f"{author.root.as_uri()}/etl" == url.rpartition("/")[0]
    assert bundles(author) == 1


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("LIMIT = flow.run().result('answer') * 2", "line 13: the flow's own code raised UsageError: what flow.run()"),
        ("LIMIT = f'{flow.run().result(\"answer\")}'", "LIMIT in answer would have another value"),
        ("assert flow.run().state == 'succeeded'", "line 13: the flow's own code raised UsageError: what flow.run()"),
    ],
)
def test_values_travel_where_the_file_goes_on_with_what_a_run_gave(author: Author, lines: str, why: str) -> None:
    text = author.flow("LIMIT = 3", "return LIMIT").replace(GUARD, f"{lines}\n")
    author.write({"flow.py": text})
    url, said = built(author)
    assert why in said
    assert author.sources(url) == []
    assert author.answer(url) == (6 if "* 2" in lines else "3" if "f'" in lines else 3)


def test_arguments_of_the_command_line_are_not_those_of_the_process_that_runs_the_flow(author: Author) -> None:
    lines = "import argparse, sys\nparser = argparse.ArgumentParser()\nparser.add_argument('--day', default='mon')\n"
    lines += "ARGS, MANY = parser.parse_args(), len(sys.argv)"
    author.write({"flow.py": author.flow(lines, "return ARGS.day, MANY")})
    url, why = built(author)
    assert (author.sources(url), why) == (["flow.py"], "")
    assert author.answer(url) == ("mon", 1)


@pytest.mark.parametrize(
    ("argument", "given", "why"),
    [
        ("'--day', default='mon'", ("--day", "tue"), "line 6: ARGS in answer would have another value"),
        ("'day'", ("tue",), "line 6: the flow's own code called sys.exit(2) while it was loaded"),
    ],
)
def test_values_travel_that_the_command_line_gave(
    author: Author, argument: str, given: Sequence[str], why: str
) -> None:
    lines = f"import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument({argument})"
    author.write({"flow.py": author.flow(f"{lines}; ARGS = parser.parse_args()", "return ARGS.day")})
    url, said = built(author, "flow.py", *given)
    assert why in said
    assert author.answer(url) == "tue"


@pytest.mark.parametrize(
    "value",
    [
        "random.random()",
        "[random.random()]",
        "{'a': (random.random(),)}",
        "{random.random()}",
        "Namespace(a=random.random())",
        "uuid.uuid4()",
        "datetime.datetime.now()",
        "os.getpid()",
    ],
)
def test_a_constant_that_is_another_one_each_time_is_so_there_and_told(author: Author, value: str) -> None:
    imports = "import datetime, os, random, uuid\nfrom argparse import Namespace"
    author.write({"flow.py": author.flow(f"{imports}\nHELD = {value}", "return repr(HELD)")})
    done = author.python("flow.py")
    assert "note: flow.py, line 6: HELD in answer is another value in each start" in done.stderr
    url = done.stdout.strip()
    assert author.sources(url) == ["flow.py"]
    assert author.answer(url) != author.at_home()


def test_so_is_one_that_is_a_default_or_in_a_closure(author: Author) -> None:
    author.write({"flow.py": author.flow("import random\ndef one(a=random.random()): return a", "return one()")})
    assert "line 5: a default of one is another value in each start" in author.python("flow.py").stderr
    around = "import random\ndef around(held):\n    return lambda: held\none = around(random.random())"
    author.write({"flow.py": author.flow(around, "return one()")})
    said = author.python("flow.py").stderr
    assert "the closure variable held of around.<locals>.<lambda> is another value in each start" in said


HELD = """
import datetime
class Own:
    table = "dev"
    def __init__(self):
        self.size = 1
OWN = Own(); SET = {"a"}; DAY = datetime.date(2020, 1, 1); DEEP = {"a": {"b": {"c": {"d": 1}}}}; LONG = [0] * 30
"""


@pytest.mark.parametrize(
    ("done", "value"),
    [
        ("OWN.size = 2", "OWN.size"),
        ("Own.table = 'prod'", "Own.table"),
        ("SET.add('b')", "sorted(SET)"),
        ("DAY = datetime.date(2026, 1, 1)", "DAY"),
        ("DEEP['a']['b']['c']['d'] = 2", "DEEP"),
        ("LONG[-1] = 1", "LONG"),
    ],
)
def test_values_travel_that_the_program_changes_below_main(author: Author, done: str, value: str) -> None:
    text = author.flow(HELD, f"return {value}").replace(GUARD, f"{GUARD}{done}\n    print(repr({value}))\n    ")
    author.write({"flow.py": text})
    published = author.python("flow.py")
    at_home, url = published.stdout.splitlines()
    assert INSTEAD in published.stderr
    assert repr(author.answer(url)) == at_home


READS = {
    "relative": ("open('words.txt').read()", "a b"),
    "absolute": ("open('{folder}/words.txt').read()", "a b"),
    "beside the file": ("open(os.path.join(os.path.dirname(__file__), 'words'.join(['', '.txt']))).read()", "a b"),
    "listed": ("sorted(os.listdir('{folder}'))", ["db.sqlite", "flow.py", "words.txt"]),
    "listed where it starts": ("sorted(os.listdir())", ["db.sqlite", "flow.py", "words.txt"]),
    "scanned": ("sorted(each.name for each in os.scandir('{folder}'))", ["db.sqlite", "flow.py", "words.txt"]),
    "globbed": ("[each.name for each in pathlib.Path('{folder}').glob('*.txt')]", ["words.txt"]),
    "a database": ("sqlite3.connect('{folder}/db.sqlite').execute('select 3').fetchone()", (3,)),
    "looked for": ("os.path.exists('{folder}/words.txt')", True),
    "asked for": ("pathlib.Path('{folder}/words.txt').stat().st_size", 3),
    "entered": ("os.chdir('{folder}') or open('words.txt').read()", "a b"),
    "home": ("(pathlib.Path.home() / 'kept' / 'words.txt').read_text()", "at home"),
}


@pytest.mark.parametrize("kind", READS)
def test_values_travel_where_the_file_reads_its_authors_folder(author: Author, kind: str) -> None:
    read, value = READS[kind]
    lines = f"import os, pathlib, sqlite3\nHELD = {read.format(folder=author.folder / 'project')}"
    author.write({"flow.py": author.flow(lines, "return HELD"), "words.txt": "a b", "db.sqlite": ""})
    author.write({"kept/words.txt": "at home"}, folder="home")
    url, why = built(author, HOME=str(author.folder / "home"))
    assert "line 5: the flow's own code raised " in why or "HELD in answer would " in why
    assert author.sources(url) == []
    assert author.answer(url) == value


def test_settings_in_the_home_folder_are_the_environments_and_may_be_read(author: Author) -> None:
    lines = "import pathlib\nHELD = (pathlib.Path.home() / '.settings').read_text()"
    author.write({"flow.py": author.flow(lines, "return HELD")})
    author.write({".settings": "at home"}, folder="home")
    author.write({".settings": "there"}, folder="other")
    url, why = built(author, HOME=str(author.folder / "home"))
    assert (author.sources(url), why) == (["flow.py"], "")
    assert author.answer(url, HOME=str(author.folder / "other")) == "there"


@pytest.mark.parametrize("by_option", [True, False])
def test_a_data_file_that_was_taken_along_lies_beside_the_file_there(author: Author, *, by_option: bool) -> None:
    lines = "from pathlib import Path\nHERE = Path(__file__).parent\nWORDS = (HERE / 'words.txt').read_text()"
    options = "" if by_option else "include=['words.txt', 'data']"
    body = "return WORDS, (HERE / 'data' / 'more.txt').read_text(), HERE.name"
    author.write({"flow.py": author.flow(lines, body, options=options), "words.txt": "a b", "data/more.txt": "more"})
    command = (*BUILD, "flow.py", "-i", "words.txt", "-i", "data") if by_option else ("flow.py",)
    url, why = built(author, *command)
    assert (author.sources(url), why) == (["data/more.txt", "flow.py", "words.txt"], "")
    words, more, folder = author.answer(url)
    assert (words, more, folder.startswith("runner-modules-")) == ("a b", "more", True)


def test_the_source_of_its_functions_can_be_asked_for(author: Author) -> None:
    lines = "import inspect\ndef one():\n    return 1  # as it is written"
    author.write({"flow.py": author.flow(lines, "return inspect.getsource(one)")})
    assert author.answer(built(author)[0]) == "def one():\n    return 1  # as it is written\n"


# Under which name it is imported


@pytest.mark.parametrize(
    ("file", "command", "module"),
    [
        ("flow.py", ("flow.py",), "flow"),
        ("flow.py", (*BUILD, "flow.py"), "flow"),
        ("flow.py", ("-m", "flow"), "flow"),
        ("my-flow.py", ("my-flow.py",), "flow_of_my-flow"),
        ("my-flow.py", (*BUILD, "my-flow.py"), "flow_of_my-flow"),
        ("my.flow.v2.py", ("my.flow.v2.py",), "flow_of_my_flow_v2"),
        ("2026 etl.py", (*BUILD, "2026 etl.py"), "flow_of_2026 etl"),
        ("__main__.py", (".",), "__main__"),
        ("__main__.py", ("__main__.py",), "flow_of___main__"),
        ("yaml.py", ("yaml.py",), "flow_of_yaml"),
        ("yaml.py", (*BUILD, "yaml.py"), "flow_of_yaml"),
        ("test.py", ("test.py",), "flow_of_test"),
        ("test.py", (*BUILD, "test.py"), "flow_of_test"),
        ("json.py", (*BUILD, "json.py"), "flow_of_json"),
        ("pkg/etl.py", ("-m", "pkg.etl"), "pkg.etl"),
        ("pkg/etl.py", (*BUILD, "pkg/etl.py"), "pkg.etl"),
        ("pkg/my-flow.py", (*BUILD, "pkg/my-flow.py"), "pkg.flow_of_my-flow"),
        ("pkg/json.py", ("-m", "pkg.json"), "pkg.json"),
        ("pkg/__main__.py", ("-m", "pkg"), "pkg.__main__"),
        ("pkg/deep/etl.py", ("-m", "pkg.deep.etl"), "pkg.deep.etl"),
    ],
)
def test_the_file_has_its_own_name_there_unless_that_is_somebody_elses(
    author: Author, file: str, command: Sequence[str], module: str
) -> None:
    packages = {"pkg/__init__.py": "", "pkg/deep/__init__.py": "", "pkg/beside.py": "ONE = 1\n"}
    imports = "from . import __name__ as beside" if file.startswith("pkg") else "beside = ''"
    author.write({**packages, file: author.flow(imports, "return __name__, answer.function.__module__, beside")})
    url, why = built(author, *command)
    assert why == ""
    assert author.sources(url)[-1] == f"{module.replace('.', '/')}.py"
    assert author.answer(url) == (module, module, module.rpartition(".")[0])


@pytest.mark.parametrize("command", [("build.py",), (*BUILD, "etl/deep/__init__.py")])
def test_a_package_may_be_the_flows_file(author: Author, command: Sequence[str]) -> None:
    imports = "import etl\nfrom . import part\nfrom pathlib import Path\netl.COUNT += 1"
    text = author.flow(imports, "return part.ONE, Path(__file__).name, __name__, etl.COUNT")
    author.write({"etl/__init__.py": "COUNT = 0\n", "etl/deep/__init__.py": text, "etl/deep/part.py": "ONE = 1\n"})
    author.write({"build.py": "import etl.deep\nprint(etl.deep.flow.storage.build())\n"})
    url, why = built(author, *command)
    assert (author.sources(url), why) == (["etl/__init__.py", "etl/deep/__init__.py", "etl/deep/part.py"], "")
    assert author.answer(url) == (1, "__init__.py", "etl.deep", 1)


LOADED = """
import sys, yaml
from runner.cli import main
sys.argv = ["runner", "build", "yaml/__init__.py"]
sys.exit(main())
"""


def test_a_package_that_cannot_be_imported_by_its_name_is_refused(author: Author) -> None:
    author.write({"yaml/__init__.py": author.flow("", "return 1"), "etl/__init__.py": "import not_there\n"})
    done = author.python("-P", "-c", LOADED)
    assert (done.returncode, "yaml/__init__.py has the name of another module" in done.stderr) == (1, True), done.stderr
    done = author.python(*BUILD, "etl/__init__.py")
    assert "etl/__init__.py, line 1: the file cannot be loaded: ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("command", [("-m", "space.deep.etl"), ("build.py",)])
def test_a_flow_in_a_namespace_package_keeps_its_name(author: Author, command: Sequence[str]) -> None:
    text = author.flow("from space.deep import part\nfrom . import part as same", "return part is same, __name__")
    author.write({"space/deep/etl.py": text, "space/deep/part.py": ""})
    author.write({"build.py": "import space.deep.etl\nprint(space.deep.etl.flow.storage.build())\n"})
    url, why = built(author, *command)
    assert (author.sources(url), why) == (["space/deep/etl.py", "space/deep/part.py"], "")
    assert author.answer(url) == (True, "space.deep.etl")


# What of it is a flow


def test_each_flow_of_a_file_is_found_by_its_name(author: Author) -> None:
    other = (
        "\n@task\ndef other():\n    return 'other'\n\nwith Flow('etl', storage=flow.storage) as second:\n    other()\n"
    )
    text = author.flow("", "return 'answer'")
    author.write({"flow.py": f"{text}{other}\nif __name__ == '__main__':\n    print(second.storage.build())\n"})
    first, second = author.python("flow.py").stdout.splitlines()
    assert author.answer(first) == "answer"
    assert b"second" in bytes(author.bundle(second).members["flow.pkl"])
    assert author.run(second).code == 0
    assert list(author.root.glob("etl/runs/*/attempts/0001/results/other.pkl"))


LOOP = """
for region in ("eu", "us"):
    with Flow(f"etl-{region}", storage=Local(%r)) as flow:
        answer()
    print(flow.storage.build())
"""


def test_flows_that_are_made_in_a_loop_are_each_as_they_were(author: Author) -> None:
    text = author.flow("", "return region").rpartition("\nwith Flow")[0]
    author.write({"flow.py": text + LOOP % str(author.root)})
    done = author.python("flow.py")
    assert "line 10: region in answer would have another value where the flow runs" in done.stderr
    one, other = done.stdout.splitlines()
    assert (author.sources(one), author.sources(other)) == ([], ["flow.py"])
    for url, region in ((one, "eu"), (other, "us")):
        assert author.run(url).code == 0
        (result,) = author.root.glob(f"etl-{region}/runs/*/attempts/0001/results/answer.pkl")
        assert region.encode() in result.read_bytes()


def test_what_is_made_below_main_travels_by_value(author: Author) -> None:
    """There is no flow in the file, unless it is run as a program."""
    text = author.flow("LIMIT = 3", "return LIMIT, __name__").replace(GUARD, "")
    head, made = text.split("\nwith Flow")
    lines = f"with Flow{made}".replace("\n", "\n    ").rstrip()
    author.write({"flow.py": f"{head}\n{GUARD}LIMIT = 4\n    {lines}\n"})
    url, why = built(author)
    said = "flow makes no flow 'etl' when it is imported, as it did where the flow was built"
    assert why.startswith(f"the flow could not be loaded where it runs: {said}")
    assert author.sources(url) == []
    assert author.answer(url) == (4, "__main__")
    author.write({"flow.py": author.flow("", "return 5", by_value=True)})
    assert built(author)[1] == "", "in a variable of a function it was never to be found"


def test_a_constant_that_the_program_sets_below_main_travels_with_the_values(author: Author) -> None:
    text = author.flow("LIMIT = 3", "return LIMIT").replace(GUARD, f"{GUARD}LIMIT = 4\n    ")
    author.write({"flow.py": text})
    url, why = built(author)
    assert "LIMIT in answer would have another value" in why
    assert author.answer(url) == 4


def test_the_values_travel_of_a_file_that_was_changed_since_it_was_imported(author: Author) -> None:
    change = "__file__, 'r+') as file: text = file.read(); file.seek(0); file.write(text.replace('11', '22'))"
    text = author.flow("LIMIT = 7", "return 11, LIMIT").replace(GUARD, f"{GUARD}with open({change}\n    ")
    author.write({"flow.py": text})
    url, why = built(author)
    assert "return 22" in (author.folder / "project" / "flow.py").read_text()
    assert "task answer would have another value where the flow runs" in why
    assert author.answer(url) == (11, 7)


def test_a_secret_in_the_text_of_the_file_keeps_it_here(author: Author) -> None:
    author.write({"flow.py": author.flow(f"KEY = '{KEY}'  # for tests here\nLIMIT = 3", "return LIMIT")})
    url, why = built(author, RUNNER_SECRETS="DB", DB=KEY)
    assert why == "what must stay here would travel: the value of the secret DB, in the file flow.py, line 4"
    assert author.sources(url) == []
    assert not [name for name, data in author.bundle(url).members.items() if KEY.encode() in bytes(data)]
    assert author.answer(url) == 3


def test_a_secret_that_a_task_uses_travels_neither_way(author: Author) -> None:
    author.write({"flow.py": author.flow(f"KEY = '{KEY}'", "return KEY")})
    done = author.python(*BUILD, "flow.py", RUNNER_SECRETS="DB", DB=KEY)
    assert done.returncode == 1
    assert "; nor can the flow's file be imported there: what must stay here would travel" in done.stderr
    assert KEY not in done.stderr
    assert not author.root.exists()


def test_both_reasons_are_told_where_neither_the_file_nor_its_values_can_travel(author: Author) -> None:
    lines = "import threading\nWORDS = open('words.txt').read()\nHELD = threading.Lock()"
    author.write({"flow.py": author.flow(lines, "with HELD: return WORDS"), "words.txt": "a b"})
    done = author.python(*BUILD, "flow.py")
    assert (done.returncode, done.stdout) == (1, "")
    values, _, source = done.stderr.partition("; nor can the flow's file be imported there: ")
    assert "flow.py, line 6: the flow cannot be pickled: " in values
    assert "flow.py, line 5: the flow's own code raised FileNotFoundError" in source
    url, why = built(author, *BUILD, "flow.py", "-i", "words.txt", "--no-check")
    assert (author.sources(url), why) == (["flow.py", "words.txt"], "")


def test_a_file_that_is_left_out_stays_and_its_values_travel(author: Author) -> None:
    author.write({"flow.py": author.flow("import helper", "return helper.ONE"), "helper.py": "ONE = 1\n"})
    url, why = built(author, *BUILD, "flow.py", "-x", "flow.py")
    assert why.endswith("/project/flow.py is not to travel")
    assert author.sources(url) == ["helper.py"]
    assert author.answer(url) == 1


@pytest.mark.parametrize(("at_home", "there"), [("", "1"), ("1", "")])
def test_other_tasks_than_where_it_was_built_are_refused_where_it_is_loaded(
    author: Author, at_home: str, there: str
) -> None:
    more = "    answer()\n    if os.environ.get('MORE'):\n        answer()\n"
    author.write({"flow.py": author.flow("import os", "return 1").replace("    answer()\n", more)})
    url, why = built(author, MORE=at_home)
    assert (author.sources(url), why) == (["flow.py"], "")
    ran = author.run(url, MORE=there)
    assert ran.code == 1
    assert "the flow has other tasks or parameters here than where it was built: answer-2. " in ran.error["message"]
    assert not list(author.root.glob("etl/runs/*/attempts/*/results/*"))
    assert author.run(url, MORE=at_home).code == 0


FUNCTIONS = """
from runner import build_flow, task
from runner.storage import Local
LIMIT = 3

def plain(day="mon"):
    return day, LIMIT, __name__

async def awaited(day="mon"):
    return day, LIMIT, __name__

@task
def decorated(day="mon"):
    return day, LIMIT, __name__

print(build_flow({function}, storage=Local({root!r}){more}))
"""


@pytest.mark.parametrize("function", ["plain", "awaited", "decorated"])
@pytest.mark.parametrize("name", [None, "etl"])
def test_a_function_that_is_published_travels_with_its_file(author: Author, function: str, name: str | None) -> None:
    more = f", name={name!r}" if name else ""
    author.write({"jobs.py": FUNCTIONS.format(function=function, root=str(author.root), more=more)})
    url, why = built(author, "jobs.py")
    assert (author.sources(url), why) == (["jobs.py"], "")
    assert f"/{name or function}/" in url
    ran = author.run(url, RUNNER_PARAMETERS='{"day": "tue"}')
    assert ran.code == 0, ran
    (result,) = author.root.glob(f"{name or function}/runs/*/attempts/0001/results/*.pkl")
    assert all(each in result.read_bytes() for each in (b"tue", b"jobs"))
    assert bundles(author) == 1


def test_a_function_without_a_name_travels_by_value(author: Author) -> None:
    lambdas = FUNCTIONS.format(function="lambda: LIMIT", root=str(author.root), more=", name='etl'")
    author.write({"jobs.py": lambdas})
    url, why = built(author, "jobs.py")
    assert (author.sources(url), why) == ([], "")
    assert author.run(url).code == 0


# What must be installed there


REQUIRES = """
import contextlib
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    import jsonschema
try:
    import numpy
except ImportError:
    numpy = None
with contextlib.suppress(ImportError):
    import moto

def never_called():
    import click

def called():
    import boto3
"""


def requires(author: Author, url: str) -> list[str]:
    """Name the modules that a bundle requires."""
    return [need["module"] for need in author.bundle(url).manifest["requires"]]


def test_what_the_file_imports_at_its_top_is_required_and_what_its_tasks_import(author: Author) -> None:
    text = author.flow(REQUIRES, "import packaging", "return called.__name__")
    author.write({"flow.py": f"{text}    import requests\n"})
    url, why = built(author)
    assert (requires(author, url), why) == (["boto3", "packaging", "yaml"], "")
    assert author.answer(url) == "called"


def test_where_that_is_missing_the_run_is_refused_before_the_file_is_imported(author: Author) -> None:
    author.write({"flow.py": author.flow("import at_home_only", "return at_home_only.ONE")})
    author.write({"at_home_only.py": "ONE = 1\n"}, folder="lib/site-packages")
    metadata = "Metadata-Version: 2.1\nName: at-home-only\nVersion: 1.0\n"
    info = {"METADATA": metadata, "top_level.txt": "at_home_only\n", "RECORD": "at_home_only.py,,\n"}
    site = author.write(
        {f"at_home_only-1.0.dist-info/{name}": text for name, text in info.items()}, folder="lib/site-packages"
    )
    url, why = built(author, path=site)
    assert (requires(author, url), why) == (["at_home_only"], "")
    ran = author.run(url)
    assert ran.code == 76
    assert "at_home_only" in ran.error["message"]
    assert author.run(url, PYTHONPATH=str(site)).code == 0


def test_a_module_that_runs_a_flow_of_its_own_when_it_is_imported_does_so_there_too(author: Author) -> None:
    inner = "from runner import Flow, task\nwith Flow('inner') as inner:\n    task(lambda: 7, name='seven')()\n"
    author.write({"helper.py": f"{inner}SEVEN = inner.run().result('seven')\n"})
    author.write({"flow.py": author.flow("import helper", "return helper.SEVEN")})
    url, why = built(author)
    assert (why, author.answer(url)) == ("", 7)
