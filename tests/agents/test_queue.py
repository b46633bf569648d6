"""The queue by itself: what one of its doorbell's rings costs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.faults.proxy import Fault, Proxy
from runner.agents.queue import Queue
from support.places import gcs_place

if TYPE_CHECKING:
    from harness.faults.asked import Asked
    from support.servers import Server


@pytest.mark.parametrize(("refusals", "is_rung"), [(1, True), (2, False)])
def test_a_bell_that_was_just_rung_is_rung_once_more_and_no_oftener(
    gcs_emulator: Server, refusals: int, *, is_rung: bool
) -> None:
    """Google's storage takes one write a second of an object; a second refusal says that somebody rang meanwhile."""
    place = gcs_place(gcs_emulator)
    with Proxy("gcs", gcs_emulator.url) as proxy:

        def refuse(asked: Asked) -> Fault | None:
            return Fault("429") if asked.verb == "write" and proxy.counted["429"] < refusals else None

        proxy.fault = refuse
        through = replace(place, environ=place.environ | {"STORAGE_EMULATOR_HOST": proxy.url})
        Queue(through.open(), "").ring()
        assert sum(request.split()[1] == "write" for request in proxy.requests) == 2
    assert bool(Queue(place.open(), "").rung("")) is is_rung
