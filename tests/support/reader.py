"""Somebody who reads a page of the docs, and does what it says: saves its flows, and types its commands in order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from support.starting import Ran

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
ANOTHER_TERMINAL = "another terminal"
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>.*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """A block of code: what the comment above it says, its language, and its text."""

    mark: str
    language: str
    text: str


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of code of a page, in order."""
    text = (ROOT / page).read_text("utf-8")
    return [Block(found["mark"] or "", found["language"], found["text"]) for found in _BLOCK.finditer(text)]


def needs_engine(block: Block) -> bool:
    """Whether a block needs a Docker engine, as it says itself."""
    return block.mark.startswith("docker:")


@dataclass
class Reader:
    """A reader with a home and a terminal, whose folder and variables last from block to block, as in a shell.

    Args:
        home: the home, in which the first terminal begins.
        environ: all variables that a terminal begins with, besides HOME.
        type: what is typed in the place of a block's text, as where a port or a package is not to be had in a test.
    """

    home: Path
    environ: dict[str, str]
    type: Callable[[str], str] = str
    _open: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """The file that keeps the first terminal's folder and variables."""
        return self.home / ".terminal"

    @property
    def folder(self) -> Path:
        """Where the first terminal is."""
        told = self.state.read_text("utf-8").splitlines()[-1] if self.state.exists() else ""
        return Path(told.removeprefix("cd ").strip("'")) if told else self.home

    def save(self, block: Block) -> None:
        """Save a flow under the name that its first line has, in the folder of the first terminal."""
        name = block.text.partition("\n")[0].removeprefix("# ")
        (self.folder / name).write_text(block.text, "utf-8")

    def do(self, block: Block) -> str:
        """Type a block, and return what it printed; it must end with 0."""
        self.state.touch()
        script = f'. "{self.state}"\n{self.type(block.text)}\n{{ export -p; echo "cd \'$PWD\'"; }} > "{self.state}"\n'
        done = self._start(script, stdout=subprocess.PIPE)
        if " &\n" in block.text:
            self._open.append(done)
        printed, complaints = done.communicate(timeout=200)
        assert done.returncode == 0, Ran(done.returncode, printed, complaints)
        return printed

    def open(self, block: Block, until: str) -> None:
        """Type a block in another terminal, where it goes on; return when it has said this."""
        process = self._start(self.type(block.text), stdout=subprocess.DEVNULL)
        self._open.append(process)
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if until in line:
                return
        raise AssertionError("".join(said))

    def _start(self, script: str, *, stdout: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", "-euc", script],
            env=self.environ | {"HOME": str(self.home)},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def leave(self) -> None:
        """Close the terminals, and with them whatever was left running there."""
        for process in self._open:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with process:
                pass
