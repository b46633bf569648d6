"""Run flows of `flows.py` as runner does, and print as JSON what each ended with: ``[0, value]`` or ``[1, reason]``.

The arguments are how many run at once, and their names.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flows

from runner import Flow, FlowFailed
from runner.serialization.foreign import as_flow

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
REACHED: set[str] = set()


def note_connection(event: str, arguments: tuple[Any, ...]) -> None:
    """Note to which other machine this process connects; see https://docs.python.org/3/library/audit_events.html."""
    if event == "socket.connect" and isinstance(address := arguments[1], tuple) and address[0] not in LOOPBACK:
        REACHED.add(address[0])


def ended(name: str) -> list[Any]:
    """Return how a flow ended."""
    flow = Flow.of(as_flow((flows.EITHER | flows.GENERATORS)[name], name))
    try:
        value = flow.run().result(flow.nodes[0].slug)
    except FlowFailed as error:
        return [1, error.message]
    return [0, json.loads(json.dumps(value, default=repr))]


if __name__ == "__main__":
    sys.addaudithook(note_connection)
    number, first, *others = sys.argv[1:]
    found = {first: ended(first)}  # which starts Prefect's server
    with ThreadPoolExecutor(int(number)) as pool:
        found |= zip(others, pool.map(ended, others), strict=True)
    print(json.dumps(found | {"reached": sorted(REACHED)}))
