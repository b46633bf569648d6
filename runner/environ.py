"""The process's environment; nothing else reads ``os.environ``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def process_environ() -> Mapping[str, str]:
    """Return this process's environment; the one place where it is read."""
    return os.environ
