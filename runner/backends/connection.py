"""How S3 and Azure are reached through obstore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from obstore.store import ClientConfig, RetryConfig

    from runner.backends.listing_pages import Ask, Dialect


class Connection(NamedTuple):
    """How a bucket is reached with some credentials.

    ``connect`` makes a store of obstore's, of a place (a region), client options and retry settings; ``pages`` tells of
    a place how the pages of a listing are asked for without obstore, or None where only that has the credentials.
    """

    connect: Callable[[str, ClientConfig, RetryConfig], Any]
    pages: Callable[[str], tuple[Dialect, Ask] | None]
