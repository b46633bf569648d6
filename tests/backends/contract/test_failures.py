"""What every backend promises of failures: not found, denied, refused and missing are told apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from runner import errors
from support.contract import (
    CLOUDS,
    DENIALS,
    MB,
    METHODS,
    REFUSALS,
    impatient,
    noise,
    operations,
    relayed,
)
from support.wire import Fault

if TYPE_CHECKING:
    from support.contract import Root
    from support.places import Place


def test_a_missing_object_is_not_found(root: Root) -> None:
    with pytest.raises(errors.NotFound, match=r"there is no (object|file) .*nope") as refusal:
        root.open().read(f"{root.prefix}nope/nope")
    assert type(refusal.value) is errors.NotFound
    assert refusal.value.code == 66


def test_a_missing_folder_is_empty(root: Root) -> None:
    assert root.open().list_folder(f"{root.prefix}nope/") == ([], [])
    assert list(root.open().list_recursive(f"{root.prefix}nope/")) == []


@pytest.mark.parametrize("key", ["key", "object/bucket"])
def test_a_missing_bucket_is_another_error_than_a_missing_object(place: Place, backend: str, key: str) -> None:
    storage = replace(place, url=f"{place.url}-missing").open()
    for what, call in operations(storage, key).items():
        if backend == "local" and what in {"create", "replace", "write"}:
            continue  # a folder is made
        with pytest.raises(errors.BucketMissing, match=r"there is no (bucket|folder) .*-missing") as refusal:
            call()
        assert refusal.value.code == 66, what


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
@pytest.mark.parametrize("key", ["key", "credentials/metadata 404 Not Found timed out dns error"])
def test_who_is_known_and_may_not_is_denied(place: Place, key: str) -> None:
    faults = [Fault("answer", method, status=403, body=DENIALS[place.word]) for method in METHODS]
    with relayed(place, *faults) as (_, storage):
        for what, call in operations(storage, key).items():
            with pytest.raises(errors.Denied, match=r"not allowed to (read|write|delete|list)") as refusal:
                call()
            assert refusal.value.code == 77, what
            assert "Give the identity" in refusal.value.hint


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_wrong_credentials_are_another_error_than_a_lack_of_rights(place: Place) -> None:
    status, body = REFUSALS[place.word]
    faults = [Fault("answer", method, status=status, body=body) for method in METHODS]
    with relayed(place, *faults) as (_, storage):
        for call in operations(storage, "key").values():
            with pytest.raises(errors.CredentialsRefused, match="refused the credentials") as refusal:
                call()
            assert type(refusal.value) is errors.CredentialsRefused
            assert refusal.value.code == 77


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_body_that_always_breaks_off_is_a_failed_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch, 1)
    place.write("large", noise(MB))
    with (
        relayed(place, Fault("cut", "GET", "large")) as (_, storage),
        pytest.raises(errors.ReadFailed) as refusal,
    ):
        storage.read("large")
    assert type(refusal.value) is errors.ReadFailed
    assert refusal.value.code == 74


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_server_that_stays_broken_fails_the_write(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch, 1)
    broken = [Fault("answer", method, status=500, body=b"<Error/>") for method in ("PUT", "POST")]
    with relayed(place, *broken) as (_, storage):
        for what in ("create", "replace", "write"):
            with pytest.raises(errors.WriteFailed, match=r"write .*key failed") as refusal:
                operations(storage, "key")[what]()
            assert type(refusal.value) is errors.WriteFailed
