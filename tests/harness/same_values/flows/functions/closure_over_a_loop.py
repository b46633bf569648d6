"""Functions that are made in a loop, with defaults and with a shared variable: adaptive #292."""

from runner import Flow, task


def make(names):
    made = {}
    for name in names:

        def show(suffix, name=name):
            return f"{name}{suffix}{last}"

        made[name] = show
    last = name
    return made


SHOWN = make("abc")


@task
def shown(names):
    return [SHOWN[name]("!") for name in names], SHOWN["a"].__closure__[0].cell_contents


@task
def names():
    return sorted(SHOWN)


with Flow("closure over a loop") as flow:
    shown(names())
