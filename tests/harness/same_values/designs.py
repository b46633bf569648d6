"""What may travel of a flow's file: the file itself, its values, or what the product does, which chooses."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from unittest import mock

from runner.errors import FlowFailed
from runner.publishing import packing

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

PRODUCT = "the file or its values"


def values_alone() -> AbstractContextManager[Any]:
    """Have the values of flows' files travel for the block, as if no file could."""
    return mock.patch.object(packing, "source_of", return_value=None)


def file_alone() -> AbstractContextManager[Any]:
    """Have flows' files travel for the block, or nothing."""
    refused = FlowFailed("values do not travel here", hint="Have the file travel.")
    return mock.patch.object(packing, "_of_values", side_effect=refused)


DESIGNS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    PRODUCT: nullcontext,
    "the values alone": values_alone,
    "the file alone": file_alone,
}
