"""A real terminal: a command runs at a pseudo terminal, and what reaches that is looked at byte by byte."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tty
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from support.starting import KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping

_JOINERS = "\u200c\u200d"  # scripts and emojis need them
_SECONDS = 60


class Shown(NamedTuple):
    """What a command wrote to a terminal, and its exit code."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")


def at_terminal(environ: Mapping[str, str], *arguments: str) -> Shown:
    """Run ``python -m runner`` at a terminal that passes on every byte as it comes."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    command = [sys.executable, "-m", "runner", *arguments]
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    environ = kept | {"PYTHONIOENCODING": "utf-8"} | dict(environ)
    process = subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = bytearray()
    while chunk := _read(ours):
        written += chunk
    os.close(ours)
    return Shown(process.wait(_SECONDS), written.decode(errors="surrogateescape"))


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody has it open any more
        return b""


def obeyed(text: str) -> set[str]:
    """Return the characters of a text that do something to a terminal, or to how what stands around them is read."""
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {char for char in text if unicodedata.category(char) in kinds and char not in f"\n\t{_JOINERS}"}
