"""S3 and Azure through obstore: the bytes, the retries, and what an answer means."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore import exceptions

from runner.backends.background import in_time, take_longer
from runner.backends.base import CACHE_CONTROL, Entry, Storage
from runner.backends.errors import elsewhere, first_line, format_seconds, make_error
from runner.backends.object_store_errors import error_for_response, stops_listing
from runner.backends.pieces import CHUNK, Writer
from runner.backends.retry import ANSWER_SECONDS, LISTING_SECONDS, PART_SHARE, SLOWEST_ANSWER, START_SECONDS
from runner.errors import (
    CredentialsRefused,
    Denied,
    EnvironmentWrong,
    NotFound,
    ReadFailed,
    RunnerError,
    TooSlow,
    WriteFailed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from obstore.store import BackoffConfig, ClientConfig, RetryConfig

    from runner.backends.connection import Connection
    from runner.backends.credential_sources import ChosenSource
    from runner.backends.listing_pages import Page
    from runner.backends.object_store_errors import Refusal

T = TypeVar("T")
# Requests are tried again by `Storage`; only the parts of an upload, which nobody else could send again, by obstore.
NO_RETRIES: RetryConfig = {"max_retries": 0}
MANY = 1000  # tries: time alone ends them
BACKOFF: BackoffConfig = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2}
CONNECT_TIMEOUT_SECONDS = 3.0
UPLOAD_SECONDS = 30.0  # that an answer may take after a large body was sent, at this speed at the least
SLOWEST_UPLOAD = 100_000  # bytes a second
PAGE = 1000  # objects, of S3's listings
NOT_KEPT: dict[Any, str] = {"Cache-Control": CACHE_CONTROL}
PIECE = 1024 * 1024  # bytes read at a time: larger ones leave holes in the heap, twice as large as what is held
PARTS_AT_ONCE = 3  # of an upload, each `CHUNK` bytes of memory
_WRONG_REGION = r"AuthorizationHeaderMalformed|PermanentRedirect|IllegalLocationConstraint|Received redirect"
# Of a create: it has a header of which the storage knows nothing.
_NOT_KNOWN = r"(?s)status code: 501 |<Code>NotImplemented<|status code: 400 .*If-None-Match"
_NO_RANGE = r"status code: 416 |^Generic \w+ error: Wanted range starting at"


class ObjectStorage(Storage):
    """See `Storage`.

    Args:
        scheme: of its URLs.
        bucket: its name.
        connection: how it is reached.
        refusal: recognises the cloud's own words for what it refuses; see `error_for_response`.
        patience: see `open_storage`.
        credential_source: see `Storage`.
        certificates: the path of the authorities to trust instead of the system's, if there is one.
        place: the place to try first.
        relocated: returns the place where the bucket really lies, by what an answer says, or None.
        renew: returns another connection, with credentials that were looked for anew.
    """

    retry_seconds, batch = START_SECONDS, 250

    def __init__(  # noqa: PLR0913 - what a bucket of either cloud has
        self,
        scheme: str,
        bucket: str,
        connection: Connection,
        refusal: Refusal,
        *,
        patience: float | None,
        credential_source: ChosenSource,
        certificates: str | None = None,
        place: str = "",
        relocated: Callable[[str], str | None] = lambda _reason: None,
        renew: Callable[[], Connection],
    ) -> None:
        super().__init__(scheme, bucket, patience=patience, credential_source=credential_source)
        self._connection, self._refusal, self._place, self._relocated = connection, refusal, place, relocated
        self._renew = renew
        self._options: ClientConfig = {"allow_http": True}  # only an endpoint that the user wrote is asked so
        self._certificates = certificates
        if certificates:
            from runner.backends.redirects import read_certificates

            self._options["root_certificate"] = read_certificates(certificates)
        self._stores: dict[float, Any] = {}  # by the seconds that they wait for an answer
        self._opened = 0  # how often all of them were opened anew
        self._store_now()
        self._uploads: tuple[tuple[int, float], Any] | None = None  # opened with the first one
        self._answered = False  # whether an answer of the bucket has shown that this is its place

    @property
    def endpoint(self) -> str:
        """See `Storage.endpoint`."""
        config = self._store_now().config  # S3 has an endpoint of its own beside that of all of AWS
        return str(config.get("endpoint_url_s3") or config.get("endpoint") or "").rstrip("/")

    def _store_now(self) -> Any:
        """Return the store that waits for an answer as long as one may take now."""
        seconds = self.answer_seconds
        if seconds not in self._stores:
            whole = timedelta(days=1) if self.patience is None else timedelta(seconds=seconds)
            connect_within = CONNECT_TIMEOUT_SECONDS if self.patience is None else seconds * 2 / 3
            self._stores[seconds] = self._open(NO_RETRIES, seconds, timeout=whole, connect=connect_within)
        return self._stores[seconds]

    def _open(
        self,
        retries: RetryConfig,
        seconds: float,
        *,
        timeout: timedelta = timedelta(days=1),  # obstore's own is 30 s for a whole body, too short for 1 GB
        connect: float = CONNECT_TIMEOUT_SECONDS,
    ) -> Any:
        options: ClientConfig = self._options | {
            "connect_timeout": timedelta(seconds=min(connect, CONNECT_TIMEOUT_SECONDS)),
            "timeout": timeout,
            "read_timeout": timedelta(seconds=seconds),
        }
        try:
            with self._no_panic():
                return self._connection.connect(self._place, options, retries)
        except (exceptions.BaseError, ValueError) as error:
            message = f"the settings for {self.url('')} are not valid: {str(error).splitlines()[0]}"
            raise EnvironmentWrong(message, hint="Correct the variables of this storage.") from error

    @contextmanager
    def _no_panic(self) -> Iterator[None]:
        """Raise an error for a panic of obstore's, which is no Exception: of settings, or what the kernel refuses."""
        try:
            yield
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            from runner.cgroup import process_limit_error

            if refused := process_limit_error(error):
                raise refused from None
            message = f"obstore panics with the settings for {self.url('')}: {first_line(error)}"
            raise EnvironmentWrong(message, hint="Look at the name, and at the variables of this storage.") from None

    def _open_anew(self) -> None:
        self._stores, self._opened = {}, self._opened + 1

    def _renew_credentials(self) -> None:
        self._connection = self._renew()
        self._open_anew()

    def _request(self, what: str, key: str, call: Callable[[Any], T], most: float | None = None) -> T:
        """Make one call, once more if the bucket turns out to lie elsewhere, and raise our errors for obstore's.

        After ``most`` seconds it is given up, whatever comes: obstore itself waits as long as some byte does.
        """
        store, opened, patience, began = self._store_now(), self._opened, self.answer_seconds, time.monotonic()
        with self.timed():
            try:
                with self._no_panic():
                    answer = call(store) if most is None else in_time(most, lambda: call(store))
            except TimeoutError as error:
                if what == "list":
                    from runner.backends.progress import goes_round

                    raise goes_round(self.url(key)) from error
                raise make_error(TooSlow, self, what, key, format_seconds(time.monotonic() - began)) from error
            except (exceptions.BaseError, OSError, ValueError) as error:
                if self._moved(opened, str(error)):
                    return self._request(what, key, call, most)
                waited = time.monotonic() - began
                meant = error_for_response(
                    error, self, what, key, waited=waited, patience=patience, refusal=self._refusal
                )
                if isinstance(meant, NotFound | CredentialsRefused):
                    from runner.backends.redirects import with_endpoint_seen

                    config, certificates = self._store_now().config, self._certificates
                    meant = with_endpoint_seen(meant, self, what, key, config, certificates, is_new=not self._answered)
                raise meant from error
        self._answered = True
        return answer

    def _moved(self, opened: int, reason: str) -> bool:
        """Return whether the bucket turned out to be in another region (found by this or another thread)."""
        if re.search(_WRONG_REGION, reason) and (place := self._relocated(reason)) and place != self._place:
            self._place = place
            self._open_anew()
        return self._opened != opened

    def _store_for(self, size: int) -> Any:
        """Return a store that waits long enough for a body of so many bytes to be sent."""
        if size <= ANSWER_SECONDS * SLOWEST_UPLOAD:
            return self._store_now()
        return self._open(NO_RETRIES, UPLOAD_SECONDS + size / SLOWEST_UPLOAD)

    def _store_of_uploads(self) -> Any:
        """Return a store that sends a part again as long as failures are borne."""
        state = (self._opened, self.retry_seconds)
        if self._uploads is None or self._uploads[0] != state:
            borne = timedelta(seconds=self.retry_seconds * PART_SHARE)
            retries: RetryConfig = {"max_retries": MANY, "retry_timeout": borne, "backoff": BACKOFF}
            wait = UPLOAD_SECONDS + PARTS_AT_ONCE * CHUNK / SLOWEST_UPLOAD
            self._uploads = (state, self._open(retries, wait))
        return self._uploads[1]

    def _stream(self, key: str, offset: int, length: int | None, limit: int | None = None) -> Iterator[bytes]:
        if length == 0:
            return
        window: Any = {"offset": offset} if length is None else (offset, offset + length)
        options: Any = {"range": window} if offset or length else None

        def ask(store: Any) -> tuple[Any, Any]:
            """Return the answer, and what is in it if that is short: each step has a thread of its own."""
            found = obstore.get(store, key, options=options)
            first, end = found.range
            if end - first > PIECE or (limit is not None and found.meta["size"] > limit):
                return found, None
            take_longer((end - first) / SLOWEST_ANSWER)
            return found, found.bytes()

        try:
            found, whole = self._request("read", key, ask, self._most(0))
        except RunnerError as error:
            if options and re.search(_NO_RANGE, str(error.__cause__)):
                return
            raise
        if found.meta["e_tag"] is None and str(found.attributes.get("Content-Type", "")).startswith("text/html"):
            raise elsewhere(self, "read", key)
        self.check_size(key, found.meta["size"], limit)
        if whole is not None:
            if whole:
                yield bytes(whole)
            return
        chunks = iter(found.stream(min_chunk_size=PIECE))
        first, end = found.range
        left = end - first
        while chunk := self._request("read", key, lambda _store: next(chunks, None), self._most(min(left, PIECE))):
            left -= len(chunk)
            yield bytes(chunk)

    def _read_changed(self, key: str, tag: str, limit: int) -> tuple[bytes, str] | None:
        def ask(store: Any) -> Any:
            with suppress(exceptions.NotModifiedError):
                return obstore.get(store, key, options={"if_none_match": tag} if tag else None)

        if (found := self._request("read", key, ask, self._most(0))) is None:
            return None
        self.check_size(key, found.meta["size"], limit)
        data = self._request("read", key, lambda _store: found.bytes(), self._most(found.meta["size"]))
        return bytes(data), found.meta["e_tag"] or ""

    def _most(self, size: int) -> float | None:
        """Return the seconds after which an answer with so many bytes is given up; None where obstore does so."""
        return None if self.patience else 2 * self.answer_seconds + size / SLOWEST_ANSWER

    def _create(self, key: str, data: bytes) -> None:
        def put(_store: object) -> object:
            return obstore.put(self._store_for(len(data)), key, data, mode="create")

        try:
            self._request("write", key, put)
        except WriteFailed as error:
            if not re.search(_NOT_KNOWN, str(error.__cause__)):
                raise
            hint = "Use a storage that knows conditional writes (S3: If-None-Match), on which every claim rests."
            raise EnvironmentWrong(error.message, hint=hint) from error.__cause__

    def _replace(self, key: str, data: bytes, media_type: str = "") -> None:
        def put(_store: object) -> object:
            attributes = NOT_KEPT | ({"Content-Type": media_type} if media_type else {})
            store = self._store_for(len(data))
            return obstore.put(store, key, data, mode="overwrite", use_multipart=False, attributes=attributes)

        self._request("write", key, put)

    @contextmanager
    def _writer(self, key: str) -> Iterator[Writer]:
        if not self._answered:  # a part that was sent to the wrong place cannot be taken back
            with suppress(NotFound, Denied):
                for _ in self._stream(key, 0, 1):
                    pass
        with self._no_panic():
            upload = obstore.open_writer(
                self._store_of_uploads(), key, buffer_size=CHUNK, max_concurrency=PARTS_AT_ONCE
            )
        yield Writer(lambda part: self._request("write", key, lambda _store: upload.write(part)))
        self._request("write", key, lambda _store: upload.close())  # without it nothing is there

    def _delete(self, key: str) -> None:
        self._request("delete", key, lambda store: obstore.delete(store, key))

    def _delete_batch(self, keys: Sequence[str]) -> None:
        """See `Storage.delete_all`; where one cannot be removed, or is not there, each is asked for by itself."""
        try:
            self.persistently(lambda: self._request("delete", keys[0], lambda store: obstore.delete(store, keys)))
        except RunnerError as error:
            if error.transient:
                raise
            super()._delete_batch(keys)

    @property
    def _most_for_listing(self) -> float:
        """Seconds after which a call of obstore's that lists is given up: it may ask for any number of pages."""
        return min(LISTING_SECONDS, self.patience or LISTING_SECONDS)

    def _list_recursive(self, prefix: str) -> Iterator[Entry]:
        folder = prefix.rstrip("/") or None

        def begin(store: Any) -> tuple[Any, Any]:
            pages = obstore.list(store, folder, chunk_size=PAGE)
            return pages, next(pages, None)  # the first page is the first request

        most = self._most_for_listing
        try:
            pages, page = self._request("list", prefix, begin, most)
            if not page:  # an error that is answered with 200 reads like an empty listing
                pages, page = self._request("list", prefix, begin, most)
            count, last = 0, ""
            while page:
                count, last = count + len(page), max(last, *(meta["path"] for meta in page))
                yield from self._entries(prefix, page)
                page = self._request("list", prefix, lambda _store: next(pages, None), most)
            self._check_end(prefix, count, last)
        except RunnerError as error:
            for each in self._pages_instead(error, prefix):
                yield from each.objects

    def _list_folder(self, prefix: str) -> tuple[list[str], list[Entry]]:
        try:
            names, entries = self._list_by_obstore(prefix)
        except RunnerError as error:
            names, entries = set(), []
            for page in self._pages_instead(error, prefix, delimiter="/"):
                entries += page.objects
                names |= {name.removeprefix(prefix).removesuffix("/") for name in page.folders}
        return sorted(names), sorted(self._told_once(prefix, entries), key=lambda entry: entry.key)

    def _list_by_obstore(self, prefix: str) -> tuple[set[str], list[Entry]]:
        folder = prefix.rstrip("/") or None

        def ask(store: Any) -> Any:
            return obstore.list_with_delimiter(store, folder)

        found = self._request("list", prefix, ask, self._most_for_listing)
        if not found["objects"] and not found["common_prefixes"]:  # see `_list_recursive`
            found = self._request("list", prefix, ask, self._most_for_listing)
        # what lies in a folder comes before its name with the character after the slash
        told = [*(meta["path"] for meta in found["objects"]), *(f"{path}0" for path in found["common_prefixes"])]
        self._check_end(prefix, len(told), max(told, default=""))
        names = {path.rsplit("/", 1)[-1] for path in found["common_prefixes"]}
        return names, list(self._entries(prefix, found["objects"]))

    def _pages_instead(self, error: RunnerError, prefix: str, **kind: str) -> Iterator[Page]:
        """Yield the pages of a listing that obstore gave up for a key, or did not end; other errors are raised."""
        known = self._connection.pages(self._place) if stops_listing(error) else None
        if known is None:
            raise error
        from runner.backends.listing_pages import ListingPages

        yield from ListingPages(self, *known, self.answer_seconds, self._certificates)(prefix, **kind)

    def _check_end(self, prefix: str, count: int, last: str) -> None:
        """Refuse a listing that ended with a full page, and behind whose last key there is more. Raises ReadFailed.

        Some servers that speak S3 say that there is a next page, and not how to ask for it, which obstore does not see.
        """
        if not count or count % PAGE:
            return
        folder, most = prefix.rstrip("/") or None, self._most_for_listing
        if self._request("list", prefix, lambda store: next(obstore.list(store, folder, offset=last), None), most):
            hint = "Ask the provider: it does not tell how to go on after a page."
            raise make_error(ReadFailed, self, "list", prefix, "the listing was cut off", hint=hint, transient=False)

    def _entries(self, prefix: str, found: Any) -> Iterator[Entry]:
        """Leave out folder markers: obstore takes the slash off, and only a request tells them from empty objects."""
        for meta in found:
            key, size = meta["path"], meta["size"]
            if key.startswith(prefix) and (size or self._is_there(key)):
                yield Entry(key, size, meta["last_modified"].timestamp())

    def _is_there(self, key: str) -> bool:
        try:
            self._request("read", key, lambda store: obstore.head(store, key), self._most(0))
        except NotFound:
            return False
        except Denied:
            pass
        return True
