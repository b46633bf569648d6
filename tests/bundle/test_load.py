"""From fetched bytes to a flow: what cannot be shown through the entrypoint alone."""

from __future__ import annotations

import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from runner import (
    Flow,
    Parameter,  # UNKNOWN
)
from runner.bundle import load, manifest, module_folder, trust
from runner.errors import EnvironmentWrong, Incompatible
from runner.location import Location
from runner.model import parameters
from runner.settings import Settings
from support.flows import HERE, publish
from support.places import local_place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def modular(tmp_path: Path) -> bytes:
    place = local_place(tmp_path / "storage")
    url = publish(place, "modular/modular.py")
    return place.read(f"modular/{url.rpartition('/')[2]}")


def admitted(data: bytes) -> trust.Admitted:
    return trust.admit(data, Location("file", "/flows", "modular/it"), Settings())


def test_modules_that_cannot_be_unpacked_are_told_with_the_remedy(
    modular: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def no_room() -> str:
        message = "No usable temporary directory found"
        raise FileNotFoundError(message)

    monkeypatch.setattr(tempfile, "gettempdir", no_room)
    monkeypatch.setattr(module_folder, "_MEMORY", str(tmp_path / "none"))
    missing = Settings(environ={"TMPDIR": str(tmp_path / "missing")})
    with pytest.raises(EnvironmentWrong, match="--tmpfs /tmp"):
        load.load(admitted(modular), missing, lambda _folder: None)


def test_a_flows_modules_never_hide_installed_ones(
    modular: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They come last on the path, and whoever removes the folder hears of it before anything lies in it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    folders: list[str] = []
    load.load(admitted(modular), Settings(environ={"TMPDIR": str(tmp_path)}), folders.append)
    assert sys.path[-1] == folders[0]
    assert folders[0].startswith(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] == "shipped"]:
        assert not str(sys.modules[name].__file__).startswith(str(HERE))
        del sys.modules[name]


def test_folders_of_the_dead_are_swept_and_those_in_use_are_not(tmp_path: Path) -> None:
    used = module_folder.make_folder(str(tmp_path))
    left = tmp_path / "runner-modules-of-the-dead"
    (left / "package").mkdir(parents=True)
    module_folder.sweep(str(tmp_path))
    assert [str(each) for each in tmp_path.iterdir()] == [used]


def test_a_default_that_json_cannot_hold_is_told_as_python_writes_it() -> None:
    with Flow("f") as flow:
        Parameter("plain", default=[1, None])
        Parameter("pair", default=(1, 2))
        Parameter("odd", default={1, 2})
        Parameter("endless", default=float("inf"))
        Parameter("needed")
    assert parameters.parameters_of(flow) == [
        {"name": "plain", "required": False, "default": [1, None]},
        {"name": "pair", "required": False, "default_repr": "(1, 2)"},
        {"name": "odd", "required": False, "default_repr": "{1, 2}"},
        {"name": "endless", "required": False, "default_repr": "inf"},
        {"name": "needed", "required": True},
    ]


def test_a_module_whose_search_fails_is_missing() -> None:
    facts: Any = {
        "python": {"version": sys.version.split()[0], "implementation": sys.implementation.name},
        "requires": [{"module": ".relative", "distribution": "d", "version": "1"}],
        "image": None,
    }
    with pytest.raises(Incompatible, match=r"\.relative"):
        manifest.check_fit(facts, "org/runner:slim")
