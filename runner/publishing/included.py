"""What an author names to take along with a flow, and the place where it lies among what travels."""

from __future__ import annotations

import glob
import shlex
import sys
from keyword import iskeyword
from os.path import normpath
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from runner.bundle.module_names import owner_of
from runner.errors import UsageError
from runner.publishing.below import files_below, is_hidden
from runner.tracebacks import INSTALLED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_FOR_EXAMPLE = "Write PATH=PLACE, as in src/plug=acme/plug."


class Included(NamedTuple):
    """Files that an author named, by their path below ``src/``, and what was named with a place, by that place.

    ``links`` lie in folders among that and lead to what stays, with the reason, by their path.
    """

    files: dict[str, Path]
    placed: dict[str, Path]
    links: dict[str, str]


def take_included(base: Path, names: Iterable[str], stays: Callable[[str], bool]) -> Included:
    """Return the files that are named to be taken along.

    Args:
        base: the folder to which the names' paths are relative.
        names: paths of files and folders, each perhaps with ``=`` and the place where it lies instead of its own.
        stays: whether what would lie at a path is left behind.

    Raises UsageError for a path that is not there or holds nothing that travels, for a place that is none or is taken.
    """
    found: dict[str, Path] = {}
    placed: dict[str, Path] = {}
    links: dict[str, str] = {}
    for name in names:
        path, place = _split(base, str(name))
        if place is None:
            root = base if path.is_relative_to(base) else path.parent
            at = PurePosixPath(path.relative_to(root).as_posix())
        else:
            at = _checked(str(name), path, place)
            other = placed.setdefault(str(at), path)
            if other != path:
                raise _refused(name, f"the place {at} is given twice, to {other} and to {path}", "Give each its own.")
        taken, more = files_below(path, at, [base])
        links |= more
        if not taken and not more:
            message = f"nothing of {path} travels: it is empty or hidden"
            raise _refused(name, message, "Leave it out, or give it another name, as in -i .settings=settings.")
        add(found, {place: file for place, file in taken.items() if not stays(place)})
    return Included(found, placed, links)


def is_left_out(place: str, patterns: Iterable[str]) -> bool:
    """Return whether a path below ``src/``, or a folder that it lies in, matches one of an author's patterns."""
    parts = [PurePosixPath(place), *PurePosixPath(place).parents][:-1]
    return any(part.match(pattern) for pattern in patterns for part in parts)


def left_behind_by(place: str) -> str:
    """Return what a command line says to leave behind what lies at a path, as a shell reads it."""
    pattern = glob.escape(place)
    return f"-x {shlex.quote(f'./{pattern}' if pattern.startswith('-') else pattern)}"


def add(found: dict[str, Path], more: dict[str, Path]) -> None:
    """Add files that were included to those that travel. Raises UsageError where another one lies in a place."""
    for place, path in more.items():
        other = found.setdefault(place, path)
        if other != path and not other.samefile(path):
            message = f"include: {path} would lie at {place}, and there lies {other}"
            raise UsageError(message, hint="Put it at another place: -i PATH=PLACE.")


def refuse_unreachable(files: dict[str, Path], placed: dict[str, Path]) -> None:
    """Refuse a module that travels and hides the folder in which something is put. Raises UsageError."""
    for place, path in placed.items():
        for folder in [PurePosixPath(place), *PurePosixPath(place).parents]:
            hides = files.get(f"{folder}.py")
            if hides and f"{folder}/__init__.py" not in files:
                message = f"include: {path} could not be imported from {place}, as {hides} hides that folder"
                raise UsageError(message, hint="Put it at a place below another name.")


def _refused(name: str, message: str, hint: str) -> UsageError:
    return UsageError(f"include {str(name)!r}: {message}", hint=hint)


def _split(base: Path, name: str) -> tuple[Path, str | None]:
    """Return the path, and the place if one follows. A path may have a ``=`` of its own: the longest that is there."""
    parts = name.split("=")
    for count in range(len(parts), 0, -1):
        text = "=".join(parts[:count])
        path = Path(normpath(base / text))
        if text and path.exists():
            return path, "=".join(parts[count:]) if count < len(parts) else None
    text, equals, place = name.rpartition("=")
    if not name or (equals and not text):
        raise _refused(name, "no path stands there", f"{_FOR_EXAMPLE} The flow's own folder is a dot.")
    missing = Path(normpath(base / name))
    message = f"include: there is no {missing}"
    if equals:
        message += f", nor, to be put at {place}, {Path(normpath(base / text))}"
    raise UsageError(message, hint="Give paths relative to the file that defines the flow.")


def _checked(name: str, path: Path, place: str) -> PurePosixPath:
    """Return a place as a path below ``src/``. Raises UsageError."""
    at = PurePosixPath(place)
    if not place.strip():
        raise _refused(name, "the place after its = is empty", f"{_FOR_EXAMPLE} The top of what travels is a dot.")
    if at.is_absolute() or ".." in at.parts or "\\" in place:
        message = f"the place {place} is no path below the top of what travels"
        raise _refused(name, message, "Give one that is relative, with / and without .., as acme/plug.")
    if any(map(is_hidden, at.parts)):
        raise _refused(name, f"the place {place} is hidden, and such files never travel", "Give another one.")
    if path.is_file() and (place.endswith("/") or not at.name):
        raise _refused(name, f"the place {place} names a folder", f"Name the file as well: {at / path.name}.")
    if path.suffix == ".py" and path.is_file() and not at.suffix:
        raise _refused(name, f"a module at {place} could not be imported", f"Name it with its ending: {at}.py.")
    if path.suffix == ".py" if path.is_file() else any(path.glob("*.py")):
        is_file = path.is_file()
        _refuse_unimportable(name, at.with_suffix("") if is_file else at, at.parent if is_file else at)
    return at


def _refuse_unimportable(name: str, at: PurePosixPath, folder: PurePosixPath) -> None:
    """Refuse a place where no import statement would find a module, or the modules in a folder."""
    for part in at.parts:
        if not part.isidentifier() or iskeyword(part):
            message = f"{part!r} in its place is no name that an import statement can have"
            hint = f"Write {str(at).replace('.', '/')}." if "." in part else "Give letters, digits and _, no keyword."
            raise _refused(name, message, hint)
    if folder.parts and (owner := owner_of(folder.parts[0], sys.path)) and _is_anothers(owner):
        message = f"what lies in {folder.parts[0]} could not be imported: that name is taken by {owner}"
        raise _refused(name, message, "Give a place below a name of your own.")


def _is_anothers(owner: str) -> bool:
    return owner == "Python" or bool(INSTALLED & set(Path(owner).parts))
