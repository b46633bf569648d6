"""Names that runner makes: slugs, versions, run ids, tokens, and the time as it is stored."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runner.errors import UsageError

LONGEST_LABEL = 200  # characters
_LONGEST_LABELS = 10_000  # of all together, as Python escapes them: the documents that hold them have room for more
_LONGEST_SHOWN = 100  # characters of a value in a message
LONGEST_SLUG = 200  # bytes in UTF-8: a file system's names have 255, and something is added; a key of S3 has 1,024
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


def check_name(what: str, name: object) -> str:
    """Return the slug of a name that an author gives to a flow or a task, as `slugify` does.

    Raises UsageError, also for what is no text, or none that UTF-8 has, and for a slug that no storage takes as a part
    of a key: one of more than 200 bytes.

    Example:
        >>> from runner.naming import check_name
        >>> check_name("flow", "Täglich um 6")
        'taglich-um-6'
    """
    slug = slugify(check_text(f"the name of a {what}", name))
    if (size := len(slug.encode())) > LONGEST_SLUG:
        message = f"the {what} {f'{name}'[:20]!r}… is stored as {size:,} bytes, and a name may have {LONGEST_SLUG}"
        raise UsageError(message, hint="Choose a shorter name.")
    return slug


def check_text(what: str, value: object) -> str:
    """Return a text that documents can hold. Raises UsageError for anything else."""
    if not is_text(value):
        message = f"{what} is a text that UTF-8 has, and not {shown(value)}"
        raise UsageError(message, hint="Write letters and digits.")
    return str(value)


def slug_meant(name: str, names: Mapping[str, str]) -> str:
    """Return the slug that a person means by the slug or the name of a task; what is neither, or of several, as it is.

    Args:
        name: what the person says.
        names: the tasks' names by their slugs.

    Example:
        >>> from runner.naming import slug_meant
        >>> slug_meant("t_cv", {"t-cv": "t_cv"}), slug_meant("t_cv", {"t-cv": "t_cv", "t-cv-2": "t_cv"})
        ('t-cv', 't_cv')
    """
    meant = [slug for slug, own in names.items() if own == name]
    return meant[0] if name not in names and len(meant) == 1 else name


def is_text(value: object) -> bool:
    """Return whether this is a text that UTF-8 can hold, and so a document: half of a surrogate pair is in none."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


def shown(value: object, longest: int | None = _LONGEST_SHOWN) -> str:
    """Return a value as Python writes it, or so many characters of that, whatever it is: not each can be written."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a number of more than 4,300 digits, a list that is too deep, an author's own
        return f"what cannot be shown, of type {type(value).__name__}"
    text = text if longest is None or len(text) <= longest else f"{text[:longest]}…"
    return text if is_text(text) else ascii(text)


def check_words(what: str, words: Any) -> tuple[str, ...]:
    """Return words that were given as a list. Raises UsageError for one text, and for what holds something else."""
    is_list = isinstance(words, Iterable) and not isinstance(words, str)
    found: tuple[Any, ...] = tuple(words) if is_list else ()
    if wrong := [word for word in found if not isinstance(word, str)] or ([] if is_list else [words]):
        it = "one text" if isinstance(words, str) else shown(wrong[0])
        message = f"{what} take a list of names, not {it}"
        raise UsageError(message, hint=f'Write {what}=["NAME"].')
    return found


def check_labels(labels: Sequence[str]) -> None:
    """Refuse labels that could be taken for others, or for none, or are too many for the documents that hold them.

    One is a line of 1 to 200 characters, and all together have at most 10,000. Raises UsageError.

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
    if (size := sum(len(ascii(label)) for label in labels)) > _LONGEST_LABELS:
        message = f"{len(labels):,} labels have {size:,} characters, and at most {_LONGEST_LABELS:,} are kept of them"
        raise UsageError(message, hint="Choose fewer labels, or shorter ones; letters that are not ASCII count as six.")


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
