"""What print is, for all of the process, is another function of the file's: prefect #7580."""

import builtins

from runner import Flow, task

SAID = []


def print_and_keep(*values, **options):
    SAID.append(" ".join(map(str, values)))


builtins.print = print_and_keep


@task
def told():
    print("a", 1)
    return SAID


with Flow("print of the files own") as flow:
    told()
