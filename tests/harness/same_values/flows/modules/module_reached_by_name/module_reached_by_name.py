"""A module that is found in sys.modules, and the file's own module by its name: prefect #6762."""

import sys

import helper

from runner import Flow, task

VALUE = 2


@task
def found():
    return sys.modules["helper"] is helper, helper.value_of("helper"), helper.__spec__.name


with Flow("module reached by name") as flow:
    found()
