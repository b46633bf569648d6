"""Live objects to bytes and back; the only place where anything is unpickled."""

from __future__ import annotations

import pickle
import sys
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import cloudpickle

from runner.errors import BundleCorrupt, FlowFailed, Incompatible, RunnerError, TaskError
from runner.images import REPOSITORY, own_image
from runner.model.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROTOCOL = 5
# The modules that authors import: what pickles name of runner's own lies in these, as docs/formats.md says.
_PUBLIC = ("runner", "runner.environments", "runner.errors", "runner.storage")


def _load_public_modules() -> None:
    """Import the modules that pickles may name: cloudpickle takes a class by value whose module is not loaded."""
    for name in _PUBLIC:
        import_module(name)


class Pickled(NamedTuple):
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
            _leave_out_own_modules(reduced)
        elif isinstance(obj, ModuleType):
            self.modules.add(obj.__name__)
        return reduced


class _Nowhere:
    """A file that keeps nothing: only whether something can be pickled matters."""

    def write(self, data: Any) -> int:
        return len(data)


def _blame(value: Any, path: str, error: BaseException) -> str:
    from runner.serialization.diagnosis import blame

    return blame(value, path, error, lambda part: _Recorder(_Nowhere()).dump(part))  # type: ignore[arg-type]


def _leave_out_own_modules(reduced: tuple[Any, ...]) -> None:
    """Leave out modules of runner's that cloudpickle notes since their name is an attribute that the function uses."""
    state = reduced[2][1]
    noted = state["_cloudpickle_submodules"]
    state["_cloudpickle_submodules"] = [
        module for module in noted if module.__name__.partition(".")[0] != "runner" or module.__name__ in _PUBLIC
    ]


def _with_file_name(code: CodeType, make: Callable[..., CodeType], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Keep the name of the file, which a traceback shows; cloudpickle 3.1.3 and later put this word in its place."""
    return make, tuple(code.co_filename if part == "<dynamic-code>" else part for part in arguments)


def _home(task: Task) -> tuple[ModuleType, str] | None:
    """Return the module and the name by which a task is found where the flow runs, unless it travels by value."""
    name = getattr(task.function, "__name__", "")
    module = sys.modules.get(getattr(task.function, "__module__", None) or "")
    if module is None or vars(module).get(name) is not task:
        return None
    by_value = {"__main__", *cloudpickle.list_registry_pickle_by_value()}
    return None if module.__name__ in by_value else (module, name)


def dump_flow(flow: object, by_value: ModuleType | None) -> Pickled:
    """Pickle a flow, with the module that defines it by value. Raises FlowFailed, naming what cannot be pickled."""
    from runner.serialization.inspection import names_in  # not where flows run

    _load_public_modules()
    buffer = BytesIO()
    recorder = _Recorder(buffer)
    with _travels(by_value):
        try:
            recorder.dump(flow)
        except Exception as error:
            message = f"the flow cannot be pickled: {_blame(flow, 'flow', error)}"
            hint = "Make such things (connections, locks, open files) inside the task that needs them."
            raise FlowFailed(message, hint=hint) from error
    data = buffer.getvalue()
    names = names_in(data)
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


class _Unpickler(pickle.Unpickler):
    """Does without the modules of runner's that an older version noted; `runner` has what they held."""

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name)
        return _subimport if found is cloudpickle.subimport else found


def _subimport(name: str) -> ModuleType:
    """Import a module that a pickle names as a whole.

    Older bundles name modules of runner's that their authors never heard of: where a function says ``runner.…`` and
    ``json.load``, cloudpickle notes the module ``runner.load`` because there was one.
    """
    package, _, _ = name.partition(".")
    if package == "runner" and name not in _PUBLIC:
        name = package
    module: ModuleType = cloudpickle.subimport(name)
    return module


def load_flow(data: bytes | memoryview) -> Any:
    """Unpickle a flow whose bundle was verified. Raises Incompatible and BundleCorrupt."""
    try:
        return _Unpickler(BytesIO(data)).load()
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
        return _Unpickler(file).load()
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
    _load_public_modules()
    try:
        cloudpickle.Pickler(file, protocol=PROTOCOL).dump(value)
    except RunnerError:
        raise  # the storage behind the file, not the value
    except Exception as error:
        message = f"the result of task {name} cannot be pickled: {_blame(value, 'result', error)}"
        raise TaskError(message) from error
