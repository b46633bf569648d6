"""The images, built once on a real engine.

A module ``test_<image>.py`` holds for that image and for all that are built on it: children run their parents' tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.containers import PARENTS
from support.images import SUITES, bake, base_of
from support.places import local_place

if TYPE_CHECKING:
    from support.places import Place

HERE = Path(__file__).parent
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
def bases(engine: None) -> dict[str, str]:
    """The image of each Python that the images are based on."""
    del engine
    return {python: base_of(python) for python in SUITES}


@pytest.fixture(scope="session")
def images(bases: dict[str, str]) -> dict[str, str]:
    """All images by ``aws-py3.11`` and so on."""
    del bases
    return {name: image for python in SUITES for name, image in bake(PARENTS, python).items()}


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
