"""Bytes, arrays, views and streams in memory: cloudpickle #77."""

import io
import struct
from array import array

from runner import Flow, task

TABLE = array("d", [1.5, -0.0])
STREAM = io.BytesIO(b"abcdef")
STREAM.seek(1)


@task
def packed():
    return struct.pack("<hI", 1, 2), TABLE, TABLE.itemsize, bytearray(b"x"), memoryview(b"abc")[1:].tobytes()


@task
def read():
    return STREAM.read(2), STREAM.read(1), io.StringIO("a\nb").readlines()


with Flow("bytes and buffers") as flow:
    packed()
    read()
