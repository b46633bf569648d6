"""The share of `python -m harness.races` that every `make test` has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.races.__main__ import race, summary
from harness.races.attack import TRUSTING

if TYPE_CHECKING:
    from support.places import Place


@pytest.mark.parametrize("backend", ["local", "s3"], indirect=True)
def test_no_flow_that_fails_is_made_to_end_with_0(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNNER_SIGNING_KEY", TRUSTING["RUNNER_SIGNING_KEY"])  # it sets this, for no other test
    rounds = race(place, 12)
    assert {each.code for each in rounds} <= {1, 73, 79}, summary(place.word, rounds)
    assert any(each.planted for each in rounds)  # else nothing was shown
