"""Attacks that want no code to run, but memory and time to be used up: small inputs that become large, by somebody who
can write to the bucket. Each is read in a process of its own: a refusal takes a second and 64 MB beyond the input."""

from __future__ import annotations

import json
import pickle
import struct
from typing import TYPE_CHECKING, Any

import pytest

from harness.fuzz.targets import CLAIM, END, FACTS, RUN
from runner.bundle import archive
from support.costs import MB, cheap, cost_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOUND = archive.write_bundle(FACTS, {"flow.pkl": pickle.dumps(None), "src/mod.py": b""})
SOUND_END = json.dumps(END).encode()
PROTO = b"\x80\x04"


def frame(manifest: bytes, **members: bytes) -> bytes:
    """A bundle with this manifest, whatever it says."""
    return b"".join(archive.zip_pieces({"manifest.json": manifest, **members}))


def named(*names: str) -> bytes:
    """A bundle whose members are these, all of them empty, unsigned but whole."""
    empty = archive._digest(b"")
    members = [{"name": name, "size": 0, "sha256": empty} for name in ("flow.pkl", *names)]
    manifest = archive.encode_manifest({"format": 1, **FACTS, "members": members})
    return frame(manifest, **dict.fromkeys(("flow.pkl", *names), b""))


def of_end(entries: str) -> bytes:
    """An end that has these entries of tasks."""
    return json.dumps(END | {"tasks": []}).replace('"tasks": []', f'"tasks": [{entries}]').encode()


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def octets(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


# Bundles

DEEP = [f"src/{number}" + "/a" * 505 for number in range(7000)]
WIDE = [f"src/{number}" + "/é" * 60 for number in range(20_000)]
LIGATURES = ["src/" + "\ufdfa" * 50 + str(number) for number in range(20_000)]


@pytest.mark.parametrize(("names", "reason"), [(DEEP, "lies too deep"), (WIDE, "larger"), (LIGATURES, "too long")])
def test_members_lie_in_folders_without_end(tmp_path: Path, names: list[str], reason: str) -> None:
    """7,000 names 506 folders deep in 8 MB: each folder above each of them was kept as a text of its own, 4.2 GB; and
    one character of Unicode is eighteen when it is folded."""
    data = named(*names)
    if reason == "larger":  # sound names, so they are compared to the last, and then the bundle is not
        data = data[:-1]
    cost = cheap(cost_of("support.costs:verify", data, tmp_path, SOUND), seconds=3)  # 20,000 digests are made as well
    assert cost.answer.startswith("BundleCorrupt"), cost
    assert cost.seconds < 1 or reason == "larger"


@pytest.mark.parametrize(
    "value",
    [b"[" + b"[]," * 2_600_000 + b"[]]", b'{"a":' * 1_500_000, b"[" + b'{"":0},' * 130_000 + b"0]", b"1" * 8_000_000],
    ids=["lists", "depth", "dictionaries", "a number"],
)
def test_a_manifest_is_small_until_it_is_read(tmp_path: Path, value: bytes) -> None:
    """JSON bombs: three bytes become a list of 56, seven a dictionary of 200, and digits cost their number squared."""
    manifest = b'{"format":1,"members":' + value + b"}"
    cost = cheap(cost_of("support.costs:verify", frame(manifest, **{"flow.pkl": b""}), tmp_path, SOUND))
    assert cost.answer.startswith("BundleCorrupt"), cost


def test_an_object_is_no_bundle_but_large(tmp_path: Path) -> None:
    """200 MB of anything in the place of a bundle."""
    envelope = b'{"flow":"gASV' + b"A" * 200 * MB + b'","versions":{}}'
    for data in (b"PK" + bytes(200 * MB), b"{" + b'"a",' * 50_000_000, bytes(200 * MB), envelope):
        cost = cheap(cost_of("support.costs:verify", data, tmp_path, SOUND))
        assert cost.answer.startswith("BundleCorrupt"), cost


# Documents of a run

RECORD = json.dumps(END["tasks"][0])
JUNK = RECORD[:-1] + ', "junk": [' + "[]," * 20 + "[]]}"
ENDS: dict[str, Callable[[], bytes]] = {
    "lists in a list": lambda: b"[" + b"[]," * 10_000_000 + b"[]]",
    "lists, spread": lambda: b'{"format":1,"x":[' + b"[]          ," * 2_500_000 + b"[]]}",
    "lists for tasks": lambda: of_end("[]," * 10_000_000 + "[]"),
    "a member of lists": lambda: b'{"format":1,"tasks":0,"x":[' + b"[]," * 10_000_000 + b"[]]}",
    "members": lambda: (
        b'{"format":1' + b"".join(b',"x%d":[[],[],[],[]]' % number for number in range(1_000_000)) + b"}"
    ),
    "names": lambda: b"{" + b",".join(b'"%d":0' % number for number in range(3_000_000)) + b"}",
    "junk in sound entries": lambda: of_end(", ".join([JUNK] * 60_000)),
    "depth in entries": lambda: of_end(", ".join([RECORD[:-1] + ', "junk": ' + "[" * 400 + "]" * 400 + "}"] * 20_000)),
    "the last entry": lambda: of_end(", ".join([RECORD] * 30_000 + ["5"])),
    "one text": lambda: b'{"format":1,"x":"\xf0\x9f\x98\x80' + b"a" * 30 * MB + b'"}',
    "depth": lambda: b'{"format":1,"x":' + b"[" * 5 * MB,
    "numbers": lambda: b'{"format":1,"x":[' + b"1," * 15 * MB + b"1]}",
    "digits": lambda: b'{"format":1,"x":' + b"1" * 30 * MB + b"}",
    "spaces": lambda: b"{" + b" " * 60 * MB + b"}",
    "escapes": lambda: b'{"format":1,"x":"' + b"\\u0041" * 5 * MB + b'"}',
    "no end": lambda: b'{"format":1,"x":"' + b"a" * 30 * MB,
}


@pytest.mark.parametrize("kind", ENDS)
def test_an_outcome_is_a_bomb(tmp_path: Path, kind: str) -> None:
    """`runner show` and `ls` of a 30 MB outcome took 777 MB: whoever looks at runs opens what anybody put there."""
    cost = cheap(cost_of("support.costs:end", ENDS[kind](), tmp_path, SOUND_END))
    assert cost.answer.startswith("ValueError"), cost


@pytest.mark.parametrize(
    "value",
    [b'{"a":0},' * 130_000, b'{"":{}},' * 130_000, b'"\xf0\x9f\x98\x80aaaaaa",' * 280_000, b"[]," * 1_300_000],
    ids=["dictionaries", "empty ones", "wide texts", "lists"],
)
def test_parameters_are_a_bomb(tmp_path: Path, value: bytes) -> None:
    """run.json has parameters of any shape."""
    data = b'{"format":1,"parameters":{"x":[' + value + b"0]}}"
    cost = cheap(cost_of("support.costs:request", data, tmp_path, json.dumps(RUN).encode()))
    assert cost.answer.startswith("ValueError"), cost


def test_a_true_outcome_of_many_elements_is_still_read(tmp_path: Path) -> None:
    """What the limits are not for: 30,000 elements, 10 MB, by any writer of JSON."""
    for data in (of_end(", ".join([RECORD] * 30_000)), of_end(",\n".join([RECORD] * 30_000)).replace(b": ", b" :\t")):
        assert cost_of("support.costs:end", data, tmp_path, SOUND_END).answer == "read: 30000"


# Pickles, as `runner inspect` goes through them


def code_called(times: int) -> bytes:
    names = b"(" + b"".join(text(f"n{number}") for number in range(23_000)) + b"t"
    arguments = b"(" + b"K\0" * 6 + octets(b"t\0" * 115_000) + b")" + names + b")" + text("f") + text("n") + b"K\1t"
    return PROTO + b"ctypes\nCodeType\n\x940" + arguments + b"\x940" + b"h\0h\1R0" * times + b"N."


LONG = text("m" * 200_000)
EXTENSIONS = b"".join(b"\x84" + struct.pack("<I", number + 1) + b"0" for number in range(300_000))
CHAIN = b"".join(b"\x94h\0j" + struct.pack("<I", at + 1) + text(f"a{at}") + b"\x86R" for at in range(4000))
PICKLES: dict[str, Callable[[], bytes]] = {
    "names of long texts": lambda: PROTO + LONG + b"\x940" + LONG + b"\x940" + b"h\0h\1\x930" * 20_000 + b"N.",
    "attributes of attributes": lambda: PROTO + b"cbuiltins\ngetattr\n\x940cos\npath\n" + CHAIN + b".",
    "one code, called": lambda: code_called(5000),
    "pickles in pickles": lambda: PROTO + octets((PROTO * 2 + b"B\xff\xff\x0f\0") * 400_000) + b".",
    "lines in pickles": lambda: PROTO + octets((PROTO + b"c" + b"a" * 100) * 40_000) + b".",
    "many inside": lambda: (
        PROTO + b"".join(octets(b"\x80\x04cos\nsystem%d\n." % number) for number in range(100_000)) + b"."
    ),
    "one wide text": lambda: PROTO + text("a" * 50 * MB + "\U0001f600") + b".",
    "wide texts": lambda: PROTO + (text("a" * 200_000 + "\U0001f600") + b"\x94") * 200 + b".",
    "small texts": lambda: PROTO + b"".join(text(f"ab{number}") + b"\x94" for number in range(1_000_000)) + b".",
    "marks": lambda: PROTO + b"(" * 20_000_000 + b"t.",
    "tuples in tuples": lambda: PROTO + b"N" + b"\x85" * 20_000_000 + b".",
    "a long number": lambda: PROTO + b"\x8b" + struct.pack("<i", 50 * MB) + b"\x7f" * 50 * MB + b".",
    "digits": lambda: (b"L" + b"1" * 4000 + b"L\n") * 5000 + b".",
    "a long line": lambda: b"c" + b"a" * 50 * MB + b"\nb\n.",
    "spaces in base64": lambda: PROTO + text("gASV" + "A " * 10 * MB) + b".",
    "what may begin anywhere": lambda: PROTO + octets(b"\x80" * 30 * MB) + b".",
    "extensions": lambda: PROTO + EXTENSIONS + b"N.",
    "frames": lambda: PROTO + b"\x95\0\0\0\0\0\0\0\0" * 3_000_000 + b"N.",
    "a size that nobody has": lambda: PROTO + b"\x8e" + struct.pack("<Q", 2**62) + b"x.",
    "doubled, and doubled": lambda: PROTO + b"(" + b"l" + b"\x94" + b"(h\0h\0l\x94" * 100_000 + b".",
}


@pytest.mark.parametrize("kind", PICKLES)
def test_a_review_is_kept_busy(tmp_path: Path, kind: str) -> None:
    """Pickle bombs, and what was told of picklescan and fickling: a review that takes gigabytes, or for ever, is none.
    It ends, and says that it did not look at all."""
    cost = cheap(cost_of("support.costs:inspect", PICKLES[kind](), tmp_path, pickle.dumps(print)))
    assert cost.answer.startswith("read: "), cost


def test_what_was_looked_at_before_the_end_is_told() -> None:
    """Padding must not hide what stands before it."""
    from runner.serialization.inspection import inspect_pickle

    found = inspect_pickle(PROTO + b"cos\nsystem\n0" + b"N0" * 1_000_000 + b"cbuiltins\neval\n.", "3.11.7")
    assert found.globals == {"os.system"}
    assert found.exceeded in found.unclear
    assert not found.broken


def test_a_claim_is_a_bomb(tmp_path: Path) -> None:
    """Every start reads the claim of the attempt before it."""
    data: Any = json.dumps(CLAIM).replace('"h"', '"' + "h" * 60_000 + '"').encode()
    assert cheap(cost_of("support.costs:claim", data, tmp_path, data)).answer.startswith("read")
