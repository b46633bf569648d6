"""What is fuzzed: what makes the input, what reads it, and the errors that the reader declares.

Most inputs are sound ones that were changed: pure noise is refused at its first byte.
"""

from __future__ import annotations

import io
import json
import pickle
import platform
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from runner.backends.local.files import LocalStorage
from runner.bundle import archive, manifest, member_names, pointers, trust
from runner.cli.show import show
from runner.errors import BundleCorrupt, EnvironmentWrong, Incompatible, NotFound, Untrusted
from runner.location import Location, invalid_key, parse_location
from runner.model import parameters
from runner.runs import documents, trailer
from runner.runs.layout import RunLayout
from runner.runs.status import run_status
from runner.runs.store import RunStore
from runner.serialization import foreign, inspection
from runner.settings import VARIABLES, Settings
from runner.signing import keys, signatures

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = "2026-11-22t12-10-24-845190-00-00"
KEY = keys.read_private("q" * 42 + "Y=")
AT = "2026-11-22T12:10:24.845190+00:00"
FACTS: Any = {
    "flow": {"name": "täglich", "version": VERSION, "key": "v1"},
    "python": {"version": platform.python_version(), "implementation": sys.implementation.name},
    "cloudpickle": "3.1.2",
    "runner": "0.1.0",
    "requires": [{"module": "json", "distribution": "json", "version": "1"}],
    "parameters": [{"name": "day", "required": True}, {"name": "n", "required": False, "default": 1}],
    "tasks": [{"task": "t", "name": "t", "mapped": False, "upstream": []}],
    "labels": ["a"],
    "image": None,
    "secrets": [],
}
RESULT = {"key": "f/r.pkl", "size": 3, "sha256": "0" * 64, "type": "int", "offset": 0, "length": 47}
FAILURE = {"type": "E", "message": "m", "traceback": "t"}
TASK = {"task": "t", "name": "t", "index": None, "mapped": False, "state": "succeeded", "tries": 1}
END: dict[str, Any] = {
    "format": 1,
    "token": "0" * 32,
    "run_id": "r",
    "attempt": 1,
    "started": AT,
    "ended": AT,
    "host": "h",
    "python": "3.11.7",
    "flow": "f",
    "bundle": {"url": "s3://b/f/v", "sha256": "0" * 64},
    "state": "failed",
    "exit_code": 1,
    "error": {"type": "E", "message": "m"},
    "tasks": [
        TASK | {"started": AT, "ended": AT, "error": None, "result": RESULT},
        TASK | {"started": None, "ended": None, "error": FAILURE, "result": None},
    ],
}
CLAIM: dict[str, Any] = {
    "format": 1,
    "token": "0" * 32,
    "run_id": "r",
    "attempt": 1,
    "host": "h",
    "pid": 1,
    "image": None,
    "python": "3.11.7",
    "started": AT,
    "beat": 15.0,
}
RUN: dict[str, Any] = {
    "format": 1,
    "token": "0" * 32,
    "run_id": "r",
    "bundle": END["bundle"],
    "parameters": {},
    "labels": [],
    "image": None,
    "reuse": {"run_id": "q", "from": None},
    "requested": AT,
    "by": {"host": "h", "uid": 0},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
MEMBERS = {"flow.pkl": pickle.dumps({"a": [1, b"x"]}), "src/mod.py": b"VALUE = 1\n", "src/täglich/d.txt": b""}
SOUND = [archive.write_bundle(FACTS, MEMBERS, key) for key in (None, KEY)]


@st.composite
def changed(draw: st.DrawFn, sound: list[bytes]) -> bytes:
    """Some sound bytes with bytes exchanged, taken out, put in, doubled or cut off."""
    data = bytearray(draw(st.sampled_from(sound)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 40))
        match draw(st.integers(0, 4)):
            case 0:
                data[place : place + length] = draw(st.binary(min_size=length, max_size=length))
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = draw(st.binary(max_size=40))
            case 3:
                data[place:place] = data[place : place + length]
            case 4:
                del data[place:]
    return bytes(data)


@st.composite
def altered(draw: st.DrawFn, sound: dict[str, Any]) -> dict[str, Any]:
    """A sound document, some parts of which were exchanged for anything, taken out, or added."""
    document: dict[str, Any] = json.loads(json.dumps(sound))
    for _ in range(draw(st.integers(1, 4))):
        at: Any = document
        while True:
            places: list[Any] = list(at) if isinstance(at, dict) else list(range(len(at)))
            if not places:
                break
            place = draw(st.sampled_from(places))
            if isinstance(at[place], dict | list) and draw(st.booleans()):
                at = at[place]
                continue
            match draw(st.integers(0, 2)):
                case 0:
                    at[place] = draw(JSON)
                case 1:
                    del at[place]
                case 2 if isinstance(at, dict):
                    at[draw(st.text(max_size=8))] = draw(JSON)
            break
    return document


@st.composite
def signed_manifest(draw: st.DrawFn) -> bytes:
    """A bundle whose frame and signature are sound, and whose manifest says anything."""
    sound = json.loads(bytes(archive.read_bundle(SOUND[0]).members["manifest.json"]))
    reported = draw(altered(sound))
    try:
        text = archive.encode_manifest(reported)
    except ValueError:
        text = json.dumps(reported).encode()
    signature = {"signature.json": signatures.sign(KEY, signatures.BUNDLE, text)} if draw(st.booleans()) else {}
    return b"".join(archive.zip_pieces({"manifest.json": text, **MEMBERS, **signature}))


def _read_bundle(data: bytes) -> None:
    if archive.is_bundle(data):
        archive.read_bundle(data)


TRUSTING = Settings.from_environ(
    {"RUNNER_LOCATION": f"s3://b/taglich/{VERSION}", "RUNNER_TRUSTED_KEYS": KEY.public.text}
)


def _verify(data: bytes) -> None:
    """Make every check that is made before unpickling."""
    opened = trust.verify(data)
    assert isinstance(opened, archive.Bundle)
    for settings in (TRUSTING, Settings(min_version="2020-01-01t")):
        trust.admit(data, Location("s3", "b", f"taglich/{VERSION}"), settings)
    manifest.check_fit(opened.manifest, "org/runner:slim")
    parameters.check_parameters(opened.manifest["parameters"], {"day": 1})


def _settings(environ: dict[str, str]) -> None:
    Settings.from_environ({"RUNNER_LOCATION": "s3://b/k"} | environ)


def _trailer(parts: list[bytes]) -> None:
    kept = io.BytesIO()
    found = trailer.copy_verified(parts, kept)
    assert trailer.read_trailer(b"".join(parts)[-44:]) == found or found is None
    assert kept.getvalue() == b"".join(parts)


KINDS: dict[str, documents.Kind] = {"run.json": "run", "claim.json": "claim", "end.json": "end", "outcome.json": "end"}


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="runner-fuzz-"))


def _standing(stored: dict[str, bytes]) -> None:
    """Tell how a run stands, and show it, with whatever lies there."""
    storage, layout = LocalStorage(str(_folder())), RunLayout("f", "r")
    for key, data in stored.items():
        try:
            documents.decode(data, KINDS[key.rpartition("/")[2]])
        except ValueError:
            continue  # what is no document of its kind is refused before
        path = _folder() / f"f/runs/r/{key}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    try:
        run_status(RunStore(storage, layout))
        assert show.callback is not None
        with tempfile.TemporaryFile("w") as nowhere:
            sys.stdout, kept = nowhere, sys.stdout
            try:
                show.callback(run=f"{_folder()}/f/runs/r", as_json=False)
            finally:
                sys.stdout = kept
    finally:
        for key in stored:
            (_folder() / f"f/runs/r/{key}").unlink(missing_ok=True)


POINTER: dict[str, Any] = {
    "format": 1,
    "alias": "prod",
    "flow": "f",
    "place": "f",
    "version": VERSION,
    "sha256": "0" * 64,
    "made": AT,
}
RELEASER = keys.PrivateKey(KEY.raw, "aliases")
YOUNG = Settings.from_environ(
    {"RUNNER_TRUSTED_KEYS": RELEASER.public.text, "RUNNER_MAX_AGE": "9e9"}, needs_location=False
)


def _signed_pointer(document: dict[str, Any]) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    signature = json.loads(signatures.sign(RELEASER, signatures.ALIAS_POINTER, text))
    return json.dumps(document | {"signature": signature}).encode()


def _pointer(data: bytes) -> None:
    """Read a pointer without trusted keys, and with them; a true one is taken."""
    pointer = pointers.Pointer("f", "prod")
    path = _folder() / pointer.key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_signed_pointer(POINTER))
    assert pointers.read(LocalStorage(str(_folder())), pointer, YOUNG)
    path.write_bytes(data)
    for settings in (Settings(), YOUNG):
        try:
            pointers.read(LocalStorage(str(_folder())), pointer, settings)
        except BundleCorrupt:
            assert not settings.trusted_keys
        except Untrusted:
            continue


def _documents(kind: dict[str, Any]) -> st.SearchStrategy[bytes]:
    sound = documents.encode(kind)
    return altered(kind).map(lambda reported: json.dumps(reported).encode()) | changed([sound])


@dataclass(frozen=True)
class Target:
    """A reader, its inputs, and the errors that may come out of it."""

    inputs: st.SearchStrategy[Any]
    read: Callable[[Any], object]
    declared: tuple[type[Exception], ...] = ()


PICKLES = [
    pickle.dumps({"a": [1, b"x", ("täglich", 2.5)], "f": platform.python_version, "c": Path("x")}, protocol=protocol)
    for protocol in range(6)
]
ENVELOPE = json.dumps({"flow": "gASVAAAAAA==", "versions": {"python": "3.11.7", "prefect": "1.4.1"}}).encode()
TEXT = st.text(max_size=60)
PLACES = st.sampled_from(["s3://b/k", "gs://b", "azure://c/k/", "file:///tmp/x", "b/k", "~", "/", "~root/x", "file://"])
WORDS = st.sampled_from(["", "s3", "local", "gcs", "azure", "docker", "ftp"])
VALUES = TEXT | PLACES | JSON.map(json.dumps) | st.sampled_from([VERSION, "1e400", KEY.public.text])
ENVIRON = st.dictionaries(st.sampled_from([*VARIABLES, *(f"{name}_FILE" for name in VARIABLES)]), VALUES, max_size=3)

TARGETS = {
    "bundle": Target(changed(SOUND) | st.binary(max_size=300), _read_bundle, (BundleCorrupt, Incompatible)),
    "manifest": Target(signed_manifest(), _verify, (BundleCorrupt, Incompatible, Untrusted, EnvironmentWrong)),
    "names": Target(st.lists(TEXT.map(lambda text: f"src/{text}") | JSON), member_names.invalid_name),
    "signature": Target(changed([signatures.sign(KEY, signatures.BUNDLE, b"y")]), signatures.check_form, (ValueError,)),
    "public keys": Target(
        TEXT | changed([KEY.public.text.encode()]).map(lambda data: data.decode("latin-1")),
        keys.read_public,
        (ValueError,),
    ),
    "private key": Target(
        TEXT | changed([KEY.pem]).map(lambda data: data.decode("latin-1")), keys.read_private, (ValueError,)
    ),
    "settings": Target(ENVIRON, _settings, (EnvironmentWrong,)),
    "location": Target(
        st.tuples(TEXT | PLACES | st.tuples(PLACES, TEXT).map("".join), WORDS),
        lambda given: parse_location(*given),
        (ValueError, OSError, RuntimeError),
    ),
    "keys": Target(TEXT, invalid_key),
    "trailer": Target(st.lists(st.binary(max_size=60) | changed([trailer.trailer(3, bytes(32))])), _trailer),
    "records": Target(_documents(END) | _documents(CLAIM) | _documents(RUN), documents.decode, (ValueError,)),
    "outcome": Target(st.fixed_dictionaries({"outcome.json": _documents(END)}), _standing, (BundleCorrupt, NotFound)),
    "end and claim": Target(
        st.fixed_dictionaries(
            {"attempts/0001/claim.json": _documents(CLAIM)}, optional={"attempts/0001/end.json": _documents(END)}
        ),
        _standing,
        (BundleCorrupt, NotFound),
    ),
    "pointer": Target(
        _documents(POINTER) | altered(POINTER).map(_signed_pointer) | changed([_signed_pointer(POINTER)]), _pointer
    ),
    "envelope": Target(changed([ENVELOPE, PICKLES[4]]) | st.binary(), foreign.open_pickle, (BundleCorrupt,)),
    "imports": Target(changed(PICKLES), lambda data: inspection.inspect_pickle(data, platform.python_version())),
}
