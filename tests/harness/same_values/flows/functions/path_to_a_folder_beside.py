"""A folder beside the file that is put on the path when it is loaded: ray-project/ray #2515."""

import os
import sys

from runner import Flow, task

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))
sys.path.append("/acme/lib")


@task
def told():
    return os.path.basename(sys.path[0]), sys.path[-1], sum(each == "/acme/lib" for each in sys.path)


with Flow("path to a folder beside") as flow:
    told()
