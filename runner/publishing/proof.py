"""A bundle is loaded before it is published, in a fresh process without the author's tree, and compared."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, NamedTuple

from runner.environ import environ_at_start
from runner.errors import FlowFailed
from runner.publishing.before_run import as_made, changed_by_run, was_run
from runner.publishing.capture import installed_places, root_of, stays_behind
from runner.publishing.features import Feature, features_of, functions_of, names_of, numbered
from runner.publishing.import_statements import line_of_import
from runner.publishing.kept import Kept, kept_by
from runner.publishing.module_state import is_missing, state_of
from runner.publishing.program_changes import Program
from runner.publishing.proof_process import ANSWER, Request
from runner.publishing.set_variables import note_of, set_here
from runner.publishing.telling import Seen
from runner.serialization.diagnosis import line_in, line_of_definition, line_of_name
from runner.serialization.flow_pickler import codes_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from types import FunctionType, ModuleType

    from runner.model.flow import FlowGraph
    from runner.publishing.proof_process import Answer
    from runner.publishing.source import Source

log = logging.getLogger("runner.publish")
_LONGEST = 300  # seconds; whatever the author's modules do when they are imported, a build does not hang for ever
_OURS, _ROOT = (str(Path(__file__).parents[up]) for up in (1, 2))
# The path is set before anything else is imported. Finders of what is installed for editing find the author's tree.
_BEGIN = """
import sys
sys.path[:] = sys.argv[1:]
sys.meta_path[:] = [each for each in sys.meta_path if "editable" not in getattr(each, "__module__", "")]
from runner.publishing.proof_process import answer
answer()
"""
_UNCHECKED = "build(check=False), or --no-check, publishes it all the same."


class ChangedByProgram(FlowFailed):
    """What the program changed, or is, is another thing where the flow runs, whatever travels of the flow's file."""


class Built(NamedTuple):
    """What was built: the flow, the module that defines it, what that imports by name, and the bundle's bytes.

    ``modules`` are those of the author's that travel, ``excluded`` the patterns of files that stayed behind. ``source``
    is what the flow's own file is there, where that travels and not its values.
    """

    flow: FlowGraph
    module: ModuleType | None
    imported: Collection[str]
    bundle: bytes
    modules: Collection[str] = ()
    excluded: Collection[str] = ()
    source: Source | None = None


def prove(built: Built) -> list[str]:
    """Load a bundle as a container would, and compare what comes of it with the flow that its author wrote.

    What the author's modules print meanwhile they printed before, and nobody sees it. Returns what is to be said of it.

    Raises FlowFailed, with the line where one can be told, for a bundle that cannot be loaded, or gives another flow.
    """
    name = built.module.__name__ if built.module else ""
    _refuse_asking(built.module, functions_of(built.flow, name))
    root = str(root_of(built.module))
    variables = set_here(root)
    request = Request(
        module=built.source.module if built.source else name,
        is_source=built.source is not None,
        imported=sorted(built.imported),
        modules=sorted(built.modules),
        hidden=[f"{folder}/" for folder in (root, str(Path.home())) if folder != "/"],
        shown=[f"{folder}/" for folder in (*installed_places(), sys.prefix, sys.base_prefix, _OURS)]
        + [f"{Path.home()}/."],  # settings and credentials are the environment's, which a platform gives as well
        variables=[*variables],
    )
    asked = json.JSONEncoder().encode(request).encode() + b"\n" + built.bundle  # which a flow cannot have set otherwise
    told = _told_by_a_process(asked)
    if told is None:
        return []
    if failed := told["failed"]:
        missing = told["missing"]
        if missing and not built.source and stays_behind(missing, built.excluded):
            log.warning("the bundle was not loaded to prove that it can be: %s is not to travel with it", missing)
            return []
        _refuse_unloadable(built.module, failed, missing)
    seen = Seen(name, root if built.source else None, built.imported, built.modules)
    features = features_of(built.flow, seen)
    changed = changed_by_run(built.flow)
    here = [*(as_made(features, changed) if built.source else features), *state_of(seen)]
    differing = list(_differing(here, told))
    program = Program(built.module if built.source else None)
    notes = [each.note for each in program.changes]
    notes += [_note(*each) for each in told["read"] if each[2] not in variables]
    notes += [_changed(built, each) for each in changed.values() if not each.is_state]
    if alone := _set_here_alone(variables, told, asked):
        _refuse_set(alone, built, program)
        file = getattr(built.module, "__file__", None)
        notes.append(note_of(alone, file, root, is_imported=built.source is not None))
    again = _told_by_a_process(asked) if differing else None
    varying = {each.label for each, _ in _differing(map(_feature, told["features"]), again)} if again else set()
    for feature, there in differing:
        if feature.is_state:
            notes += _told_of_state(feature, built, program) if feature.label not in varying else []
            continue
        if feature.label not in varying or feature.is_of_graph:
            _refuse(feature, there, built, program)
        notes.append(f"note: {_told_place(feature)}{feature.label} is another value in each start")
    kept_there = Counter(Kept(*each) for each in told["kept"])
    for kept, value in kept_by(built.modules, name):
        kept_there[kept] -= 1
        if kept_there[kept] < 0:
            _refuse_kept(kept, value)
    return list(dict.fromkeys(notes))


def _set_here_alone(here: Mapping[str, str], told: Answer, asked: bytes) -> list[str]:
    """Return which of the variables that are set here are not, or have other values, where the flow is loaded.

    What is only set unless it is set already is looked for in a process that begins as this one did.
    """
    there = told["were_set"]
    if told["asked"]:
        with suppress(FlowFailed):  # for want of those
            anew = _told_by_a_process(asked, environ_at_start())
            there |= anew["were_set"] if anew else {}
    return [name for name, value in here.items() if there.get(name) != value]


def _refuse_set(alone: Iterable[str], built: Built, program: Program) -> None:
    """Refuse a variable of the environment that the program sets, and a function of the author's names.

    One that is only set unless it is set already, or read from a file as ``.env``, is meant to be another one there.
    """
    functions = [*functions_of(built.flow, built.flow.module)]
    functions += [value for home in built.modules for value in vars(sys.modules.get(home, object)).values()]
    for function in functions:
        code = getattr(function, "__code__", None)
        if not isinstance(code, CodeType):
            continue
        named = {constant for each in (code, *codes_in(code)) for constant in each.co_consts}
        for name in alone:
            if name in named & program.variables.keys():
                change = program.variables[name]
                what = f"{change.what}, which {function.__qualname__} reads, is set here and not where the flow runs"
                instead = "at the top of the flow's file" if built.source else "in the task"
                own = f"where a container is given its own, say os.environ.setdefault({name!r}, …) here"
                hint = f"Set it {instead}, or make it a Parameter; {own}. {_UNCHECKED}"
                raise ChangedByProgram(f"{change.place}: {what}", hint=hint)


def _refuse_asking(module: ModuleType | None, functions: Iterable[FunctionType]) -> None:
    """Refuse a function that asks whether its file is the program, if it is here: it is not where the flow runs."""
    for function in functions if module is sys.modules["__main__"] else ():
        if "__name__" in names_of(function.__code__) and "__main__" in function.__code__.co_consts:
            what = f"{line_of_name(function, '')}: {function.__qualname__} asks whether its file is the program"
            hint = f"Ask at the top of the file, or make it a Parameter. {_UNCHECKED}"
            raise ChangedByProgram(f"{what}, which it is not where the flow runs", hint=hint)


def _note(file: str, line: int, name: str) -> str:
    place = f"{file.partition('/')[2]}, line {line}"  # below the folder of what travels
    return f"note: {place}: the variable {name} is read when the file is imported: it is the container's there"


def _changed(built: Built, feature: Feature) -> str:
    is_as = "as the file makes it" if built.source else "as it is now"
    return f"note: {_told_place(feature)}{feature.label} was changed by flow.run(): it travels {is_as}"


def _refuse_kept(kept: Kept, value: FunctionType | type) -> None:
    line = line_of_definition(value)
    place = f"{kept.module}.{kept.variable}"
    message = f"{f'{line}: ' if line else ''}{kept.name} is kept in {place}, which does not have it where the flow runs"
    hint = f"Put it into a module of its own, and import that inside the task that uses {kept.module}. {_UNCHECKED}"
    raise FlowFailed(message, hint=hint)


def _refuse_unloadable(module: ModuleType | None, failed: str, missing: str | None) -> None:
    file = getattr(module, "__file__", None)
    line = line_of_import(Path(file), missing.partition(".")[0]) if file and missing else None
    where = f"{Path(file).name}, line {line}: " if file and line else ""
    advice = f"Take {missing} along, with include=[…] or -i, if it is yours. " if missing else ""
    raise FlowFailed(f"{where}the flow could not be loaded where it runs: {failed}", hint=f"{advice}{_UNCHECKED}")


def _differing(features: Iterable[Feature], answer: Answer) -> Iterator[tuple[Feature, Feature | None]]:
    """Yield features that are others in an answer, and what they are there."""
    there = numbered(map(_feature, answer["features"]))
    labels = {label for label, _ in there}
    for key, feature in numbered(features).items():
        other = there.get(key)
        is_known = not feature.is_of_module or is_missing(feature, labels)
        if (other is None and is_known) or (other and other.told != feature.told):
            yield feature, other


def _feature(told: list[str]) -> Feature:
    return Feature(told[0], told[1])


def _told_place(feature: Feature) -> str:
    line = feature.place and line_of_name(*feature.place)
    return f"{line}: " if line else ""


def _refuse(here: Feature, there: Feature | None, built: Built, program: Program) -> None:
    if there is None:
        what = "would not be there where the flow runs"
    else:
        one, other = (each.told.partition(" #")[0] for each in (here, there))
        what = f"would be another thing where the flow runs: {other} in the place of {one}"
        what = "would have another value where the flow runs" if one == other else what
    home, name = _home(here, built)
    change = program.change_of(home, name) if here.is_of_module or built.source else None
    if here.is_of_module and change:
        hint = "Set it where its module is imported, or in the flow's file where that is, or give it as a parameter."
        raise ChangedByProgram(f"{change.place}: {here.label} {what}", hint=f"{hint} {_UNCHECKED}")
    line = change.place if change else line_in(home, name) if here.is_of_module else ""
    message = f"{f'{line}: ' if line else _told_place(here)}{here.label} {what}"
    raise FlowFailed(message, hint=f"Put it into a module of its own, or make it inside the task. {_UNCHECKED}")


def _told_of_state(here: Feature, built: Built, program: Program) -> list[str]:
    """Return what to say of what is in another state where the flow runs, unless the line that changes it is told."""
    home, name = _home(here, built)
    if not here.is_of_module:
        return [f"note: {_told_place(here)}what {here.label} holds here is not there where the flow runs"]
    if any(each.of == (home, name) for each in program.changes):
        return []
    if change := program.change_of(home, name):
        return [change._replace(what=f"{home}.{name}").note]
    by = "flow.run(), or what this program does besides," if was_run(built.flow) else "what this program does"
    line = line_in(home, name)
    return [
        f"note: {f'{line}: ' if line else ''}{home}.{name} is another value where the flow runs: {by} changes it here"
    ]


def _home(feature: Feature, built: Built) -> tuple[str, str]:
    """Return the module that a feature is of, and its variable there."""
    if feature.is_of_module:
        _, _, name, _, home = feature.label.split(" ")  # the constant NAME of MODULE
        return home, name
    function, name = feature.place or (None, "")
    name = name or (function.__qualname__.partition(".")[0] if function else "")
    return built.module.__name__ if built.module else "", name


def _told_by_a_process(request: bytes, environ: Mapping[str, str] | None = None) -> Answer | None:
    """Return what a fresh process tells of a bundle; None, and a warning, where none can be started.

    It has this one's environment, unless another is given.
    """
    if not sys.executable or getattr(sys, "frozen", False):
        log.warning("the bundle was not loaded to prove that it can be: there is no Python to start for that")
        return None
    try:
        with tempfile.TemporaryDirectory(prefix="runner-proof-") as folder:
            return _told_from(Path(folder), request, environ)
    except subprocess.TimeoutExpired:
        message = f"the flow does not load within {_LONGEST} seconds in a process of its own"
        raise FlowFailed(message, hint=f"Look what its modules do when they are imported. {_UNCHECKED}") from None
    except OSError as error:
        log.warning("the bundle was not loaded to prove that it can be: %s", error)
        return None


def _told_from(folder: Path, request: bytes, environ: Mapping[str, str] | None) -> Answer:
    command = [sys.executable, "-I", "-c", _BEGIN, *installed_places(), _ROOT]
    work = folder / "work"
    work.mkdir()
    with (folder / "said").open("wb") as said:  # no pipe, which whatever is started may hold open
        ended = subprocess.Popen(  # noqa: S603 - this Python
            command, stdin=subprocess.PIPE, stdout=said, stderr=said, cwd=work, start_new_session=True, env=environ
        )
        with ended:
            try:
                ended.communicate(request, timeout=_LONGEST)
            except BaseException:
                ended.kill()
                raise
            finally:
                if hasattr(os, "killpg"):  # which Windows has not
                    with suppress(ProcessLookupError):  # nothing is left of what the author's modules have started
                        os.killpg(ended.pid, signal.SIGKILL)
    answer = folder / ANSWER
    if not answer.is_file():
        last = (folder / "said").read_text("utf-8", "replace").strip().rpartition("\n")[2]
        message = f"the process that loads the flow ends with {ended.returncode}{last and f': {last}'}"
        raise FlowFailed(message, hint=f"Look what its modules do when they are imported. {_UNCHECKED}")
    told: Answer = json.loads(answer.read_bytes())
    return told
