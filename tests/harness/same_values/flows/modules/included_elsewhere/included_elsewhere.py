"""What include takes along is put where it is imported from: prefect #15352."""

# build: -i src/plug=acme/plug
import importlib
import sys
from pathlib import Path

from runner import Flow, task

HOME = Path(__file__).parent / "src"
if HOME.is_dir():
    sys.modules.setdefault("acme", type(sys)("acme")).__path__ = [str(HOME)]


@task
def plugged(name):
    return importlib.import_module("acme.plug." + name).VALUE


with Flow("included elsewhere") as flow:
    plugged("one")
