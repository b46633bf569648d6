"""How large each kind of stored object may be: what is larger is refused by its size, before it is read.

``docs/formats.md`` has the table. A result has no limit but the size that the outcome, or the listing, tells of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import Literal

    Kind = Literal[
        "bundle",
        "manifest",
        "envelope",
        "signature",
        "run",
        "claim",
        "beat",
        "end",
        "cancel",
        "launch",
        "handle",
        "launch-end",
        "entry",
        "labels",
        "agent",
        "marker",
        "slot",
        "pointer",
        "log part",
        "setting's file",
        "secret's file",
        "key's file",
    ]

_KB, _MB = 1024, 1024 * 1024

# Values in a document, as `parts_in` counts them: what a few bytes of JSON become in memory is many times as large.
MOST_PARTS: Final = 400_000


# Sizes and other whole numbers in documents are below this: other programs' readers keep them in 64 bits.
COUNTS_BELOW: Final = 2**63

# Seconds, 31 years: what every wait of Python's takes. The longest that one of its locks does is threading.TIMEOUT_MAX.
MOST_SECONDS: Final = 1e9

# Bytes that an object of a kind may have, and why just so many: plain tuples, as a class of its own costs every start.
LIMITS: Final[dict[Kind, tuple[int, str]]] = {
    "bundle": (4 * 1024 * _MB, "what a zip without its 64-bit extension can count"),
    "manifest": (8 * _MB, "a flow of 50,000 tasks has about so much"),
    "envelope": (16 * _MB, "a flow of Prefect 1.4 in JSON; a plain pickle may be as large as a bundle"),
    "signature": (1 * _KB, "it has about 200 bytes, whatever is signed"),
    "run": (4 * _MB, "the parameters are most of it"),
    "claim": (64 * _KB, "it has some names and numbers"),
    "beat": (64 * _KB, "it has how far up to fifty tasks are"),
    "end": (64 * _MB, "an entry of about 400 bytes for each task and element, so 150,000 of them"),
    "cancel": (4 * _KB, "it has a name and a sentence"),
    "launch": (16 * _KB, "it has some names"),
    "handle": (16 * _KB, "it has what a platform calls one object"),
    "launch-end": (64 * _KB, "it has some words, events and lines of a log"),
    "entry": (4 * _KB, "it has the name of a folder, of 1,024 bytes at the most, and a run id"),
    "labels": (64 * _KB, "it has some words"),
    "agent": (64 * _KB, "it has some names and words"),
    "marker": (8 * _KB, "it has the name of a folder and a key"),
    "slot": (4 * _KB, "it has a run id and two numbers"),
    "pointer": (16 * _KB, "it has about 500 bytes, and a key of 1,024, each character of it escaped"),
    "log part": (8 * _MB, "1 MB is shipped at once, and a line of 256 KiB that is all control characters"),
    "setting's file": (2 * _MB, "parameters of which run.json can still tell"),
    "secret's file": (1 * _MB, "a Secret of Kubernetes has no more"),
    "key's file": (64 * _KB, "a key in PEM has about 120 bytes"),
}
LARGEST_DOCUMENT: Final = max(size for kind, (size, _) in LIMITS.items() if kind != "bundle")


def limit_of(kind: Kind) -> int:
    """Return how many bytes an object of a kind may have; an outcome is an end."""
    return LIMITS[kind][0]


def parts_in(document: bytes) -> int:
    """Return at least how many values JSON has, without reading it."""
    return sum(map(document.count, (b",", b"[", b"{")))


def read_text(path: str, kind: Kind) -> str:
    """Return the text of a file, or a pipe, less a byte order mark. Raises OSError; ValueError if it is too large."""
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs the start 5 ms
        data = file.read(limit_of(kind) + 1)
    if len(data) > limit_of(kind):
        raise ValueError(f"it is larger than the {limit_of(kind):,} bytes that a {kind} may have")
    return data.removeprefix(b"\xef\xbb\xbf").decode().replace("\r\n", "\n").replace("\r", "\n")
