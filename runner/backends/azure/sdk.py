"""What only azure-identity knows how to ask: certificates, services' identities, and the tools of developers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runner.backends.azure.sources import ENVIRONMENT, HOSTED, TOOLS, Token, authority
from runner.backends.credential_sources import Found, Source, format_tried
from runner.errors import CredentialsRefused, EnvironmentWrong, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Looked = list[tuple[Source, str]]

SCOPE = "https://storage.azure.com/.default"
MISSING = "azure-identity, which is not installed"
EXTRA = "Use org/runner:azure or pip install 'flow-runner[azure]'."
# The library's own would go on for minutes where a host is down.
_PATIENCE: dict[str, Any] = {"retry_total": 2, "retry_backoff_factor": 0.4, "connection_timeout": 3, "read_timeout": 30}


class SdkToken:
    """Gives the library's token to obstore, which asks again when the last is about to end."""

    def __init__(self, credential: Any) -> None:
        """Take the library's credential."""
        self._credential = credential
        self._until: datetime | None = None

    def expires_at(self) -> datetime | None:
        """Tell when the last token ends."""
        return self._until

    def __call__(self) -> dict[str, Any]:
        """Give a token and its end. Raises CredentialsRefused and Unreachable."""
        from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError

        try:
            token = self._credential.get_token(SCOPE)
        except (ServiceRequestError, ServiceResponseError) as error:
            raise Unreachable(f"Azure's token endpoint cannot be reached: {said(error)}") from error
        except (AzureError, ValueError, OSError) as error:
            raise CredentialsRefused(f"Azure gives no token: {said(error)}") from error
        self._until = datetime.fromtimestamp(token.expires_on, UTC)
        return {"token": token.token, "expires_at": self._until}


def ask_environment(environ: Mapping[str, str], looked: Looked) -> Token:
    """Take the certificate, else the password, that the environment names.

    They come from the mapping, for a password that stands in a file is in no variable of the process.
    """

    def make(identity: Any) -> Any:
        common = {"tenant_id": environ.get("AZURE_TENANT_ID"), "authority": authority(environ), **_PATIENCE}
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

    return _asked(ENVIRONMENT, make, looked)


def ask_service(environ: Mapping[str, str], looked: Looked) -> Token:
    """Ask for the identity of App Service, Arc and their like, then whatever comes after it."""
    if environ.get("AZURE_TOKEN_CREDENTIALS", "").strip().lower() == "managedidentitycredential":
        options = {"client_id": environ.get("AZURE_CLIENT_ID"), **_PATIENCE}
        return _asked(HOSTED, lambda identity: identity.ManagedIdentityCredential(**options), looked)
    return _asked(HOSTED, lambda identity: _chain(identity, environ), looked)


def ask_tools(environ: Mapping[str, str], looked: Looked) -> Token:
    """Ask the tools that a developer may be logged in with."""
    return _asked(TOOLS, lambda identity: _chain(identity, environ, exclude_managed_identity_credential=True), looked)


def _chain(identity: Any, environ: Mapping[str, str], **left_out: bool) -> Any:
    return identity.DefaultAzureCredential(
        authority=authority(environ),
        managed_identity_client_id=environ.get("AZURE_CLIENT_ID"),
        exclude_environment_credential=True,
        exclude_workload_identity_credential=True,
        **left_out,
        **_PATIENCE,
    )


def _asked(source: Source, make: Callable[[Any], Any], looked: Looked) -> Token:
    """Get the first token now: only then it is known which of several sources had one."""
    try:
        from azure import identity
    except ImportError as error:
        if source is TOOLS:
            looked.append((source, f"it needs {MISSING}"))
            raise CredentialsRefused(
                f"no credentials for Azure found: {format_tried(tuple(looked))}", hint=EXTRA
            ) from error
        raise EnvironmentWrong(f"{source.name} needs {MISSING}", hint=EXTRA) from error
    try:
        credential = make(identity)
        provider = SdkToken(credential)
        first = provider()
    except (CredentialsRefused, ValueError, OSError) as error:
        looked.append((source, said(error)))
        message = f"no credentials for Azure found: {format_tried(tuple(looked))}"
        raise CredentialsRefused(message, hint="Correct what was found, or log in with `az login`.") from error
    if source is HOSTED and "ManagedIdentity" not in _chosen(credential):
        looked.append((HOSTED, "no identity is assigned"))
        source = TOOLS
    kept = [first]
    return Token(Found(source, tuple(looked), provider.expires_at), provider=lambda: kept.pop() if kept else provider())


def _chosen(credential: Any) -> str:
    return type(getattr(credential, "_successful_credential", None) or credential).__name__


def said(error: BaseException) -> str:
    """Put the library's many lines, one for each source it asked, into one."""
    asked = re.findall(r"^\t(\w+: .+)$", str(error), re.MULTILINE)
    return "; ".join(line[:200] for line in asked) or str(error).partition("\n")[0][:300]
