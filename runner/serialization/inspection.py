"""What a pickle would import and what its code would use, found without unpickling it: an aid for a review.

The pickle's machine is gone through with symbols in the place of objects: nothing is imported, called or loaded, and no
code object is made. Code travels in cloudpickle's pickles as a call of ``CodeType`` with instructions, names and
constants as its arguments, which can be read off. It is no boundary: code may make its names while it runs.

Whoever made the pickle must not make a review take for ever: `Budget` is what may be spent on it.
"""

from __future__ import annotations

import base64
import opcode
import pickletools
import platform
import re
import sys
from dataclasses import dataclass
from typing import Any

from runner.errors import InternalError
from runner.serialization.pickle_instructions import Budget, ExceededError, Window, operations
from runner.serialization.pickle_report import Code, PickleReport

_ENTRY = 128  # bytes, about, that an entry of a list or dictionary takes with a small object in it
_DEEPEST = 8  # pickles inside pickles
_MOST_BASE64 = 8 * 1024 * 1024  # bytes of base64 that are decoded for that
_CODE = "types.CodeType"
_INSTRUCTIONS, _CONSTANTS, _NAMES, _FILE, _NAME = 6, 7, 8, 10, 11  # places among its arguments
_WHOLE = {"subimport", "import_module", "__import__", "dynamic_subimport"}  # what is given the name of a module
_BEGINS = re.compile(rb"\x80[\x02-\x05]")
_IN_BASE64 = re.compile(rb"gA[I-V][A-Za-z0-9+/\s]*={0,2}\s*")  # what begins like a pickle of protocol 2 to 5
_PYTHON_2 = 3  # protocols below have the names of Python 2


def inspect_pickle(data: bytes | memoryview, python: str) -> PickleReport:
    """Inspect a pickle and those inside it; of one that is broken what comes before the break, as it would be run.

    ``python`` is the version that wrote it: each minor version has instructions of its own, so imports and globals are
    distinguished only where it is this one's. Names are listed in any case.
    """
    found = PickleReport()
    try:
        found.broken = _Machine(found, same_python=_same_python(python), budget=Budget()).run(Window(data))
    except ExceededError as error:
        found.exceeded = f"it is not looked through to its end, and what comes after is not told ({error})"
        found.unclear.add(found.exceeded)
    if found.broken:
        found.unclear.add(f"it cannot be followed to its end, and what comes after is not told ({found.broken})")
    return found


def names_in(data: bytes) -> set[tuple[str, str]]:
    """Return what unpickling looks up, as ``(module, name)``, but for what pickles inside the pickle do.

    Raises InternalError for a pickle that cannot be followed to its end.
    """
    found = PickleReport()
    try:
        broken = _Machine(found, same_python=False, budget=Budget.endless()).run(Window(data))
    except ExceededError as error:
        broken = str(error)
    if broken:
        raise InternalError(f"the pickle of a flow cannot be followed: {broken}")
    return found.names


@dataclass(frozen=True, slots=True, eq=False)
class _Symbol:
    """What stands for an object: the dotted name under which it is found, if that is known."""

    path: str = ""


_MARK = _Symbol("a mark")
_UNKNOWN = _Symbol()


class _Machine:
    """Goes through one pickle; ``stack`` and ``memo`` are those of pickle's own machine, with symbols on them."""

    def __init__(self, found: PickleReport, *, same_python: bool, budget: Budget) -> None:
        self.found, self.same_python, self.budget = found, same_python, budget
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.protocol = 0

    def run(self, file: Window) -> str:
        """Follow the pickle to its end, and return what is broken, if something is. Raises ExceededError."""
        try:
            for operation, argument in operations(file):
                self.budget.spend(1)
                if handle := _HANDLERS[operation.name]:
                    handle(self, argument)
                else:
                    self._move(operation, argument)
        except (ValueError, IndexError, KeyError, OverflowError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def _move(self, operation: pickletools.OpcodeInfo, argument: Any) -> None:
        """Do what only moves data: as the opcode's description says, take from the stack, and leave something there."""
        taken = [kind.name for kind in operation.stack_before]
        if "mark" in taken:
            self._marked()
            taken = taken[: taken.index("mark")]
        left = self.stack[-len(taken)] if taken else _UNKNOWN  # a container, or the object that is given its state
        for _ in taken:
            self.stack.pop()
        if isinstance(argument, memoryview):  # too long to be kept
            self._look_inside(argument)
            argument = None
        elif argument is not None:
            if isinstance(argument, str | bytes | bytearray):
                self._look_inside(argument)
            self.budget.spend(1, memory=sys.getsizeof(argument))
        if operation.stack_after:
            self.stack.append(left if taken or argument is None else argument)

    def _marked(self) -> list[Any]:
        """Pop all down to the last mark, and the mark."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise IndexError("there is no mark")
        taken = self.stack[place + 1 :]
        del self.stack[place:]
        return taken

    def _on_proto(self, number: int) -> None:
        self.protocol = number

    def _on_mark(self, _: None) -> None:
        self.stack.append(_MARK)

    def _on_dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def _on_put(self, index: int) -> None:
        self.budget.spend(memory=_ENTRY)
        self.memo[index] = self.stack[-1]

    _on_binput = _on_long_binput = _on_put

    def _on_memoize(self, _: None) -> None:
        self._on_put(len(self.memo))

    def _on_get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    _on_binget = _on_long_binget = _on_get

    def _on_tuple(self, _: None) -> None:
        parts = tuple(self._marked())
        self.budget.spend(memory=sys.getsizeof(parts))
        self.stack.append(parts)

    def _on_empty_tuple(self, _: None) -> None:
        self.stack.append(())

    def _on_tuple1(self, _: None) -> None:
        self.budget.spend(memory=_ENTRY)
        self.stack.append((self.stack.pop(),))

    def _on_tuple2(self, _: None) -> None:
        second, first = self.stack.pop(), self.stack.pop()
        self.budget.spend(memory=_ENTRY)
        self.stack.append((first, second))

    def _on_tuple3(self, _: None) -> None:
        third, second, first = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.budget.spend(memory=_ENTRY)
        self.stack.append((first, second, third))

    def _on_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(self._global(module, name))

    def _on_stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self._global(module, name))

    def _on_inst(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        arguments = tuple(self._marked())
        self.stack.append(self._call(self._global(module, name), arguments))

    def _on_obj(self, _: None) -> None:
        function, *arguments = self._marked() or [_UNKNOWN]
        self.stack.append(self._call(function, tuple(arguments)))

    def _on_reduce(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(self._call(function, arguments))

    _on_newobj = _on_reduce

    def _on_newobj_ex(self, _: None) -> None:
        self.stack.pop()
        self._on_reduce(None)

    def _on_ext1(self, number: int) -> None:
        self.budget.spend(memory=2 * _ENTRY, text=_ENTRY)
        self.found.unclear.add(f"the extension {number} of copyreg, whatever is registered there")
        self.stack.append(_UNKNOWN)

    _on_ext2 = _on_ext4 = _on_ext1

    def _on_persid(self, _: str) -> None:
        self.found.unclear.add("a persistent id, whatever its reader makes of it")
        self.stack.append(_UNKNOWN)

    def _on_binpersid(self, _: None) -> None:
        self.stack.pop()
        self._on_persid("")

    def _global(self, module: Any, name: Any) -> _Symbol:
        if not isinstance(module, str) or not isinstance(name, str):
            self.found.unclear.add("a global whose name is made while it is unpickled")
            return _UNKNOWN
        if self.protocol < _PYTHON_2:
            from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        symbol = self._named(module, name)
        self.found.names.add((module, name))
        self.found.modules.add(module)
        return symbol

    def _named(self, path: str, name: str) -> _Symbol:
        """Note a dotted name, and return what stands for the object."""
        self.budget.spend(text=len(path) + len(name), memory=4 * (len(path) + len(name) + _ENTRY))
        dotted = f"{path}.{name}"
        self.found.globals.add(dotted)
        return _Symbol(dotted)

    def _call(self, function: Any, given: Any) -> _Symbol:
        """Note what a call imports or makes, and return what stands for its result."""
        path = function.path if isinstance(function, _Symbol) else ""
        called = path.rpartition(".")[2]
        first, second = (*(given if isinstance(given, tuple) else ()), None, None)[:2]
        self.budget.spend(memory=_ENTRY)
        if path in {_CODE, "builtins.code"}:
            self._code(given)
        elif called in _WHOLE and isinstance(first, str):
            self.budget.spend(text=len(first), memory=2 * _ENTRY)
            self.found.globals.add(first)
            self.found.modules.add(first)
            return _Symbol(first)
        elif called == "_builtin_type" and isinstance(first, str):
            return _Symbol(f"types.{first}")
        elif called == "getattr" and isinstance(first, _Symbol) and first.path and isinstance(second, str):
            return self._named(first.path, second)
        return _UNKNOWN

    def _code(self, given: Any) -> None:
        """Read a code object off its arguments, which Python 3.10 has in the same order, but for the qualified name."""
        self.budget.spend(sum(len(part) for part in given if isinstance(part, tuple | bytes)) // 4)
        is_known = isinstance(given, tuple) and len(given) > _NAME and isinstance(given[_NAMES], tuple)
        if not is_known or not all(isinstance(part, str) for part in (*given[_NAMES], given[_FILE], given[_NAME])):
            self.found.unclear.add("a code object whose parts are made while it is unpickled")
            return
        instructions, constants, names, file, name = (
            given[at] for at in (_INSTRUCTIONS, _CONSTANTS, _NAMES, _FILE, _NAME)
        )
        line = next((part for part in given[_NAME + 1 :] if isinstance(part, int)), None)
        used = _used(bytes(instructions), names) if self.same_python and isinstance(instructions, bytes) else {}
        imports, loaded = used.get("IMPORT_NAME", []), used.get("LOAD_GLOBAL", []) + used.get("LOAD_NAME", [])
        code = Code(name, file, line, imports, loaded, list(names), _texts(constants, self.budget))
        told = [name, file, *imports, *loaded, *names, *code.texts]
        self.budget.spend(text=sum(map(len, told)), memory=8 * len(told) + 4 * _ENTRY)
        self.found.code.append(code)

    def _look_inside(self, value: str | bytes | bytearray | memoryview) -> None:
        """Search bytes, or a text of base64, for pickles: at any place where one may begin."""
        if not self.budget.looks_inside:
            return
        self.budget.searched -= len(value)
        if self.budget.searched < 0:
            self.found.unclear.add("texts and bytes, more than are searched for pickles inside the pickle")
            return
        is_text = isinstance(value, str)
        if isinstance(value, str):
            value = value.encode(errors="replace")
        if _IN_BASE64.fullmatch(value):
            if len(value) > _MOST_BASE64:
                self.found.unclear.add("a text that is longer than is looked into")
                return
            text = bytes(value).translate(None, b" \t\r\n\f\v").rstrip(b"=")
            value = base64.b64decode(text[: len(text) - (len(text) % 4 == 1)] + b"===")
        elif is_text:
            return
        begins = False
        for match in _BEGINS.finditer(value):
            begins = True
            if not self._follow_inner(value, match.start(), begins=True):
                return
        if not begins:
            self._follow_inner(value, 0, begins=False)

    def _follow_inner(self, value: bytes | bytearray | memoryview, begin: int, *, begins: bool) -> bool:
        """Follow what may be a pickle, and keep what it says if it is one; False if no more are followed."""
        if self.budget.depth >= _DEEPEST or not self.budget.places:
            self.found.unclear.add("pickles inside pickles, more or deeper than are looked at")
            return False
        self.budget.places -= 1
        self.budget.depth += 1
        inner, broken = PickleReport(), "it is too long"
        try:
            broken = _Machine(inner, same_python=self.same_python, budget=self.budget).run(
                Window(memoryview(value), begin)
            )
        finally:
            self.budget.depth -= 1
            if inner.globals or inner.code or (begins and not broken):
                self.found.globals |= inner.globals
                self.found.modules |= inner.modules
                self.found.code += inner.code
                self.found.nested += 1 + inner.nested
                self.found.unclear |= inner.unclear
        return True


_HANDLERS = {each.name: vars(_Machine).get(f"_on_{each.name.lower()}") for each in pickletools.opcodes}


def _same_python(version: str) -> bool:
    return version.split(".")[:2] == platform.python_version().split(".")[:2]


def _used(instructions: bytes, names: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the names that each kind of instruction uses, by this Python's own table of them.

    https://docs.python.org/3/library/dis.html#python-bytecode-instructions
    """
    used: dict[str, list[str]] = {}
    extended = 0
    for kind, low in zip(instructions[::2], instructions[1::2], strict=False):
        argument = extended << 8 | low
        name = opcode.opname[kind]
        extended = argument if name == "EXTENDED_ARG" else 0
        index = argument >> 1 if name == "LOAD_GLOBAL" else argument
        if name in {"IMPORT_NAME", "LOAD_GLOBAL", "LOAD_NAME"} and index < len(names):
            used.setdefault(name, []).append(names[index])
    return {name: list(dict.fromkeys(found)) for name, found in used.items()}


def _texts(constants: Any, budget: Budget) -> list[str]:
    """Return the texts among a code object's constants, also those in tuples; each tuple is looked at once."""
    found: dict[str, None] = {}
    seen: set[int] = set()
    left = [constants]
    while left:
        part = left.pop()
        if isinstance(part, str):
            found[part] = None
        elif isinstance(part, tuple) and id(part) not in seen:
            seen.add(id(part))
            budget.spend(len(part), memory=_ENTRY)
            left += reversed(part)
    return list(found)
