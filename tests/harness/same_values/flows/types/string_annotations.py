"""Annotations that are text are resolved in the flow's file: flyte #6694."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from typing import get_type_hints

from runner import Flow, task


@dataclass
class Node:
    value: int
    next: Node | None = None


def link(node: Node) -> list[Node]:
    return [node]


@task
def hints():
    resolved = get_type_hints(Node)["next"] == Node | None, inspect.signature(link, eval_str=True)
    return str(resolved), str(get_type_hints(link)), [each.type for each in fields(Node)]


with Flow("string annotations") as flow:
    hints()
