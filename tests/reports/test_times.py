"""Times and the axis that has them, as a page shows them."""

from __future__ import annotations

import re

import pytest

from runner.reports.axis import Axis
from runner.reports.gathered import seconds_at, seconds_text, time_text
from runner.reports.markup import Html
from support.pages import at


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (0.00001, "0 s"),
        (0.0042, "0.004 s"),
        (0.42, "0.42 s"),
        (1, "1 s"),
        (12.34, "12.3 s"),
        (50, "50 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (7265, "2 h 1 min"),
        (86400, "24 h"),
        (400_000, "4 days 15 h"),
    ],
)
def test_a_time_span_is_read_at_a_glance(seconds: float, shown: str) -> None:
    assert seconds_text(seconds) == shown


def test_a_time_without_a_zone_is_utc_and_what_is_none_is_none() -> None:
    assert seconds_at("2026-11-22T12:10:24") == seconds_at(at(0))
    assert seconds_at("2026-11-22T13:10:24+01:00") == seconds_at(at(0))
    assert [seconds_at(text) for text in (None, "", "soon")] == [None, None, None]
    assert (time_text(at(0)), time_text("soon"), time_text(None)) == ("2026-11-22 12:10:24 UTC", "soon", "")


@pytest.mark.parametrize("length", [0, 0.0005, 0.7, 1, 59, 3600, 86400 * 40, 86400 * 3000])
def test_an_axis_has_few_times_that_are_round(length: float) -> None:
    picture = Axis(1000, 1000 + length).picture(Html(), 10, Html("x"))
    times = re.findall(r"<text[^>]*>([^<]*)</text>", picture)
    assert times[0] == "0"
    assert 1 <= len(times) <= 6
    assert len(set(times)) == len(times)


def test_a_bar_is_seen_however_short_it_is_and_wherever_it_stands() -> None:
    axis = Axis(0, 1000)
    for start, end in ((0, 0), (1000, 1000), (-5, 2000), (999.9, 1000)):
        found = re.search(r'x="([\d.]+)%" y="0" width="([\d.]+)%"', axis.bar(start, end, 0, 5, "bar", Html()))
        assert found is not None
        left, width = map(float, found.groups())
        assert left >= 0
        assert width >= 0.3
        assert left + width <= 100.01
