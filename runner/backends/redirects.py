"""What is wrong where an endpoint does not answer as the storage would, and the authorities by which one is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import EnvironmentWrong

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from runner.backends.base import Storage

CONNECT_TIMEOUT_SECONDS = 3.0


def redirected_to(storage: Storage, key: str, certificates: str | None) -> str:
    """Return the host that an unsigned request is sent on to, where nobody knows the credentials; empty if none."""
    import http.client
    import ssl
    from urllib.parse import quote, urlsplit

    url = urlsplit(storage.endpoint)
    try:
        asked = http.client.HTTPConnection(url.netloc, timeout=CONNECT_TIMEOUT_SECONDS)
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=certificates)
            asked = http.client.HTTPSConnection(url.netloc, timeout=CONNECT_TIMEOUT_SECONDS, context=context)
        asked.request("HEAD", f"{url.path}/{storage.container}/{quote(key)}")
        found = urlsplit(asked.getresponse().getheader("Location", "")).netloc
        asked.close()
    except (OSError, http.client.HTTPException, ValueError):
        return ""
    return found if found != url.netloc else ""


def read_certificates(path: str) -> bytes:
    """Return the authorities of a file. Raises EnvironmentWrong."""
    from pathlib import Path

    try:
        return Path(path).read_bytes()
    except OSError as error:
        message = f"the certificates {path} cannot be read: {error.strerror}"
        raise EnvironmentWrong(message, hint="Correct AWS_CA_BUNDLE or SSL_CERT_FILE, or mount the file.") from error


def has_bucket(endpoint: str, bucket: str, config: Mapping[str, Any]) -> bool:
    """Return whether whoever wrote the endpoint took the bucket into it, which then is asked for inside itself."""
    from urllib.parse import urlsplit

    url = urlsplit(endpoint)
    is_in_host = (url.hostname or "").startswith(f"{bucket}.")
    is_virtual = str(config.get("virtual_hosted_style_request", "")).lower() == "true"
    return url.path.rpartition("/")[2] == bucket or (is_in_host and not is_virtual)
