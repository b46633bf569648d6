"""What lies beside an author's file and is named in it by a path made of its ``__file__``: it lies there, too."""

from __future__ import annotations

from itertools import takewhile
from os.path import normpath
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from runner.publishing.included import files_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.publishing.import_calls import Beside


class Named(NamedTuple):
    """What a line of a file names: where that is here and there, and its files by their path below ``src/``."""

    file: Path
    line: int
    path: Path
    place: str
    files: dict[str, Path]

    def note(self, base: Path) -> str:
        """Return what to say of it, with paths relative to a folder: that it travels, or why it does not."""
        file = self.file.relative_to(base) if self.file.is_relative_to(base) else self.file
        if self.files:
            what = f"{self.place} travels, as this line names it; -x {self.place} leaves it behind"
        elif self.place.startswith(".."):
            what = f"{self.path} lies outside of the folder that travels, and is not there; put it below that"
        else:
            what = f"{self.place} is hidden, and such files never travel; it is not there"
        return f"note: {file}, line {self.line}: {what}"


def path_of(file: Path, package: str, place: tuple[str, ...]) -> Path:
    """Return the path here of what lies at a place there, if the module that a file of a package is lies at its own."""
    own = tuple(filter(None, package.split(".")))
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(own, place, strict=False)))
    return Path(normpath(file.parent.joinpath(*[".."] * (len(own) - shared), *place[shared:])))


def named_in(file: Path, beside: Beside, path: Path) -> Named | None:
    """Return what a file names by a path; nothing if it is not there.

    Nor is anything said of a folder outside of what travels, which may be on the path for its modules.
    """
    is_outside = beside.place[:1] == ("..",)
    if not path.exists() or (is_outside and path.is_dir()):
        return None
    files = {} if is_outside else files_below(path, PurePosixPath(*beside.place))
    is_empty = path.is_dir() and not any(path.iterdir())
    return None if is_empty else Named(file, beside.line, path, "/".join(beside.place), files)


def take_named(named: dict[Path, Named], files: dict[str, Path], stays: Callable[[str], bool]) -> Iterator[Named]:
    """Add what files that travel name to them, and yield of that what would not have travelled, or does not.

    Args:
        named: what is named, by its path; as much of it is left as was added.
        files: what travels, by its path below ``src/``.
        stays: whether what would lie at a path is left behind.
    """
    travelling = {*files.values()}
    for target, each in list(named.items()):
        more = {place: path for place, path in each.files.items() if place not in files and not stays(place)}
        if each.file in travelling and (more or not each.files):
            files |= more
            travelling.update(more.values())
            yield each
        named[target] = each._replace(files=more)
