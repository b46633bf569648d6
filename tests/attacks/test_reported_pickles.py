"""What others reported of readers of pickles and zips, tried on ``runner inspect`` and on bundles: bombs, loops and
tricks by which a scanner was made to see less than would be run."""

from __future__ import annotations

import base64
import io
import marshal
import pickle
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import pytest

from runner.bundle import archive
from runner.errors import BundleCorrupt
from runner.serialization.inspection import inspect_pickle
from support.costs import cheap, cost_of

if TYPE_CHECKING:
    from pathlib import Path

    from runner.serialization.pickle_report import PickleReport

PYTHON = "3.11.7"


def look(data: bytes) -> PickleReport:
    return inspect_pickle(data, PYTHON)


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


SYSTEM = b"cos\nsystem\nS'x'\n\x85R"
INNER = b"\x80\x02" + SYSTEM + b"."
OVERWRITTEN = (
    b"\x80\x05cnumpy\nprod\nN(Va\nVos\nd\x86bN(Vb\nVsystem\nd\x86b0cnumpy\nprod.a\np0\ncnumpy\nprod.b\np1\n00g0\ng1\n\x93"
    b"Vecho\n\x85R."
)
# By report: the pickle, and a global that must be told.
TRICKS: dict[str, tuple[bytes, str]] = {
    "trailofbits/fickling#196: a list that holds itself": (b"\x80\x02]\x94h\0a" + SYSTEM + b"\x86.", "os.system"),
    "trailofbits/fickling#322: FLOAT before the call": (b"}F1.0\n(S'x'\ncos\nsystem\nS'x'\n\x85Rt.", "os.system"),
    "trailofbits/fickling#188: marks without a beginning": (
        b"\x80\x04" + short("marshal") + short("loads") + b"\x93\x94h\0C\1x\x85R\x94t.",
        "marshal.loads",
    ),
    "mmaitre314/picklescan#22: a name from the memo": (
        b"\x80\x04" + short("os") + b"\x94" + short("json") + b"\x94" + short("system") + b"\x94000h\0h\2\x93.",
        "os.system",
    ),
    "a memo that is put anywhere": (
        b"\x80\x02X\2\0\0\0osr\xff\xff\xff\x7f0j\xff\xff\xff\x7fX\6\0\0\0system\x93.",
        "os.system",
    ),
    "protectai/modelscan#85: attributes that are overwritten": (OVERWRITTEN, "numpy.prod.a"),
    "what follows a break": (SYSTEM + b"\xff", "os.system"),
    "names with dots": (b"\x80\x04" + short("json.a") + short("builtins.exec") + b"\x93.", "json.a.builtins.exec"),
    "a reader of import paths": (b"\x80\x02cpkgutil\nresolve_name\nX\x09\0\0\0os:system\x85R.", "pkgutil.resolve_name"),
    "getattr of an import": (
        b"\x80\x02cbuiltins\ngetattr\ncimportlib\nimport_module\nX\2\0\0\0os\x85RX\6\0\0\0system\x86R.",
        "os.system",
    ),
    "an instance of protocol 0": (b"(S'x'\nios\nsystem\n.", "os.system"),
    "an object of protocol 1": (b"(cos\nsystem\nS'x'\no.", "os.system"),
    "a pickle in bytes": (b"\x80\x03B" + struct.pack("<I", len(INNER)) + INNER + b".", "os.system"),
    "a pickle in base64": (
        b"\x80\x02X" + struct.pack("<I", 40) + base64.b64encode(INNER.ljust(30, b"\n"))[:40] + b".",
        "os.system",
    ),
    "a pickle in a bytearray": (b"\x80\x05\x96" + struct.pack("<Q", len(INNER)) + INNER + b".", "os.system"),
    "a frame that lies of its length": (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f" + SYSTEM + b".", "os.system"),
}  # fmt: skip


@pytest.mark.parametrize("report", TRICKS)
def test_a_trick_hides_nothing(report: str) -> None:
    data, taken = TRICKS[report]
    assert taken in look(data).globals, look(data)


def laughs(levels: int) -> bytes:
    """Lists of lists, ten times each: a few hundred bytes that are 10 to the power of levels when they are printed."""
    made = b"\x80\x04]\x94N" + b"a"
    for level in range(levels):
        made += b"(" + b"j" + struct.pack("<I", level) + (b"j" + struct.pack("<I", level)) * 9 + b"l\x94"
    return made + b"."


NAME = b"c" + b"a." * 60_000 + b"\n" + b"b." * 60_000 + b"\n"
ZEROS = zlib.compress(bytes(10_000_000), 9)
BOMBS: dict[str, bytes] = {
    "trailofbits/fickling#111, pytorch GHSA-g53j: a billion laughs": laughs(200),
    "trailofbits/fickling#111: globals that laugh": b"\x80\x02" + NAME + b"\x94" + (b"h\0h\0\x86" + NAME) * 40 + b".",
    "python/cpython#115952: a small file, all memory": b"]replace.",
    "CVE-2018-20406, protectai/modelscan#86: a large place in the memo": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "python/cpython#115952: bytes of which there are none": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "CVE-2020-10735: digits": b"I" + b"9" * 2_000_000 + b"\n.",
    "a float of many digits": b"F" + b"9" * 200_000 + b"e9\n.",
    "marshal inside": b"\x80\x04cmarshal\nloads\nB" + struct.pack("<I", 3000) + marshal.dumps("x" * 2995) + b"\x85R.",
    "zlib inside": b"\x80\x04czlib\ndecompress\nB" + struct.pack("<I", len(ZEROS)) + ZEROS + b"\x85R.",
    "escapes": b"S'" + b"\\x41" * 60_000 + b"'\n.",
    "nested texts": b"\x80\x02" + b"X\x04\0\0\0aaaa\x85" * 100_000 + b".",
}  # fmt: skip


@pytest.mark.parametrize("report", BOMBS)
def test_a_bomb_does_not_go_off(tmp_path: Path, report: str) -> None:
    cost = cheap(cost_of("support.costs:inspect", BOMBS[report], tmp_path, pickle.dumps(print)))
    assert cost.answer.startswith("read: "), cost


def compressed(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as opened:
        for name, data in members.items():
            opened.writestr(name.replace("_", "."), data)
    return file.getvalue()


def overlapping() -> bytes:
    """A directory that names one member a thousand times, as in the zip bomb that does not nest."""
    data = bytearray(compressed(manifest_json=bytes(1_000_000)))
    start = data.index(b"PK\1\2")
    end = data.index(b"PK\5\6")
    entry, tail = bytes(data[start:end]), bytearray(data[end:])
    tail[8:12] = struct.pack("<2H", 1000, 1000)
    tail[12:16] = struct.pack("<L", len(entry) * 1000)
    return bytes(data[:start]) + entry * 1000 + bytes(tail)


ZIPS = {
    "42.zip": lambda: compressed(manifest_json=compressed(manifest_json=bytes(20_000_000)), flow_pkl=b""),
    "a deflated manifest": lambda: compressed(manifest_json=b" " * 50_000_000, flow_pkl=b""),
    "bamsoftware: entries that overlap": overlapping,
}


@pytest.mark.parametrize("report", ZIPS)
def test_a_zip_bomb_is_not_unpacked(report: str) -> None:
    """Nothing in a bundle is compressed, and it has one directory, computed and compared."""
    with pytest.raises(BundleCorrupt):
        archive.read_bundle(ZIPS[report]())
