"""What an author's file says, parsed once however often it is looked into."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def parsed(path: Path) -> ast.Module:
    """Return a file's syntax tree, which is nobody's to change. Raises OSError, SyntaxError and ValueError."""
    return _parsed(path.read_bytes(), str(path))


@lru_cache(maxsize=32)
def _parsed(text: bytes, name: str) -> ast.Module:
    return ast.parse(text, name)
