"""What was found in a pickle without unpickling it, and the words in which a person is told of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Code:
    """A code object: where it was written, what it imports, the globals, names and texts in it."""

    name: str
    file: str
    line: int | None
    imports: list[str]
    globals: list[str]
    names: list[str]
    texts: list[str]


@dataclass
class PickleReport:
    """What was found in a pickle and in those inside it; ``unclear`` is what could not be read off."""

    globals: set[str] = field(default_factory=set)
    names: set[tuple[str, str]] = field(default_factory=set)  # of those that are looked up: (module, name)
    code: list[Code] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)  # those that the globals are taken from
    nested: int = 0
    broken: str = ""  # why it cannot be followed to its end
    unclear: set[str] = field(default_factory=set)
    exceeded: str = ""  # why it was not looked through to its end; among ``unclear`` too

    def document(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {
            "globals": sorted(self.globals),
            "code": [vars(each) for each in self.code],
            "nested": self.nested,
            "unclear": sorted(self.unclear),
        }


def format_report(found: PickleReport) -> list[str]:
    """Return the report in lines for a person, with what it is worth first."""
    lines = ["What follows is an aid for a review and no boundary: code can make names while it runs.", ""]
    lines += ["unpickling takes:", *(f"  {name}" for name in sorted(found.globals))]
    if found.nested:
        lines.append(f"some of it in {found.nested} pickles inside the pickle")
    lines += ["not to be read off:", *(f"  {reason}" for reason in sorted(found.unclear))] if found.unclear else []
    for code in found.code:
        lines += ["", f"code {code.name} ({code.file}:{code.line})"]
        parts = {"imports": code.imports, "globals": code.globals, "names": code.names}
        lines += [f"  {kind}: {', '.join(names)}" for kind, names in parts.items() if names]
    return lines
