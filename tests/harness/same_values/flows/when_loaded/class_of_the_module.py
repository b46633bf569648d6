"""The file's own module becomes one of another class: pypy #3099."""

import sys
from types import ModuleType

from runner import Flow, task


class Counting(ModuleType):
    @property
    def doubled(self):
        return 2 * self.LIMIT


LIMIT = 4
sys.modules[__name__].__class__ = Counting


@task
def told():
    return sys.modules[Counting.__module__].doubled


with Flow("class of the module") as flow:
    told()
