"""Two helpers that import each other, one of them late: metaflow #175."""

import one

from runner import Flow, task


@task
def counted():
    return one.down(3), one.two.one is one


with Flow("circular helpers") as flow:
    counted()
