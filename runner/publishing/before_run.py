"""What a flow was before it was run in the process that builds it: what its tasks change of it is not published."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from runner.model.arguments import digest_of
from runner.model.parameters import parameters_of
from runner.publishing.bindings import bindings_of
from runner.publishing.capture import defining_module, root_of
from runner.publishing.features import Feature, Seen, features_of, numbered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.model.flow import FlowGraph
    from runner.schema.documents import ManifestFacts, ParameterRecord


class _AsMade(NamedTuple):
    """A flow before its first run: its features, the digests of its tasks' arguments, its parameters."""

    features: dict[tuple[str, int], Feature]
    arguments: list[str]
    parameters: list[ParameterRecord]


_PROCESS_MADE: WeakKeyDictionary[FlowGraph, _AsMade] = WeakKeyDictionary()


def note_before_run(flow: FlowGraph) -> None:
    """Note what a flow is, unless it was run before."""
    if flow in _PROCESS_MADE:
        return
    with suppress(Exception):  # whatever objects of an author's do when they are looked at: nothing is known then
        folder = str(root_of(defining_module(flow.module)))
        arguments = [digest_of(node, folder) for node in flow.nodes]
        _PROCESS_MADE[flow] = _AsMade(_features(flow), arguments, copy.deepcopy(parameters_of(flow)))


def changed_by_run(flow: FlowGraph) -> list[Feature]:
    """Return what a run in this process has changed of a flow, as it is now."""
    before = _PROCESS_MADE[flow].features if flow in _PROCESS_MADE else {}
    now = _features(flow) if before else {}
    return [feature for key, feature in now.items() if key in before and before[key].told != feature.told]


def as_made(flow: FlowGraph, features: Iterable[Feature]) -> Iterator[Feature]:
    """Yield features as they were before the flow was run."""
    before = _PROCESS_MADE[flow].features if flow in _PROCESS_MADE else {}
    for key, feature in numbered(features).items():
        yield before.get(key, feature)


def describe_as_made(flow: FlowGraph, facts: ManifestFacts) -> None:
    """Put into a manifest what the flow was before it was run."""
    if made := _PROCESS_MADE.get(flow):
        facts["parameters"] = made.parameters
        for use, digest in zip(facts["tasks"], made.arguments, strict=True):
            use["arguments"] = digest


def _features(flow: FlowGraph) -> dict[tuple[str, int], Feature]:
    module = defining_module(flow.module)
    seen = Seen(module.__name__ if module else "", str(root_of(module)), bindings_of(module).names.keys())
    return numbered(features_of(flow, seen))
