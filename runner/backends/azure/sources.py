"""Where a token for an Azure account may come from, in the order of ``DefaultAzureCredential``."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from runner.backends.credential_sources import EVERY_IMAGE, Source, without_repr
from runner.errors import EnvironmentWrong

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obstore.store import AzureCredential

    from runner.backends.credential_sources import ChosenSource

WITH_SDK = "azure, all_extras"
CLIENT_SECRET = Source("client secret", "AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET", "fast", EVERY_IMAGE)
ENVIRONMENT = Source(
    "certificate or password",
    "AZURE_CLIENT_ID with AZURE_TENANT_ID, AZURE_CLIENT_CERTIFICATE_PATH, or with AZURE_USERNAME, AZURE_PASSWORD",
    "SDK",
    WITH_SDK,
)
WORKLOAD = Source(
    "workload identity", "AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE", "fast", EVERY_IMAGE
)
HOSTED = Source(
    "managed identity of a service", "IDENTITY_ENDPOINT or MSI_ENDPOINT: App Service, Arc, Azure ML", "SDK", WITH_SDK
)
MACHINE = Source("managed identity of the machine", "169.254.169.254; AZURE_CLIENT_ID chooses one", "fast", EVERY_IMAGE)
TOOLS = Source("az CLI and other tools", "az login, azd auth login, Connect-AzAccount", "SDK", WITH_SDK)
TOKEN_SOURCES: tuple[Source, ...] = (CLIENT_SECRET, ENVIRONMENT, WORKLOAD, HOSTED, MACHINE, TOOLS)
AUTHORITY = "https://login.microsoftonline.com"


@without_repr
class AzureToken(NamedTuple):
    """What gives the tokens: ``provider`` if there is one, else obstore by ``config``."""

    source: ChosenSource
    config: Mapping[str, str] = MappingProxyType({})
    provider: Callable[[], AzureCredential] | None = None


def authority(environ: Mapping[str, str]) -> str:
    """Return the host that grants tokens. Raises EnvironmentWrong where it is none that azure-identity would ask."""
    text = environ.get("AZURE_AUTHORITY_HOST", AUTHORITY).rstrip(" /")
    if "://" in text and not text.startswith("https://"):
        raise EnvironmentWrong("AZURE_AUTHORITY_HOST is no https:// address", hint="Correct it, or unset it.")
    return text if "://" in text else f"https://{text}"
