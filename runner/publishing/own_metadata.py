"""What is told of a distribution of the author's that is installed for editing: it travels with its modules."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runner.publishing.parsing import parsed

if TYPE_CHECKING:
    from collections.abc import Iterable

ASKING = ("importlib.metadata", "importlib_metadata", "pkg_resources")  # the modules that tell what is installed
_TOLD = {"METADATA", "entry_points.txt"}


def own_metadata(files: dict[str, Path], asking: Iterable[Path], base: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the files that tell of the author's distributions, by their path below ``src/``, and what is to be said.

    Those are meant that travelling files belong to, and whose name, or a group of whose entry points, is a text in a
    file that asks. See https://packaging.python.org/specifications/direct-url/: an editable one tells the folder that
    it was made of.

    Args:
        files: what travels, by its path there.
        asking: the files that ask.
        base: the folder to which paths are told.
    """
    from importlib import metadata

    found: dict[str, Path] = {}
    notes: list[str] = []
    texts = {text: (path, line) for path in sorted(asking) for text, line in _texts_in(path)}
    names = {_normal(text) for text in texts}
    for each in metadata.distributions():
        folder = _edited_in(each.read_text("direct_url.json"))
        if folder is None:
            continue
        asked = [point for point in each.entry_points if point.group in texts]
        is_named = bool(asked) or _normal(each.name or "") in names  # one half removed has none
        if is_named or any(path.is_relative_to(folder) for path in files.values()):
            told = [file for file in each.files or () if file.parent.suffix == ".dist-info" and file.name in _TOLD]
            found |= {file.as_posix(): Path(str(file.locate())) for file in told}
            for module in sorted({point.module for point in asked if not _travels(point.module, files)}):
                path, line = next(texts[point.group] for point in asked if point.module == module)
                file = path.relative_to(base) if path.is_relative_to(base) else path
                what = f"an entry point of {each.name} names {module}, which does not travel, and is not there"
                notes.append(f"note: {file}, line {line}: {what}; take it along with -i PATH={module.split('.')[0]}")
    return {name: path for name, path in found.items() if path.is_file()}, notes


def _texts_in(path: Path) -> list[tuple[str, int]]:
    nodes = [each for each in ast.walk(parsed(path)) if isinstance(each, ast.Constant)]
    return [(each.value, each.lineno) for each in nodes if isinstance(each.value, str)]


def _normal(name: str) -> str:
    """See https://packaging.python.org/specifications/name-normalization/."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _travels(module: str, files: dict[str, Path]) -> bool:
    place = module.replace(".", "/")
    return f"{place}.py" in files or f"{place}/__init__.py" in files


def _edited_in(told: str | None) -> Path | None:
    from urllib.request import url2pathname  # which few builds need

    try:
        facts = json.loads(told or "{}")
        is_editable = facts.get("dir_info", {}).get("editable", False)
        return Path(url2pathname(urlsplit(facts["url"]).path)) if is_editable else None
    except (ValueError, KeyError, AttributeError):
        return None
