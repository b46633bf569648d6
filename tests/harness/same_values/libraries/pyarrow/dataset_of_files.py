"""A dataset is made in a task and filtered by constants: arrow #7631."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from runner import Flow, Parameter, task

HIGH = (pc.field("a") > 1) & pc.field("day").isin([1])
FORMAT = ds.ParquetFileFormat()
PARTS = ds.partitioning(pa.schema([("day", pa.int8())]), flavor="hive")


@task
def write(folder):
    table = pa.table({"a": [1, 2, 3], "day": pa.array([1, 1, 2], pa.int8())})
    ds.write_dataset(table, f"{folder}/days", format=FORMAT, partitioning=PARTS)
    return sorted(ds.dataset(f"{folder}/days", format=FORMAT, partitioning=PARTS).files)


@task
def read(files):
    return ds.dataset(files, partitioning=PARTS).to_table(filter=HIGH).to_pylist()


with Flow("dataset of files") as flow:
    read(write(Parameter("folder")))
