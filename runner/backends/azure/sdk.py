"""Tokens that only azure-identity knows how to get: by certificates, services' identities, and developers' tools."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runner.backends.azure.sources import ENVIRONMENT, HOSTED, TOOLS, AzureToken, authority
from runner.backends.credential_sources import ChosenSource, Source, format_tried
from runner.backends.errors import first_line
from runner.errors import CredentialsRefused, EnvironmentWrong, Unreachable
from runner.images import image_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from obstore.store import AzureBearerToken

SCOPE = "https://storage.azure.com/.default"
MISSING = "azure-identity, which is not installed"
EXTRA = f"Use {image_of('azure')} or pip install 'flow-runner[azure]'."
# The library's own would go on for minutes where a host is down.
_RETRIES = {"retry_total": 2, "retry_backoff_factor": 0.4, "connection_timeout": 3, "read_timeout": 30}


class SdkTokenProvider:
    """A credential provider for obstore, called for a new token of the library's when the last is about to expire."""

    def __init__(self, credential: Any) -> None:
        self._credential = credential
        self._expiry: datetime | None = None

    def expires_at(self) -> datetime | None:
        """Return when the last token expires."""
        return self._expiry

    def __call__(self) -> AzureBearerToken:
        """Return a token and its expiry. Raises CredentialsRefused and Unreachable."""
        from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError

        try:
            token = self._credential.get_token(SCOPE)
        except (ServiceRequestError, ServiceResponseError) as error:
            raise Unreachable(f"Azure's token endpoint cannot be reached: {_describe(error)}") from error
        except (AzureError, ValueError, OSError) as error:
            raise CredentialsRefused(f"Azure gives no token: {_describe(error)}") from error
        self._expiry = datetime.fromtimestamp(token.expires_on, UTC)
        return {"token": token.token, "expires_at": self._expiry}


def find_in_environment(environ: Mapping[str, str], tried: list[tuple[Source, str]]) -> AzureToken:
    """Return a token by the certificate, else the password, that the environment names.

    They come from the mapping, for a password that stands in a file is in no variable of the process.
    """

    def make(identity: Any) -> Any:
        common = {"tenant_id": environ.get("AZURE_TENANT_ID"), "authority": authority(environ), **_RETRIES}
        if "AZURE_TENANT_ID" in environ and "AZURE_CLIENT_CERTIFICATE_PATH" in environ:
            return identity.CertificateCredential(
                client_id=environ["AZURE_CLIENT_ID"],
                certificate_path=environ["AZURE_CLIENT_CERTIFICATE_PATH"],
                password=environ.get("AZURE_CLIENT_CERTIFICATE_PASSWORD"),
                send_certificate_chain=bool(environ.get("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN")),
                **common,
            )
        return identity.UsernamePasswordCredential(
            client_id=environ["AZURE_CLIENT_ID"],
            username=environ["AZURE_USERNAME"],
            password=environ["AZURE_PASSWORD"],
            _silence_deprecation_warning=True,
            **common,
        )

    return _get_token(ENVIRONMENT, make, tried)


def find_by_service(environ: Mapping[str, str], tried: list[tuple[Source, str]]) -> AzureToken:
    """Return a token by the identity of App Service, Arc and their like, else by whatever comes after it."""
    if environ.get("AZURE_TOKEN_CREDENTIALS", "").strip().lower() == "managedidentitycredential":
        options = {"client_id": environ.get("AZURE_CLIENT_ID"), **_RETRIES}
        return _get_token(HOSTED, lambda identity: identity.ManagedIdentityCredential(**options), tried)
    return _get_token(HOSTED, lambda identity: _chain(identity, environ), tried)


def find_by_tools(environ: Mapping[str, str], tried: list[tuple[Source, str]]) -> AzureToken:
    """Return a token of the tools that a developer may be logged in with."""
    return _get_token(
        TOOLS, lambda identity: _chain(identity, environ, exclude_managed_identity_credential=True), tried
    )


def _chain(identity: Any, environ: Mapping[str, str], **left_out: bool) -> Any:
    return identity.DefaultAzureCredential(
        authority=authority(environ),
        managed_identity_client_id=environ.get("AZURE_CLIENT_ID"),
        exclude_environment_credential=True,
        exclude_workload_identity_credential=True,
        **left_out,
        **_RETRIES,
    )


def _get_token(source: Source, make: Callable[[Any], Any], tried: list[tuple[Source, str]]) -> AzureToken:
    """Get the first token now: only then is it known which of several sources has one."""
    try:
        from azure import identity
    except ImportError as error:
        if source is TOOLS:
            tried.append((source, f"it needs {MISSING}"))
            raise CredentialsRefused(
                f"no credentials for Azure found: {format_tried(tuple(tried))}", hint=EXTRA
            ) from error
        raise EnvironmentWrong(f"{source.name} needs {MISSING}", hint=EXTRA) from error
    try:
        credential = make(identity)
        provider = SdkTokenProvider(credential)
        first = provider()
    except (CredentialsRefused, ValueError, OSError) as error:
        tried.append((source, _describe(error)))
        message = f"no credentials for Azure found: {format_tried(tuple(tried))}"
        raise CredentialsRefused(message, hint="Correct what was found, or log in with `az login`.") from error
    if source is HOSTED and "ManagedIdentity" not in _chosen(credential):
        tried.append((HOSTED, "no identity is assigned"))
        source = TOOLS
    unused = [first]
    chosen = ChosenSource(source, tuple(tried), provider.expires_at)
    return AzureToken(chosen, provider=lambda: unused.pop() if unused else provider())


def _chosen(credential: Any) -> str:
    return type(getattr(credential, "_successful_credential", None) or credential).__name__


def _describe(error: BaseException) -> str:
    """Return in one line what the library says, which has a line for each source that it tried."""
    lines = re.findall(r"^\t(\w+: .+)$", str(error), re.MULTILINE)
    return "; ".join(line[:200] for line in lines) or first_line(error)
