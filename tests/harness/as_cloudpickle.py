"""A plugin that puts runner's pickler and unpickler in the place of cloudpickle's, for cloudpickle's own tests.

In a clone of https://github.com/cloudpipe/cloudpickle at the tag of the version that is installed here, without its
folder ``cloudpickle``, and with its ``tests/cloudpickle_testpkg`` installed:

    PYTHONPATH=…/tests pytest -p harness.as_cloudpickle tests/cloudpickle_test.py tests/test_backward_compat.py

It passes what it passes without the plugin. CI has no copy of it.
"""

from __future__ import annotations

import io
import pickle
from typing import IO, Any

import cloudpickle

from runner.serialization.flow_pickler import Bindings, FlowPickler
from runner.serialization.unpickler import Unpickler

_PICKLER, _LOADS = cloudpickle.Pickler, pickle.loads


class AsCloudpickle(FlowPickler):
    """The pickler of flows, called as cloudpickle's is."""

    def __init__(self, file: IO[bytes], protocol: int | None = None, buffer_callback: Any = None) -> None:
        super().__init__(file, None, Bindings())
        _PICKLER.__init__(self, file, protocol=protocol, buffer_callback=buffer_callback)


def dump(obj: object, file: IO[bytes], protocol: int | None = None, buffer_callback: Any = None) -> None:
    """See ``cloudpickle.dump``."""
    AsCloudpickle(file, protocol, buffer_callback).dump(obj)


def dumps(obj: object, protocol: int | None = None, buffer_callback: Any = None) -> bytes:
    """See ``cloudpickle.dumps``."""
    file = io.BytesIO()
    dump(obj, file, protocol, buffer_callback)
    return file.getvalue()


def load(file: IO[bytes], **_options: Any) -> Any:
    """See ``pickle.load``."""
    return Unpickler(file).load()


def loads(data: bytes, *, buffers: Any = None, **_options: Any) -> Any:
    """See ``pickle.loads``; nothing of runner's has buffers out of band."""
    return load(io.BytesIO(data)) if buffers is None else _LOADS(data, buffers=buffers)


for module in (cloudpickle, cloudpickle.cloudpickle):
    module.Pickler = module.CloudPickler = AsCloudpickle
    module.dump, module.dumps, module.load, module.loads = dump, dumps, load, loads
pickle.load, pickle.loads = load, loads  # type: ignore[assignment]
