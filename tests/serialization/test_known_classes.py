"""Classes of a flow's file: a result that another process made of the same file is of the classes that are here."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

ETL = """
import abc
import enum
from dataclasses import dataclass
from typing import NamedTuple

class Meta(type):
    def __new__(kind, name, bases, namespace):
        return super().__new__(kind, name, bases, namespace)

class Unhashable(type):
    __hash__ = None

class Odd(metaclass=Unhashable): ...

class Plain(metaclass=Meta):
    class Inner: ...
    Inner.outer = None

Plain.Inner.outer = Plain

class Base(abc.ABC):
    told = []
    def __init_subclass__(cls): Base.told.append(cls.__name__)

@dataclass
class Row(Base):
    number: int

class Pair(NamedTuple):
    one: int

class Color(enum.Enum):
    RED = 1

Alias = Row

def local():
    class Local: ...
    return Local()

class Proxied:
    held = None
    def __getattr__(self, name): raise AttributeError(name)

proxied = Proxied()
proxied.held = 3
flow = [Plain(), Plain.Inner(), Row(1), Pair(2), Color.RED, Row, proxied, local()]
"""
MAKE = """
    made = import_flow("etl", "flow", "none")
    with open("result", "wb") as file:
        dump_result(made, file, "t")
"""
TAKE = """
    etl = sys.modules[import_flow("etl", "Row", "none").__module__]
    with open("result", "rb") as file:
        plain, inner, row, pair, color, kind, proxied, local = load_result(file)
    assert type(plain) is etl.Plain and type(inner) is etl.Plain.Inner and inner.outer is etl.Plain
    assert type(row) is kind is etl.Row and row == etl.Row(1) and type(pair) is etl.Pair and color is etl.Color.RED
    assert type(proxied) is etl.Proxied and proxied.held == 3
    assert type(local).__name__ == "Local" and etl.Proxied.__getattr__.__globals__ is vars(etl)
    assert etl.Base.told == ["Row"]
"""
READ = """
    with open("result", "rb") as file:
        plain, inner, row, pair, color, kind, proxied, local = load_result(file)
    assert "etl" not in sys.modules
    assert (row.number, pair.one, color.name, kind) == (1, 2, "RED", type(row))
"""
OTHER = """
    with open("etl.py", "a") as file:
        file.write("# changed")
    kind = import_flow("etl", "Row", "none")
    with open("result", "rb") as file:
        *_, found, _proxied, _local = load_result(file)
    assert found is not kind
"""


def in_a_process(folder: Path, body: str) -> None:
    begins = "import sys\nfrom runner import import_flow\n"
    begins += "from runner.serialization.pickling import dump_result, load_result\nsys.path.append('.')\n"
    subprocess.run([sys.executable, "-c", begins + textwrap.dedent(body)], cwd=folder, check=True)


@pytest.mark.parametrize("reads", [TAKE, READ, OTHER], ids=["the same file", "no file", "another file"])
def test_a_result_of_another_process_is_of_the_classes_of_the_same_file(tmp_path: Path, reads: str) -> None:
    (tmp_path / "etl.py").write_text(ETL)
    in_a_process(tmp_path, MAKE)
    if reads is READ:
        (tmp_path / "etl.py").unlink()
    in_a_process(tmp_path, reads)
