"""What every backend promises of keys and listings."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from runner import errors
from support.contract import (
    CLOUDS,
    REAL_BUCKETS,
    operations,
    relayed,
    write_all,
)
from support.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.contract import Root
    from support.places import Place


KEYS = [
    *("a b", " a", "a ", "a+b", "ü/日本/😀", "e\u0301", "100%", "%2F", "a%20b", "..a", "a..b", "a..", "...", "-", "~"),
    *(
        "q?x#y&z=1",
        "x/acl",
        "a*b",
        "'q'",
        '"d"',
        "a:b",
        "a|b",
        "<x>",
        "[z]",
        "{y}",
        "$a@b,c=d!^`;",
        "a\u2028b",
        "a\x80b",
    ),
    "latest/api/token",
    "deep/" * 20 + "x",
]
REFUSED = [
    *("..", "../a", "a/..", "a/../b", ".", "./a", "a/./b", "/a", "a/", "a//b", "", "a\\b", "a\0b", "a\nb", "a\x7fb"),
    "\ud800",
    "x" * 1025,
]


def test_odd_keys_are_stored_as_they_are(root: Root) -> None:
    storage = root.open()
    for name in KEYS:
        storage.create(root.prefix + name, name.encode())
        write_all(storage, f"{root.prefix}{name}-w", b"2")
    for name in KEYS:
        assert storage.read(root.prefix + name) == root.read(name) == name.encode(), name
        assert b"".join(storage.stream(f"{root.prefix}{name}-w")) == b"2", name
    expected = sorted([*KEYS, *(f"{name}-w" for name in KEYS)])
    assert sorted(root.keys()) == expected
    assert sorted(entry.key.removeprefix(root.prefix) for entry in storage.list_recursive(root.prefix)) == expected
    for folder in {name.rpartition("/")[0] for name in KEYS}:
        _, entries = storage.list_folder(f"{root.prefix}{folder}/" if folder else root.prefix)
        here = [name for name in expected if name.rpartition("/")[0] == folder]
        assert [entry.key.removeprefix(root.prefix) for entry in entries] == here, folder


def test_keys_that_mean_another_one_are_refused_everywhere(root: Root) -> None:
    storage = root.open()

    def calls(key: str) -> list[Callable[[], Any]]:
        return [
            lambda: storage.read(key),
            lambda: storage.stream(key),
            lambda: storage.create(key, b""),
            lambda: storage.replace(key, b""),
            lambda: write_all(storage, key),
            lambda: storage.sweep(f"{key}/"),
            lambda: storage.delete_all(["etl/v1", key]),
            lambda: storage.list_folder(f"{key}/"),
            lambda: storage.list_recursive(f"{key}/"),
        ]

    for key in REFUSED:
        for call in calls(key):
            with pytest.raises(errors.UsageError, match="cannot be used") as refusal:
                call()
            assert refusal.value.code == 2
    assert root.keys() == []


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_refused_key_is_never_sent(place: Place) -> None:
    with relayed(place) as (relay, storage):
        for call in operations(storage, "a/../b").values():
            with pytest.raises(errors.UsageError):
                call()
        assert relay.requests == []


def test_listings_go_past_a_thousand_keys(root: Root) -> None:
    names = [f"many/{number:04}" for number in range(550)] + [f"many/d{number:04}/x" for number in range(550)]
    storage = root.open()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: storage.create(root.prefix + name, b"12"), names))
    root.write("manyfold", b"not in the folder")
    walked = [(entry.key, entry.size) for entry in storage.list_recursive(f"{root.prefix}many/")]
    assert sorted(walked) == sorted((root.prefix + name, 2) for name in names)
    folders, entries = storage.list_folder(f"{root.prefix}many/")
    assert folders == [f"d{number:04}" for number in range(550)]
    assert [entry.key for entry in entries] == [f"{root.prefix}many/{number:04}" for number in range(550)]


@pytest.mark.parametrize("backend", [*CLOUDS, "memory", *REAL_BUCKETS], indirect=True)
def test_the_markers_that_consoles_leave_for_folders_are_no_objects(root: Root) -> None:
    for name in ("etl/", "etl/runs/", "hollow/"):
        root.write(name, b"")
    root.write("etl/v1", b"bundle")
    root.write("nought", b"")
    storage, prefix = root.open(), root.prefix
    assert sorted(entry.key for entry in storage.list_recursive(prefix)) == [f"{prefix}etl/v1", f"{prefix}nought"]
    folders, entries = storage.list_folder(prefix)
    assert (folders, [entry.key for entry in entries]) == (["etl", "hollow"], [f"{prefix}nought"])
    folders, entries = storage.list_folder(f"{prefix}etl/")
    assert (folders, [entry.key for entry in entries]) == (["runs"], [f"{prefix}etl/v1"])
    assert storage.list_folder(f"{prefix}hollow/") == ([], [])
    with pytest.raises(errors.NotFound):
        storage.read(f"{prefix}etl")
    storage.create(f"{prefix}hollow/v1", b"bundle")
    assert storage.read(f"{prefix}hollow/v1") == b"bundle"


def test_a_listing_tells_when_an_object_was_stored(root: Root) -> None:
    storage, before = root.open(), time.time()
    storage.create(f"{root.prefix}etl/one", b"1")
    (walked,), (_, (listed,)) = (
        list(storage.list_recursive(f"{root.prefix}etl/")),
        storage.list_folder(f"{root.prefix}etl/"),
    )
    assert walked == listed
    assert before - 2 < walked.modified < time.time() + 2  # whole seconds, and on a real bucket another's clock


def test_many_objects_are_deleted_whether_or_not_all_are_there(root: Root) -> None:
    storage = root.open()
    names = [f"many/é {number:04}" for number in range(600)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda name: storage.create(root.prefix + name, b"12"), names))
    root.write("manyfold", b"another's")
    storage.delete_all([f"{root.prefix}{name}" for name in [*names, "many/none"]])
    assert root.keys() == ["manyfold"]
    storage.delete_all([])
    storage.delete_all([f"{root.prefix}{name}" for name in names])


@pytest.mark.parametrize("backend", ["s3", "azure"], indirect=True)
def test_many_objects_are_deleted_by_few_requests_which_are_made_again(place: Place) -> None:
    keys = [f"many/{number:04}" for number in range(300)]
    for key in keys:
        place.write(key, b"12")
    with relayed(place, Fault("drop", "POST", times=1)) as (relay, storage):
        storage.delete_all(keys)
        assert len(relay.requests) == 3
    assert place.keys() == []


def test_a_sweep_leaves_all_objects_as_they_are(root: Root) -> None:
    storage = root.open()
    storage.create(f"{root.prefix}etl/one", b"1")
    storage.replace(f"{root.prefix}etl/deep/two", b"2")
    storage.sweep(f"{root.prefix}etl/")
    storage.sweep(f"{root.prefix}none/")
    assert root.keys() == ["etl/deep/two", "etl/one"]
