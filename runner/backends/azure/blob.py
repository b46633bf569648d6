"""Azure Blob Storage: from a container's name and credentials to an opened storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.schemes import AZURE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from obstore.store import ClientConfig, RetryConfig

    from runner.backends.azure.credentials import AzureAccess
    from runner.backends.listing_pages import Ask, Dialect
    from runner.backends.object_store import ObjectStorage
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
    from runner.backends.connection import Connection
    from runner.backends.credential_sources import check_variables
    from runner.backends.object_store import ObjectStorage

    def connecting(access: AzureAccess) -> Connection:
        # obstore reads the process's own environment first, and there a pod's AZURE_CLIENT_ID or a stray token would
        # win over what was found: so keys and tokens come by a function, or their kind is named, with what must win
        config: Any = {"account_name": access.account, "endpoint": access.endpoint, "use_emulator": "false"}
        config |= {"skip_signature": "false", **access.config}

        def connect(_place: str, options: ClientConfig, retries: RetryConfig) -> object:
            return AzureStore(
                container,
                config=config,
                client_options=options,
                retry_config=retries,
                credential_provider=access.provider,
            )

        def pages(_place: str) -> tuple[Dialect, Ask] | None:
            from runner.backends.azure.listing import AZURE_PAGES, asking

            return (AZURE_PAGES, asking(access, container)) if access.provider else None

        return Connection(connect, pages)

    check_variables(AZURE, environ)
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
