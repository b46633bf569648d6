"""The storages that an author can declare, but for `runner.authoring.docker`'s: `Local`, `S3`, `GCS` and `Azure`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner import schemes
from runner.authoring.declaration import BucketDeclaration, StorageDeclaration, let_pickles_name
from runner.location import parse_location
from runner.secrets.parts import connection_keys

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Self

    from runner.location import Location

DEFAULT_FOLDER = "~/.runner/flows"


class Local(StorageDeclaration):
    """A folder of this machine, or one that is mounted into the container.

    Its default label is the machine's hostname, as nobody else has its files.

    Args:
        directory: the storage's root.
        key: the bundle's own key below the root, instead of ``<flow>/<time of the build>``; never overwritten.
        secrets: names of the secrets that the flow needs at run time.
        labels: words that an agent must have to run the flow.
        add_default_labels: whether the storage's own label is among them.

    Raises:
        UsageError: when ``secrets`` or ``labels`` is one text instead of a list of names.

    Example:
        >>> from runner.storage import Local
        >>> Local("/mnt/flows", labels=["gpu"], add_default_labels=False).url
        'file:///mnt/flows'
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] = DEFAULT_FOLDER,
        *,
        key: str | None = None,
        secrets: Sequence[str] = (),
        labels: Sequence[str] = (),
        add_default_labels: bool = True,
    ) -> None:
        super().__init__(key=key, secrets=secrets, labels=labels, add_default_labels=add_default_labels)
        self.directory = str(directory)

    @classmethod
    def at(cls, location: Location) -> Self:
        """Declare the folder that a location is.

        Args:
            location: the folder.

        Returns:
            The declaration.
        """
        return cls(location.as_root().container)

    @property
    def url(self) -> str:
        """See `StorageDeclaration.url`."""
        from pathlib import Path  # which costs the start 4 ms, where flows' files name their storage

        return Path(self.directory).expanduser().absolute().as_uri()

    @property
    def default_labels(self) -> tuple[str, ...]:
        """The machine's hostname: nobody else has its files."""
        import socket

        return (socket.gethostname(),)


let_pickles_name(Local)


class S3(BucketDeclaration):
    """A bucket of Amazon S3, or of anything that speaks its protocol (``AWS_ENDPOINT_URL``).

    Its default label is ``s3-flow-storage``.

    Args:
        bucket: the bucket's name.
        prefix: the folder of the bucket below which everything lies.
        key: the bundle's own key below the root, instead of ``<flow>/<time of the build>``; never overwritten.
        secrets: names of the secrets that the flow needs at run time.
        labels: words that an agent must have to run the flow.
        add_default_labels: whether the storage's own label is among them.

    Raises:
        UsageError: when ``secrets`` or ``labels`` is one text instead of a list of names.

    Example:
        >>> from runner.storage import S3
        >>> storage = S3("my-flows", prefix="team", secrets=["AWS_CREDENTIALS"])
        >>> storage.url, storage.labels
        ('s3://my-flows/team', ('s3-flow-storage',))
    """

    backend = schemes.S3


let_pickles_name(S3)


class GCS(BucketDeclaration):
    """A bucket of Google Cloud Storage.

    Its default label is ``gcs-flow-storage``.

    Args:
        bucket: the bucket's name.
        prefix: the folder of the bucket below which everything lies.
        key: the bundle's own key below the root, instead of ``<flow>/<time of the build>``; never overwritten.
        secrets: names of the secrets that the flow needs at run time.
        labels: words that an agent must have to run the flow.
        add_default_labels: whether the storage's own label is among them.

    Raises:
        UsageError: when ``secrets`` or ``labels`` is one text instead of a list of names.

    Example:
        >>> from runner.storage import GCS
        >>> GCS("my-flows", key="releases/v1").url
        'gs://my-flows'
    """

    backend = schemes.GCS


let_pickles_name(GCS)


class Azure(BucketDeclaration):
    """A container of Azure Blob Storage.

    Its default label is ``azure-flow-storage``.

    Args:
        container: the container's name.
        connection_string: opens the container to publish from here, and never travels with the flow: where that runs,
            it comes from the secret or variable ``AZURE_STORAGE_CONNECTION_STRING``.
        prefix: the folder of the container below which everything lies.
        key: the bundle's own key below the root, instead of ``<flow>/<time of the build>``; never overwritten.
        secrets: names of the secrets that the flow needs at run time.
        labels: words that an agent must have to run the flow.
        add_default_labels: whether the storage's own label is among them.

    Raises:
        UsageError: when ``secrets`` or ``labels`` is one text instead of a list of names.

    Example:
        >>> from runner.storage import Azure
        >>> Azure("my-flows", secrets=["AZURE_STORAGE_CONNECTION_STRING"]).url
        'azure://my-flows'
    """

    backend = schemes.AZURE

    def __init__(
        self,
        container: str,
        *,
        connection_string: str | None = None,
        prefix: str = "",
        key: str | None = None,
        secrets: Sequence[str] = (),
        labels: Sequence[str] = (),
        add_default_labels: bool = True,
    ) -> None:
        super().__init__(
            container, prefix=prefix, key=key, secrets=secrets, labels=labels, add_default_labels=add_default_labels
        )
        self.connection_string = connection_string

    def extra_secrets(self) -> dict[str, str]:
        """See `StorageDeclaration.extra_secrets`."""
        return {"AZURE_STORAGE_CONNECTION_STRING": self.connection_string} if self.connection_string else {}

    def private_texts(self) -> set[str]:
        """See `StorageDeclaration.private_texts`: also the key alone, as a file may build the string from parts."""
        return super().private_texts() | {key.lstrip("?") for key in connection_keys(self.connection_string or "")}

    def relocated(self, other: StorageDeclaration) -> StorageDeclaration:
        """See `StorageDeclaration.relocated`; the connection string opens the other container as well."""
        if isinstance(other, Azure):
            other.connection_string = self.connection_string
        return super().relocated(other)

    def __getstate__(self) -> dict[str, object]:
        """Leave the connection string behind as well."""
        return {**super().__getstate__(), "connection_string": None}


let_pickles_name(Azure)


def declare(url: str) -> StorageDeclaration:
    """Return what an author would have written for a root's URL or path. Raises ValueError."""
    location = parse_location(url)
    declaration: type[Local | BucketDeclaration] = schemes.import_by_name(
        schemes.backend_of(location.scheme).declaration
    )
    return declaration.at(location)


declare.__module__ = "runner.storage"  # see runner.model.flow.FlowGraph
