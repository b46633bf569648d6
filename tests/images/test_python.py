"""A flow and the Python of its image: what fits runs, what does not is refused before it is unpickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from support.containers import in_folder, run_image

if TYPE_CHECKING:
    from support.places import Place

FLOWS = Path(__file__).parent.parent / "support" / "flows" / "files"


def test_a_flow_of_another_python_is_refused_with_the_tag_that_fits(images: dict[str, str], folder: Place) -> None:
    environ, options = in_folder(folder, "marked.py", "marked")
    assert run_image(images["aws-py3.11"], environ=environ, options=options).code == 0
    marker = Path(folder.url.removeprefix("file://"), "marked/unpickled")
    assert marker.exists()
    marker.unlink()
    done = run_image(images["aws-py3.13"], environ=environ, options=options)
    assert done.code == 76
    assert "was built with Python 3.11." in done.error["message"]
    assert "Use tested/runner:aws-py3.11, or build the flow with Python 3.13." in done.error["message"]
    assert not marker.exists()


def test_a_flow_built_in_an_image_runs_in_it(images: dict[str, str], folder: Place) -> None:
    mounts = [f"--volume={FLOWS}/etl.py:/code/etl.py:ro", f"--volume={folder.url.removeprefix('file://')}:/flows"]
    image = images["slim-py3.13"]
    built = run_image(image, "build", "/code/etl.py", "--storage", "/flows", options=mounts)
    assert built.code == 0, built
    environ = {"RUNNER_STORAGE": "local", "RUNNER_LOCATION": built.stdout.strip().removeprefix("file://")}
    done = run_image(image, environ=environ, options=mounts)
    assert done.code == 0, done
    assert json.loads(run_image(image, "version", "--json").stdout)["python"].startswith("3.13.")
