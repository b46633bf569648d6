"""What an author writes down of a storage: `Local`, `S3`, `GCS` and `Azure` share it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from runner import schemes
from runner.errors import UsageError
from runner.location import parse_location
from runner.secrets.parts import connection_keys

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from typing import Self

    from runner.location import Location
    from runner.model.flow import FlowGraph
    from runner.publishing.publish import Destination, Published
    from runner.signing.keys import KeySource

DEFAULT_FOLDER = "~/.runner/flows"


class StorageDeclaration(ABC):
    """A storage as an author declares it: plain data, nothing is opened before `build`.

    Args:
        key: the bundle's own key below the root, instead of ``<flow>/<time of the build>``; never overwritten.
        secrets: names of the secrets that the flow needs at run time.
        labels: words that an agent must have to run the flow.
        add_default_labels: whether the storage's own label is among them.
    """

    __module__ = "runner.storage"  # pickles name it so, wherever it is defined: docs/formats.md

    def __init__(
        self,
        *,
        key: str | None,
        secrets: Sequence[str],
        labels: Sequence[str],
        add_default_labels: bool,
    ) -> None:
        """Take what all storages share."""
        if isinstance(secrets, str) or isinstance(labels, str):
            message = "secrets and labels take a list of names, not one text"
            raise UsageError(message, hint='Write secrets=["NAME"].')
        self.key = key
        self.secrets = tuple(secrets)
        self.own_labels = tuple(labels)
        self.add_default_labels = add_default_labels
        self._flow: FlowGraph | None = None
        self._before: StorageDeclaration | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """The root's URL, as `runner build --storage` takes it."""

    @property
    @abstractmethod
    def default_labels(self) -> tuple[str, ...]:
        """The labels that this kind of storage brings along."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, sorted."""
        return tuple(sorted({*self.own_labels, *(self.default_labels if self.add_default_labels else ())}))

    def extra_secrets(self) -> dict[str, str]:
        """Give what the author handed over in person; it opens the storage here and never travels."""
        return {}

    def private_texts(self) -> set[str]:
        """Give what a bundle must not hold: what was handed over here, or to the storage that this one stands for."""
        return set(self.extra_secrets().values()) | (self._before.private_texts() if self._before else set())

    def relocated(self, other: StorageDeclaration) -> StorageDeclaration:
        """Give the other place with what was declared here beside the place: key, secrets and labels."""
        other.key, other.secrets, other.own_labels = self.key, self.secrets, self.own_labels
        other.add_default_labels = self.add_default_labels
        other._before = self
        return other

    def bound_to(self, flow: FlowGraph) -> StorageDeclaration:
        """Give a copy that belongs to the flow, so that one declaration can serve several flows."""
        mine = object.__new__(type(self))
        mine.__dict__ |= {**self.__dict__, "_flow": flow}  # copy.copy would leave behind what must not be pickled
        return mine

    @property
    def flow(self) -> FlowGraph:
        """The flow that this storage belongs to. Raises UsageError if it belongs to none."""
        if self._flow is None:
            message = f"this {type(self).__name__} storage belongs to no flow"
            raise UsageError(message, hint="Set flow.storage = … and call flow.storage.build().")
        return self._flow

    def build(
        self,
        *,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        sign_with: KeySource | None = None,
        allow_secrets: bool = False,
    ) -> str:
        """Publish the flow that this storage belongs to, and give the bundle's URL; see `publish`."""
        options: dict[str, Any] = {"sign_with": sign_with, "allow_secrets": allow_secrets}
        return self.publish(include=include, exclude=exclude, **options).url

    def publish(
        self,
        *,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        sign_with: KeySource | None = None,
        allow_secrets: bool = False,
    ) -> Published:
        """Do what `build` does, and give all that is known of it."""
        from runner.publishing.publish import publish

        options: dict[str, Any] = {"sign_with": sign_with, "allow_secrets": allow_secrets}
        return publish(self.flow, self.destination(), include=include, exclude=exclude, **options)

    def destination(self) -> Destination:
        """Return what publishing must know of this place and of the flow that belongs to it."""
        from runner.publishing.publish import Destination

        environment = self.flow.environment
        return Destination(
            url=self.url,
            key=self.key,
            secrets=self.secrets,
            labels=tuple(sorted({*self.labels, *(environment.labels if environment else ())})),
            image=environment.image if environment else None,
            handed_over=self.extra_secrets(),
            private_texts=self.private_texts(),
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what the declaration refers to: a pickled declaration is the declaration alone."""
        return {**self.__dict__, "_flow": None, "_before": None}


class BucketDeclaration(StorageDeclaration):
    """A bucket, or container, of a cloud; takes a prefix, and what `StorageDeclaration` takes."""

    backend: ClassVar[schemes.Backend]

    def __init__(
        self,
        bucket: str,
        *,
        prefix: str = "",
        key: str | None = None,
        secrets: Sequence[str] = (),
        labels: Sequence[str] = (),
        add_default_labels: bool = True,
    ) -> None:
        """Take the bucket's name and a prefix below which everything lies."""
        super().__init__(key=key, secrets=secrets, labels=labels, add_default_labels=add_default_labels)
        self.bucket = bucket
        self.prefix = prefix.strip("/")

    @classmethod
    def at(cls, location: Location) -> Self:
        """Return the declaration of a location that is a root."""
        return cls(location.container, prefix=location.key)

    @property
    def url(self) -> str:
        """See `StorageDeclaration.url`."""
        return f"{self.backend.scheme}://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def default_labels(self) -> tuple[str, ...]:
        """See `StorageDeclaration.default_labels`."""
        return (self.backend.label,)


class Local(StorageDeclaration):
    """A folder of this machine, or one that is mounted into the container.

    ``directory`` is the storage's root; by default ``~/.runner/flows``.
    """

    __module__ = "runner.storage"  # see StorageDeclaration

    def __init__(
        self,
        directory: str | os.PathLike[str] = DEFAULT_FOLDER,
        *,
        key: str | None = None,
        secrets: list[str] | tuple[str, ...] = (),
        labels: list[str] | tuple[str, ...] = (),
        add_default_labels: bool = True,
    ) -> None:
        """See `StorageDeclaration` for what all storages take."""
        super().__init__(key=key, secrets=secrets, labels=labels, add_default_labels=add_default_labels)
        self.directory = str(directory)

    @classmethod
    def at(cls, location: Location) -> Self:
        """Return the declaration of a location that is a root."""
        return cls(location.as_root().container)

    @property
    def url(self) -> str:
        """See `StorageDeclaration.url`."""
        return Path(self.directory).expanduser().absolute().as_uri()

    @property
    def default_labels(self) -> tuple[str, ...]:
        """The machine's hostname: nobody else has its files."""
        import socket

        return (socket.gethostname(),)


class S3(BucketDeclaration):
    """A bucket of Amazon S3, or of anything that speaks its protocol (``AWS_ENDPOINT_URL``)."""

    __module__ = "runner.storage"  # see StorageDeclaration

    backend = schemes.S3


class GCS(BucketDeclaration):
    """A bucket of Google Cloud Storage."""

    __module__ = "runner.storage"  # see StorageDeclaration

    backend = schemes.GCS


class Azure(BucketDeclaration):
    """A container of Azure Blob Storage.

    The connection string serves to publish from here and never travels with the flow: in the container it comes
    from the secret or variable ``AZURE_STORAGE_CONNECTION_STRING``.
    """

    __module__ = "runner.storage"  # see StorageDeclaration

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
        """Take the container and what opens it from here."""
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
        """See `StorageDeclaration.moved_to`; the connection string opens the other container as well."""
        if isinstance(other, Azure):
            other.connection_string = self.connection_string
        return super().relocated(other)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the connection string behind as well."""
        return {**super().__getstate__(), "connection_string": None}


def declare(url: str) -> StorageDeclaration:
    """Return what an author would have written for a root's URL or path. Raises ValueError."""
    location = parse_location(url)
    declaration: type[Local | BucketDeclaration] = schemes.import_by_name(
        schemes.backend_of(location.scheme).declaration
    )
    return declaration.at(location)
