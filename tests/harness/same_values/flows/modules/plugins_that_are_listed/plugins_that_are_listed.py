"""Modules that pkgutil lists are all there, with what they import: pyinstaller #1905."""

import importlib
import pkgutil

import plugins

from runner import Flow, task


@task
def listed():
    names = [info.name for info in pkgutil.iter_modules(plugins.__path__, "plugins.")]
    return {name: importlib.import_module(name).VALUE for name in names}


with Flow("plugins that are listed") as flow:
    listed()
