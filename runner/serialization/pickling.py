"""Live objects to bytes and back; the only place where anything is unpickled."""

from __future__ import annotations

from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import cloudpickle

from runner.errors import BundleCorrupt, FlowFailed, Incompatible, RunnerError, TaskError
from runner.images import REPOSITORY, own_image
from runner.serialization.pickler import Nowhere, Pickler, load_public_modules
from runner.serialization.unpickler import Unpickler
from runner.tracebacks import authors_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FunctionType, ModuleType

    from _typeshed import SupportsWrite

    from runner.serialization.diagnosis import Blamed
    from runner.serialization.flow_pickler import Bindings


class Pickled(NamedTuple):
    """A pickled flow, the functions that travel in it by value, and what unpickling it imports.

    ``names`` are those that it looks up, as ``(module, name)``; ``modules`` also has those that it takes as a whole.
    """

    data: bytes
    functions: list[FunctionType]
    names: set[tuple[str, str]]
    modules: set[str]


def _blame(value: Any, path: str, error: BaseException, pickler: Callable[[Nowhere], Pickler] = Pickler) -> Blamed:
    from runner.serialization.diagnosis import blame

    return blame(value, path, error, lambda part: pickler(Nowhere()).dump(part))


def dump_flow(
    flow: object,
    by_value: ModuleType | None,
    bindings: Bindings | None = None,
    travels: Callable[[str], object] = lambda _name: False,
) -> Pickled:
    """Pickle a flow, with the module that defines it by value.

    ``bindings`` is what the import statements of that bind; ``travels`` says of a module's name whether it travels as a
    file.

    Raises FlowFailed, naming what cannot be pickled.
    """
    from runner.serialization.flow_pickler import Bindings, FlowPickler  # not where flows run
    from runner.serialization.inspection import names_in

    load_public_modules()
    buffer = BytesIO()

    def pickler(file: SupportsWrite[Any]) -> FlowPickler:
        return FlowPickler(file, by_value, bindings or Bindings(), travels)

    recorder = pickler(buffer)
    with _travels(by_value):
        try:
            recorder.dump(flow)
        except Exception as error:
            from runner.serialization.diagnosis import line_of

            blamed = _blame(flow, "flow", error, pickler)
            message = f"{line_of(blamed.trail, by_value)}the flow cannot be pickled: {blamed.text}"
            hint = "Make it inside the task that needs it"
            if ".args[" not in blamed.text and ".kwargs[" not in blamed.text:
                hint += ", or in a module of its own, which travels and is imported there"
            raise FlowFailed(message, hint=f"{hint}.") from error
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


def load_flow(data: bytes | memoryview, *, main: bool = False) -> Any:
    """Unpickle a flow whose bundle was verified, which runs its author's code; for ``main`` see `Unpickler`.

    Raises Incompatible, BundleCorrupt, and FlowFailed for what goes wrong in a line of the author's.
    """
    try:
        return Unpickler(BytesIO(data), main=main).load()
    except ModuleNotFoundError as error:
        message = f"the flow needs a module that is not installed here: {error.name}{_imported_in(error)}"
        name = str(error.name).partition(".")[0]
        yours = f"If {name} is the author's own, build the flow again, with -i if nothing imports it and without -x."
        hint = f"{yours} Else: {own_image(f'{REPOSITORY}:all_extras', name)}"
        raise Incompatible(message, hint=hint) from error
    except (ImportError, AttributeError) as error:
        message = f"the flow does not fit what is installed here: {error}{_imported_in(error)}"
        hint = "Install the versions that it was built with: runner inspect lists them."
        raise Incompatible(message, hint=hint) from error
    except (Exception, SystemExit) as error:
        what = f"called sys.exit({error.code!r})" if isinstance(error, SystemExit) else f"raised {_told(error)}"
        if line := authors_line(error.__traceback__):
            message = f"{line}: the flow's own code {what} while it was loaded"
            raise FlowFailed(
                message, hint="What a module does when it is imported must work there too: do it in a task."
            ) from error
        if isinstance(error, FlowFailed):
            raise  # by runner.serialization.source.import_flow
        message = f"the flow cannot be unpickled: it {what}"
        raise BundleCorrupt(message, hint="Build it again.") from error


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error.message if isinstance(error, RunnerError) else error}"


def _imported_in(error: BaseException) -> str:
    """Return the author's line that asked for what is missing, as the end of a sentence."""
    line = authors_line(error.__traceback__)
    return f" ({line})" if line else ""


def load_result(file: BinaryIO) -> Any:
    """Unpickle a result whose trailer was verified. Raises Incompatible and BundleCorrupt."""
    try:
        return Unpickler(file).load()
    except (ImportError, AttributeError) as error:
        message = f"the result does not fit what is installed here: {error}"
        hint = "Install what the flow used, or copy the bytes with runner result -o FILE."
        raise Incompatible(message, hint=hint) from error
    except Exception as error:
        message = f"the result cannot be unpickled: {type(error).__name__}: {error}"
        raise BundleCorrupt(message, hint="Run the flow again.") from error


def dump_result(value: Any, file: SupportsWrite[Any], name: str) -> None:
    """Pickle a task's value into a file, large buffers without a copy.

    Raises TaskError, naming the task's value and what in it cannot be pickled; what the file raises comes through.
    """
    load_public_modules()
    try:
        Pickler(file).dump(value)
    except RunnerError:
        raise  # the storage behind the file, not the value
    except Exception as error:
        message = f"the result of task {name} cannot be pickled: {_blame(value, 'result', error).text}"
        raise TaskError(message) from error


def refuse_unstorable(value: Any, name: str) -> None:
    """Refuse what `dump_result` refuses, and keep nothing of the rest. Raises TaskError."""
    dump_result(value, Nowhere(), name)
