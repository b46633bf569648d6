"""Azure Blob Storage: from a container's name and a connection string to a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.credentials import keys_in
from runner.storage.declared import DeclaredBucket

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.credentials import Credentials
    from runner.storage.declared import Declared
    from runner.storage.objects import ObjectStorage


class Azure(DeclaredBucket):
    """A container of Azure Blob Storage.

    The connection string serves to publish from here and never travels with the flow: in the container it comes
    from the secret or variable ``AZURE_STORAGE_CONNECTION_STRING``.
    """

    scheme = "azure"
    label = "azure-flow-storage"

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
        """See `Declared.extra_secrets`."""
        return {"AZURE_STORAGE_CONNECTION_STRING": self.connection_string} if self.connection_string else {}

    def private_texts(self) -> set[str]:
        """See `Declared.private_texts`: also the key alone, as a file may put the string together from parts."""
        return super().private_texts() | {key.lstrip("?") for key in keys_in(self.connection_string or "")}

    def moved_to(self, other: Declared) -> Declared:
        """See `Declared.moved_to`; the connection string opens the other container as well."""
        if isinstance(other, Azure):
            other.connection_string = self.connection_string
        return super().moved_to(other)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the connection string behind as well."""
        return {**super().__getstate__(), "connection_string": None}


def open_azure(
    container: str, credentials: Credentials, environ: Mapping[str, str], patience: float | None = None
) -> ObjectStorage:
    """Open a container with what `find_azure` finds.

    Needs the role "Storage Blob Data Contributor", or a SAS with read, write, create and list. Raises
    CredentialsRefused, EnvironmentWrong and Unreachable.
    """
    from obstore.store import AzureStore

    from runner.storage.azure_credentials import find_azure
    from runner.storage.objects import ObjectStorage

    access = find_azure(credentials, environ)
    # obstore reads the process's own environment first, and there a pod's AZURE_CLIENT_ID or a stray token would win
    # over what was found: so keys and tokens come by a function, or their kind is named, with what else must win
    config = {"account_name": access.account, "endpoint": access.endpoint, "use_emulator": "false"}
    config |= {"skip_signature": "false", **access.config}

    def connect(_place: str, options: dict[str, object], retries: dict[str, object]) -> object:
        return AzureStore(
            container,
            config=config,  # type: ignore[arg-type]
            client_options=options,  # type: ignore[arg-type]
            retry_config=retries,  # type: ignore[arg-type]
            credential_provider=access.provider,  # type: ignore[arg-type]
        )

    storage = ObjectStorage("azure", container, connect, environ, patience=patience)
    storage.found = access.found
    return storage
