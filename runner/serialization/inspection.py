"""What a pickle would import and what its code would use, found without unpickling it: an aid for a review.

The pickle's machine is gone through with symbols in the place of objects: nothing is imported, called or loaded, and no
code object is made. Code travels in cloudpickle's pickles as a call of ``CodeType`` with instructions, names and
constants as its arguments, which can be read off. It is no boundary: code may make its names while it runs.
"""

from __future__ import annotations

import base64
import codecs
import io
import opcode
import pickletools
import platform
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 8  # pickles inside pickles
_PLACES = 1000  # at which one is looked for, all levels together
_STEPS = 1_000_000  # instructions that are followed there, all together
_CODE = "types.CodeType"
_INSTRUCTIONS, _CONSTANTS, _NAMES, _FILE, _NAME = 6, 7, 8, 10, 11  # places among its arguments
_WHOLE = {"subimport", "import_module", "__import__", "dynamic_subimport"}  # what is given the name of a module
_BEGINS = re.compile(rb"\x80[\x02-\x05]")
_IN_BASE64 = re.compile(r"gA[I-V][A-Za-z0-9+/\s]*={0,2}\s*")  # what begins like a pickle of protocol 2 to 5
_OPERATIONS = {operation.code.encode("latin-1"): operation for operation in pickletools.opcodes}
_PYTHON_2 = 3  # protocols below have the names of Python 2


@dataclass
class Code:
    """A code object: where it was written, what it imports, the globals, names and texts in it."""

    name: str
    file: str
    line: int | None
    imports: list[str]
    globals: list[str]
    names: list[str]
    texts: list[str]


@dataclass
class PickleReport:
    """What was found in a pickle and in those inside it; ``unclear`` is what could not be read off."""

    globals: set[str] = field(default_factory=set)
    code: list[Code] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)  # those that the globals are taken from
    nested: int = 0
    broken: str = ""  # why it cannot be followed to its end
    unclear: set[str] = field(default_factory=set)

    def document(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {
            "globals": sorted(self.globals),
            "code": [vars(each) for each in self.code],
            "nested": self.nested,
            "unclear": sorted(self.unclear),
        }


def inspect_pickle(data: bytes, python: str) -> PickleReport:
    """Inspect a pickle and those inside it; of one that is broken what comes before the break, as it would be run.

    ``python`` is the version that wrote it: each minor version has instructions of its own, so imports and globals are
    distinguished only where it is this one's. Names are listed in any case.
    """
    found = PickleReport()
    found.broken = _Machine(found, _same_python(python), _Budget()).run(io.BytesIO(data))
    if found.broken:
        found.unclear.add(f"it cannot be followed to its end, and what comes after is not told ({found.broken})")
    return found


def format_report(found: PickleReport) -> list[str]:
    """Return the report in lines for a person, with what it is worth first."""
    lines = ["What follows is an aid for a review and no boundary: code can make names while it runs.", ""]
    lines += ["unpickling takes:", *(f"  {name}" for name in sorted(found.globals))]
    if found.nested:
        lines.append(f"some of it in {found.nested} pickles inside the pickle")
    lines += ["not to be read off:", *(f"  {reason}" for reason in sorted(found.unclear))] if found.unclear else []
    for code in found.code:
        lines += ["", f"code {code.name} ({code.file}:{code.line})"]
        parts = {"imports": code.imports, "globals": code.globals, "names": code.names}
        lines += [f"  {kind}: {', '.join(names)}" for kind, names in parts.items() if names]
    return lines


@dataclass(frozen=True, slots=True, eq=False)
class _Symbol:
    """What stands for an object: the dotted name under which it is found, if that is known."""

    path: str = ""


_MARK = _Symbol("a mark")
_UNKNOWN = _Symbol()


@dataclass
class _Budget:
    """What may still be spent on pickles inside the pickle, so that nobody can make a review take for ever."""

    places: int = _PLACES
    steps: int = _STEPS
    depth: int = 0


class _Machine:
    """Goes through one pickle; ``stack`` and ``memo`` are those of pickle's own machine, with symbols on them."""

    def __init__(self, found: PickleReport, same_python: bool, budget: _Budget) -> None:  # noqa: FBT001
        self.found, self.same_python, self.budget = found, same_python, budget
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.protocol = 0

    def run(self, file: io.BytesIO) -> str:
        """Follow the pickle to its end, and return what is broken, if something is."""
        try:
            for operation, argument in _operations(file):
                if self.budget.depth:
                    self.budget.steps -= 1
                    if self.budget.steps < 0:
                        return "it is too long to be followed inside another"
                if handle := getattr(self, f"_on_{operation.name.lower()}", None):
                    handle(argument)
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
        if isinstance(argument, str | bytes | bytearray):
            self._look_inside(argument)
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
        self.memo[index] = self.stack[-1]

    _on_binput = _on_long_binput = _on_put

    def _on_memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _on_get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    _on_binget = _on_long_binget = _on_get

    def _on_tuple(self, _: None) -> None:
        self.stack.append(tuple(self._marked()))

    def _on_empty_tuple(self, _: None) -> None:
        self.stack.append(())

    def _on_tuple1(self, _: None) -> None:
        self.stack.append((self.stack.pop(),))

    def _on_tuple2(self, _: None) -> None:
        second, first = self.stack.pop(), self.stack.pop()
        self.stack.append((first, second))

    def _on_tuple3(self, _: None) -> None:
        third, second, first = self.stack.pop(), self.stack.pop(), self.stack.pop()
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
        self.found.globals.add(f"{module}.{name}")
        self.found.modules.add(module)
        return _Symbol(f"{module}.{name}")

    def _call(self, function: Any, given: Any) -> _Symbol:
        """Note what a call imports or makes, and return what stands for its result."""
        path = function.path if isinstance(function, _Symbol) else ""
        called = path.rpartition(".")[2]
        first, second = (*(given if isinstance(given, tuple) else ()), None, None)[:2]
        if path in {_CODE, "builtins.code"}:
            self._code(given)
        elif called in _WHOLE and isinstance(first, str):
            self.found.globals.add(first)
            self.found.modules.add(first)
            return _Symbol(first)
        elif called == "_builtin_type" and isinstance(first, str):
            return _Symbol(f"types.{first}")
        elif called == "getattr" and isinstance(first, _Symbol) and first.path and isinstance(second, str):
            self.found.globals.add(f"{first.path}.{second}")
            return _Symbol(f"{first.path}.{second}")
        return _UNKNOWN

    def _code(self, given: Any) -> None:
        """Read a code object off its arguments, which Python 3.10 has in the same order, but for the qualified name."""
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
        self.found.code.append(Code(name, file, line, imports, loaded, list(names), _texts(constants)))

    def _look_inside(self, value: str | bytes | bytearray) -> None:
        """Search a text of base64, or bytes, for pickles: at any place where one may begin."""
        if isinstance(value, str):
            if not _IN_BASE64.fullmatch(value):
                return
            text = "".join(value.split()).rstrip("=")
            value = base64.b64decode(text[: len(text) - (len(text) % 4 == 1)] + "===")
        file = io.BytesIO(value)
        begins = [match.start() for match in _BEGINS.finditer(value)]
        for begin in begins or [0]:
            if self.budget.depth >= _DEEPEST or not self.budget.places or self.budget.steps < 0:
                self.found.unclear.add("pickles inside pickles, more or deeper than are looked at")
                return
            self.budget.places -= 1
            self.budget.depth += 1
            inner = PickleReport()
            file.seek(begin)
            broken = _Machine(inner, self.same_python, self.budget).run(file)
            self.budget.depth -= 1
            if inner.globals or inner.code or (begins and not broken):
                self.found.globals |= inner.globals
                self.found.modules |= inner.modules
                self.found.code += inner.code
                self.found.nested += 1 + inner.nested
                self.found.unclear |= inner.unclear


def _operations(file: io.BytesIO) -> Iterator[tuple[pickletools.OpcodeInfo, Any]]:
    """Yield instructions and their arguments to the end. Raises ValueError.

    As `pickletools.genops`, which takes for broken what pickle reads: names and texts that are not ASCII.
    """
    while True:
        code = file.read(1)
        operation = _OPERATIONS.get(code)
        if operation is None:
            raise ValueError(f"{code!r} is no instruction" if code else "it has no end")
        if operation.name in {"GLOBAL", "INST"}:
            argument: Any = f"{_line(file)} {_line(file)}"
        elif operation.name == "STRING":
            argument = codecs.escape_decode(file.readline().strip()[1:-1])[0].decode("latin-1")
        else:
            argument = None if operation.arg is None else operation.arg.reader(file)
        yield operation, argument
        if operation.name == "STOP":
            return


def _line(file: io.BytesIO) -> str:
    return file.readline().removesuffix(b"\n").decode()


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


def _texts(constants: Any) -> list[str]:
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
            left += reversed(part)
    return list(found)
