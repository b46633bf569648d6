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

from runner import cgroup
from runner.backends.local.files import LocalStorage
from runner.bundle import archive, manifest, member_names, pointers, trust
from runner.bundle.fetch import newest_version
from runner.cli.logs import logs
from runner.cli.report import report
from runner.cli.show import show
from runner.errors import BucketMissing, BundleCorrupt, EnvironmentWrong, Incompatible, NotFound, Untrusted, UsageError
from runner.location import Location, invalid_key, parse_location
from runner.model import parameters
from runner.reports.gathered import FlowFacts
from runner.reports.page import render
from runner.runs import documents, trailer
from runner.runs.layout import RunLayout
from runner.runs.status import run_status
from runner.runs.store import RunStore
from runner.runs.stored_results import list_results
from runner.schema import outline
from runner.serialization import foreign, inspection
from runner.settings import VARIABLES, Settings, with_files_read
from runner.signing import keys, signatures
from support.memory.storage import BUCKETS, MemoryStorage
from support.pages import end_of, gathered, task_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import click

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
        _quietly(show, run=f"{_folder()}/f/runs/r", follow=False, as_json=False)
        _quietly(report, run=f"{_folder()}/f/runs/r", output=_folder() / "page.html", as_json=False)
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
    {"RUNNER_TRUSTED_KEYS": RELEASER.public.text, "RUNNER_MAX_AGE": "1e9"}, needs_location=False
)


def _signed_pointer(document: dict[str, Any]) -> bytes:
    signature = signatures.sign_document(RELEASER, signatures.ALIAS_POINTER, document)
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


def _quietly(command: click.Command, **arguments: Any) -> None:
    """Run a command, whose output nobody wants."""
    assert command.callback is not None
    with tempfile.TemporaryFile("w+b", buffering=0) as nowhere, io.TextIOWrapper(nowhere, "utf-8") as text:
        kept = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = text
        try:
            command.callback(**arguments)
        finally:
            sys.stdout, sys.stderr = kept


def _page(found: Any) -> None:
    """Make the page about a run whose bundle says this of itself."""
    manifest.check_complete(found)
    render(gathered(end_of([task_of(slug="t", index=None, mapped=False)]), flow=FlowFacts(found)))


def _logs(parts: list[bytes]) -> None:
    """Show a log whose parts are these."""
    folder = _folder() / "f/runs/r/attempts/0001/logs"
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:06}.jsonl" for number, _ in enumerate(parts, 1)]
    try:
        for file, part in zip(files, parts, strict=True):
            file.write_bytes(part)
        for as_json in (False, True):
            _quietly(logs, run=f"{_folder()}/f/runs/r", follow=False, as_json=as_json)
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def _beat(data: bytes) -> None:
    path = _folder() / "f/runs/r/attempts/0001/beat"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    RunStore(LocalStorage(str(_folder())), RunLayout("f", "r")).read_heartbeat(1)
    path.unlink()


CGROUP = {
    "proc/self/cgroup": b"0::/a/b\n3:memory:/a\n2:cpu,cpuacct:/a\n1:pids:/a\n",
    "proc/meminfo": b"MemTotal:       16384 kB\n",
    "memory.max": b"1048576\n",
    "memory.current": b"4096\n",
    "memory.peak": b"8192\n",
    "memory.events": b"oom 1\noom_kill 1\n",
    "cpu.max": b"100000 50000\n",
    "pids.max": b"10\n",
    "memory.limit_in_bytes": b"9223372036854771712\n",
    "memory.usage_in_bytes": b"1\n",
    "memory.stat": b"hierarchical_memory_limit 4096\n",
    "memory.oom_control": b"oom_kill_disable 0\noom_kill 1\n",
    "cpu.cfs_quota_us": b"-1\n",
    "cpu.cfs_period_us": b"100000\n",
}


def _cgroup(given: tuple[bool, dict[str, bytes]]) -> None:
    """Read the limits where the kernel's files say anything, in either version."""
    is_second, files = given
    with tempfile.TemporaryDirectory() as root:
        mount = Path(root, "sys/fs/cgroup")
        for name, data in files.items():
            folders = [Path(root)] if name.startswith("proc") else [mount / "a", mount / "memory/a", mount / "cpu"]
            for folder in folders:
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        if is_second:
            mount.mkdir(parents=True, exist_ok=True)
            (mount / "cgroup.controllers").write_bytes(b"")
        cgroup.read_limits(root)
        cgroup.memory_limit(root)
        cgroup.describe_oom_kill(0, root)
        cgroup.describe_process_limit(root)


def _files(given: dict[str, bytes]) -> None:
    """Read settings, and a key, from files."""
    environ = {}
    for name, data in given.items():
        file = _folder() / name
        file.write_bytes(data)
        file.chmod(0o600)
        environ[f"{name}_FILE"] = str(file)
    with_files_read(environ)
    Settings.from_environ({"RUNNER_LOCATION": "s3://b/k"} | environ)


def _key_file(data: bytes) -> None:
    file = _folder() / "key.pem"
    file.write_bytes(data)
    file.chmod(0o600)
    keys.read_private(keys.read_file(file))


def _names(names: list[str]) -> None:
    """List what anybody may have put into a folder of runs."""
    storage, layout = MemoryStorage("memory", "fuzzed"), RunLayout("f", "r")
    BUCKETS["fuzzed"] = {f"f/{name}": (b"", 0.0) for name in names if not invalid_key(f"f/{name}")}
    newest_version(storage, "f/")
    store = RunStore(storage, layout)
    store.list_attempts()
    list(list_results(store))
    pointers.aliases(storage, "f")


@st.composite
def listed(draw: st.DrawFn) -> str:
    """A name as a listing may have it, sound or not."""
    number = draw(st.sampled_from(["0001", "1", "٣", "²", "9" * 400, "", "-1", "x"]))
    return draw(
        st.sampled_from(
            [
                VERSION,
                "aliases/prod.json",
                f"runs/r/attempts/{number}/claim.json",
                f"runs/r/attempts/{number}",
                f"runs/r/attempts/0001/results/t/{number}.pkl",
                f"runs/r/attempts/{number}/results/t.pkl",
            ]
        )
    ) + draw(st.sampled_from(["", "", "/", "x"]) | TEXT)


def _outline(data: bytes) -> None:
    """Look through a document in small pieces: what is passed is what JSON has there."""
    kept, outline._PIECE = outline._PIECE, 300
    try:
        found = outline.outline(data, "tasks", lambda _: "")
    finally:
        outline._PIECE = kept
    whole = json.loads(data)
    if isinstance(whole.get("tasks"), list):
        whole["tasks"] = []
    assert json.dumps(found) == json.dumps(whole)


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

VARIABLES_OF_FILES = [name for name in VARIABLES if name != "RUNNER_SECRETS"]
FILES = [b"s3://b/k\n", b'{"day": 1}', b"60", KEY.public.text.encode(), KEY.pem, VERSION.encode()]
LINES = [
    b'{"time": "2026-11-22T12:10:24.845Z", "level": "INFO", "logger": "runner.run", "message": "m", "task": "t"}\n',
    b'{"time": "2026-11-22T12:10:24.845Z", "stream": "stdout", "message": "printed"}\n',
    b'{"time": "t", "level": "ERROR", "logger": "x", "message": "m", "exception": "Traceback"}\n',
    b'{"time": "t", "level": "INFO", "logger": "runner.pump", "message": "over", "last": true}\n',
]
BEAT: Any = {"format": 1, "token": "0" * 32, "beat": 1, "time": AT}

TARGETS = {
    "bundle": Target(changed(SOUND) | st.binary(max_size=300), _read_bundle, (BundleCorrupt, Incompatible)),
    "manifest": Target(signed_manifest(), _verify, (BundleCorrupt, Incompatible, Untrusted, EnvironmentWrong)),
    "page of a manifest": Target(altered(FACTS | {"format": 1, "members": []}), _page, (BundleCorrupt,)),
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
    "logs": Target(st.lists(changed([b"".join(LINES)]), max_size=3), _logs, (NotFound, BundleCorrupt)),
    "beat": Target(st.binary(max_size=5000) | changed([documents.encode(BEAT)]), _beat),
    "cgroup files": Target(
        st.tuples(st.booleans(), st.fixed_dictionaries({}, optional={n: changed([d]) for n, d in CGROUP.items()})),
        _cgroup,
    ),
    "settings files": Target(
        st.dictionaries(st.sampled_from(VARIABLES_OF_FILES), changed(FILES) | st.binary(max_size=60), max_size=3),
        _files,
        (EnvironmentWrong,),
    ),
    "key file": Target(changed([KEY.pem]), _key_file, (ValueError, UsageError)),
    "listed names": Target(st.lists(listed(), max_size=8), _names, (BucketMissing,)),
    "outline": Target(_documents(END), _outline, (ValueError,)),
    "imports": Target(changed(PICKLES), lambda data: inspection.inspect_pickle(data, platform.python_version())),
}
