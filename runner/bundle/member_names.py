"""Names of a bundle's members: those that mean one file, inside one folder, on every system and to every reader."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MANIFEST = "manifest.json"
FLOW = "flow.pkl"
SOURCES = "src/"  # what the names of the author's modules and data files begin with
SIGNATURE = "signature.json"
_LONGEST_PART, _LONGEST = 255, 1024  # bytes of UTF-8 of a file's name on Linux, and of a whole name
_DEEPEST = 64  # parts of a name
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICES = {"con", "prn", "aux", "nul", *(f"{kind}{number}" for kind in ("com", "lpt") for number in "0123456789¹²³")}
_FORBIDDEN = frozenset('\\:*?"<>|')


def invalid_name(names: Iterable[object]) -> str:
    """Return what is wrong with the first of a bundle's names that is not safe; empty if all are.

    Two that differ only in case, or in how Unicode writes one character, are one file on some systems, and one that is
    also another's folder is none.
    """
    found: list[tuple[str, str]] = []
    for name in names:
        if not isinstance(name, str):
            return "a name is no text"
        if fault := _invalid(name):
            return f"{name[:_LONGEST_PART]!r} {fault}"
        folded = _folded(name)
        if len(folded) > _LONGEST:  # one character of Unicode may stand for eighteen
            return f"{name[:_LONGEST_PART]!r} is too long"
        found.append((folded.replace("/", "\0"), name))  # in order, what lies in a folder follows its name
    found.sort()
    return next((fault for one, other in pairwise(found) if (fault := _conflict(*one, *other))), "")


def _conflict(folded: str, name: str, next_folded: str, next_name: str) -> str:
    """Return what is wrong between two names that follow one another in order."""
    if next_folded == folded or next_folded.startswith(f"{folded}\0"):
        return f"{next_name!r} is one file or folder with another"
    if next_name.startswith(name[: name.rfind("/") + 1]):
        return ""
    spelled, next_spelled = name.split("/"), next_name.split("/")
    folders = zip(folded.split("\0")[:-1], next_folded.split("\0")[:-1], strict=False)
    for place, (folder, next_folder) in enumerate(folders):
        if folder != next_folder:
            break
        if spelled[place : place + 1] != next_spelled[place : place + 1]:
            return f"{next_name!r} lies in a folder that is one with {'/'.join(spelled[: place + 1])!r}"
    return ""


def _invalid(name: str) -> str:
    if name == FLOW:
        return ""
    if not name.startswith(SOURCES):
        return "is neither flow.pkl nor below src/"
    if name.isascii() and name.replace("/", "a").replace("_", "a").replace(".", "a").isalnum():
        plain = True
    else:
        plain = False
        try:
            name.encode()
        except UnicodeEncodeError:
            return "is not valid Unicode"
        if not name.isprintable():
            return "has a character that is not shown, or turns the line round"
        if _FORBIDDEN & set(name):
            return "has a character that some system gives a meaning"
    if name.count("/") >= _DEEPEST:
        return "lies too deep"
    if len(name) > _LONGEST or (not plain and len(name.encode()) > _LONGEST):
        return "is too long"
    return next((fault for part in name.split("/") if (fault := _invalid_part(part))), "")


def _invalid_part(part: str) -> str:
    if part in {"", ".", ".."}:
        return "is no path inside its folder"
    if part[-1] in ". " or part[0] == " ":
        return "has a part that ends in a dot or a space, which some systems leave out"
    if part.partition(".")[0].rstrip().lower() in _DEVICES:
        return "has a part that is a device on some systems"
    return "is too long" if len(part.encode()) > _LONGEST_PART else ""


def _folded(name: str) -> str:
    if name.isascii():
        return name.lower()
    import unicodedata

    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())
