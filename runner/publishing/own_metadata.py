"""What is told of a distribution of the author's that is installed for editing: it travels with its modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

ASKING = ("importlib.metadata", "importlib_metadata", "pkg_resources")  # the modules that tell what is installed
_TOLD = {"METADATA", "entry_points.txt"}


def own_metadata(files: Iterable[Path]) -> dict[str, Path]:
    """Return the files that tell of the distributions that files belong to, by their path below ``src/``.

    See https://packaging.python.org/specifications/direct-url/: an editable one tells the folder that it was made of.
    """
    from importlib import metadata

    found: dict[str, Path] = {}
    paths = list(files)
    for each in metadata.distributions():
        folder = _edited_in(each.read_text("direct_url.json"))
        if folder and any(path.is_relative_to(folder) for path in paths):
            told = [file for file in each.files or () if file.parent.suffix == ".dist-info" and file.name in _TOLD]
            found |= {file.as_posix(): Path(str(file.locate())) for file in told}
    return {name: path for name, path in found.items() if path.is_file()}


def _edited_in(told: str | None) -> Path | None:
    from urllib.request import url2pathname  # which few builds need

    try:
        facts = json.loads(told or "{}")
        is_editable = facts.get("dir_info", {}).get("editable", False)
        return Path(url2pathname(urlsplit(facts["url"]).path)) if is_editable else None
    except (ValueError, KeyError, AttributeError):
        return None
