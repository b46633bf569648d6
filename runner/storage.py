"""Where flows are published, as an author writes it: ``Local``, ``S3``, ``GCS``, ``Azure``, ``Docker``.

Each is imported when first used. They declare a place and open nothing; what opens one is `runner.backends`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.authoring.docker import Docker
    from runner.authoring.storages import GCS, S3, Azure, Local

__all__ = ["GCS", "S3", "Azure", "Docker", "Local"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        message = f"module 'runner.storage' has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    return getattr(import_module(f"runner.authoring.{'docker' if name == 'Docker' else 'storages'}"), name)
