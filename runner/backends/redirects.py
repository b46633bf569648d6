"""What is wrong where an endpoint does not answer as the storage would, and the authorities by which one is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.backends.errors import elsewhere
from runner.errors import CredentialsRefused, EnvironmentWrong, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from runner.backends.base import Storage
    from runner.errors import RunnerError

CONNECT_TIMEOUT_SECONDS = 3.0


def with_endpoint_seen(
    error: RunnerError,
    storage: Storage,
    what: str,
    key: str,
    config: Mapping[str, Any],
    certificates: str | None,
    *,
    is_new: bool,
) -> RunnerError:
    """Return the error of a request, or what is wrong with the endpoint if that explains it.

    ``config`` is obstore's, ``certificates`` the path of the authorities to trust instead of the system's, and
    ``is_new`` says that nothing has answered yet as the storage would. ``what`` and ``key`` are as in `make_error`.
    """
    if isinstance(error, NotFound) and has_bucket(storage.endpoint, storage.container, config):
        error.hint = f"The endpoint {storage.endpoint} has {storage.container} in it, which the location adds."
    if isinstance(error, CredentialsRefused) and is_new and (host := redirected_to(storage, key, certificates)):
        return elsewhere(storage, what, key, f"it is redirected to {host}")
    return error


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
