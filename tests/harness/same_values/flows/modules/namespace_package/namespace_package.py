"""A folder without __init__.py is a package, and import as gives it a name: prefect #10016."""

import space.deep.leaf
import space.deep.leaf as other

from runner import Flow, task


@task
def leaves():
    return space.deep.leaf.NAME, other is space.deep.leaf, [name for name in ("leaf",) if hasattr(space.deep, name)]


with Flow("namespace package") as flow:
    leaves()
