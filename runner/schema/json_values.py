"""JSON that means one thing alone, whoever reads it."""

from __future__ import annotations

import json
from typing import Any


def read_json(text: str) -> Any:
    """Return what JSON holds, if it means one thing alone. Raises ValueError for NaN, 1e999, and a key given twice."""
    text = text.removeprefix("\ufeff")
    return json.loads(text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_with_keys_once)


def _finite(text: str) -> float:
    number = float(text)
    if not float("-inf") < number < float("inf"):
        message = f"{text[:40]} is none of its values"
        raise ValueError(message)
    return number


def _with_keys_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        message = f"the key {next(key for key in found if keys.count(key) > 1)!r} stands there twice"
        raise ValueError(message)
    return found
