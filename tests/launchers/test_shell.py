"""What is rendered for a shell, run by one: each word arrives as it was, also by way of a terminal."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from runner.launchers import Docker, Local, Slurm
from runner.launchers.base import Order
from runner.logs import text_block

if TYPE_CHECKING:
    from pathlib import Path

    from runner.launchers.base import Launcher

NASTY = "a\nb\t'q' \"d\" $(touch pwned) `touch pwned` \\ $HOME ; # \x1b[31m \x07 \x9b \u202e \r\x01'\x1b'"
SHOW = "#!/usr/bin/env python3\nimport json, os, sys\nprint(json.dumps([sys.argv[1:], os.environ.get('X')]))\n"


@pytest.mark.parametrize("launcher", [Docker(), Local(), Slurm(python="docker"), Slurm(container="podman-hpc")])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_shell_gives_each_word_as_it_was_and_does_nothing_else(
    launcher: Launcher, shell: str, tmp_path: Path
) -> None:
    for name in ("docker", "python", "podman-hpc"):
        (tmp_path / name).write_text(SHOW)
        (tmp_path / name).chmod(0o755)
    order = Order("run-r-1", "image", {"RUNNER_LOCATION": "s3://a/b", "X": NASTY}, {}, {}, {}, 1.0)
    shown = text_block(launcher.render(order), "")  # as the command prints it
    if isinstance(launcher, Local):
        shown = shown.rpartition("\\\n")[0] + "\\\n  docker"
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run([shell], input=shown, env=environ, cwd=tmp_path, capture_output=True, text=True, check=True)
    words, variable = json.loads(done.stdout)
    if isinstance(launcher, Docker):
        assert f"--env=X={NASTY}" in words
    else:
        assert variable == NASTY
    assert not (tmp_path / "pwned").exists()
