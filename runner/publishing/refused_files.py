"""Files that cannot travel for their size or their names, with the lines that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.bundle.member_names import SOURCES, invalid_name
from runner.errors import FlowFailed
from runner.publishing.beside import NamedRefused
from runner.publishing.included import left_behind_by

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from runner.publishing.beside import Named


def refuse_large(files: Mapping[str, Path], named: Collection[Named], base: Path, most: int) -> None:
    """Refuse files of more bytes than travel at most. Raises FlowFailed; NamedRefused, if the named ones do it."""
    sizes = {name: path.stat().st_size for name, path in files.items()}
    if sum(sizes.values()) > most:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
        lines = {place: f", which {each.line_in(base)}, names" for each in named for place in each.files}
        listed = "; ".join(f"{name} ({sizes[name] / 1e6:.1f} MB){lines.get(name, '')}" for name in largest)
        total = f"{sum(sizes.values()) / 1e6:.0f} MB, more than {most / 1e6:.0f} MB"
        message = f"what would travel with the flow is {total}; the largest files: {listed}"
        hint = f"Leave them out with exclude=[…], or -x, as in {left_behind_by(largest[0])}."
        others = sum(size for name, size in sizes.items() if name not in lines)
        raise (NamedRefused if others <= most else FlowFailed)(message, hint=hint)


def refuse_names(members: Collection[str], named: Collection[Named], base: Path) -> None:
    """Refuse a file that a line names and that cannot travel for its own name, or beside that of another."""
    if not invalid_name(members):
        return
    lines = {SOURCES + place: each.line_in(base) for each in named for place in each.files}
    kept = [name for name in members if name not in lines]
    for name in [] if invalid_name(kept) else [name for name in lines if name in members]:
        if fault := invalid_name([*kept, name]):
            hint = f"Rename it, or leave it behind: {left_behind_by(name.removeprefix(SOURCES))}."
            raise NamedRefused(f"{lines[name]}: a file's name cannot travel: {fault}", hint=hint)
        kept.append(name)
