"""What opens an Azure container: a connection string, an account's key or SAS, or a token for an account.

The order is that of the az CLI, https://learn.microsoft.com/azure/storage/blobs/authorize-data-operations-cli, and for
tokens that of ``DefaultAzureCredential``; see `runner.backends.azure.tokens`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from runner.backends.azure.sources import TOKEN_SOURCES
from runner.backends.azure.tokens import find_token
from runner.backends.credential_sources import (
    EVERY_IMAGE,
    ChosenSource,
    Source,
    check_endpoint,
    check_value,
    format_tried,
    without_repr,
)
from runner.errors import CredentialsRefused, EnvironmentWrong
from runner.secrets.parts import split_connection_string

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obstore.store import AzureCredential

    from runner.secrets.named import Credentials

SECRET = Source("named secret", "AZURE_STORAGE_CONNECTION_STRING or AZURE_CREDENTIALS", "fast", EVERY_IMAGE)
STRING = Source("connection string", "AZURE_STORAGE_CONNECTION_STRING", "fast", EVERY_IMAGE)
KEY = Source("account key", "AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_KEY", "fast", EVERY_IMAGE)
SAS = Source("SAS", "AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_SAS_TOKEN", "fast", EVERY_IMAGE)
SOURCES: tuple[Source, ...] = (SECRET, STRING, KEY, SAS, *TOKEN_SOURCES)
HINT = (
    "Set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT beside what DefaultAzureCredential finds, "
    "or name a secret AZURE_CREDENTIALS in RUNNER_SECRETS."
)
# By the host that gives the tokens: https://learn.microsoft.com/azure/storage/common/storage-account-overview
_SUFFIXES = {"login.chinacloudapi.cn": "core.chinacloudapi.cn", "login.microsoftonline.us": "core.usgovcloudapi.net"}
_PUBLIC = "core.windows.net"
# Published, and the same in every emulator: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
EMULATOR_PORT = "10000"
_EMULATED = {
    "accountname": "devstoreaccount1",
    "accountkey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
}


@without_repr
class AzureAccess(NamedTuple):
    """An account, its endpoint, and what signs: ``provider`` if there is one, else obstore by ``config``."""

    account: str
    endpoint: str
    source: ChosenSource
    config: Mapping[str, str] = MappingProxyType({})
    provider: Callable[[], AzureCredential] | None = None


def find_azure(credentials: Credentials, environ: Mapping[str, str]) -> AzureAccess:
    """Find what opens the account. Raises CredentialsRefused, EnvironmentWrong and Unreachable."""
    tried: list[tuple[Source, str]] = []
    if text := credentials.azure():
        return _by_string(text, ChosenSource(SECRET))
    tried.append((SECRET, "none is named in RUNNER_SECRETS"))
    if text := environ.get("AZURE_STORAGE_CONNECTION_STRING"):
        return _by_string(text, ChosenSource(STRING, tuple(tried)))
    tried.append((STRING, "AZURE_STORAGE_CONNECTION_STRING is not set"))
    account, endpoint = _account(environ)
    if not account:
        tried.append((KEY, "AZURE_STORAGE_ACCOUNT is not set"))
        raise CredentialsRefused(f"no credentials for Azure found: {format_tried(tuple(tried))}", hint=HINT)
    if key := environ.get("AZURE_STORAGE_KEY"):
        return _by_key(account, endpoint, key, ChosenSource(KEY, tuple(tried)))
    tried.append((KEY, "AZURE_STORAGE_KEY is not set"))
    if sas := environ.get("AZURE_STORAGE_SAS_TOKEN"):
        return _by_sas(account, endpoint, sas.lstrip("?"), ChosenSource(SAS, tuple(tried)))
    tried.append((SAS, "AZURE_STORAGE_SAS_TOKEN is not set"))
    token = find_token(environ, tried)
    return AzureAccess(account, endpoint, token.source, token.config, token.provider)


def _by_string(text: str, source: ChosenSource) -> AzureAccess:
    parts = parse_connection_string(text)
    account, endpoint = parts["account_name"], parts["endpoint"]
    if key := parts.get("account_key"):
        return _by_key(account, endpoint, key, source)
    return _by_sas(account, endpoint, parts["sas_key"], source)


def _by_key(account: str, endpoint: str, key: str, source: ChosenSource) -> AzureAccess:
    key = re.sub(r"[^A-Za-z0-9+/=]", "", key)  # azure-storage-blob passes over whatever is none of base64's
    return AzureAccess(account, endpoint, source, provider=lambda: {"access_key": key, "expires_at": None})


def _by_sas(account: str, endpoint: str, sas: str, source: ChosenSource) -> AzureAccess:
    expiry = _sas_expiry(sas)
    source = ChosenSource(source.source, source.tried, lambda: expiry)
    return AzureAccess(account, endpoint, source, provider=lambda: {"sas_token": sas, "expires_at": None})


def _sas_expiry(sas: str) -> datetime | None:
    """Return when a SAS expires, in UTC; a date alone is midnight's.

    https://learn.microsoft.com/rest/api/storageservices/formatting-datetime-values
    """
    from urllib.parse import parse_qs

    try:
        end = datetime.fromisoformat(parse_qs(sas).get("se", [""])[0])
    except ValueError:
        return None
    return end if end.tzinfo else end.replace(tzinfo=UTC)


def _account(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the account's name, empty if it is not set, and its endpoint."""
    account, endpoint = environ.get("AZURE_STORAGE_ACCOUNT", ""), environ.get("AZURE_STORAGE_SERVICE_ENDPOINT", "")
    if endpoint:
        check_endpoint("AZURE_STORAGE_SERVICE_ENDPOINT", endpoint)
        return account or _account_in(endpoint), endpoint.rstrip("/")
    host = environ.get("AZURE_AUTHORITY_HOST", "").rpartition("://")[2].strip("/ ")
    return account, f"https://{account}.blob.{_SUFFIXES.get(host, _PUBLIC)}"


def _account_in(endpoint: str) -> str:
    host, _, path = endpoint.partition("://")[2].partition("/")
    return path.strip("/") or host.partition(".")[0]


def parse_connection_string(text: str) -> dict[str, str]:
    """Return a connection string's parts by obstore's names. Raises EnvironmentWrong, which shows no value."""
    text = text.removeprefix("\ufeff").strip()
    if text.startswith(("'", '"')):
        check_value("the Azure connection string", text)
    parts = split_connection_string(text)
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        proxy = parts.get("developmentstorageproxyuri", "http://127.0.0.1").rstrip("/")
        parts = _EMULATED | {"blobendpoint": f"{proxy}:{EMULATOR_PORT}/{_EMULATED['accountname']}"}
    account, key, sas = parts.get("accountname"), parts.get("accountkey"), parts.get("sharedaccesssignature")
    endpoint = parts.get("blobendpoint")
    if not account and endpoint:  # a SAS string of the portal names the account in its endpoint alone
        account = _account_in(endpoint)
    if not account or not (key or sas):
        missing = "AccountName or BlobEndpoint" if not account else "AccountKey or SharedAccessSignature"
        message = f"the Azure connection string has no {missing}"
        raise EnvironmentWrong(message, hint="Copy it whole from the portal: storage account, Access keys.")
    if not endpoint:
        protocol = parts.get("defaultendpointsprotocol", "https")
        endpoint = f"{protocol}://{account}.blob.{parts.get('endpointsuffix', _PUBLIC)}"
    check_value("AccountName of the Azure connection string", account)
    check_value("SharedAccessSignature of the Azure connection string", "" if key else sas or "")
    check_endpoint("the endpoint of the Azure connection string", endpoint)
    config = {
        "account_name": account,
        "account_key": key,
        "sas_key": None if key else sas and sas.lstrip("?"),
        "endpoint": endpoint.rstrip("/"),
    }
    return {name: value for name, value in config.items() if value}
