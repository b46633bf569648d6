"""The channel between the flow's process and the supervisor: how messages are written and read, and the flow's side."""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress
from json import dumps, loads
from typing import TYPE_CHECKING, Any

from runner.model.verdict import Verdict
from runner.runs.layout import Claim, RunPlace

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.runtime.messages import Message, StopOrder

_LONGEST_ORDER = 65536  # bytes: what a pipe holds
_FIELDS = {
    "run located": {"place", "flow", "bundle"},
    "bundle verified": {"secrets", "request_digest"},
    "modules unpacked": {"folder"},
    "claim announced": {"claim"},
    "claim withdrawn": set(),
    "claim held": set(),
    "flow began": {"flow"},
    "end saved aside": set(),
    "attempt ended": {"verdict"},
    "progress": {"progress"},
    "finished": {"verdict"},
    "stop": {"verdict", "signal", "within"},
}
_PARTS = {"place": RunPlace, "claim": Claim, "verdict": Verdict}


def encode(message: Message) -> bytes:
    """Return a message as a line of JSON."""
    parts = {name: part._asdict() for name, part in message.items() if isinstance(part, RunPlace | Claim | Verdict)}
    return dumps(message | parts, ensure_ascii=False).encode(errors="surrogatepass") + b"\n"


def decode(line: bytes) -> Message | None:
    """Return the message of a line; None for half a line of a process that was killed, or what a flow wrote there."""
    try:
        message: Any = loads(line.decode(errors="surrogatepass"))
        parts = {name: part(**message[name]) for name, part in _PARTS.items() if message.get(name) is not None}
        is_known = message.keys() == {"kind", *_FIELDS[message["kind"]]}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return message | parts if is_known else None


class Channel:
    """What the flow's process has of the supervisor.

    Args:
        messages: the descriptor of the pipe for what is told.
        orders: that of the pipe for what is ordered.
        reaper: the id of the process to die with.
        secret: bytes that only this process and the supervisor know, by which that knows an end of this one.
        mark: what stands before each line of the log, by which the supervisor knows it from what is printed.
    """

    def __init__(self, messages: int, orders: int, reaper: int, secret: bytes, mark: str = "") -> None:
        self.reaper, self.secret, self.mark = reaper, secret, mark
        self.has_begun = False  # whether it was told that the flow's first line is near
        self._messages, self._orders = messages, orders
        self._turn = threading.Lock()  # what is longer than PIPE_BUF may be written in pieces
        # which pipe it is: a flow may close what it did not open, or have another file of that number
        self._pipe = os.fstat(messages)

    def send(self, message: Message) -> None:
        """Send a message to the supervisor, unless the pipe is gone."""
        self.has_begun = self.has_begun or message["kind"] == "flow began"
        with suppress(OSError), self._turn:
            if os.path.samestat(os.fstat(self._messages), self._pipe):
                os.write(self._messages, encode(message))

    def wait_for_order(self, meanwhile: Callable[[], None], seconds: float) -> StopOrder | None:
        """Wait until the supervisor orders to stop, and do something each time after so long; None if it is gone."""
        poll = select.poll()
        poll.register(self._orders, select.POLLIN)
        while not poll.poll(seconds * 1000):
            meanwhile()
        order = decode(os.read(self._orders, _LONGEST_ORDER))
        return order if order is not None and order["kind"] == "stop" else None
