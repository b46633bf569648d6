"""What an author writes down of a storage: what all storages share, and what the clouds' buckets do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from runner.errors import UsageError
from runner.model.loading import is_loading
from runner.naming import check_labels, check_text, check_words
from runner.schema.validation import MOST_SECRETS, is_secret_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from runner.location import Location
    from runner.model.flow import FlowGraph
    from runner.publishing.publish import Destination, Published
    from runner.schemes import Backend
    from runner.signing.keys import KeySource


def let_pickles_name(kind: type) -> None:
    """Let pickles find a class in `runner.storage`; see `runner.model.flow.FlowGraph`.

    Python itself forgets the number of the class's line then, but not that of an abstract class.
    """
    kind.__module__ = "runner.storage"
    if "__firstlineno__" in vars(kind):
        delattr(kind, "__firstlineno__")


class StorageDeclaration(ABC):
    """A storage as an author declares it: plain data, nothing is opened before `build`.

    Args:
        key: the bundle's own key below the root, instead of ``<flow>/<time of the build>``; never overwritten.
        secrets: names of the secrets that the flow needs at run time.
        labels: words that an agent must have to run the flow.
        add_default_labels: whether the storage's own label is among them.

    Raises:
        UsageError: when ``secrets`` or ``labels`` is something else than a list of names, or has what cannot be one,
            there are more secrets than 1,000, or ``key`` is no text.
    """

    def __init__(
        self,
        *,
        key: str | None,
        secrets: Sequence[str],
        labels: Sequence[str],
        add_default_labels: bool,
    ) -> None:
        self.secrets = check_words("secrets", secrets)
        if wrong := [name for name in self.secrets if not is_secret_name(name)]:
            message = f"{', '.join(map(repr, wrong))} cannot be the name of a secret"
            raise UsageError(message, hint="Use letters, digits, '_', '-' and '.', as for a file or a variable.")
        if len(self.secrets) > MOST_SECRETS:
            message = f"a flow names at most {MOST_SECRETS:,} secrets, and not {len(self.secrets):,}"
            raise UsageError(message, hint="Put several values into one, as JSON.")
        self.own_labels = check_words("labels", labels)
        check_labels(self.own_labels)
        self.key = None if key is None else check_text("a key", key)
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

    @property
    def flow(self) -> FlowGraph:
        """The flow that this storage belongs to.

        Raises:
            UsageError: when it belongs to none.
        """
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
        check: bool = True,
    ) -> str:
        """Publish the flow that this storage belongs to.

        What travels in the bundle besides the flow is listed on standard error.

        Args:
            include: files and folders that import statements do not show, relative to the flow's file,
                each perhaps with the place where it lies instead of its own: ``src/plug=acme/plug``.
            exclude: patterns of files and folders that stay behind: ``*.parquet``, ``data``.
            sign_with: a private key, its text or the path of its file; by default that of ``RUNNER_SIGNING_KEY``, if
                there is one.
            allow_secrets: whether a bundle that holds a secret is published all the same.
            check: whether the bundle is first loaded in a fresh process without the author's files, and compared.

        Returns:
            The URL of the bundle or, of `Docker`, the image's name. While a flow is being loaded nothing is published,
            and this is the URL of the folder in which its bundles lie.

        Raises:
            UsageError: when the storage belongs to no flow, and for a key that is none.
            FlowFailed: when the flow cannot be pickled, holds a secret, is too large, or is another when it is loaded.
            AlreadyExists: when the storage's own key is taken.
            WriteFailed: when the folder holds bundles of a flow of another name, or nothing can be written there.
            CredentialsRefused: when the storage refuses the credentials, or there are none.
            Unreachable: when the storage does not answer.

        Example:
            >>> from runner import Flow
            >>> from runner.storage import Local
            >>> url = Flow("nightly", storage=Local("flows")).storage.build()
            >>> url.startswith("file:///"), "/flows/nightly/" in url
            (True, True)
        """
        if is_loading():
            return f"{self.url}/{self.flow.slug}"
        return self.publish(
            include=include, exclude=exclude, sign_with=sign_with, allow_secrets=allow_secrets, check=check
        ).url

    def publish(
        self,
        *,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        sign_with: KeySource | None = None,
        allow_secrets: bool = False,
        check: bool = True,
    ) -> Published:
        """Do what `build` does, and return all that is known of the bundle.

        Args:
            include: as in `build`.
            exclude: as in `build`.
            sign_with: as in `build`.
            allow_secrets: as in `build`.
            check: as in `build`.

        Returns:
            The ``url``, the ``manifest``, and the ``files`` that travel in the bundle with their sizes in bytes.

        Raises:
            RunnerError: what `build` raises.
        """
        from runner.publishing.publish import publish

        return publish(
            self.flow,
            self.destination(),
            include=include,
            exclude=exclude,
            sign_with=sign_with,
            allow_secrets=allow_secrets,
            check=check,
        )

    def destination(self) -> Destination:
        """Describe this storage for publishing, with what the flow's environment says.

        Returns:
            Where the bundle goes, the labels and image for launchers, and what the bundle must not hold.

        Raises:
            UsageError: when it belongs to no flow.
        """
        from runner.publishing.publish import Destination

        environment = self.flow.environment
        return Destination(
            url=self.url,
            key=self.key,
            secrets=self.secrets,
            labels=tuple(sorted({*self.labels, *(environment.labels if environment else ())})),
            image=environment.image if environment else None,
            environment=environment.record if environment else None,
            handed_over=self.extra_secrets(),
            private_texts=self.private_texts(),
        )

    def extra_secrets(self) -> dict[str, str]:
        """List the secrets that the author gave to the declaration itself.

        Returns:
            The values by the secrets' names; they open the storage here and never travel.
        """
        return {}

    def private_texts(self) -> set[str]:
        """List what a bundle must not hold.

        Returns:
            The secrets that were given to this declaration, or to the one that it stands for.
        """
        return set(self.extra_secrets().values()) | (self._before.private_texts() if self._before else set())

    def relocated(self, other: StorageDeclaration) -> StorageDeclaration:
        """Move the declaration to another place.

        Args:
            other: the other place, which is changed.

        Returns:
            It, with what was declared here beside the place: key, secrets and labels.
        """
        other.key, other.secrets, other.own_labels = self.key, self.secrets, self.own_labels
        other.add_default_labels = self.add_default_labels
        other._before = self
        return other

    def bound_to(self, flow: FlowGraph) -> StorageDeclaration:
        """Bind the declaration to a flow; one declaration can serve several flows.

        Args:
            flow: the flow that `build` publishes.

        Returns:
            A copy that belongs to the flow.
        """
        mine = object.__new__(type(self))
        mine.__dict__ |= {**self.__dict__, "_flow": flow}  # copy.copy would leave behind what must not be pickled
        return mine

    def __getstate__(self) -> dict[str, object]:
        """Leave behind what the declaration refers to: a pickled declaration is the declaration alone."""
        return {**self.__dict__, "_flow": None, "_before": None}


let_pickles_name(StorageDeclaration)


class BucketDeclaration(StorageDeclaration):
    """A bucket, or container, of a cloud.

    Args:
        bucket: the bucket's name.
        prefix: the folder of the bucket below which everything lies.
        key: as in `StorageDeclaration`.
        secrets: as in `StorageDeclaration`.
        labels: as in `StorageDeclaration`.
        add_default_labels: as in `StorageDeclaration`.
    """

    backend: ClassVar[Backend]

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
        super().__init__(key=key, secrets=secrets, labels=labels, add_default_labels=add_default_labels)
        self.bucket = bucket
        self.prefix = prefix.strip("/")

    @classmethod
    def at(cls, location: Location) -> Self:
        """Declare the storage whose root a location is.

        Args:
            location: its container and, as key, its prefix.

        Returns:
            The declaration.
        """
        return cls(location.container, prefix=location.key)

    @property
    def url(self) -> str:
        """See `StorageDeclaration.url`."""
        return f"{self.backend.scheme}://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def default_labels(self) -> tuple[str, ...]:
        """See `StorageDeclaration.default_labels`."""
        return (self.backend.label,)


let_pickles_name(BucketDeclaration)
