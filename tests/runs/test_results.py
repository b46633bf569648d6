"""One task's value in storage, and back."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, task
from runner.engine.executors import Threads
from runner.engine.scheduler import Engine
from runner.errors import BundleCorrupt, NotFound, TaskError, WriteFailed
from runner.model.task import Node, Task
from runner.runs.layout import RunLayout
from runner.runs.results import SMALL, Results, copy_result, read_result
from runner.runs.reuse import ReusableResults
from runner.runs.reuse import _Stored as Stored
from runner.runs.store import RunStore
from runner.runs.stored_results import list_results

if TYPE_CHECKING:
    from runner.backends.base import Storage
    from runner.schema.documents import ResultRecord
    from support.places import Place

LAYOUT = RunLayout("etl", "run-1")
LARGE = bytes(range(256)) * (3 * SMALL // 256)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    from support.places import local_place

    return local_place(tmp_path / "root").open()


def node(name: str = "clean") -> Node:
    made = Node(Task(lambda: None, name=name), (), {}, (), mapped=False)
    made.slug = name
    return made


def save(storage: Storage, value: Any, index: int | None = None) -> ResultRecord:
    return Results(RunStore(storage, LAYOUT), 1).save(node(), index, value)()


class Marker:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("value", [None, 0, [1, {"a": "b"}], LARGE, "x" * SMALL])
def test_a_result_is_a_plain_pickle_with_a_trailer(place: Place, value: Any) -> None:
    result = save(place.open(), value)
    data = place.read(result["key"])
    assert result["key"] == "etl/runs/run-1/attempts/0001/results/clean.pkl"
    assert pickle.load(io.BytesIO(data)) == value
    body, trailer = data[:-44], data[-44:]
    digest = hashlib.sha256(body)
    assert trailer == b"RNR1" + len(body).to_bytes(8, "big") + digest.digest()
    assert result == {
        "key": result["key"],
        "size": len(body),
        "sha256": digest.hexdigest(),
        "type": type(value).__name__,
    }
    assert body[:2] == b"\x80\x05"
    assert read_result(place.open(), result) == value


def test_an_element_lies_below_its_task(storage: Storage) -> None:
    assert save(storage, 1, 7)["key"] == "etl/runs/run-1/attempts/0001/results/clean/7.pkl"


def test_a_small_result_is_not_there_before_it_is_asked_to_be_and_a_large_one_is(storage: Storage) -> None:
    results = Results(RunStore(storage, LAYOUT), 1)
    durable = results.save(node("small"), None, b"x")
    with pytest.raises(NotFound):
        storage.read(LAYOUT.result(1, "small", None))
    durable()
    assert storage.read(LAYOUT.result(1, "small", None))
    durable = results.save(node("large"), None, LARGE)
    assert storage.read(LAYOUT.result(1, "large", None))
    durable()


def test_a_value_that_changes_after_it_was_saved_is_stored_as_it_was(storage: Storage) -> None:
    value = [1]
    finish = Results(RunStore(storage, LAYOUT), 1).save(node(), None, value)
    value.append(2)
    assert read_result(storage, finish()) == [1]


@pytest.mark.parametrize("fill", [b"", LARGE])
def test_a_value_that_cannot_be_pickled_leaves_nothing_behind(storage: Storage, fill: bytes) -> None:
    with pytest.raises(TaskError, match=r"task clean\[2\] cannot be pickled: result\[1\]: "):
        save(storage, [fill, threading.Lock()], 2)
    assert list(storage.list_recursive()) == []


@pytest.mark.parametrize("value", ["small", LARGE])
def test_what_cannot_be_written_says_so(storage: Storage, value: Any, tmp_path: Path) -> None:
    (tmp_path / "root" / "etl").write_bytes(b"a file where a folder must be")
    with pytest.raises(WriteFailed):
        save(storage, value)


def changed(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize("size", [10, 3 * SMALL])
def test_what_was_changed_or_cut_is_refused_before_it_is_unpickled(storage: Storage, size: int, tmp_path: Path) -> None:
    marker = tmp_path / "unpickled"
    result = save(storage, [Marker(marker), b"x" * size])
    path = Path(storage.container, result["key"])
    data = path.read_bytes()
    bad = [changed(data, place) for place in (0, len(data) // 2, len(data) - 45, *range(len(data) - 44, len(data)))]
    bad += [data[:-1], data[:-44], data[: len(data) // 2], b"", data + b"x", data + data, b"\0" + data, data[-44:]]
    for each in bad:
        path.write_bytes(each)
        with pytest.raises(BundleCorrupt, match="is not the one that the outcome lists"):
            read_result(storage, result)
    assert not marker.exists()
    path.write_bytes(data)
    read_result(storage, result)
    assert marker.exists()


def test_another_result_in_its_place_is_refused(storage: Storage) -> None:
    result, other = save(storage, "right"), save(storage, "wrong", 1)
    with pytest.raises(BundleCorrupt):
        read_result(storage, {**result, "key": other["key"]})


def test_a_result_may_be_a_part_of_an_object(place: Place) -> None:
    storage = place.open()
    parts = [save(storage, value, index) for index, value in enumerate(["first", LARGE, None])]
    pieces = [storage.read(part["key"]) for part in parts]
    storage.create("etl/pack", b"".join(pieces))
    offset = 0
    for part, piece, value in zip(parts, pieces, ["first", LARGE, None], strict=True):
        packed: ResultRecord = {**part, "key": "etl/pack", "offset": offset, "length": len(piece)}
        assert read_result(storage, packed) == value
        with pytest.raises(BundleCorrupt):
            read_result(storage, {**packed, "offset": offset + 1})
        offset += len(piece)


def test_a_result_that_is_larger_than_listed_is_refused_before_it_is_read(place: Place) -> None:
    storage = place.open()
    result, target = save(storage, "right"), io.BytesIO()
    for planted in (place.read(result["key"]) + b"x", bytes(20 * SMALL)):
        place.write(result["key"], planted)
        with pytest.raises(BundleCorrupt, match="is not the one that the outcome lists"):
            copy_result(storage, result, target)
    assert target.getvalue() == b""


def test_a_result_that_grew_since_it_was_listed_is_not_reused(place: Place) -> None:
    storage = place.open()
    store, key = RunStore(storage, LAYOUT), save(storage, "right")["key"]
    place.write(LAYOUT.claim(1), b"{}")
    ((task, entry),) = list_results(store)
    found = ReusableResults({task: Stored(key, entry.size, store, 0)})
    assert found.load(*task, wanted=True) is not None
    place.write(key, place.read(save(storage, "longer than right", 8)["key"]))
    assert found.load(*task, wanted=True) is None


def test_a_copy_is_the_object_byte_for_byte(storage: Storage) -> None:
    result, target = save(storage, LARGE), io.BytesIO()
    copy_result(storage, result, target)
    assert target.getvalue() == storage.read(result["key"])


def test_the_engine_stores_each_checkpointed_result_and_lists_it(place: Place) -> None:
    class Own:
        """Not importable where the result is read: it travels in it."""

        def __init__(self, x: int) -> None:
            self.x = x

    with Flow("f") as flow:
        task(lambda: None, name="nothing")()
        task(lambda: 1, name="passing", checkpoint=False)()
        task(Own, name="own").map([1, 2])
        task(threading.Lock, name="lock", retries=2)()
    storage = place.open()
    report = Engine(flow, {}, Threads(2), save=Results(RunStore(storage, LAYOUT), 1).save).run()
    tasks: list[Any] = [*report.tasks]
    nothing, passing, *owns, lock = tasks
    assert read_result(storage, nothing["result"]) is None
    assert passing["result"] is None
    assert [read_result(storage, own["result"]).x for own in owns] == [1, 2]
    assert owns[0]["result"]["type"].endswith("<locals>.Own")
    assert (lock["state"], lock["tries"], lock["result"]) == ("failed", 1, None)
    assert "the result of task lock cannot be pickled" in lock["error"]["message"]
    assert place.keys() == [
        LAYOUT.result(1, "nothing", None),
        LAYOUT.result(1, "own", 0),
        LAYOUT.result(1, "own", 1),
    ]


PEAK = """if True:
    import resource
    import sys
    import numpy
    from runner.secrets.named import resolve
    from runner.runs.layout import RunLayout
    from runner.runs.results import Results
    from runner.runs.store import RunStore
    from runner.environ import process_environ
    from runner.backends import open_storage
    from runner.location import parse_location
    from types import SimpleNamespace

    environ = process_environ()
    storage = open_storage(parse_location(sys.argv[1]).as_root(), resolve((), environ), environ)
    save = Results(RunStore(storage, RunLayout("etl", "run")), 1).save
    save(SimpleNamespace(slug="warm"), None, numpy.ones(3 * 2**20))()
    array = numpy.ones(200 * 2**20 // 8)
    if len(sys.argv) > 2:
        array = array.reshape(-1, 1024).T
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = save(SimpleNamespace(slug="big"), None, array)()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, result["size"])
"""


@pytest.mark.parametrize("backend", ["local", "s3"])
@pytest.mark.parametrize("order", [(), ("fortran",)])
def test_a_large_array_is_stored_without_a_second_copy_of_it(place: Place, order: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", PEAK, place.url, *order]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    grown, size = map(int, done.stdout.split())
    assert size > 200 * 2**20
    assert grown < 64, f"{grown} MB beyond the array"
