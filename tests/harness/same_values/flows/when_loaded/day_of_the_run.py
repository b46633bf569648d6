"""A day that is taken when the file is loaded: SatAgro/suntime #29."""

from dataclasses import dataclass, field
from datetime import date, datetime

from runner import Flow, task


@dataclass
class Settings:
    day: date = field(default_factory=date.today)
    started: datetime = field(default_factory=datetime.now)


SETTINGS = Settings()


@task
def told():
    return date.today() == SETTINGS.day, SETTINGS.started.date() == SETTINGS.day


with Flow("day of the run") as flow:
    told()
