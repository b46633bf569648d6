"""Names that runner makes: slugs, versions, run ids, tokens, and the time as it is stored."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import TYPE_CHECKING

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_LABEL = 200  # characters
UNPACKED = "runner-modules-"  # how the names of the folders begin in which an author's modules lie
VERSION = re.compile(r"\d{4}-\d\d-\d\dt.+")  # the name of a bundle that `publish` chose
_BUILT = re.compile(r"(\d{4}-\d\d-\d\d)t(\d\d)-(\d\d)-(\d\d)-(\d{6})-00-00", re.ASCII)  # of `new_version`
_DATED = re.compile(r"(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)-(\d{6})-[0-9a-f]{6}", re.ASCII)  # of `new_run_id`


def slugify(text: str) -> str:
    """Return the name as keys contain it: NFKD without accents, lower case, anything but letters and digits a ``-``.

    Raises UsageError if nothing is left.
    """
    plain = "".join(char for char in unicodedata.normalize("NFKD", text).lower() if not unicodedata.combining(char))
    slug = "-".join("".join(char if char.isalnum() else " " for char in plain).split())
    if not slug:
        message = f"the name {text!r} has neither a letter nor a digit"
        raise UsageError(message, hint="Choose another name.")
    return slug


def check_labels(labels: Iterable[str]) -> None:
    """Refuse labels that could be taken for others, or for none: one is a line of 1 to 200 characters.

    Raises UsageError.

    Example:
        >>> from runner.naming import check_labels
        >>> check_labels(["gpu", "s3-flow-storage", "team: etl"])
    """
    for label in labels:
        if not 0 < len(label) <= LONGEST_LABEL or not label.isprintable() or label != label.strip():
            shown = label if len(label) <= LONGEST_LABEL else f"{label[:20]}…"
            message = f"{shown!r} is no label"
            hint = f"Write 1 to {LONGEST_LABEL} characters that can be shown, with no space at either end."
            raise UsageError(message, hint=hint)


def now() -> str:
    """Return the time, with microseconds: ``2026-11-22T12:10:24.845190+00:00``."""
    from datetime import UTC, datetime  # which costs whoever imports runner 1 ms

    return datetime.now(UTC).isoformat(timespec="microseconds")


def new_version() -> str:
    """Return a new bundle's name: ``2026-11-22t12-10-24-845190-00-00``."""
    return slugify(now())


def new_run_id() -> str:
    """Return a new run id; ids sort by time: ``20261122t121024-845190-5f2c9a``."""
    from datetime import UTC, datetime

    return f"{datetime.now(UTC).strftime('%Y%m%dt%H%M%S-%f')}-{os.urandom(3).hex()}"


def time_of_version(name: str) -> str:
    """Return when runner made a bundle's name, as `now` has it; empty for what is none of its names.

    Example:
        >>> from runner.naming import time_of_version
        >>> time_of_version("2026-11-22t12-10-24-845190-00-00"), time_of_version("2026-11-22t12.csv")
        ('2026-11-22T12:10:24.845190+00:00', '')
    """
    built = _BUILT.fullmatch(name)
    return built.expand(r"\1T\2:\3:\4.\5+00:00") if built else ""


def time_of_run_id(run_id: str) -> str:
    """Return when runner made a run id, as `now` has it; empty for a given one.

    Example:
        >>> from runner.naming import time_of_run_id
        >>> time_of_run_id("20261122t121024-845190-5f2c9a"), time_of_run_id("day-2026-02-01")
        ('2026-11-22T12:10:24.845190+00:00', '')
    """
    dated = _DATED.fullmatch(run_id)
    return dated.expand(r"\1-\2-\3T\4:\5:\6.\7+00:00") if dated else ""


def new_token() -> str:
    """Return random text that makes a document unlike any other."""
    return os.urandom(16).hex()


def label_of(slug: str, index: int | None) -> str:
    """Return how people call a task's use, or one element of a mapped one: ``clean`` or ``clean[3]``."""
    return slug if index is None else f"{slug}[{index}]"
