"""Standard output is another one since the file was loaded: ray-project/ray #12784."""

import io
import sys

from runner import Flow, task

sys.stdout = io.StringIO()


@task
def told():
    print("begun")
    return sys.stdout.getvalue()


with Flow("output of the file") as flow:
    told()
