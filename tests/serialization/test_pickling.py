"""Live objects to bytes and back."""

from __future__ import annotations

import io
import pickle
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from runner import Flow, task
from runner.errors import BundleCorrupt, FlowFailed, Incompatible, TaskError, WriteFailed
from runner.serialization.pickling import dump_flow, dump_result, load_flow, load_result


@dataclass(slots=True)
class Slotted:
    name: str
    lock: Any


class Open:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__ |= attributes


def refused(value: Any) -> str:
    with pytest.raises(TaskError) as caught:
        dump_result(value, io.BytesIO(), "clean[3]")
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (threading.Lock(), "result: lock: cannot pickle"),
        ({"a": [1, (2, threading.Lock())]}, "result['a'][1][1]: lock: cannot pickle"),
        (Open(db=Open(fine=1, lock=threading.Lock())), "result.db.lock: lock: cannot pickle"),
        (Slotted("x", threading.Lock()), "result.lock: lock: cannot pickle"),
        ((number for number in [1]), "result: generator: cannot pickle"),
    ],
)
def test_what_cannot_be_pickled_is_named_with_its_task(value: Any, where: str) -> None:
    message = refused(value).replace("_thread.", "")
    assert message.startswith("the result of task clean[3] cannot be pickled: ")
    assert where in message.replace("_io.", "")


def test_what_a_function_refers_to_is_named() -> None:
    lock = threading.Lock()

    def closes() -> Any:
        return lock, unset

    if lock.locked():
        unset: int = 1  # never: its cell stays empty
    made: dict[str, Any] = {"lock": lock}
    exec("def uses():\n    return lock", made)
    assert "result → lock: lock: cannot pickle" in refused(closes)
    assert "result → lock: lock: cannot pickle" in refused(made["uses"])


def test_only_so_deep_and_so_wide_is_it_looked_for() -> None:
    value: Any = threading.Lock()
    for _ in range(20):
        value = [value]
    assert "result[0][0][0][0][0][0]: list: cannot pickle" in refused(value)
    assert "result: list: cannot pickle" in refused([0] * 500 + [threading.Lock()])


def test_what_the_file_raises_comes_through() -> None:
    class Full(io.BytesIO):
        def write(self, _data: Any) -> int:
            raise WriteFailed("the disk is full")

    with pytest.raises(WriteFailed):
        dump_result([1], Full(), "clean")


def test_a_flow_that_cannot_be_pickled_names_what_and_where() -> None:
    lock = threading.Lock()
    with Flow("f") as flow:
        task(lambda: lock, name="holds")()
    with pytest.raises(FlowFailed, match=r"cannot be pickled: flow\.nodes\[0\]\.task\.function → lock: lock: "):
        dump_flow(flow, None)


def test_a_flow_travels_with_the_functions_and_modules_that_are_noted() -> None:
    with Flow("f") as flow:
        task(lambda: OrderedDict(a=pickle.PickleError), name="one")()
    pickled = dump_flow(flow, None)
    assert "<lambda>" in {function.__name__ for function in pickled.functions}
    assert {"collections", "pickle", "runner"} <= pickled.modules
    loaded = load_flow(memoryview(pickled.data))
    assert Flow.of(loaded).run().result("one") == {"a": pickle.PickleError}


def library(name: str, code: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(code, vars(module))
    return module


def test_a_module_travels_by_value_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "from runner import task\nVALUE = 7\ndef plain():\n    return VALUE\n@task\ndef tasked():\n    return VALUE\n"
    )
    module = library("a_library", code, monkeypatch)
    with Flow("f") as flow:
        task(module.plain)()
        module.tasked()
    value, reference = dump_flow(flow, module), dump_flow(flow, None)
    assert "a_library" in reference.modules
    assert "a_library" not in value.modules
    assert {"plain", "tasked"} <= {function.__name__ for function in value.functions}
    monkeypatch.delitem(sys.modules, "a_library")
    assert Flow.of(load_flow(value.data)).run().result("tasked") == 7
    monkeypatch.delitem(sys.modules, "a_library")  # it was made anew
    with pytest.raises(Incompatible, match="needs a module that is not installed here: a_library") as missed:
        load_flow(reference.data)
    yours = (
        "If a_library is the author's own, build the flow again, with -i if nothing imports it and without -x. Else:"
    )
    assert str(missed.value.hint).startswith(yours)
    library("a_library", "def plain(): ...\n", monkeypatch)
    with pytest.raises(Incompatible, match=r"the flow does not fit what is installed here: .*'tasked'"):
        load_flow(reference.data)


@pytest.mark.parametrize("data", [b"", b"\x80\x05cut", b"no pickle"])
def test_bytes_that_are_no_pickle_are_corrupt(data: bytes) -> None:
    with pytest.raises(BundleCorrupt, match="the flow cannot be unpickled"):
        load_flow(data)
    with pytest.raises(BundleCorrupt, match="the result cannot be unpickled"):
        load_result(io.BytesIO(data))


def test_a_result_whose_module_is_missing_says_so() -> None:
    with pytest.raises(Incompatible, match="the result does not fit what is installed here: No module named 'gone'"):
        load_result(io.BytesIO(b"cgone\nThing\n."))
