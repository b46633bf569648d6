"""Modules that only a task imports, one of them lazily by __import__: metaflow #175."""

from runner import Flow, task


@task
def imported():
    import acme.first
    from acme import second as other

    return acme.first.NAME, other.NAME, __import__("acme.first").__name__


with Flow("import in a task") as flow:
    imported()
