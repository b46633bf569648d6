"""A module that is imported for what it registers, and not named again: intake/akimbo #59."""

import plugin
from readers import READERS

from runner import Flow, task


@task
def read():
    return READERS["csv"]("a b")


with Flow("plugin imported for its effect") as flow:
    read()
