"""The pickler of flows: their module travels by value, and what it imports by name is looked up where it is loaded."""

from __future__ import annotations

import re
import sys
from enum import Enum
from functools import _CacheInfo, _lru_cache_wrapper
from inspect import CO_OPTIMIZED
from types import CellType, CodeType, FunctionType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudpickle.cloudpickle import _class_setstate

from runner.model.task import Task
from runner.serialization.deferral import Deferral, LastCall, found_in
from runner.serialization.enums import contents_of, makers_of
from runner.serialization.pickler import PUBLIC_MODULES, Pickler, by_value, found_by_name, takes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed import SupportsWrite

_OF_MEMBERS = {"_value_", "_name_", "__objclass__", "_sort_order_"}  # what every member of an enum has


class Bindings(NamedTuple):
    """What a module's import statements bind.

    ``names`` are those that it imports from another module, as ``{name: (module, name there)}``; ``submodules`` those
    that it imports by a dotted name, and finds as attributes. ``given`` are its classes whose statements give
    ``__init_subclass__`` an argument.
    """

    names: Mapping[str, tuple[str, str]] = MappingProxyType({})
    submodules: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()


class FlowPickler(Pickler):
    """Notes the functions that are pickled by value, and the modules that stand in their globals.

    A task that a module other than the flow's defines is pickled as that module's attribute. Its function alone could
    not be: under its name the module has the task.

    Args:
        file: where it writes.
        module: the one that defines the flow.
        bindings: what its import statements bind.
        travels: whether a module, by its name, is one that travels as a file.
    """

    def __init__(
        self,
        file: SupportsWrite[Any],
        module: ModuleType | None,
        bindings: Bindings,
        travels: Callable[[str], object] = lambda _name: False,
    ) -> None:
        super().__init__(file)
        self.functions: list[FunctionType] = []
        self.modules: set[str] = set()
        self._namespace = vars(module) if module else {}
        self._name = module.__name__ if module else ""
        kept = ("__package__", "__name__", "__path__", "__file__")  # as cloudpickle has it
        self._facts = {name: self._namespace[name] for name in kept if name in self._namespace}
        self._bindings = bindings
        self._travels = travels
        held = ((self._namespace[name], home) for name, home in bindings.names.items())
        self._homes = {id(value): home for value, home in held if not isinstance(value, type | FunctionType)}
        self._deferral = Deferral(self, {"__main__", self._name}, self._facts, self._homes)
        self._registered: dict[str, object] | None = None  # until the first function has them
        self._cached_ones: set[int] = set()
        self._cells: dict[int, CellType] = {}  # an empty one for each that a function closes over, by its id

    def reducer_override(self, obj: Any) -> Any:
        """See `pickle.Pickler.reducer_override`."""
        if home := self._home(obj):
            return getattr, home
        if isinstance(obj, _lru_cache_wrapper) and not found_by_name(obj):
            return self._cached(obj)
        if isinstance(obj, CodeType):
            return _with_file_name(obj, *self.dispatch_table[CodeType](obj))
        reduced = super().reducer_override(obj)
        if isinstance(obj, ModuleType):
            self.modules.add(obj.__name__)
        if reduced is NotImplemented:
            return reduced
        if isinstance(obj, FunctionType):
            self.functions.append(obj)
            reduced = self._with_shared_cells(obj, *reduced)
            if obj.__globals__ is self._namespace:
                self._complete(obj, reduced)
            elif other := self._other_home(obj):
                self._leave_there(other, reduced)
            _leave_out_own_modules(reduced)
        elif isinstance(obj, type) and obj.__module__ == self._name:
            reduced = self._with_namespace(obj, reduced)
        return self._deferral.reduced(obj, *reduced)

    def _calls_new(self, kind: type, number: int) -> bool:
        """Let nothing of the flow's own be called: a class that makes one object has it, and that is made but once."""
        return kind.__module__ != self._name and super()._calls_new(kind, number)

    def _home(self, obj: object) -> tuple[ModuleType, str] | None:
        """Return where a task of another module is found, or what is imported by name and is in an attribute, say."""
        if isinstance(obj, Task) and (home := _home_of_task(obj)):
            return home
        module, name = self._homes.get(id(obj), ("", ""))
        return (sys.modules[module], name) if name else None

    def _with_shared_cells(
        self, function: FunctionType, make: object, arguments: tuple[Any, ...], *rest: object
    ) -> tuple[Any, ...]:
        """Have functions that close over one variable share it again: cloudpickle makes a cell for each of them."""
        cells = function.__closure__
        closure = cells and tuple(self._cells.setdefault(id(cell), CellType()) for cell in cells)
        return make, (*arguments[:-1], closure), *rest

    def _complete(self, function: FunctionType, reduced: tuple[Any, ...]) -> None:
        """Add to a function's globals what cloudpickle leaves out, and mark them as those of the flow's module."""
        _, (_, own_globals, *_), (_, state), *_ = reduced
        own_globals["__spec__"] = None  # see runner.serialization.unpickler
        held = state["__globals__"]
        names = {*_names_in_classes(function.__code__), *_names_in(function.__annotations__)}
        if self._is_own(function):
            names.add(function.__name__)
        if self._registered is None:
            self._registered = self._registered_ones()
            held = self._registered | held  # they are told of in the order in which they were
        held |= {name: value for name, value in self._namespace.items() if name in names}
        for name in [name for name, value in held.items() if id(value) in self._cached_ones and value.__name__ == name]:
            del held[name]  # it is just being pickled, and puts itself there
        state["_cloudpickle_submodules"] += self._submodules(function.__code__, held)
        state["__globals__"] = self._by_name(held)

    def _other_home(self, function: FunctionType) -> str | None:
        """Return the module that travels as a file, and has made a function there that has no name in it."""
        name = str(function.__globals__.get("__name__"))
        is_its = vars(sys.modules[name]) is function.__globals__ if name in sys.modules else False
        return name if is_its and name not in by_value() and self._travels(name) else None

    def _leave_there(self, name: str, reduced: tuple[Any, ...]) -> None:
        """Have a function made in the namespace of its module, which is imported there; see `_complete`."""
        _, (_, own_globals, *_), (_, state), *_ = reduced
        own_globals |= {"__name__": name, "__loader__": None}
        state |= {"__globals__": {}, "_cloudpickle_submodules": []}
        self.modules.add(name)

    def _cached(self, obj: Any) -> tuple[Any, ...]:
        """Make a function with a cache anew, with an empty one. It may call itself, so it comes before its own name."""
        self._cached_ones.add(id(obj))
        name = obj.__name__
        held = {name: obj} if self._namespace.get(name) is obj else {}
        arguments = (obj.__wrapped__, *obj.cache_parameters().values(), _CacheInfo)
        state = (vars(obj), self._for_module(held))
        return _lru_cache_wrapper, arguments, state, None, None, _class_setstate

    def _submodules(self, code: CodeType, held: dict[str, object]) -> list[ModuleType]:
        """Return the modules below those held that are imported by a statement, or named anywhere in a function."""
        prefixes = tuple(f"{kept.__name__}." for kept in held.values() if isinstance(kept, ModuleType))
        if not prefixes:
            return []
        used = {name for each in (code, *codes_in(code)) for name in each.co_names}
        return [
            sys.modules[name]
            for name in list(sys.modules)
            for prefix in prefixes
            if name.startswith(prefix)
            and (name in self._bindings.submodules or used.issuperset(name.removeprefix(prefix).split(".")))
        ]

    def _is_own(self, function: FunctionType) -> bool:
        """Return whether the module has the function, or the task that calls it, by the function's own name."""
        found = self._namespace.get(function.__name__)
        return found is function or (isinstance(found, Task) and found.function is function)

    def _with_namespace(self, kind: type, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
        """Complete what cloudpickle keeps of a class, and put it and the names of its annotations into its module."""
        make, arguments, (state, _), *rest = reduced
        names = {*_names_in(vars(kind).get("__annotations__") or {})}
        if self._namespace.get(kind.__name__) is kind:
            names.add(kind.__name__)
        held = {name: value for name, value in self._namespace.items() if name in names}
        for_module = self._for_module(self._by_name(held))
        if issubclass(kind, Enum):
            members = arguments[3]
            members.clear()  # and again with aliases, in their order
            members.update((name, member.value) for name, member in kind.__members__.items())
            for alias in kind.__members__:
                state.pop(alias, None)
            if contents := contents_of(kind):
                arguments = (*arguments[:-1], contents)
                state |= makers_of(kind)
            for_module["__members__"] = {
                member.name: {name: value for name, value in vars(member).items() if name not in _OF_MEMBERS}
                for member in kind
            }
        else:
            state |= {name: value for name, value in vars(kind).items() if _equals_inherited(kind, name, value)}
            hooks = self._hooks(kind)
            if self._can_be_told(kind, hooks):
                arguments = (*arguments[:-1], {"__init_subclass__": hooks})
                for_module["__init_subclass__"] = LastCall(getattr, hooks[0], "__init_subclass__")
            elif hooks:
                message = f"nobody keeps what __init_subclass__ of {hooks[0].__qualname__} was given with this class"
                raise TypeError(message)
        return make, arguments, (state, for_module), *rest

    def _hooks(self, kind: type) -> list[type]:
        """Return the bases, in modules that travel as files, whose hook was told of a class when it was new."""
        own = by_value()
        bases = [base for base in kind.__mro__[1:] if base.__module__ not in own and self._travels(base.__module__)]
        return [base for base in bases if isinstance(vars(base).get("__init_subclass__"), classmethod)]

    def _registered_ones(self) -> dict[str, object]:
        """Return the flow's classes that another module keeps, maybe, since a hook told it of them."""
        classes = {name: each for name, each in self._namespace.items() if issubclass(type(each), type)}
        own = {name: each for name, each in classes.items() if each.__module__ == self._name}
        return {name: each for name, each in own.items() if self._can_be_told(each, self._hooks(each))}

    def _can_be_told(self, kind: type, hooks: list[type]) -> bool:
        """Return whether the nearest hook can be called again: nobody keeps the arguments of a class statement."""
        if not hooks or kind.__qualname__ in self._bindings.given:
            return False
        return takes(vars(hooks[0])["__init_subclass__"].__func__, 1)

    def _for_module(self, held: Mapping[str, object]) -> dict[str, object]:
        """Return what is put into the module when a class is filled: see `runner.serialization.unpickler`."""
        return {"__module__": self._facts, "__globals__": held}

    def _by_name(self, held: dict[str, object]) -> dict[str, object]:
        homes = self._bindings.names
        return {name: found_in(*homes[name]) if name in homes else value for name, value in held.items()}


def _equals_inherited(kind: type, name: str, value: object) -> bool:
    """Return whether a class has an attribute of its own that is what its base has; cloudpickle takes it for that's."""
    return not name.startswith("__") and any(vars(base).get(name) is value for base in kind.__bases__)


def _names_in_classes(code: CodeType) -> Iterable[str]:
    """Return the names that classes in a function use in their bodies, which are looked up by another instruction."""
    for each in codes_in(code):
        if not each.co_flags & CO_OPTIMIZED:
            yield from each.co_names


def codes_in(code: CodeType) -> Iterable[CodeType]:
    """Yield the code of all that is defined in a function, however deep."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from codes_in(constant)


def _names_in(annotations: Mapping[str, Any]) -> Iterable[str]:
    """Return the names in annotations that are text."""
    for annotation in annotations.values():
        if isinstance(annotation, str):
            yield from re.findall(r"[^\W\d]\w*", annotation)


def _leave_out_own_modules(reduced: tuple[Any, ...]) -> None:
    """Leave out modules of runner's that cloudpickle notes since their name is an attribute that the function uses."""
    state = reduced[2][1]
    noted = state["_cloudpickle_submodules"]
    state["_cloudpickle_submodules"] = [
        module for module in noted if module.__name__.partition(".")[0] != "runner" or module.__name__ in PUBLIC_MODULES
    ]


def _with_file_name(code: CodeType, make: Callable[..., CodeType], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Keep the name of the file, which a traceback shows; cloudpickle 3.1.3 and later put this word in its place."""
    return make, tuple(code.co_filename if part == "<dynamic-code>" else part for part in arguments)


def _home_of_task(task: Task) -> tuple[ModuleType, str] | None:
    """Return the module and the name by which a task is found where the flow runs, unless it travels by value."""
    name = getattr(task.function, "__name__", "")
    module = sys.modules.get(getattr(task.function, "__module__", None) or "")
    if module is None or vars(module).get(name) is not task:
        return None
    return None if module.__name__ in by_value() else (module, name)
