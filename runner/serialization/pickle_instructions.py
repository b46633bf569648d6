"""The instructions that a pickle is made of, and the budget within which they are read."""

from __future__ import annotations

import codecs
import pickletools
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 256 * 1024  # bytes of a text, or of bytes, that are kept; what is longer is only searched for pickles
_PLACES = 1000  # at which one is looked for, all levels together
_NEWLINE = re.compile(rb"\n")
# How many bytes say the length of an argument, by what the table of instructions has in its place.
_COUNTED = {
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_OPERATIONS = {operation.code.encode("latin-1"): operation for operation in pickletools.opcodes}


class ExceededError(Exception):
    """More would have to be looked at than is."""


@dataclass
class Budget:
    """What may still be spent on a pickle and those inside it; of what is freed nothing comes back."""

    work: int = 200_000  # instructions that are followed; all else is counted as so many of them
    memory: int = 32 * 1024 * 1024  # bytes of what is kept
    text: int = 2_000_000  # characters that are told
    searched: int = 32 * 1024 * 1024  # bytes that are searched for pickles
    places: int = _PLACES
    depth: int = 0
    looks_inside: bool = True

    @classmethod
    def endless(cls) -> Budget:
        """Return one for a pickle that was made here, in which no others are looked for."""
        return cls(sys.maxsize, sys.maxsize, sys.maxsize, looks_inside=False)

    def spend(self, work: int = 0, *, memory: int = 0, text: int = 0) -> None:
        """Take it from what is left. Raises ExceededError."""
        self.work -= work
        self.memory -= memory
        self.text -= text
        if self.work < 0 or self.memory < 0 or self.text < 0:
            what = "instructions" if self.work < 0 else "objects" if self.memory < 0 else "names"
            raise ExceededError(f"it has more {what} than are looked at")


class Window:
    """A part of a pickle as a file that is read from, of which nothing is copied but what is read."""

    def __init__(self, data: bytes | memoryview, place: int = 0) -> None:
        self.data, self.place = memoryview(data), place

    def read(self, size: int) -> bytes:
        """Return the next bytes, as many as there are."""
        taken = bytes(self.data[self.place : self.place + size])
        self.place += len(taken)
        return taken

    def readline(self) -> bytes:
        """Return the next line, with its end. Raises ExceededError for a long one."""
        end = _NEWLINE.search(self.data, self.place, self.place + _LONGEST)
        if end is None and len(self.data) > self.place + _LONGEST:
            raise ExceededError("it has a longer line than are looked at")
        return self.read((end.end() if end else len(self.data)) - self.place)

    def skip(self, size: int) -> memoryview:
        """Return the next bytes, none of them copied. Raises ValueError if there are fewer."""
        taken = self.data[self.place : self.place + size]
        if len(taken) < size:
            raise ValueError(f"{size} bytes are announced, and {len(taken)} are left")
        self.place += size
        return taken


def operations(file: Window) -> Iterator[tuple[pickletools.OpcodeInfo, Any]]:
    """Yield instructions and their arguments to the end. Raises ValueError.

    As `pickletools.genops`, which takes for broken what pickle reads: names and texts that are not ASCII. An argument
    of more than `_LONGEST` bytes is a view of them.
    """
    while True:
        code = file.read(1)
        operation = _OPERATIONS.get(code)
        if operation is None:
            raise ValueError(f"{code!r} is no instruction" if code else "it has no end")
        if operation.name in {"GLOBAL", "INST"}:
            argument: Any = f"{_line(file)} {_line(file)}"
        elif operation.name == "STRING":
            argument = codecs.escape_decode(file.readline().strip()[1:-1])[0].decode("latin-1")
        elif operation.arg is None:
            argument = None
        elif (counted := _COUNTED.get(operation.arg.n)) and (size := _peek(file, counted)) > _LONGEST:
            file.place += counted
            argument = file.skip(size)
        else:
            argument = operation.arg.reader(file)  # type: ignore[arg-type]  # all that it asks of a file
        yield operation, argument
        if operation.name == "STOP":
            return


def _peek(file: Window, size: int) -> int:
    return int.from_bytes(file.data[file.place : file.place + size], "little")


def _line(file: Window) -> str:
    return file.readline().removesuffix(b"\n").decode()
