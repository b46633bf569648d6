"""What every backend promises where others have stored objects under keys that runner takes for none."""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from runner import errors
from runner.bundle.fetch import newest_version
from runner.location import invalid_key
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from runner.runs.stored_results import list_results
from support.contract import CLOUDS, relayed
from support.places import unsigned

if TYPE_CHECKING:
    from support.contract import Root
    from support.places import Place

FOREIGN = [
    "etl//x",
    "etl/runs//",
    "etl/runs//y",
    "etl/../up",
    "etl/./here",
    "etl/sub/../../z",
    "etl/a\nb",
    "etl/\x01\x7f",
    "etl/a\\b",
    "etl/line\r\nbreak/x",
    'etl/q" contained/../x"',
    "etl/\x1b[2J/x",
]
GOOD = ["etl/a b+c%2F", "etl/a&<>é'\"", "etl/2026-11-22t12", "etl/runs/r/run.json", "etl/sub/z"]


def plant(root: Root) -> list[str]:
    """Store what the cloud's own SDK, and the emulator, take; each takes some."""
    for name in FOREIGN:
        if root.place.word == "azure" and (not name.isprintable() or "\\" in name):
            continue  # with the one the emulator lists nothing any more, and takes the other for a slash
        if root.place.word == "local" and {"", ".", ".."} & set(name.split("/")):
            continue  # to the system it is another one
        with contextlib.suppress(Exception):
            root.write(name, b"1")
    return [name for name in root.keys() if invalid_key(name)]  # noqa: SIM118 - it is no dict


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]


def names_in(root: Root, found: list[Any]) -> list[str]:
    return sorted(entry.key.removeprefix(root.prefix) for entry in found)


def test_keys_that_are_none_are_told_once_and_passed_over(root: Root, caplog: pytest.LogCaptureFixture) -> None:
    assert plant(root)
    for name in GOOD:
        root.write(name, b"1")
    storage, prefix = root.open(), root.prefix
    beside = set() if root.place.word == "local" else {'q" contained'}
    for _ in range(2):
        found = list(storage.list_recursive(f"{prefix}etl/"))
        assert names_in(root, found) == sorted(GOOD)
        assert {entry.size for entry in found} == {1}
        folders, entries = storage.list_folder(f"{prefix}etl/")
        assert set(folders) - beside == {"runs", "sub"}
        assert names_in(root, entries) == sorted(GOOD[:3])
        assert storage.list_folder(f"{prefix}etl/runs/")[0] == ["r"]
    told = [text for text in warnings(caplog) if "passed over" in text]
    assert 0 < len(told) <= 2, told
    assert all(text.isprintable() for text in told)


@pytest.mark.parametrize("backend", [*CLOUDS, "memory"], indirect=True)
def test_a_flow_and_a_run_are_found_beside_foreign_keys(place: Place) -> None:
    layout = RunLayout("etl", "r")
    for key in ("etl/2026-11-22t12", layout.claim(1), layout.result(1, "clean", None)):
        place.write(key, b"1")
    for key in ("etl//x", f"{layout.attempts}/x", f"{layout.attempts}0001//results/x.pkl"):
        place.write(key, b"1")
    store = RunStore(place.open(), layout)
    assert newest_version(store.storage, "etl/") == "etl/2026-11-22t12"
    assert store.exists()
    assert list(store.list_attempts()) == [1]
    assert [key for key, _ in list_results(store)] == [("clean", None)]


@pytest.mark.parametrize("backend", ["s3", "azure"], indirect=True)
def test_pages_go_on_past_a_foreign_key(place: Place) -> None:
    names = [f"etl/{number:04}-%C+ (é)&<x>" for number in range(1003)]
    storage = place.open()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: storage.create(name, b"1"), names))
    for key in ("etl/0000//x", "etl/1001//x"):
        place.write(key, b"1")
    assert sorted(entry.key for entry in storage.list_recursive("etl/")) == names
    folders, entries = unsigned(place).open().list_folder("etl/")  # of Azure, with a SAS
    assert [entry.key for entry in entries] == names
    assert folders == ["0000", "1001"]
    assert [entry.modified > 1e9 for entry in entries[:2]] == [True, True]


@pytest.mark.parametrize("backend", ["s3", "azure"], indirect=True)
def test_without_foreign_keys_a_listing_is_one_request(place: Place) -> None:
    place.write("etl/a", b"1")
    with relayed(place) as (relay, storage):
        storage.list_folder("etl/")
        list(storage.list_recursive("etl/"))
        assert len(relay.requests) == 2
        place.write("etl//x", b"1")
        storage.list_folder("etl/")
        assert len(relay.requests) == 4


@pytest.mark.parametrize("backend", ["s3"], indirect=True)
def test_the_address_of_a_page_is_signed_as_amazons_own_library_does(place: Place) -> None:
    """The emulator looks at no signature."""
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    storage: Any = place.open()
    query = {"list-type": "2", "prefix": "etl/a b+&é%/", "continuation-token": "1/x+y=="}
    address, headers = storage._connection.pages("us-east-1")[1](query)
    given = parse_qs(urlsplit(address).query, keep_blank_values=True)
    assert {name: given[name] for name in query} == {name: [value] for name, value in query.items()}
    assert headers == {}
    plain = address.partition("&X-Amz-")[0]
    keys = Credentials(place.environ["AWS_ACCESS_KEY_ID"], place.environ["AWS_SECRET_ACCESS_KEY"])
    auth: Any = S3SigV4QueryAuth(keys, "s3", "us-east-1", int(given["X-Amz-Expires"][0]))
    request = AWSRequest("GET", plain)
    request.context["timestamp"] = given["X-Amz-Date"][0]
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    assert auth.signature(auth.string_to_sign(request, canonical), request) == given["X-Amz-Signature"][0]


@pytest.mark.parametrize("backend", ["azure"], indirect=True)
def test_where_only_obstore_has_a_token_the_key_is_named(place: Place) -> None:
    place.write("etl//x", b"1")
    storage: Any = place.open()
    storage._connection = storage._connection._replace(pages=lambda _place: None)
    for listing in (lambda: storage.list_folder("etl/"), lambda: list(storage.list_recursive("etl/"))):
        with pytest.raises(errors.ReadFailed, match=r"the object 'etl//x?' has a key that cannot be read") as refusal:
            listing()
        assert refusal.value.hint == "Remove or rename it."
