"""Names, layout and documents of a run: ``run.json``, ``claim.json``, ``end.json``, ``outcome.json``.

The documents are described by the JSON Schemas in ``docs/schemas/``. Times are ISO 8601 in UTC, durations seconds.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.seal import Seal

FORMAT = 1
VERSION = re.compile(r"\d{4}-\d\d-\d\dt.+")  # the name of a bundle that `publish` chose
CONCLUDING = frozenset({"succeeded", "failed", "timed_out"})  # ends after which no attempt follows


def slugify(text: str) -> str:
    """Give the name as it stands in keys: NFKD without accents, lower case, anything but letters and digits a ``-``.

    Raises UsageError if nothing is left.
    """
    plain = "".join(char for char in unicodedata.normalize("NFKD", text).lower() if not unicodedata.combining(char))
    slug = "-".join("".join(char if char.isalnum() else " " for char in plain).split())
    if not slug:
        message = f"the name {text!r} has neither a letter nor a digit"
        raise UsageError(message, hint="Choose another name.")
    return slug


def now() -> str:
    """Give the time, with microseconds: ``2026-11-22T12:10:24.845190+00:00``."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_version() -> str:
    """Give a bundle's name: ``2026-11-22t12-10-24-845190-00-00``."""
    return slugify(now())


def new_run_id() -> str:
    """Give a run id that sorts by time: ``20261122t121024-845190-5f2c9a``."""
    return f"{datetime.now(UTC).strftime('%Y%m%dt%H%M%S-%f')}-{os.urandom(3).hex()}"


def token() -> str:
    """Give what makes a document unlike any other."""
    return os.urandom(16).hex()


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The keys of one run; ``home`` is the folder that holds the bundle, empty for a bucket's top.

    With a ``seal`` its ends and results are signed, or believed only if they are.
    """

    home: str
    run_id: str
    seal: Seal | None = field(default=None, compare=False)

    @property
    def prefix(self) -> str:
        """The run's folder, without a slash at its end."""
        return "/".join(part for part in (self.home, "runs", self.run_id) if part)

    @property
    def run(self) -> str:
        """The key of ``run.json``."""
        return f"{self.prefix}/run.json"

    @property
    def outcome(self) -> str:
        """The key of ``outcome.json``."""
        return f"{self.prefix}/outcome.json"

    def attempt(self, number: int) -> str:
        """The folder of an attempt, counted from 1."""
        return f"{self.prefix}/attempts/{number:04d}"

    def claim(self, number: int) -> str:
        """The key of an attempt's ``claim.json``."""
        return f"{self.attempt(number)}/claim.json"

    def beat(self, number: int) -> str:
        """The key of an attempt's ``beat``."""
        return f"{self.attempt(number)}/beat"

    def log(self, number: int, part: int) -> str:
        """The key of a part of an attempt's log, counted from 1."""
        return f"{self.attempt(number)}/logs/{part:06d}.jsonl"

    def end(self, number: int) -> str:
        """The key of an attempt's ``end.json``."""
        return f"{self.attempt(number)}/end.json"

    def result(self, number: int, slug: str, index: int | None) -> str:
        """The key of a task's result; ``index`` is the element's place in a mapped task."""
        name = slug if index is None else f"{slug}/{index}"
        return f"{self.attempt(number)}/results/{name}.pkl"


def kind_of(key: str) -> str | None:
    """Name the kind of document that lies under a key; an outcome is an end."""
    name = key.rpartition("/")[2].removesuffix(".json")
    return {"outcome": "end"}.get(name, name) if name in {"run", "claim", "end", "outcome"} else None


def encode(document: dict[str, Any]) -> bytes:
    """Give a document's bytes: one line of JSON in UTF-8."""
    try:
        return json.dumps(document, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, as in the name of a file that is no UTF-8
        return json.dumps(document, allow_nan=False).encode() + b"\n"


def decode(data: bytes, kind: str | None = None) -> dict[str, Any]:
    """Read a document; ``kind`` is ``run``, ``claim`` or ``end``, an outcome being one, where that is known.

    Raises ValueError if it is none that this version knows.
    """
    try:
        document = json.loads(data)
    except RecursionError as error:
        message = "a document that is nested deeper than any of runner's"
        raise ValueError(message) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        message = "not a document of this version of runner"
        raise ValueError(message)
    from runner.shapes import fault_in

    if fault := fault_in(document, kind):
        message = f"a document whose {fault} is not as runner writes it"
        raise ValueError(message)
    return document
