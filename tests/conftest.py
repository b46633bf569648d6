"""What all tests share: a clean environment, real servers, and a fresh place in each storage."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import coverage
import pytest

from runner.naming import UNPACKED
from runner.runs.store import RunStore
from runner.secrets import redaction
from support import memory, schemas
from support.canary import Canary, Target
from support.places import Place, azure_place, gcs_place, local_place, memory_place, s3_place
from support.servers.azurite import start_azurite
from support.servers.engine import NoEngine, start_engine
from support.servers.fake_gcs import start_fake_gcs
from support.servers.gcs import start_gcs
from support.servers.moto import start_moto

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.runs.documents import Kind
    from support.servers import Server

PREFIXES = ("RUNNER_", "AWS_", "GOOGLE_", "GCP_", "AZURE_", "STORAGE_EMULATOR", "CLOUDSDK_")
PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
BACKENDS = ["local", "s3", "gcs", "azure"]
# What --fast leaves out: whoever uses these starts servers, containers or runs in processes of their own, or installs
# much; what lies in these folders takes long by itself.
SLOW_FIXTURES = {
    "moto",
    "azurite",
    "gcs_emulator",
    "fake_gcs",
    "engine",
    "cluster",
    "browser",
    "bare_python",
    "prefect",
    "distributions",
}
SLOW_MODULES = {
    "servers",
    "starting",
    "containers",
    "cloud",
    "wire",
    "process_runs",
    "command_line",
    "written_before",
    "authors",
}
SLOW_FOLDERS = {"images", "attacks", "faults", "fuzz", "leaks", "harness"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only tests that stay in their own process: a minute at most")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if strange := [item.nodeid for item in items if " at 0x" in item.nodeid]:  # each worker would call it otherwise
        message = f"{strange[0]} is called after an address: give its parameter an id"
        raise pytest.UsageError(message)
    if config.getoption("--fast"):
        slow = [item for item in items if isinstance(item, pytest.Function) and _is_slow(item)]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in set(slow)]


def _is_slow(item: pytest.Function) -> bool:
    callspec = getattr(item, "callspec", None)
    elsewhere = callspec is not None and callspec.params.get("backend", "local") not in {"local", "memory"}
    origins = (getattr(value, "__module__", None) for value in vars(item.module).values() if callable(value))
    return (
        elsewhere
        or not SLOW_FIXTURES.isdisjoint(item.fixturenames)
        or not SLOW_FOLDERS.isdisjoint(item.path.parts)
        or any(not SLOW_MODULES.isdisjoint(origin.split(".")) for origin in origins if isinstance(origin, str))
    )


@pytest.fixture(autouse=True)
def pause_coverage(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is marked as unmeasured runs without coverage, also in the threads that it starts."""
    measuring = coverage.Coverage.current() if request.node.get_closest_marker("unmeasured") else None
    if measuring:
        measuring.stop()
    yield
    if measuring:
        measuring.start()


@pytest.fixture
def _unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without coverage, which takes time and memory itself, and stalls where threads are interrupted."""
    for name in [name for name in os.environ if name.startswith(("COVERAGE_", "COV_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of this machine's settings reaches a test, and nothing of one test another."""
    for name in list(os.environ):
        if name.startswith(PREFIXES) or name.upper() in PROXIES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    modules = set(sys.modules)
    yield
    redaction.reset_masks()
    for name in set(sys.modules) - modules:  # what a flow brought that was loaded in this process
        if UNPACKED in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def described_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every document that a test makes in its own process is as its schema says."""
    create = RunStore._create

    def checked(store: RunStore, key: str, document: dict[str, Any], kind: Kind) -> None:
        schemas.validate(schemas.kind_of(document), document)
        create(store, key, document, kind)

    monkeypatch.setattr(RunStore, "_create", checked)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Turn a skip into a failure where CI asks for it: what was not run was not shown; an expected failure was."""
    report = yield
    if report.skipped and NO_SKIP and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} was skipped, and RUNNER_TEST_NO_SKIP is set: {call.excinfo and call.excinfo.value}"
        )
    return report


NO_SKIP = os.environ.get("RUNNER_TEST_NO_SKIP") == "1"  # read before the fixture above takes it away


@pytest.fixture(scope="session")
def moto() -> Iterator[Server]:
    with start_moto() as server:
        yield server


@pytest.fixture(scope="session")
def azurite() -> Iterator[Server]:
    with start_azurite() as server:
        yield server


@pytest.fixture(scope="session")
def gcs_emulator() -> Iterator[Server]:
    with start_gcs() as server:
        yield server


@pytest.fixture(scope="session")
def fake_gcs() -> Iterator[Server]:
    with start_fake_gcs() as server:
        yield server


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """A Docker engine that answers."""
    try:
        with start_engine():
            yield
    except NoEngine as error:
        pytest.skip(str(error))


@pytest.fixture
def memory_backend() -> Iterator[None]:
    """The backend of the tests, known to this process for one test."""
    with memory.registered():
        yield


@pytest.fixture
def here(tmp_path: Path) -> Place:
    """A place on this machine, for what does not depend on the storage."""
    return local_place(tmp_path / "storage")


@pytest.fixture
def target(here: Place, tmp_path: Path) -> Target:
    """That place, a container that trusts its author alone, and a canary that sings when executed."""
    return Target(here, Canary(tmp_path))


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The word of one storage after the other, for tests that hold for all."""
    return str(request.param)


@pytest.fixture
def place(backend: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A fresh, empty root in the storage, with its environment set and the cloud's own SDK as referee."""
    if backend == "local":
        made = local_place(tmp_path / "storage")
    elif backend == "s3":
        made = s3_place(request.getfixturevalue("moto"))
    elif backend == "gcs":
        made = gcs_place(request.getfixturevalue("gcs_emulator"))
    elif backend == "fake-gcs":
        made = gcs_place(request.getfixturevalue("fake_gcs"))
    elif backend == "memory":
        request.getfixturevalue("memory_backend")
        made = memory_place()
    else:
        made = azure_place(request.getfixturevalue("azurite"))
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    return made
