"""An environment as the slim image has it, with no cloud's SDK: every backend opens that can."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.images import image_of

if TYPE_CHECKING:
    from support.places import Place

PROJECT = Path(__file__).parents[2]
TRY = """
import json, sys
from importlib.util import find_spec
from runner.secrets.named import resolve
from runner.errors import RunnerError
from runner.environ import process_environ
from runner.backends import open_storage
from runner.location import parse_location

environ, found = process_environ(), {}
assert not any(find_spec(name) for name in ("boto3", "google", "azure", "requests"))
try:
    storage = open_storage(parse_location(sys.argv[1]).as_root(), resolve((), environ), environ)
    storage.create("etl/v1", b"bundle")
    found = {"read": storage.read("etl/v1").decode(), "listed": [entry.key for entry in storage.list_recursive()]}
except RunnerError as error:
    found = {"error": type(error).__name__, "code": error.code, "text": str(error)}
print(json.dumps(found))
"""


@pytest.fixture(scope="session")
def bare_python() -> Path:
    """A virtual environment with the project's own dependencies alone, kept in .cache between runs."""
    wanted = [(PROJECT / "pyproject.toml").read_text(), sys.version]
    folder = PROJECT / ".cache" / f"bare-{sys.version_info.major}.{sys.version_info.minor}"
    python, mark = folder / "bin" / "python", folder / "made-for.json"
    if not (mark.exists() and json.loads(mark.read_text()) == wanted):
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--editable", PROJECT], check=True, env=environ)
        mark.write_text(json.dumps(wanted))
    return python


def test_a_bare_environment_opens_every_backend_that_needs_no_sdk(bare_python: Path, place: Place) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTHON"))}
    done = subprocess.run(
        [bare_python, "-c", TRY, place.url], env=environ | place.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    if place.word == "gcs":
        assert (found["error"], found["code"]) == ("EnvironmentWrong", 78)
        assert "needs google-cloud-storage, which is not installed" in found["text"]
        assert f"Use {image_of('gcp')} or pip install 'flow-runner[gcp]'" in found["text"]
    else:
        assert found == {"read": "bundle", "listed": ["etl/v1"]}
        assert place.read("etl/v1") == b"bundle"
