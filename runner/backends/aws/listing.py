"""A page of a listing of S3: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from runner.backends.base import Entry
from runner.backends.listing_pages import Dialect, Page, text_of

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def _read(root: Element) -> Page:
    from urllib.parse import unquote_plus

    encoded = text_of(root, "EncodingType") == "url"  # else control characters could not stand in it

    def name(element: Element, tag: str) -> str:
        return unquote_plus(text_of(element, tag)) if encoded else text_of(element, tag)

    entries = [
        Entry(name(each, "Key"), int(text_of(each, "Size") or 0), _seconds(text_of(each, "LastModified")))
        for each in root.iterfind("{*}Contents")
    ]
    folders = [name(each, "Prefix") for each in root.iterfind("{*}CommonPrefixes")]
    return Page(entries, folders, text_of(root, "NextContinuationToken"))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


S3_PAGES = Dialect({"list-type": "2", "encoding-type": "url"}, "continuation-token", _read)
