"""The pickler of results and of flows: cloudpickle's, and how values are pickled that it refuses, or spoils."""

from __future__ import annotations

import contextvars
import copyreg
import functools
import sys
import types
import typing
import weakref
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any

import cloudpickle
from cloudpickle.cloudpickle import _class_setstate, _make_skeleton_class

from runner.serialization.known_classes import is_known

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import SupportsWrite

PROTOCOL = 5
# The modules that authors import: what pickles name of runner's own lies in these, as docs/formats.md says.
PUBLIC_MODULES = ("runner", "runner.environments", "runner.errors", "runner.storage")
_MISSING = object()
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_OF_GENERIC = getattr(vars(typing.Generic)["__class_getitem__"], "__func__", None)  # until Python 3.11
_TAKES_ANY = 0x04  # as inspect has it, which is not imported where flows run
_OF_PYTHON = {vars(kind).get("__init__") for kind in (BaseException, ImportError, OSError, StopIteration, SystemExit)}
_PROCESS_PROBED: dict[type, bool] = {}  # whether classes of the flow's file can be pickled by value
_PROCESS_PROBING = RLock()


class Nowhere:
    """A file that keeps nothing: only whether something can be pickled matters."""

    def write(self, data: Any) -> int:
        """Keep nothing."""
        return len(data)


class Pickler(cloudpickle.Pickler):
    """Pickles what cloudpickle pickles, and some kinds more."""

    def __init__(self, file: SupportsWrite[Any]) -> None:
        super().__init__(file, protocol=PROTOCOL)

    def reducer_override(self, obj: Any) -> Any:
        """See `pickle.Pickler.reducer_override`."""
        if isinstance(obj, type):
            if is_known(obj) and not _travels(obj):
                return obj.__qualname__
            _complete_model(obj)
        reduced = _reduce(obj, self._calls_new)
        if reduced is NotImplemented:
            reduced = super().reducer_override(obj)
            if reduced is not NotImplemented and reduced[0] is _make_skeleton_class:
                reduced[1][3].update(_made_with_its_class(obj))
                if _OF_GENERIC and getattr(vars(obj).get("__class_getitem__"), "__func__", None) is _OF_GENERIC:
                    reduced[2][0].pop("__class_getitem__")  # named tuples have it from their skeleton
        return reduced

    def _calls_new(self, kind: type, number: int) -> bool:
        """Return whether the ``__new__`` that a class has, and is no C code, is called to make an object.

        It would be given as many arguments.
        """
        return takes(kind.__new__, number)


def _complete_model(kind: Any) -> None:
    """Have a model of pydantic's be built, as its first use would, which names classes that came after it.

    What stands in for its validator until then looks for these from the class, and pickled would find itself.
    """
    is_incomplete = vars(kind).get("__pydantic_complete__") is False and hasattr(kind, "model_rebuild")
    if is_incomplete and kind.__module__ in by_value():
        kind.model_rebuild(raise_errors=False, _types_namespace={})


def _travels(kind: type) -> bool:
    """Return whether a class of the file that was imported can be pickled by value; else its file has to be there."""
    with _PROCESS_PROBING:
        if kind not in _PROCESS_PROBED:
            _PROCESS_PROBED[kind] = True  # as long as it is tried, for it may name itself
            try:
                Pickler(Nowhere()).dump(kind)
            except Exception:  # noqa: BLE001 - whatever it has that no pickle takes
                _PROCESS_PROBED[kind] = False
        return _PROCESS_PROBED[kind]


def _made_with_its_class(kind: type) -> dict[str, object]:
    """Return what a class cannot be given later, which cloudpickle leaves out."""
    slots = {name: value for name, value in vars(kind).items() if name == "__slots__" and not issubclass(kind, tuple)}
    return {"__qualname__": kind.__qualname__, **slots}


def load_public_modules() -> None:
    """Import the modules that pickles may name: cloudpickle takes a class by value whose module is not loaded."""
    for name in PUBLIC_MODULES:
        import_module(name)


def _reduce(obj: Any, calls_new: Callable[[type, int], bool]) -> Any:
    """Return how to make a value anew, as ``object.__reduce__`` does, or NotImplemented where others know that.

    Raises TypeError for a context variable that holds a value: nobody would set it where the flow runs.
    """
    if make := _BY_TYPE.get(type(obj)):
        return make(obj)
    if make := _NAMED.get(type(obj)):
        return NotImplemented if found_by_name(obj) else make(obj)
    if isinstance(obj, BaseException):
        return _exception(obj)
    kind: Any = type(obj)
    if make := _BY_NAME.get((kind.__module__, kind.__name__)):
        return make(obj)
    knows = kind.__reduce_ex__ is not object.__reduce_ex__ or kind.__reduce__ is not object.__reduce__
    if knows or kind in copyreg.dispatch_table:
        return NotImplemented
    if isinstance(kind.__new__, types.FunctionType) and (reduced := _made_without_new(obj, calls_new)):
        return reduced
    if hasattr(kind, "__getattr__"):
        return _proxy(obj)
    return _sentinel(obj) if getattr(obj, "__dict__", None) == {} else NotImplemented


def _exception(error: BaseException) -> Any:
    """Have an exception made of its ``args`` without its own ``__init__``, which may not take them."""
    if type(error).__init__ in _OF_PYTHON or type(error).__reduce__ is not BaseException.__reduce__:
        return NotImplemented
    reduced: Any = error.__reduce__()
    kind, arguments, *state = reduced
    return copyreg.__newobj__, (kind, *arguments), *state  # type: ignore[attr-defined]


def _made_without_new(obj: Any, calls_new: Callable[[type, int], bool]) -> Any:
    """Return how to make an object as ``object.__reduce_ex__`` does, but by the next ``__new__`` that can be called.

    None where the first can, or its class knows better.
    """
    kind: Any = type(obj)
    given = getattr(kind, "__getnewargs__", None)
    of_root = getattr(root_of(kind), "__getnewargs__", None)  # such as str's
    if isinstance(obj, type) or hasattr(kind, "__getnewargs_ex__") or given is not of_root:
        return None
    arguments = (kind, *(given(obj) if given else ()))
    makers: list[Any] = [base for base in kind.__mro__ if "__new__" in vars(base)]
    maker = next(
        base for base in makers if not isinstance(base.__new__, types.FunctionType) or calls_new(base, len(arguments))
    )
    if maker is makers[0]:
        return None
    _, _, *rest = obj.__reduce_ex__(PROTOCOL)
    return maker.__new__, arguments, *rest


def root_of(kind: type) -> Any:
    """Return the nearest base that is made in C."""
    return next(base for base in kind.__mro__ if not base.__flags__ & _HEAP_TYPE)


def takes(function: Any, number: int) -> bool:
    """Return whether a function can be called with so many arguments."""
    code: types.CodeType = function.__code__
    least = code.co_argcount - len(function.__defaults__ or ())
    most = sys.maxsize if code.co_flags & _TAKES_ANY else code.co_argcount
    return least <= number <= most and code.co_kwonlyargcount <= len(function.__kwdefaults__ or ())


def _proxy(obj: Any) -> Any:
    """Have the attributes of an object set without a look for ``__setstate__``, which its ``__getattr__`` would answer.

    That asks for attributes which are not there yet, until the recursion is too deep. What cloudpickle sets a class's
    attributes with sets those of any object.
    """
    kind: Any = type(obj)
    if hasattr(kind, "__setstate__") or kind.__setattr__ is not object.__setattr__:
        return NotImplemented
    make, arguments, state, *items = obj.__reduce_ex__(PROTOCOL)
    attributes, in_slots = state if isinstance(state, tuple) else (state, None)
    return make, arguments, ({**(attributes or {}), **(in_slots or {})}, {}), *items, _class_setstate


def _sentinel(obj: Any) -> Any:
    """Have an object without attributes be that which the module of its class has, such as ``dataclasses.MISSING``."""
    name = type(obj).__module__
    if name == "builtins" or name in by_value():
        return NotImplemented
    module = sys.modules.get(name)
    held = list(vars(module).items()) if module else []
    return next(((getattr, (module, there)) for there, value in held if value is obj), NotImplemented)


def _cached_property(obj: Any) -> Any:
    state = {name: value for name, value in vars(obj).items() if name not in {"func", "lock"}}
    return functools.cached_property, (obj.func,), state


def _of_its_items(obj: Any) -> Any:
    return type(obj), (dict(obj),)


def _new_type(obj: Any) -> Any:
    return typing.NewType, (obj.__name__, obj.__supertype__), {"__module__": obj.__module__}


def _parameters(obj: Any) -> Any:
    options = {name: getattr(obj, f"__{name}__") for name in ("bound", "covariant", "contravariant")}
    return _made_with(obj, options)


def _types(obj: Any) -> Any:
    return _made_with(obj, {})


def _alias(obj: Any) -> Any:
    options = {"value": obj.__value__, "type_params": obj.__type_params__}
    return _made_with(obj, options)


def _context_variable(obj: Any) -> Any:
    try:
        default = contextvars.Context().run(obj.get)
    except LookupError:
        default = _MISSING
    if obj.get(default) is not default:
        raise TypeError(f"the context variable {obj.name!r} was set, which nobody does where the flow runs")
    return _made_with(obj, {} if default is _MISSING else {"default": default})


def _built_of_a_schema(obj: Any) -> Any:
    """Have what pydantic builds of a schema be built of one that is whole.

    Models that name one another share parts of theirs, and one of them is built before the other's is filled.
    """
    make, schema_and_config = obj.__reduce__()
    return make, _copied(schema_and_config, {})


def _copied(part: Any, copies: dict[int, Any]) -> Any:
    """Return a copy of dictionaries, lists and tuples in one another, of which all else is the same."""
    if id(part) not in copies:
        copies[id(part)] = part
        if type(part) is dict:
            copies[id(part)] = {key: _copied(each, copies) for key, each in part.items()}
        elif type(part) in {list, tuple}:
            copies[id(part)] = type(part)(_copied(each, copies) for each in part)
    return copies[id(part)]


def _made_with(obj: Any, options: dict[str, object]) -> Any:
    kind: Any = type(obj)
    return functools.partial(kind, getattr(obj, "__name__", None) or obj.name, **options), ()


def found_by_name(obj: Any) -> bool:
    """Return whether an object is found by its name in a module that need not travel."""
    name = obj.__module__
    return name not in by_value() and getattr(sys.modules.get(name), obj.__name__, None) is obj


def by_value() -> set[str]:
    """Return the names of the modules that travel by value."""
    return {"__main__", *cloudpickle.list_registry_pickle_by_value()}


_BY_TYPE: dict[Any, Callable[[Any], Any]] = {
    functools.cached_property: _cached_property,
    weakref.WeakKeyDictionary: _of_its_items,
    types.MappingProxyType: _of_its_items,
    contextvars.ContextVar: _context_variable,
}
_BY_NAME: dict[tuple[str, str], Callable[[Any], Any]] = {  # of libraries that need not be installed
    ("pydantic_core._pydantic_core", "SchemaValidator"): _built_of_a_schema,
    ("pydantic_core._pydantic_core", "SchemaSerializer"): _built_of_a_schema,
}
_NAMED: dict[Any, Callable[[Any], Any]] = {  # what is pickled by its name where that finds it
    typing.NewType: _new_type,
    typing.ParamSpec: _parameters,
    typing.TypeVarTuple: _types,
    getattr(typing, "TypeAliasType", None): _alias,  # since Python 3.12
}
