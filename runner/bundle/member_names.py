"""Names of a bundle's members: those that mean one file, inside one folder, on every system and to every reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MANIFEST = "manifest.json"
FLOW = "flow.pkl"
SOURCES = "src/"  # what the names of the author's modules and data files begin with
SIGNATURE = "signature.json"
_LONGEST_PART, _LONGEST = 255, 1024  # bytes of UTF-8 of a file's name on Linux, and of a whole name
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICES = {"con", "prn", "aux", "nul", *(f"{kind}{number}" for kind in ("com", "lpt") for number in "0123456789¹²³")}
_FORBIDDEN = frozenset('\\:*?"<>|')


def invalid_name(names: Iterable[object]) -> str:
    """Return what is wrong with the first of a bundle's names that is not safe; empty if all are.

    Two that differ only in case, or in how Unicode writes one character, are one file on some systems, and one that is
    also another's folder is none.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str):
            return "a name is no text"
        if fault := _invalid(name):
            return f"{name[:_LONGEST_PART]!r} {fault}"
        folded = _folded(name)
        parts = folded.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts))]
        spelled = {one: "/".join(name.split("/")[: index + 1]) for index, one in enumerate(above)}
        if folded in files or folded in folders or any(each in files for each in above):
            return f"{name!r} is one file or folder with another"
        if other := next((each for each in above if folders.get(each, spelled[each]) != spelled[each]), None):
            return f"{name!r} lies in a folder that is one with {folders[other]!r}"
        files[folded] = name
        folders |= spelled
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
