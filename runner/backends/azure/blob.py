"""Azure Blob Storage: from a container's name and credentials to an opened storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.schemes import AZURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.backends.azure.credentials import AzureAccess
    from runner.backends.object_store import Connect, ObjectStorage
    from runner.secrets.named import Credentials


def open_azure(
    container: str, credentials: Credentials, environ: Mapping[str, str], patience: float | None = None
) -> ObjectStorage:
    """Open a container with what `find_azure` finds.

    Needs the role "Storage Blob Data Contributor", or a SAS with read, write, create and list. Raises
    CredentialsRefused, EnvironmentWrong and Unreachable.
    """
    from obstore.store import AzureStore

    from runner.backends.azure.credentials import find_azure
    from runner.backends.azure.errors import refusal
    from runner.backends.object_store import ObjectStorage

    def connecting(access: AzureAccess) -> Connect:
        # obstore reads the process's own environment first, and there a pod's AZURE_CLIENT_ID or a stray token would
        # win over what was found: so keys and tokens come by a function, or their kind is named, with what must win
        config = {"account_name": access.account, "endpoint": access.endpoint, "use_emulator": "false"}
        config |= {"skip_signature": "false", **access.config}

        def connect(_place: str, options: dict[str, object], retries: dict[str, object]) -> object:
            return AzureStore(
                container,
                config=config,  # type: ignore[arg-type]
                client_options=options,  # type: ignore[arg-type]
                retry_config=retries,  # type: ignore[arg-type]
                credential_provider=access.provider,
            )

        return connect

    access = find_azure(credentials, environ)
    return ObjectStorage(
        AZURE.scheme,
        container,
        connecting(access),
        refusal,
        patience=patience,
        credential_source=access.source,
        certificates=environ.get("SSL_CERT_FILE"),
        renew=lambda: connecting(find_azure(credentials, environ)),
    )
