"""A model has a list of itself: pydantic #6763."""

from __future__ import annotations

from pydantic import BaseModel

from runner import Flow, task


class Node(BaseModel):
    value: int
    children: list[Node] = []


@task
def parsed():
    tree = Node.model_validate({"value": 1, "children": [{"value": "2"}]})
    return tree, tree.model_dump(), Node.model_json_schema()


with Flow("model of itself") as flow:
    parsed()
