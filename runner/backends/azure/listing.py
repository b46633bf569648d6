"""A page of a listing of Azure: https://learn.microsoft.com/rest/api/storageservices/list-blobs."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from runner.backends.base import Entry
from runner.backends.listing_pages import Dialect, Page, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from runner.backends.azure.credentials import AzureAccess
    from runner.backends.listing_pages import Ask

_VERSION = "2023-11-03"
_VALID = timedelta(minutes=15)


def asking(access: AzureAccess, container: str) -> Ask:
    """Return what makes the address and the headers of a page, by the keys or tokens that ``access`` provides."""
    from urllib.parse import quote, urlencode

    def ask(query: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        given: Mapping[str, Any] = access.provider() if access.provider else {}
        address = f"{access.endpoint}/{container}?{urlencode(query, quote_via=quote)}"
        headers = {"x-ms-version": _VERSION}
        if token := given.get("token"):
            return address, headers | {"Authorization": f"Bearer {token}"}
        sas = given.get("sas_token") or urlencode(
            _signed(access.account, container, given["access_key"]), quote_via=quote
        )
        return f"{address}&{sas}", headers

    return ask


def _signed(account: str, container: str, key: str) -> dict[str, str]:
    """Return a SAS that may list a container, and nothing else.

    https://learn.microsoft.com/rest/api/storageservices/create-service-sas#version-2020-12-06-and-later
    """
    end = (datetime.now(UTC) + _VALID).strftime("%Y-%m-%dT%H:%M:%SZ")
    resource = f"/blob/{account}/{container}"
    text = f"l\n\n{end}\n{resource}\n\n\n\n{_VERSION}\nc\n\n\n\n\n\n\n"
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return {"sp": "l", "se": end, "sv": _VERSION, "sr": "c", "sig": base64.b64encode(digest).decode()}


def _read(root: Element) -> Page:
    entries = [
        Entry(_name(each), int(text_of(each, "Properties/Content-Length") or 0), _modified(each))
        for each in root.iterfind("Blobs/Blob")
    ]
    folders = [_name(each) for each in root.iterfind("Blobs/BlobPrefix")]
    return Page(entries, folders, text_of(root, "NextMarker"))


def _name(element: Element) -> str:
    """Return a name, which is encoded where it has what cannot stand in XML."""
    from urllib.parse import unquote

    found = element.find("Name")
    text = (found.text or "") if found is not None else ""
    return unquote(text) if found is not None and found.get("Encoded") == "true" else text


def _modified(element: Element) -> float:
    from email.utils import parsedate_to_datetime

    text = text_of(element, "Properties/Last-Modified")
    return parsedate_to_datetime(text).timestamp() if text else 0.0


AZURE_PAGES = Dialect({"restype": "container", "comp": "list"}, "marker", _read)
