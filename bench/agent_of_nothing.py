"""Runner, whose local launcher does nothing: it writes what a run's container would write, at once, and notes the name.

For ``bench/queued.py``. What the container would ask for goes to BENCH_ENDPOINT, if that is set; BENCH_OUT is the note.
"""

from __future__ import annotations

import os
import sys
import time

from runner import cli
from runner.backends import open_storage
from runner.launchers.base import Order, Sighting
from runner.launchers.local import Local
from runner.location import parse_location
from runner.model.verdict import Verdict
from runner.runs.claims import claim_run
from runner.runs.ends import RunFacts, commit_end, end_document
from runner.runs.layout import Claim, RunLayout
from runner.runs.store import RunStore
from runner.secrets.named import resolve

environ = dict(os.environ)
if endpoint := environ.get("BENCH_ENDPOINT"):
    environ["AWS_ENDPOINT_URL"] = endpoint
root = parse_location(sys.argv[sys.argv.index("--storage") + 1]).as_root()
storage = open_storage(root, resolve((), environ), environ)
notes = os.open(environ["BENCH_OUT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def launch(_self: Local, order: Order) -> dict[str, str]:
    """Write what a flow would that succeeds at once."""
    os.write(notes, f"{time.time():.3f} {order.name}\n".encode())
    home = parse_location(order.environ["RUNNER_LOCATION"]).key.rpartition("/")[0]
    store = RunStore(storage, RunLayout(home, order.environ["RUNNER_RUN_ID"]))
    facts = RunFacts(None, {"url": order.environ["RUNNER_LOCATION"], "sha256": "0" * 64})
    number = int(order.environ["RUNNER_LAUNCH"])
    claim = claim_run(store, lambda _: None, facts, fresh=True, interval=15, launch=number)
    assert isinstance(claim, Claim)
    commit_end(store, end_document(store.run_id, claim, facts, Verdict("succeeded", 0, "")))
    return {}


for name, method in {
    "launch": launch,
    "describe": lambda _self, _name: Sighting("ended", exit_code=0),
    "remove": lambda _self, _name: None,
}.items():
    setattr(Local, name, method)
sys.exit(cli.main())
