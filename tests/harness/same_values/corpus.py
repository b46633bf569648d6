"""The corpus: every flow below ``flows``, and what is expected of it.

A flow is a file in one of the folders of ``flows``, or a folder in one of them with the modules that it needs. Those in
the folder ``refused`` must be refused when they are built, by an error that names one of the lines that say
``# refused``. All others must give the same everywhere; those with such a line may be refused there instead. The flow
of one that says ``# run as a script`` is built by its file, which Python runs as ``__main__`` with what stands there;
``# build:`` says with what ``runner build`` is called.
The flows below ``libraries`` import what the tests themselves do not need, and run in an environment of their own.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLOWS = Path(__file__).parent / "flows"
LIBRARIES = Path(__file__).parent / "libraries"
_HERE = re.compile(r"# refused\b")
_REPORT = re.compile(r"\b[\w.-]+(?:/[\w.-]+)? #\d+")
_LONGEST = 25  # lines that are not empty
_ARGUMENTS = re.compile(r"^# build: (.*)$", re.MULTILINE)
_SCRIPT = re.compile(r"^# run as a script ?(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """One flow of the corpus: what is copied to build it, and the file in it that defines the flow."""

    name: str
    unit: Path
    file: Path

    @property
    def refused(self) -> bool:
        """Whether building it must be refused."""
        return self.name.startswith("refused/")

    @property
    def text(self) -> str:
        """The flow's file."""
        return self.file.read_text("utf-8")

    @property
    def refused_lines(self) -> set[tuple[str, int]]:
        """The lines, each with its file's name, of which one must be named where it is refused."""
        files = [self.unit] if self.unit.is_file() else sorted(self.unit.rglob("*.py"))
        return {
            (file.name, number)
            for file in files
            for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
            if _HERE.search(line)
        }

    @property
    def breaches(self) -> list[str]:
        """What of the rules for flows it does not keep."""
        kept = {
            "names no report after which it was made": _REPORT.search(ast.get_docstring(ast.parse(self.text)) or ""),
            "is not read at a glance": sum(map(bool, self.text.splitlines())) <= _LONGEST,
            "does not say where it is refused": self.refused_lines or not self.refused,
        }
        return [f"{self.name} {breach}" for breach, is_kept in kept.items() if not is_kept]

    @property
    def arguments(self) -> list[str]:
        """What ``runner build`` is given besides the file, as a comment in it says."""
        found = _ARGUMENTS.search(self.text)
        return found.group(1).split() if found else []

    @property
    def script(self) -> list[str] | None:
        """The arguments with which Python runs the file, which builds its flow itself, as a comment in it says."""
        found = _SCRIPT.search(self.text)
        return found.group(1).split() if found else None


def collect(corpus: Path = FLOWS) -> list[Case]:
    """Return all flows, by name."""
    cases = []
    for unit in sorted(corpus.glob("*/*")):
        if unit.name != "__pycache__":
            candidates = [unit] if unit.is_file() else sorted(unit.rglob("*.py"))
            texts = {path: path.read_text("utf-8") for path in candidates}
            scripts = [path for path, text in texts.items() if _SCRIPT.search(text)]
            [file] = scripts or [path for path, text in texts.items() if "with Flow(" in text]
            cases.append(Case(f"{unit.parent.name}/{unit.stem}", unit, file))
    return cases


def judge(case: Case, told: dict[str, Any]) -> str:
    """Return what is wrong with what came of a flow; nothing, if it is as it should be."""
    built = told["build"]
    for executor, here in told["here"].items():
        if "failed" in here:
            return f"flow.run() itself does not work ({executor}): {here['failed']}"
    if case.refused:
        return _misrefused(case, built)
    if built["code"] != 0 and case.refused_lines:
        return _misrefused(case, built)
    if built["code"] != 0:
        return f"runner build ends with {built['code']}: {built['stderr']}"
    return "\n".join(
        difference
        for executor, here in told["here"].items()
        for difference in differences(here, told["there"][executor], executor)
    )


def _misrefused(case: Case, built: dict[str, Any]) -> str:
    if built["code"] == 0:
        return "it is built, where it should be refused; if it gives the same there, it belongs into another folder"
    if built["code"] != 1:
        return f"it is refused with {built['code']}, not as the author's error: {built['stderr']}"
    if not _named_lines(built["stderr"]) & case.refused_lines:
        return f"the refusal names none of {sorted(case.refused_lines)}: {built['stderr']}"
    return ""


def _named_lines(text: str) -> set[tuple[str, int]]:
    """Return the lines that a text names: ``etl.py:3``, ``etl.py, line 3`` or ``line 3 of etl.py``."""
    found = {(name, int(number)) for name, number in re.findall(r"(\w+\.py)\W{1,3}(?:line )?(\d+)", text)}
    return found | {
        (name, int(number)) for number, name in re.findall(r"line (\d+) (?:of|in) (?:\S*/)?(\w+\.py)", text)
    }


def differences(here: Any, there: Any, place: str) -> list[str]:
    """List where two descriptions differ."""
    if isinstance(here, dict) and isinstance(there, dict) and here.keys() == there.keys():
        return [each for key in here for each in differences(here[key], there[key], f"{place}.{key}")]
    if isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        pairs = enumerate(zip(here, there, strict=True))
        return [each for index, (one, other) in pairs for each in differences(one, other, f"{place}[{index}]")]
    return [] if here == there else [f"{place}: here {here!r}, there {there!r}"]
