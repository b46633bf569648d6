"""The images, built on a real engine, on what stands in for the official images where those cannot be pulled."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from support.containers import docker

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parent.parent.parent
FILES = ROOT / "tests" / "images"
SUITES = {"3.11": "bookworm", "3.13": "trixie"}  # the Debian release that has this Python


def base_of(python: str) -> str:
    """The image that the images for a Python are based on: the official one, or a stand-in, made once and kept."""
    recipe = FILES / "stand_in.sh"
    image = f"runner-stand-in:{python}-{hashlib.sha256(recipe.read_bytes()).hexdigest()[:12]}"
    if docker("image", "inspect", image).code:
        if os.geteuid() != 0 or not shutil.which("debootstrap"):
            return f"python:{python}-slim"
        subprocess.run([recipe, SUITES[python], image], check=True)
    return image


def bake(names: Iterable[str], python: str) -> dict[str, str]:
    """Build images for a Python: ``aws-py3.11`` and so on are tested/runner, so that nobody's org/runner is touched."""
    files = [f"--file={path}" for path in ("docker-bake.hcl", FILES / "host-network.hcl")]
    environ = {
        "BASE_IMAGE": base_of(python),
        "VERSION": "9.9.9",
        "REVISION": "0123abc",
        "PYTHON": "3.11",
        "REGISTRY": "tested",
    }
    targets = [f"{name}-py{python.replace('.', '-')}" for name in names]
    command = ["docker", "buildx", "bake", "--progress=plain", *files, *targets]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-8000:]
    return {f"{name}-py{python}": f"tested/runner:{name}-py{python}" for name in names}
