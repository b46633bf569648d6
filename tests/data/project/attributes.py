"""A task that says ``runner`` and has attributes that are called as runner's modules are.

Cloudpickle takes each for a submodule that must be imported where the flow runs, if it was imported where it was built:
so bundles name modules of runner that their authors never heard of.
"""

from types import SimpleNamespace

import runner
from runner import Flow

ORDER = SimpleNamespace(
    bundle=1, capture=1, credentials=1, environments=1, errors=1, fetch=1, flow=1, foreign=1, leaks=1, load=1, logs=1
)
BASKET = SimpleNamespace(
    machine=1, manifest=1, names=1, payload=1, publish=1, records=1, redact=1, report=1, run=1, settings=1, shapes=1
)
SHELF = SimpleNamespace(signing=1, storage=1, local=1, s3=1, base=1, declared=1, task=1, trace=1, trust=1, cli=1)


@runner.task
def count() -> int:
    """Count what is there."""
    runner.logger().info("counting")
    order = ORDER.bundle + ORDER.capture + ORDER.credentials + ORDER.environments + ORDER.errors + ORDER.fetch
    order += ORDER.flow + ORDER.foreign + ORDER.leaks + ORDER.load + ORDER.logs
    basket = BASKET.machine + BASKET.manifest + BASKET.names + BASKET.payload + BASKET.publish + BASKET.records
    basket += BASKET.redact + BASKET.report + BASKET.run + BASKET.settings + BASKET.shapes
    shelf = SHELF.signing + SHELF.storage + SHELF.local + SHELF.s3 + SHELF.base + SHELF.declared + SHELF.task
    total: int = order + basket + shelf + SHELF.trace + SHELF.trust + SHELF.cli
    return total


with Flow("attributes") as flow:
    count()
