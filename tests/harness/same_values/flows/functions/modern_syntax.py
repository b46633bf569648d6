"""Match, walrus, f-strings with format and positional-only arguments: metaflow #763."""

from dataclasses import dataclass

from runner import Flow, task


@dataclass
class Move:
    x: int
    y: int = 0


def read(what, /, *, loud=False):
    match what:
        case Move(x, 0):
            return f"along {x!r:>3}"
        case [first, *rest] if (count := len(rest)) > 1:
            return f"{first} and {count} more"
        case {"key": value, **others}:
            return f"{value=} {others}" + "!" * loud
    return "other"


@task
def matched():
    return [read(Move(3)), read([1, 2, 3]), read({"key": 1, "a": 2}, loud=True), read(None)]


with Flow("modern syntax") as flow:
    matched()
