"""The identity of a machine of Azure's, asked of its metadata service.

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

ADDRESS = "http://169.254.169.254"
CONNECT_TIMEOUT = 1.0  # seconds, as azure-identity looks for it; elsewhere than on Azure nobody may answer at all
READ_TIMEOUT = 8.0
PAUSES = (0.5, 1.0, 2.0)  # before it is asked again, in seconds
_AGAIN = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.TOO_MANY_REQUESTS}  # while it is updated, or busy
_RESOURCE = "https://storage.azure.com"


class ManagedIdentityProvider:
    """Gives the machine's token to obstore, a new one whenever the last is about to end."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Take the environment: ``AZURE_CLIENT_ID`` chooses one of several identities."""
        place = urlsplit(environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", ADDRESS).strip("/"))
        self._host, self._port = place.hostname or "", place.port
        asked = {"api-version": "2018-02-01", "resource": _RESOURCE, "client_id": environ.get("AZURE_CLIENT_ID")}
        self._path = "/metadata/identity/oauth2/token?" + urlencode(
            {name: text for name, text in asked.items() if text}
        )
        self._first: dict[str, Any] | None = None
        self._until: datetime | None = None

    def unavailable(self) -> str:
        """Say why there is no such identity, and nothing if there is; the token is kept for the first use.

        Raises CredentialsRefused where azure-identity would not go on to the next source.
        """
        try:
            status, body = self._ask()
        except (OSError, http.client.HTTPException) as error:
            return f"{self._host} does not answer ({error or type(error).__name__})"
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if status == HTTPStatus.OK and isinstance(answer, dict) and answer.get("access_token"):
            self._first = self._kept(answer)
            return ""
        reason = str(answer.get("error_description") or answer.get("error")) if isinstance(answer, dict) else body
        if status == HTTPStatus.BAD_REQUEST or answer is None or "unreachable" in reason:
            return f"no identity is assigned ({status}: {reason[:200]})"
        message = f"the machine's identity service refused: {status}: {reason[:200]}"
        raise CredentialsRefused(message, hint="Assign the machine an identity, or choose it by AZURE_CLIENT_ID.")

    def expires_at(self) -> datetime | None:
        """Tell when the last token ends."""
        return self._until

    def __call__(self) -> dict[str, Any]:
        """Give a token and its end. Raises CredentialsRefused."""
        if not self._first and (said := self.unavailable()):
            raise CredentialsRefused(f"the machine's identity gives no new token: {said}")
        token, self._first = self._first, None
        return token or {}

    def _kept(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        # by its age, not by `expires_on`: then a clock that is wrong does no harm
        self._until = datetime.now(UTC) + timedelta(seconds=int(answer.get("expires_in") or 0))
        return {"token": answer["access_token"], "expires_at": self._until}

    def _ask(self) -> tuple[int, str]:
        for pause in PAUSES:
            status, body = self._ask_once()
            if status not in _AGAIN and status < HTTPStatus.INTERNAL_SERVER_ERROR:
                return status, body
            time.sleep(pause)
        return self._ask_once()

    def _ask_once(self) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_TIMEOUT)
        try:
            connection.connect()
            connection.sock.settimeout(READ_TIMEOUT)
            connection.request("GET", self._path, headers={"Metadata": "true"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
