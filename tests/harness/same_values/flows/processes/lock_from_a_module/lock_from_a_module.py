"""A lock that is imported from a module that travels is the module's: ray #8516."""

from state import add, lock, total

from runner import Flow, task


@task
def added():
    with lock:
        total.append(1)
    add(2)
    return list(total)


with Flow("lock from a module") as flow:
    added()
