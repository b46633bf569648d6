"""What every backend promises of `Storage.read_changed`: the object once, then only that it is what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner import errors
from support.contract import CLOUDS, endpoint, through
from support.wire import Relay

if TYPE_CHECKING:
    from support.contract import Root


def test_an_object_is_given_again_when_it_has_changed_and_only_then(root: Root) -> None:
    storage, key = root.open(), f"{root.prefix}ring"
    with pytest.raises(errors.NotFound):
        storage.read_changed(key)
    storage.replace(key, b"first")
    first = storage.read_changed(key)
    assert first is not None
    assert first[0] == b"first"
    assert storage.read_changed(key, first[1]) is None
    storage.replace(key, b"second")
    second = storage.read_changed(key, first[1])
    assert second is not None
    assert second[0] == b"second"
    assert storage.read_changed(key, second[1]) is None
    with pytest.raises(errors.TooLarge):
        storage.read_changed(key, limit=3)


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_that_nothing_has_changed_costs_one_request(root: Root) -> None:
    key = f"{root.prefix}ring"
    root.write("ring", b"x")
    upstream = endpoint(root.place)
    with Relay(f"http://{upstream}") as relay:
        storage = through(root.place, relay.port, upstream).open()
        found = storage.read_changed(key)
        assert found is not None
        before = len(relay.requests)
        assert storage.read_changed(key, found[1]) is None
        asked = [
            method for method, path in relay.requests[before:] if storage.container in path
        ]  # a port is used again
        assert asked == ["GET"]
