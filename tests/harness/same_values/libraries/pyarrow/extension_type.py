"""An own type is known when a file is read: arrow #36170."""

import pyarrow as pa
import pyarrow.parquet as pq

from runner import Flow, Parameter, task


class Metres(pa.ExtensionType):
    def __init__(self):
        super().__init__(pa.int64(), "runner.metres")

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        return cls()


pa.register_extension_type(Metres())


@task
def read(folder):
    pq.write_table(pa.table({"a": pa.array([1, 2], Metres())}), f"{folder}/a.parquet")
    return str(pq.read_table(f"{folder}/a.parquet").schema.field("a").type)


with Flow("extension type") as flow:
    read(Parameter("folder"))
