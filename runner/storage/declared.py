"""What an author writes down of a storage: `Local`, `S3`, `GCS` and `Azure` share it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from runner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.flow import Flow
    from runner.publish import Published
    from runner.signing import KeySource


class Declared(ABC):
    """A storage as an author declares it: plain data, nothing is opened before `build`.

    Args:
        key: the bundle's own key below the root, instead of ``<flow>/<time of the build>``; never overwritten.
        secrets: names of the secrets that the flow needs at run time.
        labels: words that an agent must have to run the flow.
        add_default_labels: whether the storage's own label is among them.
    """

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
        self._flow: Flow | None = None
        self._before: Declared | None = None

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

    def moved_to(self, other: Declared) -> Declared:
        """Give the other place with what was declared here beside the place: key, secrets and labels."""
        other.key, other.secrets, other.own_labels = self.key, self.secrets, self.own_labels
        other.add_default_labels = self.add_default_labels
        other._before = self
        return other

    def of(self, flow: Flow) -> Declared:
        """Give a copy that belongs to the flow, so that one declaration can serve several flows."""
        mine = object.__new__(type(self))
        mine.__dict__ |= {**self.__dict__, "_flow": flow}  # copy.copy would leave behind what must not be pickled
        return mine

    @property
    def flow(self) -> Flow:
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
        """Publish the flow that this storage belongs to, and give the bundle's URL; see `runner.publish.publish`."""
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
        from runner.publish import publish

        options: dict[str, Any] = {"sign_with": sign_with, "allow_secrets": allow_secrets}
        return publish(self.flow, self, include=include, exclude=exclude, **options)

    def __getstate__(self) -> dict[str, Any]:
        """Leave behind what the declaration refers to: a pickled declaration is the declaration alone."""
        return {**self.__dict__, "_flow": None, "_before": None}


class DeclaredBucket(Declared):
    """A bucket, or container, of a cloud; see `Declared` for what it takes besides a prefix for all that lies in it."""

    scheme: ClassVar[str]
    label: ClassVar[str]

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

    @property
    def url(self) -> str:
        """See `Declared.url`."""
        return f"{self.scheme}://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def default_labels(self) -> tuple[str, ...]:
        """See `Declared.default_labels`."""
        return (self.label,)
