"""Where flows are published, as an author writes it: ``Local``, ``S3``, ``GCS``, ``Azure``, ``Docker``.

Each is imported when first used. They declare a place and open nothing; what opens one is `runner.backends`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.authoring.docker import Docker
    from runner.authoring.storages import GCS, S3, Azure, Local
    from runner.location import Location as Location  # noqa: PLC0414 - exported

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


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module 'runner.storage' has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
