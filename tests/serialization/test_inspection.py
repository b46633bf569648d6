"""What a pickle would import and its code would use, found without unpickling it."""

from __future__ import annotations

import base64
import json
import os
import pickle
import platform
import resource
import sys
import threading
import time
from collections import OrderedDict
from json import JSONDecoder
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

from runner import Flow, task
from runner.authoring.storages import declare
from runner.serialization.inspection import inspect_pickle
from runner.serialization.pickle_report import PickleReport, format_report
from support.canary import KEY, Canary, Target
from support.flows import publish
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place

HERE = platform.python_version()


class Reduced:
    def __reduce__(self) -> Any:
        return OrderedDict, ([("a", threading.Event), ("b", threading.Event)],)


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


def look(value: Any, protocol: int = 5) -> PickleReport:
    return inspect_pickle(pickle.dumps(value, protocol=protocol), HERE)


@pytest.mark.parametrize("protocol", range(6))
def test_globals_are_told_for_every_protocol(protocol: int) -> None:
    value = ["os", "threading", Reduced(), ("threading", threading.Barrier, "json", JSONDecoder)]
    found = look(value, protocol)
    assert found.modules - {"copyreg", "builtins"} == {"collections", "threading", "json.decoder"}
    assert {"collections.OrderedDict", "threading.Event", "json.decoder.JSONDecoder"} <= found.globals
    assert not found.unclear


def test_globals_are_told_behind_many_memos() -> None:
    value = [[f"text {number}" for number in range(300)], [threading.Event, threading.Barrier] * 3, Reduced()]
    for protocol in (0, 2, 4, 5):
        assert look(value, protocol).modules == {"threading", "collections"}


def test_a_name_of_python_2_is_told_as_what_it_becomes() -> None:
    assert inspect_pickle(b"c__builtin__\nexecfile\n.", HERE).globals == {"builtins.execfile"}
    assert inspect_pickle(b"ccPickle\nloads\n.", HERE).globals == {"pickle.loads"}


@pytest.mark.parametrize(
    ("pickled", "expected"),
    [
        (b"(S'echo'\nios\nsystem\n.", {"os.system"}),  # INST
        ("S'\xe9'\n0ctäglich\nlauf\n.".encode(), {"täglich.lauf"}),  # not ASCII, which pickle reads
        (b"(cos\nsystem\nS'echo'\no.", {"os.system"}),  # OBJ
        (b"\x80\x02cos\nsystem\n)\x81.", {"os.system"}),  # NEWOBJ
        (b"\x80\x04cos\nsystem\n)}\x92.", {"os.system"}),  # NEWOBJ_EX
        (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93.", {"os.system"}),  # STACK_GLOBAL out of the memo
        (b"\x80\x04\x8c\x06system\x8c\x02os\x94q\x05\x8c\x06system\x93.", {"os.system"}),  # PUT over MEMOIZE
        (b"\x80\x04\x8c\x02os2\x8c\x06system\x93.", {"os.system"}),  # DUP and what is left behind it
        (b"\x80\x04cos\nsystem\n0N.", {"os.system"}),  # taken and thrown away: it is imported nevertheless
    ],
)
def test_every_way_to_take_a_global_is_seen(pickled: bytes, expected: set[str]) -> None:
    assert inspect_pickle(pickled, HERE).globals >= expected


def test_what_comes_before_a_break_is_told_as_it_would_be_run() -> None:
    """Pickle runs a broken stream up to the break, so a scanner that stops at it is no scanner."""
    for end in (b"", b"\xff", b"h\x99.", b"0000.", b"t.", b"\x93."):
        found = inspect_pickle(b"cos\nsystem\n(S'true'\ntR" + end, HERE)
        assert found.globals == {"os.system"}
        assert "not told" in "".join(found.unclear), end


@pytest.mark.parametrize(
    "pickled",
    [
        b"\x80\x04N\x8c\x06system\x93.",
        b"\x80\x04\x82\x01.",
        b"P1\n.",
        b"\x80\x04NQ.",
        b"\x80\x04ctypes\nCodeType\nN\x85R.",
    ],
)
def test_what_cannot_be_read_off_is_said(pickled: bytes) -> None:
    assert inspect_pickle(pickled, HERE).unclear


def test_what_is_reached_by_attributes_and_whole_modules_is_told() -> None:
    found = look([Calls(getattr, Calls(cloudpickle.cloudpickle.subimport, "os"), "system")])
    assert {"os", "os.system"} <= found.globals


@pytest.mark.parametrize("wrap", [bytes, lambda data: b"head" + data, lambda data: base64.b64encode(data).decode()])
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_inside_a_pickle_is_looked_through(wrap: Any, protocol: int) -> None:
    inner = pickle.dumps(Calls(os.system, "true"), protocol=protocol)
    found = look({"a": [wrap(wrap(inner)) if wrap is bytes else wrap(inner)]})
    assert "posix.system" in found.globals
    assert found.nested == 1


def test_a_nested_pickle_of_the_oldest_protocol_is_found() -> None:
    assert "posix.system" in look([pickle.dumps(Calls(os.system, "true"), protocol=0)]).globals


def made_here(name: str) -> Any:
    import subprocess
    from os import path

    def inner() -> Any:
        return open("/etc/passwd")  # noqa: PTH123 - inspected, and never run

    return subprocess, path, inner, getattr(threading, "Thread" + name)


def test_code_objects_are_taken_apart_and_not_made() -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        data = cloudpickle.dumps(made_here)
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    code = {each.name: each for each in inspect_pickle(data, HERE).code}
    assert code["made_here"].imports == ["subprocess", "os"]
    assert {"getattr", "threading"} <= set(code["made_here"].globals)
    assert "Thread" in code["made_here"].texts
    assert (code["inner"].globals, code["inner"].texts) == (["open"], ["/etc/passwd"])
    assert code["inner"].line
    other = {each.name: each for each in inspect_pickle(data, "2.7.18").code}
    assert (other["made_here"].imports, "subprocess" in other["made_here"].names) == ([], True)
    lines = format_report(inspect_pickle(data, HERE))
    assert "no boundary" in lines[0]
    assert "  imports: subprocess, os" in lines


def test_looking_takes_little_whatever_is_looked_at() -> None:
    """Bytes full of beginnings, tuples that would unfold without end, and lengths that nobody has."""
    unfolding = b"\x80\x04)" + b"2\x86" * 5000 + b"."
    hostile = [
        unfolding,
        pickle.dumps(b"\x80\x04" * 500_000),
        b"\x80\x04\x8e" + (10 * 2**30).to_bytes(8, "little") + b"x",
        b"(" * 1_000_000 + b".",
        b"I" + b"9" * 1_000_000 + b"\n.",
        pickle.dumps("gAS" + "V" * 999_999),
    ]
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    for data in hostile:
        inspect_pickle(data, HERE)
    assert time.monotonic() - began < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 * 1024


# The command


def looked_into() -> str:
    return os.sep


def test_the_command_lists_what_a_bundle_would_take_and_says_what_that_is_worth(here: Place) -> None:
    with Flow("values") as flow:  # of no name in its file, which therefore does not travel
        task(looked_into)()
    flow.storage = declare(here.url)
    url = flow.storage.build(check=False)
    printed = json.loads(start({}, "inspect", "--imports", "--json", url).stdout)
    assert "runner.Flow" in printed["pickle"]["globals"]
    assert "looked_into" in {code["name"] for code in printed["pickle"]["code"]}
    text = start({}, "inspect", "--imports", url).stdout
    assert "no boundary" in text
    assert "  runner.Flow\n" in text
    assert "pickle" not in json.loads(start({}, "inspect", "--json", url).stdout)


def test_the_command_lists_what_the_files_that_travel_import(here: Place) -> None:
    url = publish(here, "etl.py")
    printed = json.loads(start({}, "inspect", "--imports", "--json", url).stdout)
    assert printed["pickle"]["globals"] == ["runner.import_flow"]
    imports = ["import runner", "from runner import Flow, Parameter, task"]
    assert printed["sources"] == {"src/etl.py": imports}
    text = start({}, "inspect", "--imports", url).stdout
    assert text.endswith("\nfile src/etl.py\n  import runner\n  from runner import Flow, Parameter, task\n")


def test_the_command_executes_nothing_and_prints_nothing_that_a_terminal_obeys(here: Place, tmp_path: Path) -> None:
    target = Target(here, Canary(tmp_path))
    target.canary.pickled = b"\x80\x02c\x1b[2J\xe2\x80\xaeos\nsystem\n0" + target.canary.pickled
    for data in (target.bundle(None), target.canary.pickled):
        target.put(data)
        done = start({}, "inspect", "--imports", f"{here.url}/{KEY}")
        assert "posix.open" in done.stdout, done
        assert "\x1b" not in done.stdout
        assert "\u202e" not in done.stdout
        assert not target.canary.executed


def test_a_plain_pickle_that_is_broken_is_corrupt_but_told_with_imports(here: Place) -> None:
    here.write(KEY, b"\x80\x04cos\nsystem\n")
    assert start({}, "inspect", f"{here.url}/{KEY}").code == 65
    printed = json.loads(start({}, "inspect", "--imports", "--json", f"{here.url}/{KEY}").stdout)
    assert printed["pickle"]["globals"] == ["os.system"]
    assert printed["pickle"]["unclear"]
