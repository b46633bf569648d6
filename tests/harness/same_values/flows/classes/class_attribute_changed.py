"""What a task changes in a class the next one sees: numba #7356."""

from runner import Flow, task


class Settings:
    mode = "none"
    seen = []


@task
def change():
    Settings.mode = "fast"
    Settings.seen.append(1)
    return Settings


@task
def read(given):
    return given is Settings, Settings.mode, Settings.seen, given.mode


with Flow("class attribute changed") as flow:
    read(change())
