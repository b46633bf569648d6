"""What a flow was before it was run in the process that builds it: what its tasks change of it is not published."""

from __future__ import annotations

import copy
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from runner.model.arguments import digest_of
from runner.model.parameters import parameters_of
from runner.publishing.bindings import bindings_of
from runner.publishing.capture import defining_module, installed_places, root_of
from runner.publishing.features import Feature, features_of, numbered
from runner.publishing.telling import Seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.model.flow import FlowGraph
    from runner.schema.documents import ManifestFacts, ParameterRecord

    Features = dict[tuple[str, int], Feature]


@dataclass
class _Runs:
    """What a flow was before its first run and after its last one.

    ``arguments`` are the digests of its tasks' arguments, ``parameters`` as a manifest lists them, before; ``by_hand``
    is what has changed while it was not being run.
    """

    before: Features
    arguments: list[str]
    parameters: list[ParameterRecord]
    last: Features
    by_hand: set[tuple[str, int]] = field(default_factory=set)

    def begin(self, now: Features) -> None:
        """Note what has changed since the last run."""
        self.by_hand |= _differing(self.last, now)

    def is_by_run(self, key: tuple[str, int], now: Features) -> bool:
        """Return whether runs alone have changed something."""
        return key not in self.by_hand and key in _differing(self.before, now)


_PROCESS_RUNS: WeakKeyDictionary[FlowGraph, _Runs] = WeakKeyDictionary()


@contextmanager
def noted_run(flow: FlowGraph) -> Iterator[None]:
    """Note what a flow is before and after the block, which runs it."""
    with suppress(Exception):  # whatever objects of an author's do when they are looked at: nothing is known then
        now = _features(flow)
        if flow not in _PROCESS_RUNS:
            folder = str(root_of(defining_module(flow.module)))
            arguments = [digest_of(node, folder) for node in flow.nodes]
            _PROCESS_RUNS[flow] = _Runs(now, arguments, copy.deepcopy(parameters_of(flow)), now)
        _PROCESS_RUNS[flow].begin(now)
    try:
        yield
    finally:
        with suppress(Exception):  # as above
            _PROCESS_RUNS[flow].last = _features(flow)


def changed_by_run(flow: FlowGraph) -> Features:
    """Return what runs in this process, and nothing else, have changed of a flow: as it was before."""
    runs = _PROCESS_RUNS.get(flow)
    if runs is None:
        return {}
    now = _features(flow)
    runs.begin(now)
    return {key: feature for key, feature in runs.before.items() if runs.is_by_run(key, now)}


def was_run(flow: FlowGraph) -> bool:
    """Return whether a flow was run in this process."""
    return flow in _PROCESS_RUNS


def as_made(features: Iterable[Feature], changed: Features) -> Iterator[Feature]:
    """Yield features as they were before runs changed some."""
    for key, feature in numbered(features).items():
        yield changed.get(key, feature)


def describe_as_made(flow: FlowGraph, facts: ManifestFacts) -> None:
    """Put into a manifest what a flow was before runs changed it."""
    changed = {label for label, _ in changed_by_run(flow)}
    if not changed:
        return
    made = _PROCESS_RUNS[flow]
    for number, each in enumerate(made.parameters):
        if f"the default of parameter {each['name']}" in changed:
            facts["parameters"][number] = each
    for use, digest in zip(facts["tasks"], made.arguments, strict=True):
        if f"an argument of task {use['task']}" in changed:
            use["arguments"] = digest


def _differing(some: Features, others: Features) -> set[tuple[str, int]]:
    return {key for key, feature in some.items() if key in others and others[key].told != feature.told}


def _features(flow: FlowGraph) -> Features:
    module = defining_module(flow.module)
    names = bindings_of(module).names.keys()
    seen = Seen(module.__name__ if module else "", str(root_of(module)), names, _authors_modules())
    return numbered(features_of(flow, seen))


def _authors_modules() -> list[str]:
    """Return the names of the author's modules that are loaded."""
    others = tuple(f"{place}/" for place in installed_places())
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    own = [name for name, file in files.items() if file and not file.startswith(others)]
    return [name for name in own if name.partition(".")[0] != "runner"]
