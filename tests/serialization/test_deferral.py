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

from runner import Flow, FlowFailed
from runner.serialization.deferral import Deferral
from runner.serialization.flow_pickler import Bindings
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
    "a class that makes one": (
        "class One:\n    made = None\n    def __new__(cls):\n"
        "        cls.made = cls.made or object.__new__(cls)\n        return cls.made\n"
        "ONE = One()\ndef told(): return One() is ONE"
    ),
    "a text that is made of more": (
        "class Tag(str):\n    def __new__(cls, text, key):\n        self = str.__new__(cls, text)\n"
        "        self.key = key\n        return self\nTAG = Tag('a', KEY)\n"
        "def told(): return TAG.upper(), TAG.key is KEY"
    ),
    "an enum of them": (
        "from enum import Enum\nclass Keys(Enum):\n    ONE = KEY\n    TWO = Key('two')\n"
        "def told(): return Keys(Key('two')).name, Keys.ONE.value is KEY"
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


ENUMS = """
from dataclasses import dataclass
from enum import Enum
from runner import Flow, task

@dataclass(frozen=True)
class Size:
    width: int
    height: int

class Format(Size, Enum):
    A4 = 210, 297
    LONG = 210, 297

class Axis(bytes, Enum):
    def __new__(cls, value):
        made = bytes.__new__(cls, [value])
        made._value_ = value
        return made
    X = 1

def told():
    return Format.LONG.width, Format(Size(210, 297)).name, list(Format.__members__), bytes(Axis(1)), Axis.X.value
with Flow('told') as flow:
    task(told)()
"""


def test_members_are_made_without_the_code_that_made_them(monkeypatch: pytest.MonkeyPatch) -> None:
    module = made("with_enums", ENUMS, monkeypatch)
    data, here = dump_flow(module.flow, module).data, module.told()
    monkeypatch.delitem(sys.modules, "with_enums")
    assert Flow.of(load_flow(data)).run().result("told") == here


HELPER = """
KNOWN, CACHE = {}, {}
class Source:
    def __init_subclass__(cls):
        KNOWN[cls.kind] = cls
class Named:
    def __init_subclass__(cls, name):
        KNOWN[name] = cls
"""
USER = """
from runner import Flow, task
from a_helper import CACHE, KNOWN, Named, Source
class Json(Source):
    kind, cache = "json", CACHE
def told(table=CACHE): return KNOWN["json"].cache is CACHE, table is CACHE
with Flow('told') as flow:
    task(told)()
"""


def test_what_another_module_has_is_that_module_s(monkeypatch: pytest.MonkeyPatch) -> None:
    helper = made("a_helper", HELPER, monkeypatch)
    module = made("a_user", USER, monkeypatch)
    bindings = Bindings({name: ("a_helper", name) for name in ("CACHE", "KNOWN", "Named", "Source")})
    data = dump_flow(module.flow, module, bindings, "a_helper".__eq__).data
    helper.KNOWN.clear()
    monkeypatch.delitem(sys.modules, "a_user")
    assert Flow.of(load_flow(data)).run().result("told") == (True, True)
    assert list(helper.KNOWN) == ["json"]


def test_a_class_that_was_given_something_when_it_was_made_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made("a_helper", HELPER, monkeypatch)
    text = USER.replace("Json(Source)", "Json(Named, name='json')").replace('KNOWN["json"]', "Json")
    module = made("a_user", text, monkeypatch)
    bindings = Bindings({"Named": ("a_helper", "Named")})
    with pytest.raises(FlowFailed, match="nobody keeps what __init_subclass__ of Named was given with this class"):
        dump_flow(module.flow, module, bindings, "a_helper".__eq__)


def test_a_flow_without_data_costs_two_calls_more_for_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = "with Flow('told') as flow:\n    task(told)()\n"
    text = f"from runner import Flow, task\nNUMBER = 3\ndef told(): return NUMBER\n{flow}"
    module = made("without_data", text, monkeypatch)
    calls = calls_in(dump_flow(module.flow, module).data)
    monkeypatch.setattr(Deferral, "reduced", lambda _self, _obj, *reduced: reduced)
    assert calls == calls_in(dump_flow(module.flow, module).data) + 2


def calls_in(data: bytes) -> int:
    return [opcode.name for opcode, _, _ in genops(data)].count("REDUCE")


def made(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a module, and let classes be made anew that this process has."""
    monkeypatch.setattr(cloudpickle.cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID", WeakValueDictionary())
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(text, vars(module))
    return module
