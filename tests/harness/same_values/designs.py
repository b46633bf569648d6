"""What else could travel of a flow's file than its values: its source, which is imported again where the flow runs.

A prototype of that, to be counted: ``runner build`` does all that it does otherwise (it follows imports, looks for
secrets, loads the bundle in a fresh process and compares), but the file lies among those that travel, and the pickle
holds nothing but its name and the flow's. What is imported there finds that ``flow.run()`` and ``build()`` do nothing,
and that it is not ``__main__``. What the values reach travels with the source, too, where they can be pickled; a flow
that is refused since they cannot is built all the same.
"""

from __future__ import annotations

import pickle
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from runner.errors import FlowFailed
from runner.publishing import capture
from runner.serialization import pickling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import FunctionType, ModuleType

GUARD = "guard_of_the_source"
_GUARD_SOURCE = """
from importlib import import_module
from unittest.mock import MagicMock, patch

from runner import Flow
from runner.authoring.declaration import StorageDeclaration


def load(module, name):
    with patch.object(Flow, "run", MagicMock()), patch.object(StorageDeclaration, "build", MagicMock()):
        return getattr(import_module(module), name)
"""


class _Guarded:
    """Is pickled as a call of the guard."""

    def __init__(self, module: str, name: str) -> None:
        self._arguments = module, name

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return load, self._arguments


def load(_module: str, _name: str) -> Any:
    """Stand for the function of the guard, by whose name it is pickled."""


load.__module__ = GUARD


@contextmanager
def source_travels() -> Iterator[None]:
    """Have flows built of their source for the block."""

    def dump_by_name(flow: object, module: ModuleType, *arguments: Any) -> pickling.Pickled:
        [name] = [name for name, value in vars(module).items() if value is flow][:1]
        functions, modules = _reached(flow, module, *arguments)
        with mock.patch.dict("sys.modules", {GUARD: mock.MagicMock(load=load)}):
            data = pickle.dumps(_Guarded(module.__name__, name))
        return pickling.Pickled(data, functions, set(), modules)

    def capture_itself(module: ModuleType, *arguments: Any) -> capture.Captured:
        found = capture_others(module, *arguments)
        guard = Path(f"{GUARD}.py").absolute()
        guard.write_text(_GUARD_SOURCE, "utf-8")
        own = f"{module.__name__.replace('.', '/')}.py"
        found.files |= {guard.name: guard, own: Path(str(module.__file__))}
        return found

    capture_others = capture.capture
    with ExitStack() as stack:
        # as if the file imported what starts processes anew: so its own package travels, too
        stack.enter_context(mock.patch.object(capture, "_PROCESSES", {"runner"}))
        stack.enter_context(mock.patch.object(capture, "acts_when_imported", return_value=None))
        stack.enter_context(mock.patch.object(capture, "capture", capture_itself))
        stack.enter_context(mock.patch.object(pickling, "dump_flow", dump_by_name))
        yield


def _reached(flow: object, module: ModuleType, *arguments: Any) -> tuple[list[FunctionType], set[str]]:
    """Return the functions and modules that the flow's values reach; nothing where these cannot be pickled."""
    with suppress(FlowFailed):
        pickled = _dump_values(flow, module, *arguments)
        return pickled.functions, pickled.modules
    return [], set()


_dump_values = pickling.dump_flow
DESIGNS: dict[str, Callable[[], AbstractContextManager[None]]] = {"values": nullcontext, "source": source_travels}
