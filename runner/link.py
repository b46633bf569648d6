"""The flow's process, as the supervisor starts it: its streams and signals, and how it tells what must be known."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, NoReturn

from runner import keeper
from runner.death import ASKED
from runner.errors import InternalError

if TYPE_CHECKING:
    from runner.supervisor import Start


@dataclass(frozen=True)
class Link:
    """What the flow's process has of the supervisor: pipes for facts and orders, and the process to die with."""

    facts: int
    orders: int
    keeper: int

    def __post_init__(self) -> None:
        """Remember which pipe it is: a flow may close what it did not open, or have another file of that number."""
        object.__setattr__(self, "_pipe", os.fstat(self.facts))

    def tell(self, **fact: Any) -> None:
        """Tell the supervisor."""
        with suppress(OSError):
            if os.path.samestat(os.fstat(self.facts), self._pipe):  # type: ignore[attr-defined]
                os.write(self.facts, json.dumps(fact, ensure_ascii=False).encode(errors="surrogatepass") + b"\n")


def be_flow(start: Start, link: Link, streams: tuple[int, int], reuse: dict[str, Any] | None) -> NoReturn:
    """Run the flow and leave; never returns. ``streams`` are the pipes for standard output and standard error."""
    try:
        for number, stream in enumerate(streams, 1):
            os.dup2(stream, number)
            os.close(stream)
        faulthandler.enable(file=start.trace)
        faulthandler.register(signal.SIGUSR1, file=2)
        for number in ASKED:
            signal.signal(number, signal.SIG_DFL if number in start.heeded else signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*start.heeded, *keeper.HEEDED})
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # what a flow prints is there, in order, however it ends
        try:
            from runner.run import run

            last = run(start.environ, link, start.log_to, reuse)
        except Exception as error:  # noqa: BLE001 - it cannot even be imported
            last = {"code": InternalError.code, "error": "InternalError", "message": f"a bug in runner: {error!r}"}
        link.tell(last=last)
    finally:
        for printed in (sys.stdout, sys.stderr):
            with suppress(Exception):  # closed, or nobody reads any more
                printed.flush()
        os._exit(1)  # native code that never returns, in a thread, must not hold the process
