"""Azure Blob Storage: from a container's name and a connection string to a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.errors import CredentialsRefused, EnvironmentWrong
from runner.storage.declared import DeclaredBucket

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.credentials import Credentials
    from runner.storage.declared import Declared
    from runner.storage.objects import ObjectStorage


_KEYS = {"account_key": "access_key", "sas_key": "sas_token"}  # by `parse_connection_string`'s names, obstore's


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
        parts = (part.strip().partition("=") for part in (self.connection_string or "").split(";"))
        keys = {value.lstrip("?") for name, _, value in parts if name in {"AccountKey", "SharedAccessSignature"}}
        return super().private_texts() | (keys - {""})

    def moved_to(self, other: Declared) -> Declared:
        """See `Declared.moved_to`; the connection string opens the other container as well."""
        if isinstance(other, Azure):
            other.connection_string = self.connection_string
        return super().moved_to(other)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the connection string behind as well."""
        return {**super().__getstate__(), "connection_string": None}


def open_azure(container: str, credentials: Credentials, environ: Mapping[str, str]) -> ObjectStorage:
    """Open a container.

    Credentials: the secret ``AZURE_STORAGE_CONNECTION_STRING`` or ``AZURE_CREDENTIALS``, else the variable
    ``AZURE_STORAGE_CONNECTION_STRING``. Needs the role "Storage Blob Data Contributor", or a SAS with read, write,
    create and list. Raises CredentialsRefused and EnvironmentWrong.
    """
    from obstore.store import AzureStore

    from runner.storage.objects import ObjectStorage

    text = credentials.azure() or environ.get("AZURE_STORAGE_CONNECTION_STRING")
    if not text:
        message = "no credentials for Azure found: AZURE_STORAGE_CONNECTION_STRING is not set"
        raise CredentialsRefused(message, hint="Set it, or name a secret of that name in RUNNER_SECRETS.")
    parts = parse_connection_string(text)
    config = {name: parts[name] for name in ("account_name", "endpoint")}
    # obstore reads the process's own environment first, and there a pod's AZURE_CLIENT_ID or a stray token would win
    # over the connection string: so the keys come by a function, and what else must win is named
    config |= {"use_emulator": "false", "skip_signature": "false"}
    keys = {_KEYS[name]: value for name, value in parts.items() if name in _KEYS}

    def connect(_place: str, options: dict[str, object], retries: dict[str, object]) -> object:
        return AzureStore(
            container,
            config=config,  # type: ignore[arg-type]
            client_options=options,  # type: ignore[arg-type]
            retry_config=retries,  # type: ignore[arg-type]
            credential_provider=lambda: keys | {"expires_at": None},  # type: ignore[arg-type]
        )

    return ObjectStorage("azure", container, connect, environ)


def parse_connection_string(text: str) -> dict[str, str]:
    """Turn a connection string into what obstore calls its parts.

    https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string. Raises EnvironmentWrong,
    which never shows a value.
    """
    parts = dict(part.strip().split("=", 1) for part in text.split(";") if "=" in part)
    account, key, sas = parts.get("AccountName"), parts.get("AccountKey"), parts.get("SharedAccessSignature")
    endpoint = parts.get("BlobEndpoint")
    if not account and endpoint:  # a SAS string of the portal names the account in its endpoint alone
        host, _, path = endpoint.partition("://")[2].partition("/")
        account = path.strip("/") or host.partition(".")[0]
    if not account or not (key or sas):
        missing = "AccountName or BlobEndpoint" if not account else "AccountKey or SharedAccessSignature"
        message = f"the Azure connection string has no {missing}"
        raise EnvironmentWrong(message, hint="Copy it whole from the portal: storage account, Access keys.")
    if not endpoint:
        protocol, suffix = (
            parts.get("DefaultEndpointsProtocol", "https"),
            parts.get("EndpointSuffix", "core.windows.net"),
        )
        endpoint = f"{protocol}://{account}.blob.{suffix}"
    config = {
        "account_name": account,
        "account_key": key,
        "sas_key": sas and sas.lstrip("?"),
        "endpoint": endpoint.rstrip("/"),
    }
    return {name: value for name, value in config.items() if value}
