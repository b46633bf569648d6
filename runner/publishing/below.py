"""Which files lie below a folder, of links in it those that lead into folders that travel, to what is not hidden."""

from __future__ import annotations

from os.path import realpath
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import PurePosixPath

NEVER = {"__pycache__", "CVS"}  # besides all that is hidden: .git, .hg, .svn, .env, …


class Below(NamedTuple):
    """Files by the path that each has, and links that lead to what stays, with the reason, by theirs."""

    files: dict[str, Path]
    links: dict[str, str]


def files_below(
    path: Path,
    at: PurePosixPath,
    within: Iterable[Path] = (),
    enters: Callable[[Path], bool] = lambda _: True,
) -> Below:
    """Return a file, or those of a folder, by the path that each has when that one lies at a place.

    Args:
        path: the file or folder; it may be a link, which is followed.
        at: the place.
        within: folders besides it to which its links may lead.
        enters: whether a folder below it is looked into.
    """
    found = Below({}, {})
    if any(map(is_hidden, at.parts)):
        return found
    if path.is_file():
        return Below({str(at): path}, {})
    for each, why in _below(path, (path, *within), enters, {realpath(path)}):
        place = str(at / each.relative_to(path).as_posix())
        found.links.update({place: why} if why else {})
        found.files.update({} if why else {place: each})
    return found


def why_it_stays(path: Path, within: Iterable[Path]) -> str:
    """Return why what a path leads to stays behind: it is in none of some folders, or hidden there; else nothing."""
    target = Path(realpath(path))
    below = [target.relative_to(realpath(each)).parts for each in within if target.is_relative_to(realpath(each))]
    if not below:
        return f"leads to {target}, outside of the folder that travels, and is not there; put it below that"
    if all(any(map(is_hidden, parts)) for parts in below):
        return f"leads to {target}, which is hidden, and such files never travel; it is not there"
    return ""


def is_hidden(part: str) -> bool:
    """Return whether a file or folder of a name never travels."""
    return part.startswith(".") or part in NEVER


def _below(
    folder: Path, within: tuple[Path, ...], enters: Callable[[Path], bool], above: set[str]
) -> Iterator[tuple[Path, str]]:
    """Yield files and links to what stays, each with the reason; ``above`` are the folders that it lies in."""
    for each in sorted(folder.iterdir()):
        if is_hidden(each.name):
            continue
        if each.is_symlink() and each.exists() and (why := why_it_stays(each, within)):
            yield each, why
        elif each.is_dir():
            if realpath(each) not in above and enters(each):
                yield from _below(each, within, enters, {*above, realpath(each)})
        elif each.is_file():
            yield each, ""


def any_other(folder: Path, files: Collection[Path]) -> bool:
    """Return whether files lie in a folder, or below it, that are neither among others nor Python's."""
    return any(
        not why and each not in files and each.suffix not in {".py", ".pyc"}
        for each, why in _below(folder, (folder,), lambda _: True, {realpath(folder)})
    )
