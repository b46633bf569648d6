"""``runner build``: publish a flow from its file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.authoring.flow import Flow
from runner.authoring.storages import declare
from runner.cli.format import echo, echo_answer
from runner.cli.redirect import stdout_to_stderr
from runner.errors import FlowFailed, RunnerError, UsageError
from runner.model.loading import loading, without_arguments
from runner.publishing.program_changes import left_out
from runner.publishing.source import module_name
from runner.serialization.foreign import as_flow
from runner.serialization.prefect_states import is_flow, is_flow_of_1
from runner.tracebacks import authors_line

if TYPE_CHECKING:
    from types import ModuleType

    from runner.authoring.declaration import StorageDeclaration


@click.command(short_help="Publish the flow in a file.")
@click.argument("file", metavar="FILE[:NAME]")
@click.option("--storage", metavar="URL", help="Publish there, whatever storage the file says.")
@click.option(
    "-i",
    "--include",
    multiple=True,
    metavar="PATH[=PLACE]",
    help="What to take along, relative to FILE, and where it lies there: src/plug=acme/plug.",
)
@click.option("-x", "--exclude", multiple=True, metavar="PATTERN", help="What to leave behind: *.parquet, data.")
@click.option("--allow-secrets", is_flag=True, help="Publish it although it holds a secret.")
@click.option("--no-check", is_flag=True, help="Publish it without loading it first in a fresh process.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def build(
    file: str,
    storage: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    *,
    allow_secrets: bool,
    no_check: bool,
    as_json: bool,
) -> None:
    """Publish the flow in FILE; NAME is its name, or that of a function or object to run.

    RUNNER_SIGNING_KEY, if it is set, signs it.
    """
    with stdout_to_stderr(wanted=True):  # URL=$(runner build …) takes the URL alone
        flow = _load_flow(file, storage)
        published = flow.storage.publish(
            include=include, exclude=exclude, allow_secrets=allow_secrets, check=not no_check
        )
        for note in left_out(flow, sys.modules[flow.module]):
            echo(note, err=True)
    document = {"location": published.url, "files": published.files, "manifest": published.manifest}
    echo_answer(document, published.url, as_json=as_json)


def _load_flow(file: str, storage: str | None) -> Flow:
    """Load the flow that the command line names, with the storage that it names."""
    path, name = _split_argument(file)
    declared = _declared(storage) if storage is not None else None  # before the file may go to another folder
    module = load_file(path)
    flow = Flow.of(as_flow(_choose_flow(module, path, name)))
    flow.module = module.__name__
    if declared:
        flow.storage = flow.storage.relocated(declared)
    return flow


def _declared(storage: str) -> StorageDeclaration:
    try:
        return declare(storage)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _split_argument(text: str) -> tuple[Path, str | None]:
    file, _, name = text.rpartition(":")
    path, object_name = (Path(text), None) if Path(text).is_file() or not file else (Path(file), name)
    if not path.is_file():
        message = f"there is no file {path}"
        raise UsageError(message, hint="Give the Python file that defines the flow.")
    return path.absolute(), object_name


def load_file(path: Path) -> ModuleType:
    """Execute an author's file as a module, with the path of ``python FILE`` or, in a package, of ``python -m``.

    Raises FlowFailed, with the author's own exception as its cause, and UsageError.
    """
    root, package, name = path.parent, "", path.stem
    while (root / "__init__.py").is_file():
        root, package = root.parent, f"{root.name}.{package}"
    if path.name == "__init__.py":
        return _load_package(package.rstrip("."), root, path)
    if not package or not name.isidentifier():
        name = module_name(path)
    name = package + name
    sys.path.insert(0, str(root))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        message = f"{path} is no Python file"
        raise UsageError(message, hint="Give the file that defines the flow.")
    module = importlib.util.module_from_spec(spec)
    try:
        with loading(), without_arguments(str(path)):
            if package:
                importlib.import_module(package.rstrip("."))
            sys.modules[name] = module
            spec.loader.exec_module(module)
    except RunnerError:
        raise
    except (Exception, SystemExit) as error:
        raise _unloadable(path, error) from error
    return module


def _load_package(name: str, root: Path, path: Path) -> ModuleType:
    """Import a package whose own file defines a flow, as all who import something of it do; raises as `load_file`."""
    sys.path.insert(0, str(root))
    try:
        with loading(), without_arguments(str(path)):
            module = importlib.import_module(name)
    except RunnerError:
        raise
    except (Exception, SystemExit) as error:
        raise _unloadable(path, error) from error
    if not module.__file__ or not path.samefile(module.__file__):
        message = f"{path} has the name of another module, {module.__file__ or 'of Python'}, which is taken for it"
        raise FlowFailed(message, hint="Rename its folder.")
    return module


def _unloadable(path: Path, error: BaseException) -> FlowFailed:
    line = authors_line(error.__traceback__)
    message = f"{line or path.name}: the file cannot be loaded: {type(error).__name__}: {error}"
    return FlowFailed(message, hint="Run it with Python to see where.")


def _choose_flow(module: ModuleType, path: Path, name: str | None) -> Any:
    values = list({id(value): value for value in vars(module).values()}.values())
    flows: list[Any] = [value for value in values if isinstance(value, Flow)]
    others = [value for value in values if is_flow(value) or is_flow_of_1(value)]
    if name is not None:
        named = [flow for flow in flows + others if flow.name == name]
        if not named and not hasattr(module, name):
            message = f"{path.name} has no flow and nothing else of the name {name!r}"
            raise UsageError(message, hint=_flow_names(flows + others))
        variable = getattr(module, name, None)
        if len(named) > 1 and not any(flow is variable for flow in named):
            message = f"{path.name} has {len(named)} flows of the name {name!r}"
            raise UsageError(message, hint=f"Rename one, or say which variable it is: {path.name}:VARIABLE.")
        return named[0] if len(named) == 1 else variable
    # one that was imported is a part of that which the file defines; Prefect 1 does not tell which these are
    flows = flows or [flow for flow in others if flow.__module__ == module.__name__] or others
    if len(flows) != 1:
        message = f"{path.name} has {'no flow' if not flows else 'several flows'}"
        raise UsageError(message, hint=f"Say which: {path.name}:NAME. {_flow_names(flows)}")
    return flows[0]


def _flow_names(flows: list[Any]) -> str:
    return f"Flows in it: {', '.join(flow.name for flow in flows) or 'none'}."
