"""What is printed while the file is loaded is caught, and is a text of the file's: ray-project/ray #61075."""

import io
from contextlib import redirect_stdout

from runner import Flow, task

CAUGHT = io.StringIO()
with redirect_stdout(CAUGHT):
    print("what this does")
print("more", file=CAUGHT)


@task
def told():
    return CAUGHT.getvalue()


with Flow("prints that are caught") as flow:
    told()
