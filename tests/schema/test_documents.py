"""The types of the stored documents, their JSON Schemas and what a reader checks of them say the same."""

from __future__ import annotations

import json
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from runner.schema import documents, progress, validation
from support import schemas

KINDS: dict[str, Any] = {
    "run": documents.RunRequest,
    "claim": documents.ClaimDocument,
    "beat": progress.Heartbeat,
    "cancel": documents.CancelDocument,
    "launch": documents.LaunchDocument,
    "handle": documents.HandleDocument,
    "launch-end": documents.LaunchEnd,
    "entry": documents.QueueEntry,
    "labels": documents.LabelSet,
    "agent": documents.AgentDocument,
    "marker": documents.RunMarker,
    "slot": documents.SlotDocument,
    "end": documents.EndDocument,
    "outcome": documents.EndDocument,
    "manifest": documents.Manifest,
    "pointer": documents.PointerDocument,
}
NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def shape_of_type(kind: Any) -> Any:
    """A type's shape: names of JSON types, of an object ``{name: (is required, shape)}``, of a list ``[shape]``."""
    origin, parts = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        return {
            name: (get_origin(hint) is not NotRequired, shape_of_type(unwrapped(hint))) for name, hint in hints.items()
        }
    if origin is list:
        return [shape_of_type(parts[0])]
    if origin is dict:
        return {"object"}
    if origin in {Union, UnionType}:
        return merged([shape_of_type(part) for part in parts])
    if origin is Literal:
        return {NAMES[type(part)] for part in parts}
    return {"anything"} if kind is Any else {NAMES[kind]}


def unwrapped(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def shape_of_schema(schema: dict[str, Any]) -> Any:
    if "oneOf" in schema:
        return merged([shape_of_schema(part) for part in schema["oneOf"]])
    if "properties" in schema:
        assert schema["additionalProperties"] is False
        required = schema["required"]
        return {name: (name in required, shape_of_schema(part)) for name, part in schema["properties"].items()}
    if "items" in schema:
        return [shape_of_schema(schema["items"])]
    if "const" in schema or "enum" in schema:
        return {NAMES[type(value)] for value in schema.get("enum", [schema.get("const")])}
    kinds = schema.get("type", "anything")
    return {kinds} if isinstance(kinds, str) else set(kinds)


def merged(shapes: list[Any]) -> Any:
    """One shape of several: of an object or null, the object, marked; of plain types their names."""
    plain = set().union(*(shape for shape in shapes if isinstance(shape, set)))
    objects = [shape for shape in shapes if not isinstance(shape, set)]
    return (plain, *objects) if objects else plain


@pytest.mark.parametrize("kind", KINDS)
def test_a_documents_type_is_what_its_json_schema_describes(kind: str) -> None:
    schema = json.loads((schemas.FOLDER / f"{kind}.schema.json").read_text("utf-8"))
    assert shape_of_type(KINDS[kind]) == shape_of_schema(schema)


@pytest.mark.parametrize(
    ("kind", "path"), [("end", ("properties", "state", "enum")), ("outcome", ("properties", "state", "enum"))]
)
def test_the_states_are_those_of_the_schema(kind: str, path: tuple[str, ...]) -> None:
    found = json.loads((schemas.FOLDER / f"{kind}.schema.json").read_text("utf-8"))
    for name in path:
        found = found[name]
    states = set(get_args(documents.State))
    assert set(found) == states if kind == "end" else set(found) < states


@pytest.mark.parametrize("kind", validation.SHAPES)
def test_a_reader_checks_only_what_the_document_has(kind: str) -> None:
    schema = json.loads((schemas.FOLDER / f"{kind}.schema.json").read_text("utf-8"))
    checked(validation.SHAPES[kind], schema, kind)


def checked(shape: dict[str, Any], schema: dict[str, Any], path: str) -> None:
    for name, check in shape.items():
        assert name in schema["properties"], f"{path}.{name}"
        part = schema["properties"][name]
        if isinstance(check, dict):
            checked(check, part, f"{path}.{name}")
        elif isinstance(check, list):
            checked(check[0], part["items"], f"{path}.{name}[]")
