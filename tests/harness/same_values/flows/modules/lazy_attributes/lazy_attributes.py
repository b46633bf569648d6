"""A module with a __getattr__ of its own: ray #21661."""

import lazy
from lazy import answer

from runner import Flow, task


@task
def asked():
    try:
        lazy.nothing
    except AttributeError as error:
        return str(error), lazy.answer, answer


with Flow("lazy attributes") as flow:
    asked()
