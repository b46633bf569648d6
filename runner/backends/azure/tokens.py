"""A token for an Azure account, as ``DefaultAzureCredential`` finds one, and in its order.

https://learn.microsoft.com/python/api/azure-identity/azure.identity.defaultazurecredential. A client secret and a
workload identity are obstore's to exchange, an identity of the machine is asked for here: all without azure-identity,
and only where it would take that very source. Everything else is asked of azure-identity itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from runner.backends.azure.sources import CLIENT_SECRET, ENVIRONMENT, HOSTED, MACHINE, WORKLOAD, AzureToken, authority
from runner.backends.credential_sources import ChosenSource, Source, format_tried
from runner.errors import CredentialsRefused
from runner.secrets.parts import shown_path

if TYPE_CHECKING:
    from collections.abc import Mapping

_HINT = "Give the pod or machine an identity, or set AZURE_STORAGE_CONNECTION_STRING."
_ARC = "/opt/azcmagent/bin/himds"  # where azure-identity sees that this machine is Azure Arc's


def find_token(environ: Mapping[str, str], tried: list[tuple[Source, str]]) -> AzureToken:
    """Find what gives tokens; ``tried`` is why earlier sources do not. Raises CredentialsRefused, EnvironmentWrong."""
    # https://learn.microsoft.com/azure/developer/python/sdk/authentication/credential-chains: one of them, or a half
    only = environ.get("AZURE_TOKEN_CREDENTIALS", "").strip().lower()
    if only in {"", "prod", "environmentcredential"} and (token := _find_client_secret(environ, tried)):
        return token
    if only in {"", "prod", "workloadidentitycredential"} and (token := _find_workload_identity(environ, tried)):
        return token
    machine = only in {"", "prod", "managedidentitycredential"}
    if machine and (token := _find_managed_identity(environ, tried)):
        return token
    if only in {"prod", "environmentcredential", "workloadidentitycredential", "managedidentitycredential"}:
        _refuse(tried)
    from runner.backends.azure.sdk import find_by_tools

    return find_by_tools(environ, tried)


def _find_client_secret(environ: Mapping[str, str], tried: list[tuple[Source, str]]) -> AzureToken | None:
    names = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
    if all(name in environ for name in names):
        if empty := [name for name in names if not environ[name]]:
            raise CredentialsRefused(f"{empty[0]} is set, and empty", hint="Give it its value, or unset it.")
        return _by_obstore("client_secret", names, environ, ChosenSource(CLIENT_SECRET, tuple(tried)))
    tried.append((CLIENT_SECRET, _unset(names, environ)))
    certificate = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_CERTIFICATE_PATH")
    password = ("AZURE_CLIENT_ID", "AZURE_USERNAME", "AZURE_PASSWORD")
    if any(all(name in environ for name in needed) for needed in (certificate, password)):
        from runner.backends.azure.sdk import find_in_environment

        return find_in_environment(environ, tried)
    tried.append((ENVIRONMENT, "neither is set"))
    return None


def _find_workload_identity(environ: Mapping[str, str], tried: list[tuple[Source, str]]) -> AzureToken | None:
    from pathlib import Path

    names = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE")
    if not all(environ.get(name) for name in names):
        tried.append((WORKLOAD, _unset(names, environ)))
        return None
    if not Path(environ[names[2]]).is_file():
        # azure-identity ends here as well: what names a file means it
        message = f"AZURE_FEDERATED_TOKEN_FILE names a file that is not there: {shown_path(environ[names[2]])}"
        raise CredentialsRefused(message, hint="Let the pod's service account be mounted, or unset the variable.")
    return _by_obstore("workload_identity", names, environ, ChosenSource(WORKLOAD, tuple(tried)))


def _find_managed_identity(environ: Mapping[str, str], tried: list[tuple[Source, str]]) -> AzureToken | None:
    from pathlib import Path

    if not (environ.get("IDENTITY_ENDPOINT") or environ.get("MSI_ENDPOINT")) and all(
        environ.get(name) for name in ("AZURE_AUTHORITY_HOST", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")
    ):
        # azure-identity takes a workload's identity for a managed one, and without AZURE_CLIENT_ID it ends here
        was_tried = any(source is WORKLOAD for source, _ in tried)
        return (None if was_tried else _find_workload_identity(environ, tried)) or _refuse(tried)
    if environ.get("IDENTITY_ENDPOINT") or environ.get("MSI_ENDPOINT") or Path(_ARC).exists():
        from runner.backends.azure.sdk import find_by_service

        return find_by_service(environ, tried)
    tried.append((HOSTED, "IDENTITY_ENDPOINT and MSI_ENDPOINT are not set"))
    from runner.backends.azure.instance_metadata import ManagedIdentityProvider

    provider = ManagedIdentityProvider(environ)
    if reason := provider.unavailable():
        tried.append((MACHINE, reason))
        return None
    return AzureToken(ChosenSource(MACHINE, tuple(tried), provider.expires_at), provider=provider)


def _by_obstore(kind: str, names: tuple[str, ...], environ: Mapping[str, str], source: ChosenSource) -> AzureToken:
    config = {name.removeprefix("AZURE_").lower(): environ[name] for name in names}  # obstore's names are the same
    return AzureToken(source, config | {"credential_type": kind, "authority_host": authority(environ)})


def _refuse(tried: list[tuple[Source, str]]) -> NoReturn:
    raise CredentialsRefused(f"no credentials for Azure found: {format_tried(tuple(tried))}", hint=_HINT)


def _unset(names: tuple[str, ...], environ: Mapping[str, str]) -> str:
    missing = [name for name in names if not environ.get(name)]
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set"
