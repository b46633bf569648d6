"""Messages to the supervisor, and its orders."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Channel:
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
