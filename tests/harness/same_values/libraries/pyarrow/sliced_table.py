"""A slice of a table travels with its metadata: arrow #26685."""

import pyarrow as pa

from runner import Flow, task

SCHEMA = pa.schema([pa.field("id", pa.int32(), nullable=False), ("tags", pa.list_(pa.string()))], {"unit": "m"})
TABLE = pa.table({"id": range(5), "tags": [["a"], None, [], ["b", "c"], ["d"]]}, schema=SCHEMA).slice(1, 3)


@task
def part():
    return TABLE


@task
def facts(table):
    return table.to_pylist(), table.schema.metadata, table.schema == SCHEMA, table.schema.field(0).nullable


with Flow("sliced table") as flow:
    facts(part())
