"""What the pickles of flows and results name of runner's own: its public modules alone, also what older ones named."""

from __future__ import annotations

import inspect
import io
import pickle
import pydoc
import re
import subprocess
import sys
import textwrap
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runner
from runner import environments, errors, storage
from runner.serialization import pickling
from runner.serialization.inspection import inspect_pickle
from runner.serialization.pickling import dump_flow, dump_result, load_flow, load_result

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

LAZY: Any = runner  # names that are not for authors
PUBLIC = {"runner", "runner.environments", "runner.errors", "runner.storage"}
ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
NAMES = {("runner", name) for name in [*runner.__all__, *runner._HOMES]} - {("runner", "__version__")}
NAMES |= {("runner.storage", name) for name in storage._HOMES}
NAMES |= {("runner.errors", kind.__name__) for kind in ERRORS} | {("runner.environments", "LocalEnvironment")}

FLOW = """
import runner
import runner.storage
from runner import Flow, FlowFailed, Parameter, Task, build_flow, logger, secret, task, unmapped
from runner.environments import LocalEnvironment
from runner.errors import RunnerError, TaskError, UsageError
from runner.storage import GCS, S3, Azure, Docker, Local

PLACES = [S3("b"), GCS("b"), Azure("c", connection_string="x"), Local("f"), Docker(), LocalEnvironment()]
retrying = task(retries=2)


class MyFlow(Flow):
    def twice(self):
        return [self.name] * 2


class MyError(RunnerError):
    code = 3


class MyStorage(S3):
    def whose(self):
        return "mine"


class MyTask(Task):
    def whose(self):
        return "mine"


@task
def everything(day, places=PLACES):
    logger().info("on %s", day)
    try:
        secret("NOWHERE")
    except (UsageError, FlowFailed, TaskError, RunnerError):
        pass
    with MyFlow("inner", storage=MyStorage("b")) as inner:
        retrying(str)(Parameter("n", default=1))
    report, error = inner.run(), MyError("no", hint="Why?")
    return report, inner, inner.twice(), inner.storage.whose(), error, runner.storage.Local, build_flow


@task
def after(value, number):
    return number


with MyFlow("everything", storage=MyStorage("b", secrets=["A"])) as flow:
    after.map(unmapped(everything(Parameter("day", default="monday"))), [1, 2])

mine = MyTask(len, name="len")
"""


def modules_of_ours(data: bytes) -> set[str]:
    return {module for module in inspect_pickle(data, "").modules if module.partition(".")[0] == "runner"}


def dumped(value: object) -> bytes:
    file = io.BytesIO()
    dump_result(value, file, "t")
    return file.getvalue()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """An author's file that uses all that is public, and refines some of it."""
    (tmp_path / "with_everything.py").write_text(FLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield import_module("with_everything")
    sys.modules.pop("with_everything", None)


@pytest.mark.parametrize(("module", "name"), sorted(NAMES))
def test_a_public_name_is_where_it_says_it_is(module: str, name: str) -> None:
    """Pickles name an object by its module and name; wherever it is defined, these are public."""
    found = getattr(import_module(module), name)
    assert found.__module__ in PUBLIC
    assert getattr(import_module(found.__module__), found.__qualname__) is found
    assert pickle.loads(pickle.dumps(found)) is found
    assert modules_of_ours(dumped(found)) == {found.__module__}


def test_the_page_on_formats_lists_them() -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
    listed, module = set(), ""
    for row in page.partition("<!-- pickles:")[2].partition("<!-- end -->")[0].splitlines()[3:]:
        head, names = row.split("|")[1:3]
        module = head.strip(" `") or module
        listed |= {(module, name) for name in re.findall(r"`(\w+)`", names)}
    assert listed == {(module, name) for module, name in NAMES if module != "runner.errors"}


def test_a_flow_that_uses_everything_names_public_modules_alone(module: ModuleType) -> None:
    pickled = dump_flow(module.flow, module)
    assert modules_of_ours(pickled.data) == PUBLIC
    assert {name for name in pickled.modules if name.startswith("runner")} == PUBLIC
    sys.modules.pop("with_everything")
    flow = load_flow(pickled.data)
    assert isinstance(flow, runner.Flow)
    values = flow.run(day="tuesday")
    assert values.result("after") == [1, 2]


def test_the_results_of_a_flow_that_uses_everything_name_public_modules_alone(module: ModuleType) -> None:
    """The classes of the author travel by value here, as they do where a flow runs, in whose file they are."""
    with pickling._travels(module):
        value = module.flow.run().result("everything")
        data = dumped((value, module.MyFlow, module.mine, module.flow))
    assert modules_of_ours(data) <= PUBLIC
    sys.modules.pop("with_everything")
    (report, inner, _, whose, error, local, build), my_flow, mine, flow = load_result(io.BytesIO(data))
    assert (report.state, report.result("str"), whose) == ("succeeded", "1", "mine")
    assert isinstance(inner, runner.Flow)
    assert type(flow).__name__ == type(module.flow).__name__
    assert issubclass(my_flow, runner.Flow)
    assert my_flow("again").twice() == ["again"] * 2
    assert (mine.whose(), mine([1, 2])) == ("mine", 2)
    assert isinstance(error, errors.RunnerError)
    assert (error.code, str(error)) == (3, "no. Why?")
    assert local is storage.Local
    assert build is runner.build_flow


class Everything:
    """Values that a task may be given or make, and that are of runner's own classes."""

    flow = runner.Flow("f", storage=storage.S3("b"))
    parameter = runner.Parameter("p")
    marked = runner.unmapped([1])
    task = runner.task(len)
    foreign = LAZY.ForeignCall(len)
    prefect = LAZY.Prefect1Run(None)
    foreign_failure = LAZY.ForeignFailed("no")
    timed_out, cancelled = LAZY.TaskTimeout(), LAZY.TaskCancelled()
    report = LAZY.Report("succeeded", [])
    destination = LAZY.Destination("s3://b")
    published = LAZY.Published("s3://b/f/v", {}, {})
    location = storage.Location("s3", "b", "k")
    places = (storage.S3("b"), storage.GCS("b"), storage.Azure("c"), storage.Local("f"), storage.Docker())
    environment = environments.LocalEnvironment(metadata={"image": "i"})
    failures = tuple(kind("no") for kind in ERRORS)


@pytest.mark.parametrize("name", [name for name in vars(Everything) if not name.startswith("_")])
def test_a_value_of_runners_own_names_public_modules_alone(name: str) -> None:
    value: Any = getattr(Everything, name)
    data = dumped(value)
    assert modules_of_ours(data) <= PUBLIC
    loaded: Any = load_result(io.BytesIO(data))
    assert type(loaded) is type(value)
    if name in {"places", "failures"}:
        assert [type(each) for each in loaded] == [type(each) for each in value]


def test_a_storage_is_named_also_where_nobody_has_imported_its_public_module() -> None:
    """A class whose module is not loaded would travel by value, with all that its methods use."""
    script = """
    import io, sys
    import runner
    from runner.serialization.pickling import dump_result
    place = runner.Flow("f").storage
    assert "runner.storage" not in sys.modules
    file = io.BytesIO()
    dump_result(place, file, "t")
    sys.stdout.buffer.write(file.getvalue())
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=True)
    assert modules_of_ours(ran.stdout) == {"runner.storage"}


OLD = [
    ("runner.credentials", "secret", runner.secret),
    ("runner.docker_image", "Docker", storage.Docker),
    ("runner.flow", "Flow", runner.Flow),
    ("runner.foreign", "ForeignFailed", LAZY.ForeignFailed),
    ("runner.foreign", "_Called", LAZY.ForeignCall),
    ("runner.foreign", "_Prefect1", LAZY.Prefect1Run),
    ("runner.interrupt", "Interrupted", LAZY.Interrupted),
    ("runner.interrupt", "TaskCancelled", LAZY.TaskCancelled),
    ("runner.interrupt", "TaskTimeout", LAZY.TaskTimeout),
    ("runner.publish", "Published", LAZY.Published),
    ("runner.publish", "build_flow", runner.build_flow),
    ("runner.report", "Report", LAZY.Report),
    ("runner.storage", "Location", storage.Location),
    ("runner.storage", "declare", storage.declare),
    ("runner.storage", "open_storage", storage.open_storage),
    ("runner.storage", "parse_location", storage.parse_location),
    ("runner.storage.azure", "Azure", storage.Azure),
    ("runner.storage.declared", "Declared", storage.StorageDeclaration),
    ("runner.storage.declared", "DeclaredBucket", storage.BucketDeclaration),
    ("runner.storage.gcs", "GCS", storage.GCS),
    ("runner.storage.local", "Local", storage.Local),
    ("runner.storage.s3", "S3", storage.S3),
    ("runner.task", "Node", LAZY.Node),
    ("runner.task", "Parameter", runner.Parameter),
    ("runner.task", "Task", runner.Task),
    ("runner.task", "task", runner.task),
    ("runner.task", "unmapped", runner.unmapped),
    ("runner.trace", "TaskError", errors.TaskError),
]


@pytest.mark.parametrize(("module", "name", "found"), OLD, ids=lambda part: part if isinstance(part, str) else "")
def test_what_0_1_0_named_is_found(module: str, name: str, found: object) -> None:
    data = f"c{module}\n{name}\n.".encode()
    assert load_result(io.BytesIO(data)) is found
    assert load_flow(data) is found
    assert pickle.loads(data) is found


def test_the_modules_of_0_1_0_hide_nothing() -> None:
    """A module `runner.task` would hide the function, and `inspect` asks every module for its file."""
    script = """
        import inspect
        import sys
        from runner.flow import Flow
        from runner.task import Task, task
        import runner.task
        assert (runner.Flow, runner.Task, runner.task) == (Flow, Task, task)
        assert inspect.getmodule(Flow.run) is sys.modules["runner.authoring.flow"]
        assert inspect.getmodule(Flow) is runner
        import runner.storage
        assert not any(hasattr(sys.modules[name], "__path__") for name in runner._MOVED)
        assert "runner.publishing.publish" not in sys.modules  # which the one for runner.publish would have loaded
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)


def test_every_module_of_0_1_0_that_has_moved_is_tested() -> None:
    assert {*LAZY._MOVED} <= {module for module, _, _ in OLD}
    assert {*LAZY._RENAMED} <= {name for _, name, _ in OLD}


@pytest.mark.parametrize("name", sorted({*runner.__all__} - {"__version__"}))
def test_a_name_that_is_pinned_is_still_explained(name: str) -> None:
    """``help()``, ``inspect.signature`` and the source of functions and methods; see decisions/0007 for classes."""
    found: Any = getattr(runner, name)
    assert inspect.getdoc(found)
    assert name in pydoc.render_doc(found)
    assert inspect.signature(found)
    function = vars(found)["__init__"] if isinstance(found, type) and "__init__" in vars(found) else found
    if not isinstance(function, type):
        assert inspect.getsource(function).lstrip().startswith("def ")


@pytest.mark.parametrize(("module", "name"), sorted(NAMES - {("runner.errors", kind.__name__) for kind in ERRORS}))
def test_a_class_that_is_pinned_shows_no_source_but_its_own(module: str, name: str) -> None:
    """Python 3.13 knows the line of a class, but not of which file: https://github.com/numpy/numpy/pull/30679."""
    found = getattr(import_module(module), name)
    if isinstance(found, type) and name not in {"FlowFailed", "LocalEnvironment"}:  # these are where they say
        with pytest.raises(OSError, match=r"source|class"):
            inspect.getsource(found)
