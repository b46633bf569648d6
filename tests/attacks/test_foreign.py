"""Attacks with objects that runner did not write, which nobody can have signed."""

from __future__ import annotations

import base64
import json
import os
import pickle
from typing import TYPE_CHECKING

import pytest

from runner.serialization.inspection import inspect_pickle
from support.canary import KEY, NEWER, SLUG, Target
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_raw_pickle_lies_where_the_bundle_was(target: Target) -> None:
    """What Prefect 0.x stored runs as well, and needs no signature: unless keys are trusted."""
    target.put(target.canary.pickled)
    target.refuses(79, "plain pickle", "nobody can have signed")
    target.trusting = {}
    assert target.check().code == 65
    assert target.canary.executed, "or nothing was shown"


def test_an_envelope_of_another_system_holds_the_pickle(target: Target) -> None:
    """Prefect 1.4's JSON looks like no pickle to whoever searches the bucket for such."""
    flow = base64.b64encode(target.canary.pickled).decode()
    target.put(json.dumps({"flow": flow, "versions": {"python": "3.11.0"}}).encode())
    target.refuses(79, "nobody can have signed")


def test_a_pickle_passes_as_the_newest_version(target: Target) -> None:
    """A raw pickle with the name of a version is chosen when only the flow is named."""
    target.put(target.bundle())
    target.put(target.canary.pickled, f"{SLUG}/{NEWER}")
    target.refuses(79, location=SLUG)


def test_a_pickle_follows_a_true_bundle(target: Target) -> None:
    """As nothing that follows a zip matters to most readers of zips."""
    target.put(target.bundle() + target.canary.pickled)
    target.refuses(65, "follow its end")


@pytest.mark.parametrize("begins", [b"", b"\n", b"\xef\xbb\xbf"])
def test_a_pickle_of_the_oldest_protocol_begins_like_a_text(target: Target, begins: bytes) -> None:
    """Protocol 0 is ASCII and has no magic, so what begins as anything might be tried as a pickle."""
    target.put(begins + b"cos\nsystem\n(S'touch " + str(target.canary.path).encode() + b"'\ntR.")
    target.trusting = {}
    assert target.check().code == 65
    assert not target.canary.executed


def test_looking_at_it_is_enough(target: Target) -> None:
    """Mallory counts on somebody who looks at a suspicious object; inspect, also with --imports, ls and verify do."""
    target.put(target.canary.pickled)
    url = f"{target.place.url}/{KEY}"
    for arguments in (("inspect", url), ("inspect", "--imports", url), ("ls", url.rpartition("/")[0]), ("verify", url)):
        start(target.trusting, *arguments)
        assert not target.canary.executed
    assert "posix.open" in start({}, "inspect", "--imports", url).stdout


def test_a_scanner_is_led_astray(target: Target) -> None:
    """Pickles that scanners stop at, or do not look into: broken after the call, inside bytes, inside base64."""
    call = pickle.dumps(_Call(target.canary.path))
    for data in (call[:-1], pickle.dumps([b"x" + call]), pickle.dumps({"a": base64.b64encode(call).decode()})):
        assert "posix.mkdir" in inspect_pickle(data, "3.11").globals
    assert not target.canary.executed


class _Call:
    def __init__(self, path: object) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return os.mkdir, (self.path,)
