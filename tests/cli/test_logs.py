"""``runner logs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.cli.logs import _parts
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore

if TYPE_CHECKING:
    import pytest

    from runner.backends.base import Storage
    from support.places import Place


def test_the_parts_of_a_log_that_are_missing_cost_no_listing_each(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 300 names with gaps between them, that somebody put there."""
    for number in range(1, 600, 2):
        here.write(f"etl/runs/r/attempts/0001/logs/{number:06}.jsonl", b'{"message": "m"}\n')
    store, listings = RunStore(here.open(), RunLayout("etl", "r")), list[str]()
    original = type(store.storage).list_folder

    def counted(storage: Storage, prefix: str = "") -> object:
        listings.append(prefix)
        return original(storage, prefix)

    monkeypatch.setattr(type(store.storage), "list_folder", counted)
    assert len(list(_parts(store, 1, follow=False))) == 300
    assert len(listings) < 5
