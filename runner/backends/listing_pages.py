"""The pages of a listing as S3 and Azure send them, for what obstore cannot list.

One key that obstore cannot read stops all of its listing (https://github.com/developmentseed/obstore/issues/429), and
of a folder it tells nothing before it has come to an end. Where it has failed so, and only there, the pages are asked
for with the standard library, at an address that carries its signature.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from runner.backends.background import in_time
from runner.backends.errors import format_seconds, is_transient, make_error
from runner.backends.progress import Progress, goes_round
from runner.backends.retry import SLOWEST_ANSWER
from runner.errors import ReadFailed, TooSlow, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from xml.etree.ElementTree import Element

    from runner.backends.base import Entry, Storage

    # Of a query's names and values, makes the signed address of the page and the headers to send.
    Ask = Callable[[Mapping[str, str]], tuple[str, Mapping[str, str]]]

USUAL_PAGE = 1024 * 1024  # bytes: 1,000 names, and what is told of each
LARGEST_PAGE = 64 * 1024 * 1024  # bytes: 5,000 names of 1,024 characters, each of it escaped


class Page(NamedTuple):
    """What a page tells: objects, the full names of folders, and a token for the next page, empty for the last one."""

    entries: list[Entry]
    folders: list[str]
    token: str

    @property
    def objects(self) -> list[Entry]:
        """The entries without those with a slash at the end, which stand for folders."""
        return [entry for entry in self.entries if not entry.key.endswith("/")]


class Dialect(NamedTuple):
    """How a cloud is asked for a page: names and values that are always sent, the token's name, and how it is read."""

    always: Mapping[str, str]
    token: str
    read: Callable[[Element], Page]


class ListingPages:
    """Asks for the pages of a listing.

    Args:
        storage: what is listed.
        dialect: of its cloud.
        ask: signs.
        seconds: that an answer may take.
        certificates: the path of the authorities to trust instead of the system's, if there is one.
    """

    def __init__(
        self, storage: Storage, dialect: Dialect, ask: Ask, seconds: float, certificates: str | None = None
    ) -> None:
        self._storage, self._dialect, self._ask = storage, dialect, ask
        self._seconds, self._certificates = seconds, certificates

    def __call__(self, prefix: str, **kind: str) -> Iterator[Page]:
        """Yield the pages of what lies below a prefix; with a ``delimiter``, as folders. Raises as `Storage.read`."""
        progress, query = Progress(self._storage.url(prefix)), {**self._dialect.always, "prefix": prefix, **kind}
        while True:
            page = self._page(prefix, query)
            progress.saw([*(entry.key for entry in page.entries), *page.folders])
            yield page
            if not page.token:
                return
            if page.token == query.get(self._dialect.token):
                raise goes_round(self._storage.url(prefix))
            query[self._dialect.token] = page.token

    def _page(self, prefix: str, query: Mapping[str, str]) -> Page:
        from http.client import HTTPException
        from urllib.error import HTTPError
        from xml.etree.ElementTree import ParseError, fromstring

        began = time.monotonic()
        most = 2 * self._seconds + USUAL_PAGE / SLOWEST_ANSWER
        try:
            data = in_time(most, lambda: self._fetch(query))
            return self._dialect.read(fromstring(data))  # noqa: S314 - expat bounds what entities become
        except HTTPError as error:
            with error:
                body = error.read(LARGEST_PAGE // 1024).decode(errors="replace")
            told, may_pass = f"{error.code} {error.reason}", is_transient(error.code, body)
            raise make_error(ReadFailed, self._storage, "list", prefix, told, transient=may_pass) from error
        except TimeoutError as error:
            waited = format_seconds(time.monotonic() - began)
            raise make_error(TooSlow, self._storage, "list", prefix, waited) from error
        except HTTPException as error:
            raise make_error(ReadFailed, self._storage, "list", prefix, repr(error)) from error
        except OSError as error:
            raise make_error(Unreachable, self._storage, "list", prefix, error) from error
        except (ParseError, ValueError, AttributeError) as error:
            detail = f"a page of the listing is not to be read: {error}"
            raise make_error(ReadFailed, self._storage, "list", prefix, detail, transient=False) from error

    def _fetch(self, query: Mapping[str, str]) -> bytes:
        import ssl
        from urllib.request import Request, urlopen

        address, headers = self._ask(query)
        context = ssl.create_default_context(cafile=self._certificates)
        request = Request(address, headers=dict(headers))  # noqa: S310 - the scheme is the endpoint's
        with urlopen(request, timeout=self._seconds, context=context) as answer:  # noqa: S310 - as above
            data: bytes = answer.read(LARGEST_PAGE + 1)
        if len(data) > LARGEST_PAGE:
            raise ValueError(f"it is larger than {LARGEST_PAGE:,} bytes")
        return data


def text_of(element: Element, path: str) -> str:
    """Return the text of what lies at a path below an element, whatever its namespace; empty if there is none."""
    found = element.find("/".join(f"{{*}}{name}" for name in path.split("/")))
    return (found.text or "") if found is not None else ""
