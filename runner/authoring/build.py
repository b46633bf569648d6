"""``build_flow``: publish anything that can be run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.authoring.flow import Flow
from runner.serialization.foreign import as_flow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.authoring.declaration import StorageDeclaration
    from runner.signing.keys import KeySource


def build_flow(  # noqa: PLR0913 - what storage.build() takes, and what is built
    obj: object,
    *,
    name: str | None = None,
    storage: StorageDeclaration | None = None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    sign_with: KeySource | None = None,
    allow_secrets: bool = False,
    check: bool = True,
) -> str:
    """Publish a `Flow`, a function, a coroutine function, or anything with ``.run()``, such as a Prefect flow.

    A flow that is made of a function has one task, and the function's arguments as parameters.

    Args:
        obj: what is published.
        name: the flow's name; by default that of the object. A `Flow` has its own.
        storage: where it is published; by default where the `Flow` says, or else ``Local()``.
        include: files and folders that import statements do not show, relative to the file that defines the object,
            each perhaps with the place where it lies instead of its own: ``src/plug=acme/plug``.
        exclude: patterns of files and folders that stay behind: ``*.parquet``, ``data``.
        sign_with: a private key, its text or the path of its file; by default that of ``RUNNER_SIGNING_KEY``, if there
            is one.
        allow_secrets: whether a bundle that holds a secret is published all the same.
        check: whether the bundle is first loaded in a fresh process without the author's files, and compared.

    Returns:
        The bundle's URL.

    Raises:
        UsageError: when the object cannot be run, or is a `Flow` of another name.
        RunnerError: what ``storage.build()`` raises: the flow cannot travel, the storage refuses it.

    Example:
        >>> from runner import build_flow
        >>> from runner.storage import Local
        >>> def nightly(day="2026-01-01"):
        ...     return f"done for {day}"
        >>> url = build_flow(nightly, storage=Local("flows"))
        >>> url.startswith("file:///"), "/flows/nightly/" in url
        (True, True)
    """
    flow = Flow.of(as_flow(obj, name))
    if storage is not None:
        flow.storage = storage
    return flow.storage.build(
        include=include, exclude=exclude, sign_with=sign_with, allow_secrets=allow_secrets, check=check
    )


build_flow.__module__ = "runner"  # see runner.model.flow.FlowGraph
