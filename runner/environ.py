"""The process's environment; nothing else reads ``os.environ``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def process_environ() -> Mapping[str, str]:
    """Return this process's environment; the one place where it is read."""
    return os.environ


def set_default(name: str, value: str) -> None:
    """Set a variable for this process and its children, unless it is set, for a library that takes it from there."""
    os.environ.setdefault(name, value)
