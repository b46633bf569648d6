"""Dates with zones, folds and durations: prefect #3419."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from runner import Flow, task

BERLIN = ZoneInfo("Europe/Berlin")
CHANGE = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1)


@task
def made():
    return (
        CHANGE,
        timezone(timedelta(hours=1), "X"),
        date(2026, 1, 2),
        timedelta(days=-1),
        datetime(2026, 1, 1, tzinfo=UTC),
    )


@task
def checked(given):
    return given[0].tzinfo is BERLIN, given[0].utcoffset(), given[0].fold, str(given[1]), CHANGE == given[0]


with Flow("dates and zones") as flow:
    checked(made())
