"""Where flows are published, as an author writes it: ``Local``, ``S3``, ``GCS``, ``Azure``, ``Docker``.

Each is imported when first used. They declare a place and open nothing; what opens one is `runner.backends`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.authoring.declaration import BucketDeclaration as BucketDeclaration  # noqa: PLC0414 - exported, as below
    from runner.authoring.declaration import StorageDeclaration as StorageDeclaration  # noqa: PLC0414
    from runner.authoring.docker import Docker
    from runner.authoring.storages import GCS, S3, Azure, Local
    from runner.authoring.storages import declare as declare  # noqa: PLC0414
    from runner.backends import open_storage as open_storage  # noqa: PLC0414
    from runner.location import Location as Location  # noqa: PLC0414
    from runner.location import parse_location as parse_location  # noqa: PLC0414

__all__ = ["GCS", "S3", "Azure", "Docker", "Local"]

_HOMES = {
    "Local": "runner.authoring.storages",
    "S3": "runner.authoring.storages",
    "GCS": "runner.authoring.storages",
    "Azure": "runner.authoring.storages",
    "Docker": "runner.authoring.docker",
    # not for authors to import: what pickles, older ones too, and older programs name
    "BucketDeclaration": "runner.authoring.declaration",
    "StorageDeclaration": "runner.authoring.declaration",
    "Location": "runner.location",
    "declare": "runner.authoring.storages",
    "open_storage": "runner.backends",
    "parse_location": "runner.location",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of the module's

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            message = f"module 'runner.storage' has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=sys.modules["runner.storage"])
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
