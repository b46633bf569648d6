"""One backend after the other, and a place in it, for every test of the contract.

Where RUNNER_TEST_S3, RUNNER_TEST_GCS or RUNNER_TEST_AZURE is a root's URL (``s3://bucket/folder``), the suite runs
against that real bucket too, under a random prefix that it removes, with this machine's own credentials.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from runner.location import parse_location
from support.contract import AMBIENT, BACKENDS, REAL, REAL_BUCKETS, Root, real_place

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=[*BACKENDS, *REAL_BUCKETS])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(backend: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Root]:
    if not backend.startswith("real-"):
        yield Root(request.getfixturevalue("place"))
        return
    for name, value in AMBIENT.items():  # the real credentials, and the home in which they lie
        monkeypatch.setenv(name, value)
    word = backend.removeprefix("real-")
    where = parse_location(REAL[word])
    prefix = f"{where.key}/{uuid.uuid4().hex}/".lstrip("/")
    place, remove = real_place(word, REAL[word], where.container, prefix)
    yield Root(place, prefix)
    for key in place.keys():  # noqa: SIM118
        remove(key)
