"""Enums whose members code of the author's has made: how they are made again without calling it.

What a member was made from is not kept, only what came of it. See `enum.EnumType`, which makes members while it makes
their class: https://docs.python.org/3/howto/enum.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.serialization.pickler import root_of

if TYPE_CHECKING:
    from enum import Enum

_OF_MAKING = ("__new_member__", "_new_member_", "_use_args_")


def contents_of(kind: type[Enum]) -> dict[str, tuple[Any, ...]] | None:
    """Return what the C code at an enum's root makes each member from; None where no author's code is called."""
    makers = kind.__init__, getattr(kind, "_new_member_", None)
    if all(getattr(maker, "__module__", None) in {None, "builtins", "enum"} for maker in makers):
        return None
    root = root_of(kind)
    given = getattr(root, "__getnewargs__", None)
    if given is None and root is not object:
        return None
    return {name: given(member) if given else () for name, member in kind.__members__.items()}


def makers_of(kind: type[Enum]) -> dict[str, object]:
    """Return what an enum keeps of how its members were made; cloudpickle leaves out what its base has, too."""
    return {name: value for name, value in vars(kind).items() if name in _OF_MAKING}


def make_enum(
    bases: tuple[Any, ...], name: str, members: dict[str, object], contents: dict[str, tuple[Any, ...]]
) -> Any:
    """Make an enum of its members' values, and of what `contents_of` returned."""
    metaclass = type(bases[-1])
    names = iter(members)

    def new(kind: Any, *_value: object) -> Any:
        member_name = next(names)
        member: Any = root_of(kind).__new__(kind, *contents[member_name])
        member._value_ = members[member_name]
        return member

    body: Any = metaclass.__prepare__(name, bases)
    body["__new__"], body["__init__"] = new, lambda *_arguments: None
    for member_name, value in members.items():
        body[member_name] = value
    made: Any = metaclass.__new__(metaclass, name, bases, body)
    for injected in ("__init__", *_OF_MAKING):
        if injected in vars(made):
            type.__delattr__(made, injected)
    return made
