"""A finder of modules that the file adds makes those of a name when they are asked for: pypy #2382."""

import importlib
import sys
from importlib.machinery import ModuleSpec

from runner import Flow, task


class Maker:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.startswith("made_up_") else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.NAME = module.__name__.upper()


sys.meta_path.insert(0, Maker())


@task
def told():
    return importlib.import_module("made_up_one").NAME


with Flow("import hook of the file") as flow:
    told()
