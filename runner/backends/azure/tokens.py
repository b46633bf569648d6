"""A token for an Azure account, as ``DefaultAzureCredential`` finds one, and in its order.

https://learn.microsoft.com/python/api/azure-identity/azure.identity.defaultazurecredential. A client secret and a
workload identity are obstore's to exchange, an identity of the machine is asked for here: all without azure-identity,
and only where it would take that very source. Everything else is asked of azure-identity itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from runner.backends.azure.sources import CLIENT_SECRET, ENVIRONMENT, HOSTED, MACHINE, WORKLOAD, Token, authority
from runner.backends.credential_sources import Found, Source, format_tried
from runner.errors import CredentialsRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

_HINT = "Give the pod or machine an identity, or set AZURE_STORAGE_CONNECTION_STRING."
_ARC = "/opt/azcmagent/bin/himds"  # where azure-identity sees that this machine is Azure Arc's


def find_token(environ: Mapping[str, str], looked: list[tuple[Source, str]]) -> Token:
    """Find what signs; ``looked`` is what earlier sources said. Raises CredentialsRefused, EnvironmentWrong."""
    # https://learn.microsoft.com/azure/developer/python/sdk/authentication/credential-chains: one of them, or a half
    only = environ.get("AZURE_TOKEN_CREDENTIALS", "").strip().lower()
    if only in {"", "prod", "environmentcredential"} and (token := _of_environment(environ, looked)):
        return token
    if only in {"", "prod", "workloadidentitycredential"} and (token := _of_workload(environ, looked)):
        return token
    machine = only in {"", "prod", "managedidentitycredential"}
    if machine and (token := _of_machine(environ, looked)):
        return token
    if only in {"prod", "environmentcredential", "workloadidentitycredential", "managedidentitycredential"}:
        _nothing(looked)
    from runner.backends.azure.sdk import ask_tools

    return ask_tools(environ, looked)


def _of_environment(environ: Mapping[str, str], looked: list[tuple[Source, str]]) -> Token | None:
    names = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
    if all(name in environ for name in names):
        if empty := [name for name in names if not environ[name]]:
            raise CredentialsRefused(f"{empty[0]} is set, and empty", hint="Give it its value, or unset it.")
        return _by_obstore("client_secret", names, environ, Found(CLIENT_SECRET, tuple(looked)))
    looked.append((CLIENT_SECRET, _unset(names, environ)))
    certificate = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_CERTIFICATE_PATH")
    password = ("AZURE_CLIENT_ID", "AZURE_USERNAME", "AZURE_PASSWORD")
    if any(all(name in environ for name in needed) for needed in (certificate, password)):
        from runner.backends.azure.sdk import ask_environment

        return ask_environment(environ, looked)
    looked.append((ENVIRONMENT, "neither is set"))
    return None


def _of_workload(environ: Mapping[str, str], looked: list[tuple[Source, str]]) -> Token | None:
    from pathlib import Path

    names = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE")
    if not all(environ.get(name) for name in names):
        looked.append((WORKLOAD, _unset(names, environ)))
        return None
    if not Path(environ[names[2]]).is_file():
        # azure-identity ends here as well: what names a file means it
        message = f"AZURE_FEDERATED_TOKEN_FILE is {environ[names[2]]}, and there is no such file"
        raise CredentialsRefused(message, hint="Let the pod's service account be mounted, or unset the variable.")
    return _by_obstore("workload_identity", names, environ, Found(WORKLOAD, tuple(looked)))


def _of_machine(environ: Mapping[str, str], looked: list[tuple[Source, str]]) -> Token | None:
    from pathlib import Path

    if not (environ.get("IDENTITY_ENDPOINT") or environ.get("MSI_ENDPOINT")) and all(
        environ.get(name) for name in ("AZURE_AUTHORITY_HOST", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")
    ):
        # azure-identity takes a workload's identity for a managed one, and without AZURE_CLIENT_ID it ends here
        asked = any(source is WORKLOAD for source, _ in looked)
        return (None if asked else _of_workload(environ, looked)) or _nothing(looked)
    if environ.get("IDENTITY_ENDPOINT") or environ.get("MSI_ENDPOINT") or Path(_ARC).exists():
        from runner.backends.azure.sdk import ask_service

        return ask_service(environ, looked)
    looked.append((HOSTED, "IDENTITY_ENDPOINT and MSI_ENDPOINT are not set"))
    from runner.backends.azure.instance_metadata import ManagedIdentityProvider

    provider = ManagedIdentityProvider(environ)
    if said := provider.unavailable():
        looked.append((MACHINE, said))
        return None
    return Token(Found(MACHINE, tuple(looked), provider.expires_at), provider=provider)


def _by_obstore(kind: str, names: tuple[str, ...], environ: Mapping[str, str], found: Found) -> Token:
    config = {name.removeprefix("AZURE_").lower(): environ[name] for name in names}  # obstore's names are the same
    return Token(found, config | {"credential_type": kind, "authority_host": authority(environ)})


def _nothing(looked: list[tuple[Source, str]]) -> NoReturn:
    raise CredentialsRefused(f"no credentials for Azure found: {format_tried(tuple(looked))}", hint=_HINT)


def _unset(names: tuple[str, ...], environ: Mapping[str, str]) -> str:
    missing = [name for name in names if not environ.get(name)]
    return f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set"
