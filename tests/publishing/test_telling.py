"""What a value is, as text: another one where it is another value, the same where it is made again."""

from __future__ import annotations

import itertools
import random
import sys
from array import array
from collections import ChainMap, UserDict
from configparser import ConfigParser
from enum import Enum, Flag
from functools import partial, singledispatch
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from runner.publishing.telling import Seen, Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Mode(Enum):
    """Two members, one of which may be given a label."""

    FAST = 1
    SLOW = 2


class Bits(Flag):
    """Members of which others are made when they are asked for."""

    ONE = 1
    TWO = 2


class Slotted:
    """Holds a value in a slot, and says that it travels as something else."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __reduce_ex__(self, _: object) -> tuple[type, tuple[()]]:
        return int, ()


class Ids:
    """An iterator of the author's own."""

    def __init__(self) -> None:
        self.last = 0

    def __next__(self) -> int:
        self.last += 1
        return self.last


def made_with(label: object) -> Callable[[], object]:
    def made() -> None: ...

    made.label = label  # type: ignore[attr-defined]
    return made


def dispatched(*kinds: type) -> Callable[..., object]:
    @singledispatch
    def over(value: object) -> object:
        return value

    for kind in kinds:
        over.register(kind, lambda value: value)
    return over


def numbers() -> Iterator[int]:
    yield 1
    yield 2


def advanced(iterator: Any) -> Any:
    next(iterator)
    return iterator


def drawn(generator: random.Random) -> random.Random:
    generator.random()
    return generator


def labelled(label: str) -> type[Mode]:
    Mode.FAST.label = label  # type: ignore[attr-defined]
    return Mode


def told(value: object) -> str:
    return Teller(Seen(__name__, root="/author")).told(value)


def configured(**options: str) -> ConfigParser:
    parser = ConfigParser()
    parser.read_dict({"section": options})
    return parser


def drawn_from(text: StringIO) -> StringIO:
    text.read(1)
    return text


# What says how far it has come by its pickle alone, which Python 3.14 took from itertools.
WHERE_THEY_PICKLE = [
    (lambda: itertools.cycle("ab"), lambda: advanced(itertools.cycle("ab"))),
    (lambda: itertools.chain([1], [2]), lambda: advanced(itertools.chain([1], [2]))),
][: 0 if sys.version_info >= (3, 14) else None]


@pytest.mark.parametrize(
    ("make", "make_other"),
    [
        (lambda: Mode.FAST, lambda: Mode.SLOW),
        (lambda: labelled("a"), lambda: labelled("b")),
        (lambda: labelled("a").FAST, lambda: labelled("b").FAST),
        (lambda: Slotted(1), lambda: Slotted(2)),
        (lambda: [Slotted([1])], lambda: [Slotted([2])]),
        (lambda: made_with(1), lambda: made_with(2)),
        (lambda: dispatched(int), lambda: dispatched(int, str)),
        (Ids, lambda: advanced(Ids())),
        (numbers, lambda: advanced(numbers())),
        (itertools.count, lambda: advanced(itertools.count())),
        (lambda: iter([1, 2]), lambda: advanced(iter([1, 2]))),
        (lambda: iter(range(3)), lambda: advanced(iter(range(3)))),
        (lambda: zip([1, 2], "ab", strict=False), lambda: advanced(zip([1, 2], "ab", strict=False))),
        (lambda: map(str, [1, 2]), lambda: advanced(map(str, [1, 2]))),
        (lambda: enumerate([1, 2]), lambda: advanced(enumerate([1, 2]))),
        (lambda: array("d", [1, 2]), lambda: array("d", [1, 3])),
        (lambda: bytearray(b"a"), lambda: bytearray(b"b")),
        (lambda: partial(print, 1), lambda: partial(print, 2)),
        (lambda: list(range(200)), lambda: [*range(199), 0]),
        (lambda: {str(each) for each in range(200)}, lambda: {str(each) for each in range(1, 201)}),
        (lambda: UserDict(a=1), lambda: UserDict(a=2)),
        (lambda: ChainMap({"a": 1}), lambda: ChainMap({"a": 2})),
        (lambda: configured(a="1"), lambda: configured(a="2")),
        (lambda: StringIO("ab"), lambda: drawn_from(StringIO("ab"))),
        (lambda: random.Random(5), lambda: drawn(random.Random(5))),
        *WHERE_THEY_PICKLE,
    ],
)
def test_it_is_another_one_for_another_state_and_for_no_other_reason(
    make: Callable[[], object], make_other: Callable[[], object]
) -> None:
    first = told(make())
    assert told(make_other()) != first
    assert told(make()) == first


def test_what_python_finds_of_an_enum_when_it_is_asked_is_no_state() -> None:
    before = told(Bits)
    assert Bits(3).value == 3
    assert ~Bits.ONE == Bits.TWO
    assert told(Bits) == before


def test_where_values_travel_it_is_what_their_pickles_hold() -> None:
    teller = Teller(Seen(__name__))
    assert teller.told(Slotted(1)) == teller.told(Slotted(2))


def test_a_proxy_is_not_asked_for_what_it_stands_for() -> None:
    class Lazy:
        @property  # type: ignore[misc]
        def __class__(self) -> type:
            raise RuntimeError

    assert told(Lazy()).startswith("its file.")
