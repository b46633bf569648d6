"""A sentinel of the flow's file is the same in defaults, functions and results: flax #3825."""

from runner import Flow, task


class Missing:
    def __repr__(self):
        return "MISSING"


MISSING = Missing()


def get(where, key, default=MISSING):
    found = where.get(key, default)
    return "none" if found is MISSING else found


@task
def give(default=MISSING):
    return [MISSING, default is MISSING, get({}, "a")]


@task
def take(given):
    return given[0] is MISSING, given[1:]


with Flow("sentinel") as flow:
    take(give())
