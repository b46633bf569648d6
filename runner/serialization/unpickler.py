"""The unpickler of flows and results: functions and classes of a flow's file come into one real module again.

That is in ``sys.modules`` under its own name, so that it is found by whoever looks there: pickles of its functions and
classes by name, process pools, annotations that are text.
"""

from __future__ import annotations

import os
import pickle
import sys
import types
from importlib import import_module
from importlib.machinery import ModuleSpec
from typing import IO, Any, TypedDict

import cloudpickle
from cloudpickle.cloudpickle import (
    _DYNAMIC_CLASS_TRACKER_BY_CLASS,
    _class_setstate,
    _lookup_class_or_track,
    _make_function,
    _make_skeleton_class,
    _make_skeleton_enum,
)

from runner.serialization.known_classes import known_by
from runner.serialization.pickler import PUBLIC_MODULES


class _Typed(TypedDict):
    """What has the metaclass of typed dictionaries."""


_TYPED_DICT = type(_Typed)
Namespace = dict[str, Any]
_PROCESS_MODULES: dict[str, types.ModuleType] = {}  # the modules of flows that were loaded in this process


class Unpickler(pickle.Unpickler):
    """Unpickles what `runner.serialization.pickler` and cloudpickle pickled.

    It does without the modules of runner's that an older version noted; `runner` has what they held.

    Args:
        file: where it reads.
        main: whether a flow whose file was run as a script may take the name ``__main__`` in this process.
    """

    def __init__(self, file: IO[bytes], *, main: bool = False) -> None:
        super().__init__(file)
        self._main = main
        self._modules: dict[str, types.ModuleType | None] = {}
        self._whole = set[int]()  # the classes that are known here, of which nothing is set

    def find_class(self, module: str, name: str) -> Any:
        """See `pickle.Unpickler.find_class`."""
        if module == _make_function.__module__ and (own := _REPLACED.get(name)):
            return own.__get__(self)
        return super().find_class(module, name)

    def make_function(self, code: Any, own_globals: Namespace, name: Any, defaults: Any, closure: Any) -> Any:
        """Make a function in its module: `FlowPickler` marks what it is to be made in.

        By ``__spec__`` the flow's own, by ``__loader__`` another one of the author's, which is imported.
        """
        if "__loader__" in own_globals:
            own_globals = vars(import_module(own_globals["__name__"]))
        if "__spec__" in own_globals and (module := self._module(own_globals)):
            own_globals = vars(module)
        return _make_function(code, own_globals, name, defaults, closure)

    def _module(self, facts: Namespace) -> types.ModuleType | None:
        """Return the flow's module, new with each pickle; None where another has its name."""
        name = facts["__name__"]
        if name not in self._modules:
            self._modules[name] = self._make_module(name, facts)
        return self._modules[name]

    def _make_module(self, name: str, facts: Namespace) -> types.ModuleType | None:
        there = sys.modules.get(name)
        is_taken = there is not None and there is not _PROCESS_MODULES.get(name)
        if is_taken and not (name == "__main__" and self._main):
            return None
        module = types.ModuleType(name)
        vars(module).update(facts, __spec__=ModuleSpec(name, None, origin=facts.get("__file__")))
        if name == "__main__":
            _let_be_spawned(module)
        package, _, last = name.rpartition(".")
        if package:
            setattr(_package(package), last, module)
        sys.modules[name] = _PROCESS_MODULES[name] = module
        cloudpickle.register_pickle_by_value(module)  # what a task returns is read where the module is not
        return module

    def make_class(self, kind: Any, name: str, bases: Any, namespace: Any, tracker_id: str, extra: Any) -> Any:
        """Make a class without the author's hooks for new classes, which were called when it was new.

        Those of ``extra`` are in a module that is imported, and are told of the class when it is whole.
        """
        if known := known_by(tracker_id):
            self._whole.add(id(known))
            return known
        resolved = types.resolve_bases(bases)
        hooks = {
            base: vars(base)["__init_subclass__"]
            for each in resolved
            for base in each.__mro__
            if base in _DYNAMIC_CLASS_TRACKER_BY_CLASS and "__init_subclass__" in vars(base)
        }
        told_later = (extra or {}).get("__init_subclass__", ())
        hooks |= {base: vars(base)["__init_subclass__"] for base in told_later}
        for base in hooks:
            type.__delattr__(base, "__init_subclass__")
        try:
            if kind is _TYPED_DICT and bases == (dict,):  # as Python 3.11 has it, and does not take it
                return _lookup_class_or_track(tracker_id, type.__new__(kind, name, bases, dict(namespace)))
            if kind not in _DYNAMIC_CLASS_TRACKER_BY_CLASS:
                return _make_skeleton_class(kind, name, bases, namespace, tracker_id, extra)
            installed = next(each for each in kind.__mro__ if each not in _DYNAMIC_CLASS_TRACKER_BY_CLASS)
            made = installed.__new__(kind, name, resolved, dict(namespace))
            return _lookup_class_or_track(tracker_id, made)
        finally:
            for base, hook in hooks.items():
                type.__setattr__(base, "__init_subclass__", hook)

    def make_enum(
        self, bases: Any, name: str, qualified: str, members: Any, module: str, tracker_id: str, contents: Any
    ) -> Any:
        """Make an enum; `contents` says what of, where code of the author's has made its members."""
        if known := known_by(tracker_id):
            self._whole.add(id(known))
            return known
        if not contents:
            return _make_skeleton_enum(bases, name, qualified, members, module, tracker_id, contents)
        from runner.serialization.enums import make_enum

        made = make_enum(bases, name, members, contents)
        made.__module__, made.__qualname__ = module, qualified
        return _lookup_class_or_track(tracker_id, made)

    def set_class_state(self, kind: Any, state: tuple[Namespace, Namespace]) -> Any:
        """Fill a class, and put into its module what the pickle says."""
        if id(kind) in self._whole:
            return kind
        for_module = state[1]
        if for_module and (module := self._module(for_module["__module__"])):
            vars(module).update(for_module["__globals__"])
        made = _class_setstate(kind, state)
        for name, held in for_module.get("__members__", {}).items():
            vars(made[name]).update(held)
        if hook := for_module.get("__init_subclass__"):
            hook.__func__(kind)
        return made


def _let_be_spawned(main: types.ModuleType) -> None:
    """Have a process that is spawned find what was run as a script: its source, if that travelled, else nothing of it.

    It gets ``sys.path``, where the folder of what travelled is the last, and is told of ``__main__`` by the name in its
    specification or, without one, by its file: https://docs.python.org/3/library/multiprocessing.html
    """
    file = getattr(main, "__file__", None)  # a notebook has none
    source = os.path.join(sys.path[-1], os.path.basename(file)) if file else ""  # noqa: PTH118, PTH119 - as below
    if os.path.isfile(source):  # noqa: PTH113 - pathlib costs the start 5 ms
        main.__file__, main.__spec__ = source, None
    else:
        main.__spec__ = ModuleSpec("runner.__main__", None)


def _package(name: str) -> types.ModuleType:
    """Return a package, or an empty one where the flow's file alone travelled from it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise
    parent, _, last = name.rpartition(".")
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = []
    if parent:
        setattr(_package(parent), last, package)
    return package


def _subimport(_unpickler: Unpickler, name: str) -> types.ModuleType:
    """Import a module that a pickle names as a whole.

    Older bundles name modules of runner's that their authors never heard of: where a function says ``runner.…`` and
    ``json.load``, cloudpickle notes the module ``runner.load`` because there was one.
    """
    package, _, _ = name.partition(".")
    if package == "runner" and name not in PUBLIC_MODULES:
        name = package
    module: types.ModuleType = cloudpickle.subimport(name)
    return module


_REPLACED: Namespace = {
    "_make_function": Unpickler.make_function,
    "_make_skeleton_class": Unpickler.make_class,
    "_make_skeleton_enum": Unpickler.make_enum,
    "_class_setstate": Unpickler.set_class_state,
    "subimport": _subimport,
}
