"""Whether something else stands in a storage's place, which sends every request on to another host."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
