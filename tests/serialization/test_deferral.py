"""Code first, data last."""

from __future__ import annotations

import pickle
import sys
from importlib import import_module
from pickletools import genops
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import cloudpickle
import pytest

from runner import Flow
from runner.serialization.deferral import Deferral
from runner.serialization.pickling import dump_flow, load_flow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = """
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from functools import partial
from runner import Flow, task

class Key:
    prefix = "k"
    def __init__(self, name):
        self.name = name
    def __hash__(self):
        return hash((self.name, self.prefix, LENGTHS[0]))
    def __eq__(self, other):
        return self.name == other.name

LENGTHS = [1]
KEY = Key("one")
"""
CASES = {
    "a dictionary": "TABLE = {KEY: 3}\ndef told(): return TABLE[Key('one')]",
    "a set in a list in a dictionary": "DEEP = {'a': [{KEY}]}\ndef told(): return KEY in DEEP['a'][0]",
    "a dictionary in itself": "LOOP = {KEY: 1}\nLOOP[2] = LOOP\ndef told(): return LOOP[2][2][KEY]",
    "containers of the library": (
        "ORDER = OrderedDict([(KEY, 1)])\nLISTS = defaultdict(list, {KEY: [KEY]})\n"
        "def told(): return ORDER[KEY], LISTS[Key('one')][0] is KEY, LISTS['new']"
    ),
    "a class that holds it": "Key.known = {KEY: Key}\nKey.first = KEY\ndef told(): return Key.known[Key.first] is Key",
    "a default that is a name, too": "ALL = {KEY}\ndef told(all=ALL): return all is ALL, KEY in all",
    "a frozen dataclass": (
        "@dataclass(frozen=True)\nclass Pair:\n    key: Key = KEY\n    keys: frozenset = frozenset({KEY})\n"
        "PAIRS = {Pair(): 'p'}\ndef told(): return PAIRS[Pair()], Pair().key is KEY"
    ),
    "a class that only the argument has": "def given(key): return len({key, KEY})\ntold = partial(given, Key('two'))",
    "classes that hold each other's": (
        "class Left:\n    def of(self): return Right.one\nclass Right:\n    def of(self): return Left.one\n"
        "Left.one, Right.one = Left(), Right()\ndef told(): return Left.one.of().of() is Left.one"
    ),
    "a function that makes it": (
        "MADE = {}\ndef made(name): return MADE.setdefault(name, Made(name))\n"
        "class Made:\n    def __init__(self, name): self.name = name\n"
        "    def __reduce__(self): return made, (self.name,)\n"
        "ONE = made('one')\ndef told(): return ONE is made('one'), len(MADE)"
    ),
    "an alias that notes it": (
        "from typing import Annotated\nNOTED = Annotated[int, KEY]\ndef told(): return NOTED.__metadata__[0].name"
    ),
}


@pytest.fixture(params=[pytest.param(text, id=name) for name, text in CASES.items()])
def module(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    flow = "\nwith Flow('told') as flow:\n    task(told, name='told')()\n"
    (tmp_path / "with_data.py").write_text(HEAD + request.param + flow)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield import_module("with_data")
    sys.modules.pop("with_data", None)


@pytest.mark.parametrize("load", [load_flow, pickle.loads], ids=["runner", "cloudpickle"])
def test_classes_are_whole_before_they_have_instances(
    module: Any, load: Callable[[bytes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = dump_flow(module.flow, module).data
    here = module.told()
    sys.modules.pop("with_data")
    # a class that this process has is not made anew
    monkeypatch.setattr(cloudpickle.cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID", WeakValueDictionary())
    assert Flow.of(load(data)).run().result("told") == here


def test_a_flow_without_data_costs_two_calls_more_for_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("without_data")
    monkeypatch.setitem(sys.modules, "without_data", module)
    flow = "with Flow('told') as flow:\n    task(told)()\n"
    exec(f"from runner import Flow, task\nNUMBER = 3\ndef told(): return NUMBER\n{flow}", vars(module))
    calls = calls_in(dump_flow(module.flow, module).data)
    monkeypatch.setattr(Deferral, "reduced", lambda _self, _obj, *reduced: reduced)
    assert calls == calls_in(dump_flow(module.flow, module).data) + 2


def calls_in(data: bytes) -> int:
    return [opcode.name for opcode, _, _ in genops(data)].count("REDUCE")
