"""The managed identity of a machine of Azure's, by its metadata service.

https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#get-a-token-using-http
"""

from __future__ import annotations

import http.client
import json
import time
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from runner.errors import CredentialsRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from obstore.store import AzureBearerToken

ADDRESS = "http://169.254.169.254"
CONNECT_TIMEOUT_SECONDS = 1.0  # as azure-identity's; elsewhere than on Azure nobody may answer at all
READ_TIMEOUT_SECONDS = 8.0
PAUSE_SECONDS = (0.5, 1.0, 2.0)  # before each of the next tries
_RETRIED_STATUSES = {
    HTTPStatus.NOT_FOUND,
    HTTPStatus.GONE,
    HTTPStatus.TOO_MANY_REQUESTS,
}  # while it is updated, or busy
_RESOURCE = "https://storage.azure.com"


class ManagedIdentityProvider:
    """A credential provider for obstore, with the machine's token, a new one whenever the last is about to expire.

    Args:
        environ: the environment; ``AZURE_CLIENT_ID`` chooses one of several identities.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        place = urlsplit(environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", ADDRESS).strip("/"))
        self._host, self._port = place.hostname or "", place.port
        query = {"api-version": "2018-02-01", "resource": _RESOURCE, "client_id": environ.get("AZURE_CLIENT_ID")}
        self._path = "/metadata/identity/oauth2/token?" + urlencode(
            {name: text for name, text in query.items() if text}
        )
        self._first: AzureBearerToken | None = None
        self._expiry: datetime | None = None

    def unavailable(self) -> str:
        """Return why there is no such identity, or an empty text; then the token is stored for the first use.

        Raises CredentialsRefused where azure-identity would not go on to the next source.
        """
        answer = self._request_token()
        if isinstance(answer, str):
            return answer
        self._first = answer
        return ""

    def _request_token(self) -> AzureBearerToken | str:
        """Return a token, or why there is none. Raises CredentialsRefused."""
        try:
            status, body = self._request()
        except (OSError, http.client.HTTPException) as error:
            return f"{self._host} does not answer ({error or type(error).__name__})"
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if status == HTTPStatus.OK and isinstance(answer, dict) and answer.get("access_token"):
            return self._parsed(answer)
        reason = str(answer.get("error_description") or answer.get("error")) if isinstance(answer, dict) else body
        if status == HTTPStatus.BAD_REQUEST or answer is None or "unreachable" in reason:
            return f"no identity is assigned ({status}: {reason[:200]})"
        message = f"the machine's identity service refused: {status}: {reason[:200]}"
        raise CredentialsRefused(message, hint="Assign the machine an identity, or choose it by AZURE_CLIENT_ID.")

    def expires_at(self) -> datetime | None:
        """Return when the last token expires."""
        return self._expiry

    def __call__(self) -> AzureBearerToken:
        """Return a token and its expiry. Raises CredentialsRefused."""
        token = self._first or self._request_token()
        self._first = None
        if isinstance(token, str):
            raise CredentialsRefused(f"the machine's identity gives no new token: {token}")
        return token

    def _parsed(self, answer: Mapping[str, Any]) -> AzureBearerToken:
        # by its age, not by `expires_on`: then a clock that is wrong does no harm
        self._expiry = datetime.now(UTC) + timedelta(seconds=int(answer.get("expires_in") or 0))
        return {"token": answer["access_token"], "expires_at": self._expiry}

    def _request(self) -> tuple[int, str]:
        for pause in PAUSE_SECONDS:
            status, body = self._request_once()
            if status not in _RETRIED_STATUSES and status < HTTPStatus.INTERNAL_SERVER_ERROR:
                return status, body
            time.sleep(pause)
        return self._request_once()

    def _request_once(self) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_TIMEOUT_SECONDS)
        try:
            connection.connect()
            connection.sock.settimeout(READ_TIMEOUT_SECONDS)
            connection.request("GET", self._path, headers={"Metadata": "true"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
