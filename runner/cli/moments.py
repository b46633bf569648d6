"""Points in time on the command line: so long ago (``30d``), a day, or a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

_AGO = re.compile(r"(\d{1,9})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_moment(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """Return the point in time that an option names, in UTC, as its callback.

    What names no time zone is in UTC, as all that runner shows. Raises `click.BadParameter`.
    """
    if text is None:
        return None
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        given = datetime.fromisoformat(text.strip())
        return given.replace(tzinfo=given.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        message = f"{text!r} is no time: write 30d, 12h, 90m, 2026-11-01 or 2026-11-01T06:00:00Z"
        raise click.BadParameter(message) from error
