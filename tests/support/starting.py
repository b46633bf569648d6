"""Start runner as a user does, in a process of its own, and see what it printed and how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_", "COV_", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True)
class Ran:
    """A process that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log: every line of standard output is one JSON object."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """The one line of the log that says why the run did not succeed: the only one with a code that is not 0."""
        found = [line for line in self.lines if line.get("code")]
        assert len(found) == 1, self.stdout
        assert found[0]["code"] == self.code, self
        assert "Traceback" not in self.stderr, self.stderr
        return found[0]


def inherited() -> dict[str, str]:
    """What of this process's environment a program needs to be found, and measured."""
    return {name: value for name, value in os.environ.items() if name.startswith(KEPT)}


def start(
    environ: Mapping[str, str], *arguments: str, cwd: Path | None = None, prefix: tuple[str, ...] = (), **options: Any
) -> Ran:
    """Run ``python -m runner`` with this environment alone (and what finding and measuring the program needs)."""
    command = [*prefix, sys.executable, "-m", "runner", *arguments]
    done = subprocess.run(
        command,
        env=inherited() | dict(environ),
        cwd=cwd,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        check=False,
        timeout=120,
        **options,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def without_privileges() -> tuple[str, ...]:
    """Make also root ask for rights, as in a container with --cap-drop ALL."""
    return ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all") if os.geteuid() == 0 else ()
