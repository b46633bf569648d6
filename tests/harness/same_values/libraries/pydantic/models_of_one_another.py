"""Models name one another before they are there: pydantic #6763."""

from __future__ import annotations

from pydantic import BaseModel

from runner import Flow, task


class Node(BaseModel):
    value: int
    children: list[Node] = []
    owner: Owner | None = None


class Owner(BaseModel):
    name: str
    nodes: list["Node"] = []


@task
def parsed():
    tree = Node.model_validate({"value": 1, "children": [{"value": "2", "owner": {"name": "x", "nodes": []}}]})
    return tree.model_dump(), type(tree.children[0].owner) is Owner, Owner(name="y", nodes=[{"value": 3}])


with Flow("models of one another") as flow:
    parsed()
