"""What lies beside an author's file and is named in it by a path made of its ``__file__``: it lies there, too."""

from __future__ import annotations

from itertools import takewhile
from os.path import normpath, realpath
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from runner.errors import FlowFailed
from runner.publishing.below import any_other, files_below, is_hidden, why_it_stays
from runner.publishing.included import left_behind_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from runner.publishing.import_calls import Beside


class NamedRefused(FlowFailed):
    """What a line names cannot travel with it; the flow's values would do without, and without a word."""


class Named(NamedTuple):
    """What a line of a file names: where that is here and there, and its files by their path below ``src/``.

    ``links`` are what of it leads to what stays behind, with the reason, by its path there.
    """

    file: Path
    line: int
    path: Path
    place: str
    files: dict[str, Path]
    links: dict[str, str]

    def line_in(self, base: Path) -> str:
        """Return the file, relative to a folder, and the line."""
        file = self.file.relative_to(base) if self.file.is_relative_to(base) else self.file
        return f"{file}, line {self.line}"

    def notes(self, base: Path) -> Iterator[str]:
        """Yield what to say of it, with paths relative to a folder: that it travels, or why it does not."""
        told = [f"{place} {why}" for place, why in self.links.items()]
        if self.files:
            told.insert(
                0, f"{self.place} travels, as this line names it; {left_behind_by(self.place)} leaves it behind"
            )
        elif self.place.startswith(".."):
            told = [f"{self.path} lies outside of the folder that travels, and is not there; put it below that"]
        elif not told and self.path.is_dir() and not any(map(is_hidden, PurePosixPath(self.place).parts)):
            told = [f"{self.place} holds nothing that travels, and is not there; make it where it is needed"]
        elif not told:
            told = [f"{self.place} is hidden, and such files never travel; it is not there"]
        yield from (f"note: {self.line_in(base)}: {each}" for each in told)


def path_of(file: Path, package: str, place: tuple[str, ...]) -> Path:
    """Return the path here of what lies at a place there, if the module that a file of a package is lies at its own."""
    own = tuple(filter(None, package.split(".")))
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(own, place, strict=False)))
    return Path(normpath(file.parent.joinpath(*[".."] * (len(own) - shared), *place[shared:])))


def named_in(file: Path, beside: Beside, path: Path, root: Path) -> Named | None:
    """Return what a file names by a path, below the folder of the author's modules; nothing if it is not there.

    Nor is anything said of a folder outside of what travels, which may be on the path for its modules.
    """
    is_outside = beside.place[:1] == ("..",)
    if not path.exists() or (is_outside and path.is_dir()):
        return None
    place, within = "/".join(beside.place), [root, file.parent]
    why = why_it_stays(path, within)
    if Path(realpath(file)).is_relative_to(realpath(path)):
        why = f"leads to the folder that {file.name} lies in, and is not there; take along what is read of it with -i"
    if is_outside or any(map(is_hidden, beside.place)):
        return Named(file, beside.line, path, place, {}, {})
    if why:
        return Named(file, beside.line, path, place, {}, {place: why})
    return Named(file, beside.line, path, place, *files_below(path, PurePosixPath(*beside.place), within))


def take_named(
    named: dict[Path, Named], files: dict[str, Path], stays: Callable[[str], bool], base: Path, largest: int
) -> Iterator[Named]:
    """Add what files that travel name to them, and yield of that what would not have travelled, or does not.

    A folder that is too large stays: of one nobody knows which of its files are read.

    Args:
        named: what is named, by its path; as much of it is left as was added.
        files: what travels, by its path below ``src/``.
        stays: whether what would lie at a path is left behind.
        base: the folder to which paths are told.
        largest: bytes that a folder may add.

    Raises NamedRefused where another file lies already.
    """
    travelling = {*files.values()}
    for target, each in list(named.items()):
        if each.file in travelling:
            _refuse_taken(each, [one for one in named.values() if one is not each], files, base)
        more = {place: path for place, path in each.files.items() if place not in files and not stays(place)}
        links = links_left(each.links, files, stays)
        size = sum(path.stat().st_size for path in more.values()) if each.path.is_dir() else 0
        if each.file in travelling and size > largest:
            why = (
                f"holds {size // 10**6} MB, more than {largest // 10**6}, and is not there; -i takes along what is read"
            )
            yield each._replace(files={}, links={each.place: why})
            named[target] = each._replace(files={})
            continue
        if each.file in travelling and (more or links or not (each.files or each.links)):
            files |= more
            travelling.update(more.values())
            yield each._replace(files=more, links=links)
        named[target] = each._replace(files=more)


def notes_on_open(
    lines: dict[tuple[Path, int], Path], files: dict[str, Path], included: dict[str, Path], base: Path
) -> Iterator[str]:
    """Yield what to say of each line whose paths are only known when it runs, if there are files that it may mean.

    Args:
        lines: by file and line, the folder in which their files lie.
        files: what travels, by its path below ``src/``.
        included: what the author named of that; where anything of the folder is, that is what they mean.
        base: the folder to which paths are told.
    """
    travelling = {*files.values()}
    for (file, line), folder in lines.items():
        is_chosen = any(each.is_relative_to(folder) for each in included.values())
        if file in travelling and not is_chosen and any_other(folder, travelling):
            name = file.relative_to(base) if file.is_relative_to(base) else file
            yield (
                f"note: {name}, line {line}: which files this names by __file__ is only known when it runs; "
                "those that it reads travel with -i PATH"
            )


def notes_on_programs(programs: dict[tuple[Path, int], str], files: dict[str, Path], base: Path) -> Iterator[str]:
    """Yield what to say of each line that makes a path of the program's file, if that line travels.

    Args:
        programs: by file and line, what names the program.
        files: what travels, by its path below ``src/``.
        base: the folder to which paths are told.
    """
    travelling = {*files.values()}
    for (file, line), text in programs.items():
        if file in travelling:
            name = file.relative_to(base) if file.is_relative_to(base) else file
            yield (
                f"note: {name}, line {line}: {text} is another program's where the flow runs, which lies elsewhere; "
                "make the path of __file__"
            )


def _refuse_taken(named: Named, others: list[Named], files: dict[str, Path], base: Path) -> None:
    for place, path in named.files.items():
        there = files.get(place)
        if there and there != path and not there.samefile(path):
            line = next((f", which {each.line_in(base)}, names" for each in others if place in each.files), "")
            message = f"{named.line_in(base)}: {path} would lie at {place}, and there lies {there}{line}"
            hint = "Rename one, or put the module that names it into a package, whose files lie in a folder of theirs."
            raise NamedRefused(message, hint=hint)


def links_left(links: dict[str, str], files: Iterable[str], stays: Callable[[str], bool]) -> dict[str, str]:
    """Return which links are missing, though nobody left them behind, or had something else put in their place."""
    return {
        place: why
        for place, why in links.items()
        if not stays(place) and not any(file == place or file.startswith(f"{place}/") for file in files)
    }
