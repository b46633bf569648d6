"""Calls of which is only known when they run what they import or open: what to say of them, and to whom."""

from __future__ import annotations

from os.path import relpath
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.publishing.import_calls import Unknown

_LONGEST = 80  # characters of a call that are shown


class Pointer(NamedTuple):
    """A call that could not be followed, and the file that it stands in."""

    path: Path
    unknown: Unknown

    @property
    def at(self) -> tuple[Path, int]:
        """Its file and line."""
        return self.path, self.unknown.line

    @property
    def package(self) -> str:
        """The package in which it looks, as far as it is known."""
        return self.unknown.begins.rpartition(".")[0]

    def is_covered(self, included: Iterable[str], listed: Iterable[str]) -> bool:
        """Return whether a file that was included may be what it means, or all modules of that package travel.

        Where nothing is known of the name, any may be.

        Args:
            included: files, by their path below ``src/``.
            listed: packages of which all modules travel, as some call lists these.
        """
        names = (place.replace("/", ".") for place in included if self.unknown.opened or place.endswith(".py"))
        return any(name.startswith(self.unknown.begins) for name in names) or any(
            f"{self.package}.".startswith(f"{name}.") for name in listed
        )


def note_of(pointer: Pointer, base: Path, folder: Path | None) -> str:
    """Return what to say of a call.

    Args:
        pointer: the call.
        base: the folder to which paths to include are relative.
        folder: in which the package lies that it looks in.
    """
    file = pointer.path.relative_to(base) if pointer.path.is_relative_to(base) else pointer.path
    place = pointer.package.replace(".", "/")
    path = _relative(folder, base) if folder else "PATH"
    include = path if path == place or not place else f"{path}={place}"
    call, what = pointer.unknown.call, "file" if pointer.unknown.opened else "module"
    shown = call if len(call) <= _LONGEST else f"{call[:_LONGEST]}…"
    return (
        f"note: {file}, line {pointer.unknown.line}: which {what} {shown} means is known only when it runs, and may be "
        f"missing there; take it along, unless it is installed there: -i {quote(include)}, or include=[{include!r}]"
    )


def _relative(folder: Path, base: Path) -> str:
    try:
        return Path(relpath(folder, base)).as_posix()
    except ValueError:  # on another drive of Windows
        return folder.as_posix()
