"""A helper's decorator counts in the helper's own variables: ray #8384."""

from functools import lru_cache

import helper
from helper import counted

from runner import Flow, task

quickly = lru_cache(helper.double)


@counted
def cleaned(text):
    return text.strip()


@task
@counted
def told():
    return cleaned(" a "), helper.CALLS, quickly(2)


with Flow("decorated by a helper") as flow:
    told()
