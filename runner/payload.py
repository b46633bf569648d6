"""Live objects to bytes and back; the only place where anything is unpickled."""

from __future__ import annotations

import io
import pickle
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import CellType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

import cloudpickle

from runner.errors import BundleCorrupt, FlowFailed, Incompatible, RunnerError
from runner.manifest import REPOSITORY, own_image
from runner.task import Task
from runner.trace import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.flow import Flow

PROTOCOL = 5
_DEEPEST = 6  # steps into a value in search of what cannot be pickled
_WIDEST = 100  # parts looked at in each step


@dataclass(frozen=True, slots=True)
class Pickled:
    """A pickled flow, the functions that travel in it by value, and what unpickling it imports.

    ``names`` are those that it looks up, as ``(module, name)``; ``modules`` also has those that it takes as a whole.
    """

    data: bytes
    functions: list[FunctionType]
    names: set[tuple[str, str]]
    modules: set[str]


class _Recorder(cloudpickle.Pickler):
    """Notes the functions that are pickled by value, and the modules that stand in their globals.

    A task that a module other than the flow's defines is pickled as that module's attribute. Its function alone could
    not be: under its name the module has the task.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, protocol=PROTOCOL)
        self.functions: list[FunctionType] = []
        self.modules: set[str] = set()

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Task) and (home := _home(obj)):
            return getattr, home
        if isinstance(obj, CodeType):
            return _with_file_name(obj, *self.dispatch_table[CodeType](obj))
        reduced = super().reducer_override(obj)
        if isinstance(obj, FunctionType) and reduced is not NotImplemented:
            self.functions.append(obj)
        elif isinstance(obj, ModuleType):
            self.modules.add(obj.__name__)
        return reduced


def _with_file_name(code: CodeType, make: Callable[..., CodeType], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Keep the name of the file, which a traceback shows; cloudpickle 3.1.3 and later put this word in its place."""
    return make, tuple(code.co_filename if part == "<dynamic-code>" else part for part in arguments)


def _home(task: Task) -> tuple[ModuleType, str] | None:
    """Give the module and the name by which a task can be had where the flow runs, unless it travels by value."""
    name = getattr(task.function, "__name__", "")
    module = sys.modules.get(getattr(task.function, "__module__", None) or "")
    if module is None or vars(module).get(name) is not task:
        return None
    by_value = {"__main__", *cloudpickle.list_registry_pickle_by_value()}
    return None if module.__name__ in by_value else (module, name)


def dump_flow(flow: object, by_value: ModuleType | None) -> Pickled:
    """Pickle a flow, with the module that defines it by value. Raises FlowFailed, naming what cannot be pickled."""
    buffer = io.BytesIO()
    recorder = _Recorder(buffer)
    with _travels(by_value):
        try:
            recorder.dump(flow)
        except Exception as error:
            message = f"the flow cannot be pickled: {_blame(flow, 'flow', error)}"
            hint = "Make such things (connections, locks, open files) inside the task that needs them."
            raise FlowFailed(message, hint=hint) from error
    data = buffer.getvalue()
    names = _names_in(data)
    return Pickled(data, recorder.functions, names, recorder.modules | {module for module, _ in names})


@contextmanager
def _travels(module: ModuleType | None) -> Iterator[None]:
    if module is None or module.__name__ == "__main__":  # cloudpickle sends that by value anyway
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def load_flow(data: bytes | memoryview) -> Any:
    """Unpickle a flow whose bundle was verified. Raises Incompatible and BundleCorrupt."""
    try:
        return pickle.loads(data)
    except ModuleNotFoundError as error:
        message = f"the flow needs a module that is not installed here: {error.name}"
        hint = own_image(f"{REPOSITORY}:all_extras", str(error.name).partition(".")[0])
        raise Incompatible(message, hint=hint) from error
    except (ImportError, AttributeError) as error:
        message = f"the flow does not fit what is installed here: {error}"
        hint = "Install the versions that it was built with: runner inspect lists them."
        raise Incompatible(message, hint=hint) from error
    except Exception as error:
        message = f"the flow cannot be unpickled: {type(error).__name__}: {error}"
        raise BundleCorrupt(message, hint="Build it again.") from error


def load_result(file: BinaryIO) -> Any:
    """Unpickle a result whose trailer was verified. Raises Incompatible and BundleCorrupt."""
    try:
        return pickle.load(file)
    except (ImportError, AttributeError) as error:
        message = f"the result does not fit what is installed here: {error}"
        hint = "Install what the flow used, or copy the bytes with runner result -o FILE."
        raise Incompatible(message, hint=hint) from error
    except Exception as error:
        message = f"the result cannot be unpickled: {type(error).__name__}: {error}"
        raise BundleCorrupt(message, hint="Run the flow again.") from error


def dump_result(value: Any, file: BinaryIO, name: str) -> None:
    """Pickle a task's value into a file, large buffers without a copy.

    Raises TaskError, naming the task's value and what in it cannot be pickled; what the file raises comes through.
    """
    try:
        cloudpickle.Pickler(file, protocol=PROTOCOL).dump(value)
    except RunnerError:
        raise  # the storage behind the file, not the value
    except Exception as error:
        message = f"the result of task {name} cannot be pickled: {_blame(value, 'result', error)}"
        raise TaskError(message) from error


def _blame(value: Any, path: str, error: BaseException, depth: int = 0) -> str:
    """Find the innermost part that cannot be pickled and say where it is: ``result['db'].lock: cannot pickle …``."""
    if depth < _DEEPEST:
        for step, part in _parts(value):
            try:
                _Recorder(_Nowhere()).dump(part)  # type: ignore[arg-type]
            except Exception as deeper:  # noqa: BLE001 - any failure is what is looked for
                return _blame(part, path + step, deeper, depth + 1)
    return f"{path}: {type(value).__name__}: {error}"


class _Nowhere:
    """A file that keeps nothing: only whether something can be pickled is asked."""

    def write(self, data: Any) -> int:
        return len(data)


def _parts(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        parts = [(f"[{key!r}]", part) for key, part in list(value.items())[:_WIDEST]]
    elif isinstance(value, list | tuple):
        parts = [(f"[{index}]", part) for index, part in enumerate(value[:_WIDEST])]
    elif isinstance(value, FunctionType):
        names = value.__code__.co_names
        parts = [(f" → {name}", value.__globals__[name]) for name in names if name in value.__globals__]
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        parts += [(f" → {name}", part) for name, cell in cells for part in _contents(cell)]
    elif isinstance(value, ModuleType | type):
        parts = []
    else:
        slots = (name for kind in type(value).__mro__ for name in vars(kind).get("__slots__", ()))
        attributes = [*getattr(value, "__dict__", {}), *slots][:_WIDEST]
        parts = [(f".{name}", getattr(value, name)) for name in attributes if hasattr(value, name)]
    return [(step, part) for step, part in parts if part is not value]


def _contents(cell: CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # nothing was ever put into it
        return []


def where(flow: Flow, functions: list[FunctionType], holds: Callable[[bytes], bool]) -> str:
    """Say where in a flow, or in the functions that travel in it by value, something sits; empty if that is not found.

    ``holds`` is asked of the pickle of one part after the other.
    """
    for label, part in _named_parts(flow, functions):
        if not isinstance(part, FunctionType | ModuleType | type):
            with suppress(Exception):  # what cannot be pickled alone is not what it is found in
                if holds(cloudpickle.dumps(part, PROTOCOL)):
                    return label
    return ""


def _named_parts(flow: Flow, functions: list[FunctionType]) -> Iterator[tuple[str, Any]]:
    for function in functions:
        code, name = function.__code__, function.__qualname__
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        yield from (
            (f"the closure variable {free} of {name}", part) for free, cell in cells for part in _contents(cell)
        )
        used = [free for free in code.co_names if free in function.__globals__]
        yield from ((f"the variable {free}, which {name} uses", function.__globals__[free]) for free in used)
        yield f"a default of {name}", (function.__defaults__, function.__kwdefaults__)
        yield f"the code of {name}", [part for part in code.co_consts if not isinstance(part, CodeType)]
        yield f"an attribute or the docstring of {name}", (function.__dict__, function.__doc__)
    yield from (
        (f"the default of parameter {each.name}", each.default) for each in flow.parameters if not each.required
    )
    yield from ((f"an argument of task {node.name}", (node.args, node.kwargs)) for node in flow.nodes)


def _names_in(data: bytes) -> set[tuple[str, str]]:
    """Give what unpickling would look up, as ``(module, name)``."""
    import pickletools

    found: set[tuple[str, str]] = set()
    strings: list[str] = []  # the texts pushed so far; STACK_GLOBAL takes the last two, a call takes what stands near
    memo: dict[int, str] = {}
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in {"SHORT_BINUNICODE", "BINUNICODE", "UNICODE", "BINUNICODE8"}:
            strings.append(str(argument))
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = strings[-1] if strings else ""
        elif opcode.name in {"BINGET", "LONG_BINGET"}:
            strings.append(memo.get(argument or 0, ""))
        elif opcode.name == "GLOBAL":
            module, _, name = str(argument).partition(" ")
            found.add((module, name))
        elif opcode.name == "STACK_GLOBAL" and len(strings) > 1:
            found.add((strings[-2], strings[-1]))
    return {(module, name) for module, name in found if module}
