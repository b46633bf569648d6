"""What is published: the sdist and the wheel, each installed into an empty environment and run there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import runner

if TYPE_CHECKING:
    from email.message import Message

ROOT = Path(__file__).parent.parent
FLOW = """
from runner import Flow, task
from runner.storage import Local

@task
def add(left, right):
    return left + right

with Flow("sum", storage=Local("flows")) as flow:
    add(1, 2)
"""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    locked = ("--require-hashes", "--build-constraints", "images/build.txt")
    subprocess.run([sys.executable, "-m", "uv", "build", "--quiet", *locked, "--out-dir", folder], cwd=ROOT, check=True)
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


@pytest.fixture(scope="module")
def metadata(distributions: dict[str, Path]) -> Message:
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        return message_from_bytes(wheel.read(f"flow_runner-{runner.__version__}.dist-info/METADATA"))


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_installed_alone_it_builds_and_runs_a_flow(kind: str, distributions: dict[str, Path], tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    environ = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    environ |= {"PATH": f"{programs}:/usr/bin:/bin", "HOME": os.environ["HOME"]}

    def run(*command: str | Path, **more: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environ | more, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    run(programs / "python", "-m", "pip", "install", "--quiet", distributions[kind])
    assert run("runner", "version").startswith(f"runner {runner.__version__}")
    where = Path(run("python", "-c", "import runner; print(runner.__file__)"))
    assert where.is_relative_to(tmp_path / "venv")
    (tmp_path / "etl.py").write_text(FLOW)
    location = run("runner", "build", "etl.py")
    run("runner", "run", RUNNER_LOCATION=location, RUNNER_RUN_ID="r")
    assert run("runner", "result", f"{tmp_path}/flows/sum/runs/r", "add") == "3"


def test_the_wheel_holds_the_package_alone_with_its_types(distributions: dict[str, Path]) -> None:
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        names = set(wheel.namelist())
    assert {name.partition("/")[0] for name in names} == {"runner", f"flow_runner-{runner.__version__}.dist-info"}
    assert "runner/py.typed" in names
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "runner").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules


def test_the_sdist_holds_what_the_wheel_is_made_of(distributions: dict[str, Path]) -> None:
    with tarfile.open(distributions["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "runner/py.typed"} <= names
    assert not [name for name in names if name.startswith((".cache", ".venv", "tests/node_modules"))]


def test_the_metadata_says_what_the_index_shows(metadata: Message) -> None:
    assert (metadata["Name"], metadata["Version"]) == ("flow-runner", runner.__version__)
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert set(metadata.get_all("Provides-Extra", [])) == {"aws", "gcp", "azure", "docker", "kubernetes", "ui"}
    links = dict(link.split(", ") for link in metadata.get_all("Project-URL", []))
    assert set(links) == {"Source", "Documentation", "Changelog", "Issues"}
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13, 14)} <= set(
        metadata.get_all("Classifier", [])
    )
    assert str(metadata.get_payload()).startswith("# runner\n")
