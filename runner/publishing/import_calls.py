"""Calls that import modules, list a package's modules or open its files: what they name, as far as a file shows it."""

from __future__ import annotations

import ast
import sys
from importlib.util import resolve_name
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from runner.tracebacks import INSTALLED

if TYPE_CHECKING:
    from collections.abc import Iterator

_IMPORTS = {"importlib.import_module", "importlib.__import__", "builtins.__import__", "__import__"}
_LISTS = {"pkgutil.iter_modules", "pkgutil.walk_packages"}
_RESOURCES = ("contents", "files", "is_resource", "open_binary", "open_text", "path", "read_binary", "read_text")
_OPENS = {
    "pkgutil.get_data",
    *(f"{home}.{name}" for home in ("importlib.resources", "importlib_resources") for name in _RESOURCES),
    *(f"pkg_resources.resource_{name}" for name in ("filename", "listdir", "stream", "string")),
}
_FILE = "<file>"  # stands for a module's file, below the package that it lies in, whose name is not known
_SAME_PLACE = {"str", "os.fspath", "os.path.abspath", "os.path.realpath", "os.path.normpath"}
_NO_PATHS = {"name", "stem", "suffix", "suffixes", "read_text", "read_bytes", "stat", "exists", "is_file", "open"}
_SPLITS = {"os.path.split", "os.path.splitext"}
_FILES_OF = {f"inspect.{name}" for name in ("getabsfile", "getfile", "getsourcefile")}
_FRAMES = {"sys._getframe", "inspect.currentframe"}
_TO_FILES = {"__file__", "co_filename", *(name.partition(".")[2] for name in _FILES_OF)}  # what names a module's file
_PATHS = {"os.path.dirname", "os.path.abspath", "os.path.realpath", "pathlib.Path"}
_PROGRAM = {"__main__.__file__", "sys.argv"}


class Import(NamedTuple):
    """A module that is imported, which may be just a name in one, and whether its file can do without."""

    name: str
    forgiven: bool


class Whole(NamedTuple):
    """A package, or a module in it, of which all modules are listed or any file may be opened."""

    name: str
    forgiven: bool
    opened: bool


class Unknown(NamedTuple):
    """A call whose package or module is only known when it runs: its line and text, and how the name begins."""

    line: int
    call: str
    begins: str
    opened: bool


class Beside(NamedTuple):
    """A path that is made of a module's ``__file__``: its line, and its parts below the folder of what travels.

    The first are ``..`` where it leads out of that. ``is_open`` is whether more may be made of it when the file runs,
    ``program`` what names the file of the program instead, which is another one there.
    """

    line: int
    place: tuple[str, ...]
    is_open: bool
    program: str = ""


class Calls:
    """What the calls in a file are about; names are taken for what import statements and assignments make them.

    Args:
        tree: the file.
        package: of which its module is a part.
        name: the module's own; None if it has another one where it runs.
        file: the name of the file itself.
    """

    def __init__(self, tree: ast.AST, package: str, name: str | None, file: str = _FILE) -> None:
        self.package, self.name, self.file = package, name, file
        self.modules: dict[str, str] = {}
        self.used = set[str]()
        self.names_files = False
        assigned: dict[str, list[ast.expr | None]] = {}
        for node in ast.walk(tree):
            self._bind(node)
            self.names_files |= bool({getattr(node, "attr", ""), getattr(node, "id", "")} & {*_TO_FILES, "argv"})
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                assigned.setdefault(node.targets[0].id, []).append(node.value)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                assigned.setdefault(node.target.id, []).append(node.value)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                self.used.add(node.id)
            elif isinstance(node, ast.arg):
                assigned.setdefault(node.arg, []).extend([None, None])
        self.assigned = {name: values[0] for name, values in assigned.items() if len(values) == 1}

    def _bind(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self.modules[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            home = absolute(node.module or "", node.level, self.package)
            self.modules |= {alias.asname or alias.name: f"{home}.{alias.name}" for alias in node.names if home}

    def found_in(self, call: ast.Call, *, forgiven: bool) -> Iterator[Import | Whole | Unknown]:
        """Yield what a call imports, lists or opens."""
        called = self._module(call.func) or getattr(call.func, "id", "")
        if called in _IMPORTS:
            yield from self._imports(call, called, forgiven=forgiven)
        elif called in _LISTS:
            path = _argument(call, 0, "path")
            if path is not None and not (isinstance(path, ast.Constant) and path.value is None):
                packages = self._packages(path)
                yield from (Whole(name, forgiven, opened=False) for name in packages)
                if not packages:
                    yield Unknown(call.lineno, ast.unparse(call), "", opened=False)
        elif called in _OPENS:
            yield self._opens(call, forgiven=forgiven)

    def _imports(self, call: ast.Call, called: str, *, forgiven: bool) -> Iterator[Import | Unknown]:
        named = _argument(call, 0, "name")
        if named is None:
            return
        begins, is_whole = self._text(named)
        home, level = self.package, len(begins) - len(begins.lstrip("."))
        if called.endswith("__import__"):
            number = _argument(call, 4, "level")
            level = number.value if isinstance(number, ast.Constant) and isinstance(number.value, int) else 0
        elif level:
            given = _argument(call, 1, "package")
            home, known = self._text(given) if given is not None else ("", True)
            home, begins = home if known else "", begins.lstrip(".")
        if level:
            begins = absolute(begins, level, home) + ("" if begins or is_whole or not home else ".")
        if not is_whole or (level and not begins):
            yield Unknown(call.lineno, ast.unparse(call), begins, opened=False)
        elif begins:
            yield Import(begins, forgiven)
            names = getattr(_argument(call, 3, "fromlist"), "elts", []) if called.endswith("__import__") else []
            words = (each.value for each in names if isinstance(each, ast.Constant))
            yield from (Import(f"{begins}.{word}", forgiven) for word in words if isinstance(word, str))

    def _opens(self, call: ast.Call, *, forgiven: bool) -> Whole | Unknown:
        package = _argument(call, 0, "package") or _argument(call, 0, "anchor")
        begins, is_whole = (self.package, True) if package is None else self._text(package)
        name = begins if is_whole else self._module(package)
        if isinstance(package, ast.Name) and package.id == "__name__" and self.package:
            name = self.package
        if name:
            return Whole(name, forgiven, opened=True)
        return Unknown(call.lineno, ast.unparse(call), begins, opened=True)

    def _text(self, text: ast.expr) -> tuple[str, bool]:
        """Return how a text begins, as far as it is known, and whether that is all of it."""
        known: str | None = None
        if isinstance(text, ast.Constant) and isinstance(text.value, str):
            known = text.value
        elif isinstance(text, ast.Name) and text.id in {"__name__", "__package__"}:
            known = self.name if text.id == "__name__" else self.package or None
        elif isinstance(text, ast.Attribute) and text.attr in {"__name__", "__package__"}:
            module = self._module(text.value) or ""
            known = None if module.rpartition(".")[2][:1].isupper() else module or None  # a class has another name
        elif isinstance(text, ast.BinOp) and isinstance(text.op, ast.Add):
            return self._joined([text.left, text.right])
        elif isinstance(text, ast.JoinedStr):
            plain = (
                part.value if isinstance(part, ast.FormattedValue) and part.conversion == -1 else part
                for part in text.values
            )
            return self._joined(list(plain))
        elif isinstance(text, ast.BinOp) and isinstance(text.op, ast.Mod):
            return self._text(text.left)[0].partition("%")[0], False
        elif isinstance(text, ast.Call) and isinstance(text.func, ast.Attribute) and text.func.attr == "format":
            return self._text(text.func.value)[0].partition("{")[0], False
        return (known or "", known is not None)

    def _joined(self, parts: list[ast.expr]) -> tuple[str, bool]:
        begins = ""
        for part in parts:
            more, is_whole = self._text(part)
            begins += more
            if not is_whole:
                return begins, False
        return begins, True

    def _module(self, value: ast.expr | None) -> str | None:
        """Return the module, or the name in one, that an expression stands for."""
        if isinstance(value, ast.Name):
            return self.modules.get(value.id) or self._module(self._value_of(value))
        if isinstance(value, ast.Attribute):
            home = self._module(value.value)
            return f"{home}.{value.attr}" if home else None
        if isinstance(value, ast.Call) and self._module(value.func) == "importlib.import_module":
            found = list(self._imports(value, "importlib.import_module", forgiven=True))
            return found[0].name if found and isinstance(found[0], Import) else None
        return None

    def _value_of(self, name: ast.Name) -> ast.expr | None:
        """Return what a variable is, if that is said once, and before: so no variable is looked up for its own sake."""
        value = self.assigned.get(name.id)
        if value is None or (value.end_lineno or 0, value.end_col_offset or 0) > (name.lineno, name.col_offset):
            return None
        return value

    def _packages(self, path: ast.expr | None) -> list[str]:
        """Return the packages whose path an expression is, or whose folders it lists; none if any is not known."""
        if isinstance(path, ast.Name) and path.id == "__path__":
            return [self.package] if self.package else []
        if isinstance(path, ast.Name):
            return self._packages(self._value_of(path))
        if isinstance(path, ast.Attribute) and path.attr == "__path__":
            module = self._module(path.value)
            return [module] if module else []
        if isinstance(path, ast.BinOp) and isinstance(path.op, ast.Add):
            left, right = self._packages(path.left), self._packages(path.right)
            return left + right if left and right else []
        if isinstance(path, ast.Call) and getattr(path.func, "id", "") in {"list", "tuple"} and len(path.args) == 1:
            return self._packages(path.args[0])
        if isinstance(path, ast.List | ast.Tuple):
            found = [self._listed(each) for each in path.elts]
            return [name for names in found for name in names] if all(found) else []
        return []

    def _listed(self, part: ast.expr) -> list[str]:
        if isinstance(part, ast.Starred):
            return self._packages(part.value)
        place = self.place(part)
        return [".".join(place)] if place and place[0] != ".." else []

    def is_made_for_later(self, statement: ast.Assign | ast.AnnAssign) -> bool:
        """Return whether a path is only given the name by which the file uses it."""
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        is_used = isinstance(target, ast.Name) and {target.id} <= self.assigned.keys() & self.used
        return is_used and self.place(statement.value) is not None

    def place(self, path: ast.expr | None) -> tuple[str, ...] | None:
        """Return where a path made of a module's ``__file__`` leads: its parts below the folder of what travels."""
        if isinstance(path, ast.Name):
            return self._own if path.id == "__file__" else self.place(self._value_of(path))
        if isinstance(path, ast.Attribute):
            if path.attr == "__file__":
                module = self._module(path.value)
                is_own = isinstance(path.value, ast.Subscript) and self._is_itself(path.value)
                return self._own if is_own else _file_of(module) if module else None
            if path.attr == "co_filename":
                return self._own if self._is_of_itself(path.value) else None
            return _moved(self.place(path.value), [".."]) if path.attr == "parent" else None
        if isinstance(path, ast.Subscript) and isinstance(path.value, ast.Attribute) and path.value.attr == "parents":
            up = path.slice.value if isinstance(path.slice, ast.Constant) else None
            return _moved(self.place(path.value.value), [".."] * (up + 1)) if isinstance(up, int) else None
        if isinstance(path, ast.BinOp) and isinstance(path.op, ast.Div):
            return _moved(self.place(path.left), self._words([path.right]))
        if isinstance(path, ast.BinOp) and isinstance(path.op, ast.Add):
            return _moved(self.place(path.left), _words_after_slash(path.right))
        if isinstance(path, ast.JoinedStr) and len(path.values) == 2:  # noqa: PLR2004 - f"{HERE}/words.txt"
            begin = path.values[0].value if isinstance(path.values[0], ast.FormattedValue) else None
            return _moved(self.place(begin), _words_after_slash(path.values[1]))
        return self._place_called(path) if isinstance(path, ast.Call) else None

    def _place_called(self, call: ast.Call) -> tuple[str, ...] | None:
        called = self._module(call.func) or getattr(call.func, "attr", getattr(call.func, "id", ""))
        words = self._words(call.args)
        if isinstance(call.func, ast.Attribute) and called in {"resolve", "absolute", "joinpath"}:
            return _moved(self.place(call.func.value), words)
        if isinstance(call.func, ast.Attribute) and called in {"with_name", "with_suffix"}:
            place = self.place(call.func.value)
            if not place or not words or len(words) != 1:
                return None
            name = words[0] if called == "with_name" else f"{PurePosixPath(place[-1]).stem}{words[0]}"
            return _moved(place, ["..", name])
        if called == "os.path.dirname":
            return _moved(self.place(call.args[0]), [".."]) if call.args else None
        if called in _FILES_OF and call.args:
            return self._own if self._is_of_itself(call.args[0]) else None
        if called in {"os.path.join", "pathlib.Path"}:
            places = map(self.place, call.args)
            begins = [(place, self._words(call.args[at + 1 :])) for at, place in enumerate(places) if place is not None]
            return _moved(*begins[-1]) if begins else None  # to join to a whole path is to begin anew
        return self.place(call.args[0]) if call.args and called in _SAME_PLACE else None

    @property
    def _own(self) -> tuple[str, ...]:
        return *filter(None, self.package.split(".")), self.file

    def _is_itself(self, held: ast.Subscript) -> bool:
        """Return whether an expression is the module itself, ``sys.modules[__name__]``."""
        return self._module(held.value) == "sys.modules" and getattr(held.slice, "id", "") == "__name__"

    def _is_of_itself(self, held: ast.expr) -> bool:
        """Return whether an expression begins with something of the module's own, or a frame of its functions."""
        while isinstance(held, ast.Attribute | ast.Call | ast.Subscript):
            if isinstance(held, ast.Call) and self._module(held.func) in _FRAMES:
                return True
            if isinstance(held, ast.Subscript) and self._is_itself(held):
                return True
            held = held.func if isinstance(held, ast.Call) else held.value
        return isinstance(held, ast.Name) and self._module(held) is None

    def program_in(self, path: ast.AST) -> str:
        """Return what of an expression that makes a path names the program; nothing if it does not."""
        if not isinstance(path, ast.Call) or self._module(path.func) not in _PATHS or not path.args:
            return ""
        held = path.args[0]
        is_first = isinstance(held, ast.Subscript) and getattr(held.slice, "value", None) == 0
        named = self._module(held.value if isinstance(held, ast.Subscript) and is_first else held)
        return ast.unparse(held) if named in _PROGRAM and is_first == (named == "sys.argv") else ""

    def _words(self, parts: list[ast.expr]) -> list[str] | None:
        """Return the parts of a path that are texts, or variables of one; None unless all are, and none begins anew."""
        values = [(self._value_of(part) or part) if isinstance(part, ast.Name) else part for part in parts]
        texts = [part.value for part in values if isinstance(part, ast.Constant) and isinstance(part.value, str)]
        is_whole = len(texts) == len(parts) and not any(text.startswith("/") for text in texts)
        return [word for text in texts for word in text.split("/")] if is_whole else None

    def leaves_open(self, user: ast.AST, path: ast.expr) -> bool:
        """Return whether what an expression or a statement makes of a path may be that of any file."""
        called = self._module(user.func) or ast.unparse(user.func) if isinstance(user, ast.Call) else ""
        if called.startswith("sys.path.") or (isinstance(user, ast.keyword) and user.arg == "cwd"):
            return False
        target = user.targets[0] if isinstance(user, ast.Assign) else getattr(user, "target", None)
        if isinstance(target, ast.Name) and target.id in self.assigned and target.id not in self.used:
            return self.name is not None  # other files may use that of a module
        if self.place(path) != self._own:
            return True
        is_changed = isinstance(user, ast.Attribute) and user.attr not in _NO_PATHS
        return is_changed or isinstance(user, ast.Subscript | ast.BinOp) or called in _SPLITS


def absolute(name: str, level: int, package: str) -> str:
    """Return the whole name of a module that is relative to a package; nothing if it leads out of that."""
    try:
        return resolve_name("." * level + name, package)
    except ImportError:
        return ""


def _file_of(module: str) -> tuple[str, ...] | None:
    """Return the place of a module's file, if that may be the author's; one that is not loaded may be a package."""
    loaded = sys.modules.get(module)
    parts = module.split(".")
    file = getattr(loaded, "__file__", None) or ""
    if parts[0] in {"__main__", *sys.stdlib_module_names} or INSTALLED & {*PurePosixPath(file).parts}:
        return None
    return *(parts if loaded is None or "__path__" in vars(loaded) else parts[:-1]), _FILE


def _argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    by_name = (each.value for each in call.keywords if each.arg == name)
    return call.args[position] if position < len(call.args) else next(by_name, None)


def _words_after_slash(part: ast.expr) -> list[str] | None:
    text = part.value if isinstance(part, ast.Constant) else None
    return text.split("/") if isinstance(text, str) and text.startswith("/") else None


def _moved(place: tuple[str, ...] | None, words: list[str] | None) -> tuple[str, ...] | None:
    if place is None or words is None:
        return None
    for word in words:
        if word == ".." and place and place[-1] != "..":
            place = place[:-1]
        elif word not in {"", "."}:
            place = (*place, word)
    return place
