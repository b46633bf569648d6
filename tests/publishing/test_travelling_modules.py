"""``No module named 'project'``: what travels with a flow, proven by running it where the project is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.authors import Author


def test_a_module_beside_the_flow_travels_and_what_it_imports_too(author: Author) -> None:
    author.write(
        {
            "flow.py": author.flow("import project_helper", "return project_helper.one()"),
            "project_helper.py": "import project_deeper as d\ndef one():\n    return d.ONE\n",
            "project_deeper.py": "ONE = 1\n",
            "unrelated.py": "raise SystemError\n",
        }
    )
    url = author.publish()
    assert author.sources(url) == ["flow.py", "project_deeper.py", "project_helper.py"]
    assert author.answer(url) == 1


def test_values_of_the_flows_file_travel_and_it_is_not_executed(author: Author) -> None:
    marker = author.folder / "executed"
    imports = f"open({str(marker)!r}, 'a').write('x')\nCONSTANT = 41\nclass Own:\n    value = CONSTANT\n"
    author.write({"flow.py": author.flow(imports, "return Own.value + 1", by_value=True)})
    url = author.publish()
    assert marker.read_text() == "x"
    assert author.sources(url) == []
    assert author.answer(url) == 42
    assert marker.read_text() == "x"


def test_a_flow_in_a_module_that_is_imported_travels_with_it(author: Author) -> None:
    author.write(
        {
            "etl_flow.py": author.flow("from project_helper import one", "return one()"),
            "project_helper.py": "def one():\n    return 1\n",
            "build.py": "import etl_flow\nprint(etl_flow.flow.storage.build())\n",
        }
    )
    url = author.publish("build.py")
    assert author.sources(url) == ["etl_flow.py", "project_helper.py"]
    assert author.answer(url) == 1


CACHED = """
import functools
@functools.lru_cache
def cached():
    return 1
class Own:
    @functools.cache
    def method(self):
        return 1
"""
NAMED = """
class Sentinel:
    def __init__(self, name):
        self.name = name
    def __reduce__(self):
        return self.name
MISSING, UNSET = Sentinel("MISSING"), Sentinel("UNSET")
"""


BUILDS = [("flow.py",), ("-m", "runner", "build", "flow.py"), ("build.py",)]


@pytest.mark.parametrize("arguments", BUILDS)
def test_what_is_looked_up_in_the_flows_own_file_is_found_where_that_travels(
    author: Author, arguments: list[str]
) -> None:
    lines = f"{NAMED}\nKNOWN = [MISSING]\ndef is_missing(value=MISSING): return value is KNOWN[0] is MISSING"
    author.write(
        {
            "flow.py": author.flow(lines, "return is_missing(), UNSET.name"),
            "build.py": "import flow\nprint(flow.flow.storage.build())\n",
        }
    )
    assert author.answer(author.publish(*arguments)) == (True, "UNSET")


@pytest.mark.parametrize("arguments", [("flow.py",), ("build.py",)])
def test_what_can_only_be_looked_up_in_the_flows_own_file_is_refused_where_its_values_travel(
    author: Author, arguments: list[str]
) -> None:
    author.write(
        {
            "flow.py": author.flow(NAMED, "return MISSING is UNSET", by_value=True),
            "build.py": "import flow\nflow.made().storage.build()\n",
        }
    )
    done = author.python(*arguments)
    assert "MISSING, UNSET cannot travel" in done.stderr
    assert "Put it into a module of its own" in done.stderr
    assert not author.root.exists()


def test_what_is_looked_up_in_the_flows_own_file_is_found_where_that_travels_too(author: Author) -> None:
    author.write(
        {
            "etl_flow.py": author.flow(f"{CACHED}\nimport circular", "return cached() + circular.one()"),
            "circular.py": "import etl_flow\ndef one():\n    return etl_flow.cached()\n",
        }
    )
    url = author.publish("-m", "runner", "build", "etl_flow.py")
    assert author.sources(url) == ["circular.py", "etl_flow.py"]
    assert author.answer(url) == 2


def test_a_script_and_the_module_that_is_made_of_it_by_an_import_are_two_as_they_are_at_home(author: Author) -> None:
    author.write(
        {
            "etl_flow.py": author.flow(f"{CACHED}\nimport circular", "return cached() + circular.one()"),
            "circular.py": "import etl_flow\ndef one():\n    return etl_flow.cached()\n",
        }
    )
    assert author.answer(author.publish("etl_flow.py")) == 2


SPAWNING = "with multiprocessing.get_context('spawn').Pool(1) as pool: return pool.apply(one)"


def test_what_starts_processes_anew_takes_its_own_file_along(author: Author) -> None:
    author.write({"flow.py": author.flow("import multiprocessing\ndef one():\n    return 1", SPAWNING)})
    url = author.publish("-m", "runner", "build", "flow.py")
    assert author.sources(url) == ["flow.py"]
    assert author.answer(url) == 1


def test_another_python_finds_what_travels_in_the_folder_of_the_flows_file(author: Author) -> None:
    """It is not put on the path of all that a task starts, where it would hide what other tools import."""
    imports = "import subprocess, sys\nfrom pathlib import Path"
    started = "subprocess.check_output([sys.executable, '-m', 'helper'], cwd=Path(__file__).parent, text=True)"
    author.write({"flow.py": author.flow(imports, f"return {started}"), "helper.py": "print('here')\n"})
    url = author.publish("-m", "runner", "build", "flow.py", "-i", "helper.py")
    assert (author.at_home(), author.answer(url)) == ("here", "here\n")


def test_a_file_that_builds_whenever_it_is_imported_builds_nothing_in_processes_that_start_anew(
    author: Author,
) -> None:
    text = author.flow("import multiprocessing\ndef one():\n    return 1", SPAWNING)
    author.write({"flow.py": text.replace('if __name__ == "__main__":\n    ', "")})
    url = author.publish()
    assert author.answer(url) == 1
    assert len(list(author.root.glob("etl/2*"))) == 1


def test_where_its_values_travel_a_file_for_processes_does_and_none_of_them_builds_it_again(author: Author) -> None:
    text = author.flow("import multiprocessing\ndef one():\n    return 1", SPAWNING, by_value=True)
    author.write({"flow.py": text.replace('if __name__ == "__main__":\n    ', "")})
    url = author.publish()
    assert author.sources(url) == ["flow.py"]
    assert author.answer(url) == 1
    assert len(list(author.root.glob("etl/2*"))) == 1


@pytest.mark.parametrize("by_value", [False, True])
def test_functions_with_a_cache_travel(author: Author, *, by_value: bool) -> None:
    body = "return cached() + cached() + Own().method() + cached.cache_info().hits"
    author.write({"flow.py": author.flow(CACHED, body, by_value=by_value)})
    assert author.answer(author.publish("flow.py")) == 4


def test_packages_travel_with_their_data_files_and_relative_imports(author: Author) -> None:
    author.write(
        {
            "flow.py": author.flow("from company.etl import rules", "return rules.read()"),
            "company/__init__.py": "",
            "company/top.csv": "imported by nothing, and yet a data file of company\n",
            "company/etl/__init__.py": "from . import more\n",
            "company/etl/more.py": "from .. import base\n",
            "company/etl/rules.py": (
                "from pathlib import Path\nfrom .more import base\n"
                "def read():\n    return base.NAME + (Path(__file__).parent / 'data' / 'x.txt').read_text()\n"
            ),
            "company/etl/data/x.txt": "data",
            "company/etl/data/deep/y.bin": b"\0\1",
            "company/base.py": "NAME = 'base '\n",
            "company/unused/__init__.py": "",
            "company/unused/z.txt": "data of a package that is not reached",
        }
    )
    url = author.publish()
    assert author.sources(url) == [
        "company/__init__.py",
        "company/base.py",
        "company/etl/__init__.py",
        "company/etl/data/deep/y.bin",
        "company/etl/data/x.txt",
        "company/etl/more.py",
        "company/etl/rules.py",
        "company/top.csv",
        "flow.py",
    ]
    assert author.answer(url) == "base data"


def test_imports_inside_functions_travel_also_those_of_helpers(author: Author) -> None:
    author.write(
        {
            "flow.py": author.flow("", "import late_one", "return late_one.two()"),
            "late_one.py": "def two():\n    from late_two import TWO\n    return TWO\n",
            "late_two.py": "TWO = 2\n",
        }
    )
    url = author.publish()
    assert author.sources(url) == ["flow.py", "late_one.py", "late_two.py"]
    assert author.answer(url) == 2


def test_namespace_packages_travel(author: Author) -> None:
    author.write(
        {
            "flow.py": author.flow("from spacious.inner.module import ONE", "return ONE"),
            "spacious/inner/module.py": "ONE = 1\n",
        }
    )
    url = author.publish()
    assert author.sources(url) == ["flow.py", "spacious/inner/module.py"]
    assert author.answer(url) == 1


@pytest.mark.parametrize("by_value", [False, True])
def test_a_flow_inside_a_package_uses_its_relative_imports(author: Author, *, by_value: bool) -> None:
    imports, body = "from ..shared import ONE\nfrom . import beside", "return ONE, TWO, beside.X"
    flow = author.flow(imports, "from .late import TWO", body, by_value=by_value)
    author.write(
        {
            "pack/__init__.py": "",
            "pack/shared.py": "ONE = 1\n",
            "pack/flows/__init__.py": "",
            "pack/flows/beside.py": "X = 'x'\n",
            "pack/flows/late.py": "TWO = 2\n",
            "pack/flows/etl.py": flow,
        }
    )
    url = author.publish("-m", "pack.flows.etl")
    assert author.sources(url) == [
        "pack/__init__.py",
        "pack/flows/__init__.py",
        "pack/flows/beside.py",
        *([] if by_value else ["pack/flows/etl.py"]),
        "pack/flows/late.py",
        "pack/shared.py",
    ]
    assert author.answer(url) == (1, 2, "x")


def test_an_editable_install_counts_as_the_authors(author: Author) -> None:
    """As pip leaves it: a ``.pth`` file and the project's metadata in site-packages."""
    author.write({"flow.py": author.flow("import editable_project", "return editable_project.ONE")})
    author.write({"editable_project/__init__.py": "ONE = 1\n"}, folder="checkout/src")
    site = author.write(
        {
            "editable.pth": f"{author.folder / 'checkout' / 'src'}\n",
            "editable_project-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: editable-project\nVersion: 1.0\n",
            "editable_project-1.0.dist-info/top_level.txt": "editable_project\n",
            "editable_project-1.0.dist-info/RECORD": "editable.pth,,\n",
            "sitecustomize.py": "import site, os\nsite.addsitedir(os.path.dirname(__file__))\n",
        },
        folder="lib/site-packages",
    )
    url = author.publish(path=site)
    assert author.sources(url) == ["editable_project/__init__.py", "flow.py"]
    assert author.bundle(url).manifest["requires"] == []
    assert author.answer(url) == 1


def test_an_editable_install_by_an_import_hook_counts_as_the_authors(author: Author) -> None:
    """As setuptools does it: a finder that knows the folders, and a path entry that is none."""
    author.write({"flow.py": author.flow("import hooked.part", "return hooked.part.ONE")})
    author.write({"part.py": "ONE = 1\n"}, folder="checkout/hooked")
    site = author.write(
        {
            "sitecustomize.py": f"""
import importlib.machinery, sys
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "hooked":
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [{str(author.folder / "checkout" / "hooked")!r}, "__editable__.hook"]
            return spec
sys.meta_path.append(Finder)
"""
        },
        folder="lib/site-packages",
    )
    url = author.publish(path=site)
    assert author.sources(url) == ["flow.py", "hooked/part.py"]
    assert author.answer(url) == 1


@pytest.mark.parametrize("by_value", [False, True])
def test_installed_modules_stay_behind_and_are_listed_with_their_distribution(
    author: Author, *, by_value: bool
) -> None:
    author.write(
        {
            "flow.py": author.flow(
                "import numpy as np\nimport helper_of_mine\nimport jsonschema",
                "import yaml.nodes",
                "from google.cloud import storage",
                "return np.arange(3).sum().item()",
                by_value=by_value,
            ),
            "helper_of_mine.py": "import click.core\nimport json\n",
        }
    )
    url = author.publish()
    assert author.sources(url) == [*([] if by_value else ["flow.py"]), "helper_of_mine.py"]
    requires = {need["module"]: need["distribution"] for need in author.bundle(url).manifest["requires"]}
    assert requires == {
        "click": "click",  # by a helper
        "google.cloud.storage": "google-cloud-storage",  # inside a function, from a namespace package
        **({} if by_value else {"jsonschema": "jsonschema"}),  # by the flow's file, and by no task
        "numpy": "numpy",  # by a task
        "yaml": "PyYAML",
    }
    assert author.answer(url) == 3


def test_optional_imports_are_not_required(author: Author) -> None:
    author.write(
        {
            "flow.py": author.flow("import optional_helper", "return optional_helper.NAMES"),
            "optional_helper.py": """
from __future__ import annotations
import contextlib
import typing
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import click
    from optional_types import Kind
else:
    import optional_real
if typing.TYPE_CHECKING:
    import numpy
try:
    import jsonschema
except ImportError:
    jsonschema = None
try:
    import yaml
except (ValueError, ModuleNotFoundError):
    yaml = None
with contextlib.suppress(ImportError):
    import moto
try:
    import pytest
except ValueError:
    raise
finally:
    pass
try:
    import nowhere_at_all.part
    from optional_found import FOUND
except:
    FOUND = None
NAMES = (FOUND, optional_real.REAL)
""",
            "optional_found.py": "FOUND = 1\n",
            "optional_real.py": "REAL = 2\n",
            "optional_types.py": "class Kind: pass\n",
        }
    )
    url = author.publish()
    assert author.sources(url) == [
        "flow.py",
        "optional_found.py",
        "optional_helper.py",
        "optional_real.py",
        "optional_types.py",
    ]
    assert [need["module"] for need in author.bundle(url).manifest["requires"]] == ["pytest"]
    assert author.answer(url) == (None, 2)


def test_a_module_whose_absence_a_task_handles_is_not_required(author: Author) -> None:
    author.write(
        {
            "flow.py": author.flow(
                "",
                "try:",
                "    import numpy",
                "except ImportError:",
                "    numpy = None",
                "import click",
                "return [click.__name__ for _ in 'x']",
            )
        }
    )
    url = author.publish()
    assert [need["module"] for need in author.bundle(url).manifest["requires"]] == ["click"]


def test_a_helper_that_imports_the_flows_file_works_as_long_as_it_builds_only_as_main(author: Author) -> None:
    author.write(
        {
            "flow.py": author.flow("CONSTANT = 5\nimport circular", "return circular.five()"),
            "circular.py": "def five():\n    import flow\n    return flow.CONSTANT\n",
        }
    )
    url = author.publish()
    assert author.sources(url) == ["circular.py", "flow.py"]
    assert author.answer(url) == 5


@pytest.mark.parametrize("by_value", [False, True])
def test_a_flow_that_is_built_while_it_is_loaded_is_published_once(author: Author, *, by_value: bool) -> None:
    flow = author.flow("CONSTANT = 5\nimport circular", "return circular.CONSTANT", by_value=by_value)
    author.write(
        {
            "flow.py": flow.replace('if __name__ == "__main__":', "if True:"),
            "circular.py": "def __getattr__(name):\n    import flow\n    return flow.CONSTANT\n"
            "import sys\nif 'runner.runtime.run' in sys.modules:\n    import flow\n",
        }
    )
    assert author.answer(author.publish()) == 5
    assert len(list(author.root.glob("etl/2*"))) == 1


@pytest.mark.parametrize("by_value", [False, True])
def test_tasks_of_a_helper_are_the_helpers_own_and_share_its_state(author: Author, *, by_value: bool) -> None:
    """By value they could not travel at all here, and would each see a copy of what the module holds."""
    author.write(
        {
            "flow.py": author.flow(
                "import library\nfrom library import locked", "return library.COUNT", by_value=by_value
            ).replace("    answer()\n", "    answer(upstream_tasks=[locked()])\n"),
            "library.py": """
import threading
from runner import task
LOCK, COUNT = threading.Lock(), 0
@task(name="a lock")
def locked():
    global COUNT
    with LOCK:
        COUNT += 1
""",
        }
    )
    assert author.answer(author.publish()) == 1


THERE = "import os, sys\nTHERE = 'runner.runtime.run' in sys.modules\n"


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ("KEY = os.environ['SET_AT_HOME']", 1, "line 3: the flow's own code raised KeyError: 'SET_AT_HOME'"),
        ("open('beside.txt')", 1, "line 3: the flow's own code raised FileNotFoundError"),
        ("def half(of):\n    return of / (not THERE)\nhalf(1)", 1, "line 4: the flow's own code raised ZeroDivision"),
        ("if THERE: sys.exit(0)", 1, "line 3: the flow's own code called sys.exit(0)"),
        ("if THERE: import not_there", 76, "not installed here: not_there (helper_of_mine.py, line 3)"),
        ("if THERE: from json import nothing", 76, "(helper_of_mine.py, line 3)"),
    ],
)
def test_what_a_helper_does_wrong_when_it_is_imported_is_told_with_its_line(
    author: Author, lines: str, code: int, said: str
) -> None:
    """It is the author's, and no corrupt bundle that another build would mend."""
    flow = author.flow("import helper_of_mine", "return helper_of_mine", options="check=False")
    author.write({"flow.py": flow, "beside.txt": "", "helper_of_mine.py": f"{THERE}{lines}\n"})
    ran = author.run(author.publish(SET_AT_HOME="1"))
    assert (ran.code, said in ran.stdout) == (code, True), ran.stdout
    assert "helper_of_mine.py, line" in ran.stdout


def test_an_unpacked_module_is_gone_when_the_run_is_over(author: Author) -> None:
    author.write(
        {"flow.py": author.flow("import unpacked", "return unpacked.__file__"), "unpacked.py": ""},
    )
    assert not Path(author.answer(author.publish())).exists()


def test_include_and_exclude_mend_what_detection_cannot_see(author: Author) -> None:
    author.write(
        {
            "flow.py": author.flow(
                "import seen.part",
                "import importlib",
                "return importlib.import_module('dyna' + 'mic').ONE",
                options="include=['dynamic.py', 'assets', '../outside/far.py'], exclude=['*.csv', 'assets/no/*']",
            ),
            "dynamic.py": "ONE = 1\n",
            "seen/__init__.py": "",
            "seen/part.py": "",
            "seen/large.csv": "1,2",
            "assets/a.txt": "a",
            "assets/.hidden": "",
            "assets/no/b.txt": "b",
            "assets/__pycache__/c.pyc": "c",
        }
    )
    author.write({"far.py": ""}, folder="outside")
    url = author.publish()
    assert author.sources(url) == [
        "assets/a.txt",
        "dynamic.py",
        "far.py",
        "flow.py",
        "seen/__init__.py",
        "seen/part.py",
    ]
    assert author.answer(url) == 1


def test_what_a_flow_from_standard_input_imports_travels_too(author: Author) -> None:
    author.write(
        {
            "flow.txt": author.flow("import helper", "import late\nreturn helper.one() + late.ONE".replace("\n", "; ")),
            "helper.py": "def one():\n    return 1\n",
            "late.py": "ONE = 1\n",
        }
    )
    url = author.publish("-c", "import sys; exec(open('flow.txt').read())")
    assert author.sources(url) == ["helper.py", "late.py"]
    assert author.answer(url) == 2


def test_a_file_inside_a_package_is_built_with_its_relative_imports(author: Author) -> None:
    author.write(
        {
            "pkg/__init__.py": "",
            "pkg/flow.py": author.flow("from .helper import one", "return one()"),
            "pkg/helper.py": "def one():\n    return 1\n",
        }
    )
    url = author.publish("-m", "runner", "build", "pkg/flow.py")
    assert author.sources(url) == ["pkg/__init__.py", "pkg/flow.py", "pkg/helper.py"]
    assert author.answer(url) == 1


REFINED = """
from runner import Parameter

class Refined(Flow):
    extra = 7

    def twice(self, x):
        return self.run(x=x).result("add") * 2

@task
def add(x):
    return x + 1

@task
def give():
    return inner

@task
def run(given):
    return given.run(x=9).result("add")

with Refined("inner", storage=Local("nowhere")) as inner:
    add(Parameter("x", default=1))

with Flow("around", storage=Local("nowhere")) as around:
    run(give())
"""


@pytest.mark.parametrize("by_value", [False, True])
def test_a_task_that_names_a_flow_has_it_as_it_is_at_home(author: Author, *, by_value: bool) -> None:
    """It may run it, ask what it is, give it to another task, and use what its author made of the class."""
    values = "inner.run(x=4).result('add'), inner.twice(1), inner.extra, around.run().result('run')"
    another = "around" if by_value else "flow"
    kinds = f"isinstance({another}, Flow), type({another}).__name__, type(inner).__name__"
    author.write({"flow.py": author.flow(REFINED, f"return [{values}, {kinds}]", by_value=by_value)})
    home = author.at_home()
    assert home == "[5, 4, 7, 10, True, 'Flow', 'Refined']"
    assert str(author.answer(author.publish())) == home
