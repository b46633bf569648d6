"""Names that come by a star, as __all__ says: prefect #10016."""

from shapes import *

from runner import Flow, task


@task
def used():
    return area(Square(3)), "_hidden" in globals(), "PI" in globals()


with Flow("star import") as flow:
    used()
