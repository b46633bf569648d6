"""The images, built once on a real engine.

A module ``test_<image>.py`` holds for that image and for all that are built on it: children run their parents' tests.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.containers import PARENTS, docker
from support.places import local_place
from support.servers.engine import NoEngine, start_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.places import Place

HERE = Path(__file__).parent
SUITES = {"3.11": "bookworm", "3.13": "trixie"}  # the Debian release that has this Python
LONGEST = 1800  # seconds for the one test that has the images built


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(LONGEST))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = metafunc.module.__name__.rpartition(".")[2].removeprefix("test_")
    if "image" in metafunc.fixturenames and name in PARENTS:
        children = [child for child, parents in PARENTS.items() if name in parents]
        metafunc.parametrize("image", [name, *children], indirect=True)


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """A Docker engine that answers."""
    try:
        with start_engine():
            yield
    except NoEngine as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def bases(engine: None) -> dict[str, str]:
    """The image of each Python that the images are based on: the official one, or a stand-in, made once and kept."""
    del engine
    recipe = HERE / "stand_in.sh"
    made = hashlib.sha256(recipe.read_bytes()).hexdigest()[:12]
    found = {}
    for python, suite in SUITES.items():
        image = f"runner-stand-in:{python}-{made}"
        if docker("image", "inspect", image).code:
            if os.geteuid() != 0 or not shutil.which("debootstrap"):
                image = f"python:{python}-slim"
            else:
                subprocess.run([recipe, suite, image], check=True)
        found[python] = image
    return found


@pytest.fixture(scope="session")
def images(bases: dict[str, str]) -> dict[str, str]:
    """All images by ``aws-py3.11`` and so on; they are tested/runner, so that nobody's org/runner is touched."""
    files = [f"--file={path}" for path in ("docker-bake.hcl", HERE / "host-network.hcl")]
    for python, base in bases.items():
        targets = [f"{name}-py{python.replace('.', '-')}" for name in PARENTS]
        environ = {
            "BASE_IMAGE": base,
            "VERSION": "9.9.9",
            "REVISION": "0123abc",
            "PYTHON": "3.11",
            "REGISTRY": "tested",
        }
        command = ["docker", "buildx", "bake", "--progress=plain", *files, *targets]
        done = subprocess.run(
            command, cwd=HERE.parent.parent, env=os.environ | environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-8000:]
    return {f"{name}-py{python}": f"tested/runner:{name}-py{python}" for name in PARENTS for python in bases}


@pytest.fixture
def image(request: pytest.FixtureRequest, images: dict[str, str]) -> str:
    """One image after the other, with the Python that the tests run on."""
    return images[f"{request.param}-py3.11"]


@pytest.fixture
def folder(tmp_path: Path) -> Place:
    """A fresh folder that any user may write to, as a volume is."""
    root = tmp_path / "flows"
    place = local_place(root)
    root.chmod(0o777)
    return place
