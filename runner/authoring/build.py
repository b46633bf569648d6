"""``build_flow``: publish anything that can be run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.authoring.flow import Flow
from runner.serialization.foreign import as_flow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.authoring.storages import StorageDeclaration
    from runner.signing.keys import KeySource


def build_flow(
    obj: object,
    *,
    name: str | None = None,
    storage: StorageDeclaration | None = None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    sign_with: KeySource | None = None,
    allow_secrets: bool = False,
) -> str:
    """Publish a `Flow`, a function, a coroutine function, or anything with ``.run()``, and give the bundle's URL.

    Raises UsageError for something that cannot be run, and what `publish` raises.
    """
    flow = Flow.of(as_flow(obj, name))
    if storage is not None:
        flow.storage = storage
    return flow.storage.build(include=include, exclude=exclude, sign_with=sign_with, allow_secrets=allow_secrets)


build_flow.__module__ = "runner"  # pickles name it so, wherever it is defined: docs/formats.md
