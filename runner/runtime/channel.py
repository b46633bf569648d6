"""The channel between the flow's process and the supervisor, seen from the flow's side."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from runner.runtime.messages import decode, encode

if TYPE_CHECKING:
    from runner.runtime.messages import Message, StopOrder

_LONGEST_ORDER = 65536  # bytes: what a pipe holds


class Channel:
    """What the flow's process has of the supervisor.

    Args:
        messages: the descriptor of the pipe for what is told.
        orders: that of the pipe for what is ordered.
        reaper: the id of the process to die with.
    """

    def __init__(self, messages: int, orders: int, reaper: int) -> None:
        self.reaper = reaper
        self.has_begun = False  # whether it was told that the flow's first line is near
        self._messages, self._orders = messages, orders
        # which pipe it is: a flow may close what it did not open, or have another file of that number
        self._pipe = os.fstat(messages)

    def send(self, message: Message) -> None:
        """Send a message to the supervisor, unless the pipe is gone."""
        self.has_begun = self.has_begun or message["kind"] == "flow began"
        with suppress(OSError):
            if os.path.samestat(os.fstat(self._messages), self._pipe):
                os.write(self._messages, encode(message))

    def wait_for_order(self) -> StopOrder | None:
        """Wait until the supervisor orders to stop; None if it is gone."""
        order = decode(os.read(self._orders, _LONGEST_ORDER))
        return order if order is not None and order["kind"] == "stop" else None
