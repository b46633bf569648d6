"""``RunStore``: the documents of one run in its storage. Whoever reads or writes one does it here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from runner import naming
from runner.errors import BundleCorrupt, Denied, NotFound, TooLarge, Untrusted, WriteFailed
from runner.limits import MOST_PARTS, limit_of, parts_in
from runner.runs.documents import FORMAT, concludes, decode, encode, is_own
from runner.runs.layout import SIGNATURE, RunLayout, RunPlace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from runner.backends.base import Storage
    from runner.runs.documents import Kind
    from runner.runs.layout import Claim
    from runner.schema.documents import (
        CancelDocument,
        ClaimDocument,
        EndDocument,
        HandleDocument,
        LaunchDocument,
        LaunchEnd,
        RunRequest,
    )
    from runner.schema.progress import Heartbeat, HeartbeatNews
    from runner.settings import Settings
    from runner.signing.run_signatures import RunSigner


class RunStore:
    """One run in its storage, and the one reader of its documents.

    A document that is read is whole and of its kind, or BundleCorrupt is raised; None means that there is none. It is
    read once: who asks again gets the same, whatever lies there by then. With a ``signer`` ends and results are signed,
    or believed only if they are; with a ``secret`` an end of this start is known by its token.
    """

    def __init__(
        self, storage: Storage, layout: RunLayout, signer: RunSigner | None = None, secret: bytes = b""
    ) -> None:
        self.storage, self.layout, self.signer, self.secret = storage, layout, signer, secret
        self._known: dict[str, Any] = {}  # documents that were read and believed, by key

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.layout.run_id

    @property
    def url(self) -> str:
        """The URL of the run's folder."""
        return self.storage.url(self.layout.prefix)

    @property
    def place(self) -> RunPlace:
        """Where the run lies, for another process."""
        return RunPlace(self.storage.scheme, self.storage.container, self.layout.home, self.run_id)

    @property
    def demands_signatures(self) -> bool:
        """Whether ends and results of this run are believed only if a trusted key signed them."""
        return self.signer is not None and bool(self.signer.trusted_keys)

    @property
    def believes_own(self) -> bool:
        """Whether what this process writes is believed where it believes others: it is signed, or nobody signs."""
        return not self.demands_signatures or (self.signer is not None and self.signer.signing_key is not None)

    # Documents

    @property
    def known_request(self) -> RunRequest | None:
        """What the run was begun with, if it was read before."""
        return cast("RunRequest | None", self._known.get(self.layout.run))

    def read_request(self) -> RunRequest | None:
        """Return what the run was begun with; nobody signs it, so it only tells what was asked for."""
        return cast("RunRequest | None", self._read(self.layout.run, "run"))

    def read_claim(self, attempt: int) -> ClaimDocument | None:
        """Return an attempt's claim."""
        return cast("ClaimDocument | None", self._read(self.layout.claim(attempt), "claim", attempt))

    def read_end(self, attempt: int) -> EndDocument | None:
        """Return how an attempt ended. Raises Untrusted for an end that may not be believed here."""
        return cast("EndDocument | None", self._read(self.layout.end(attempt), "end", attempt))

    def read_outcome(self) -> EndDocument | None:
        """Return how the run ended. Raises Untrusted for an outcome that may not be believed here."""
        return cast("EndDocument | None", self._read(self.layout.outcome, "end"))

    def read_cancel(self) -> CancelDocument | None:
        """Return who asked for the run to end, and why. Raises Untrusted for a request that may not be heard here."""
        cancel = cast("CancelDocument | None", self._read(self.layout.cancel, "cancel"))
        if cancel and self.signer:
            self.signer.check(self.run_id, cancel, self.storage.url(self.layout.cancel))
        return cancel

    def read_launch(self, number: int) -> LaunchDocument | None:
        """Return who launched the run for the so manieth time, and what the platform's object is called."""
        return cast("LaunchDocument | None", self._read(self.layout.launch(number), "launch"))

    def read_launch_handle(self, number: int) -> HandleDocument | None:
        """Return what the platform answered to a launch."""
        return cast("HandleDocument | None", self._read(self.layout.launch_handle(number), "handle"))

    def read_launch_end(self, number: int) -> LaunchEnd | None:
        """Return what became of a launch, in the platform's words."""
        return cast("LaunchEnd | None", self._read(self.layout.launch_end(number), "launch-end"))

    def read_heartbeat(self, attempt: int) -> bytes | None:
        """Return an attempt's last heartbeat; only that it changes counts."""
        return self._read_bytes(self.layout.beat(attempt), "beat")

    def read_news(self, attempt: int) -> HeartbeatNews:
        """Return what an attempt's last heartbeat tells people, and nothing where it tells none."""
        try:
            data = self.read_heartbeat(attempt)
            return cast("Heartbeat", decode(data, "beat")) if data else {}
        except (TooLarge, ValueError):
            return {}

    def read_signature(self, key: str) -> bytes | None:
        """Return the signature that lies beside the result of this key, if there is what may be one."""
        try:
            return self._read_bytes(f"{key}{SIGNATURE}", "signature")
        except TooLarge:
            return None

    def check_end(self, end: EndDocument, key: str | None = None) -> None:
        """Refuse an end that no trusted key signed as one of this run; ``key`` is where it was read. Raises Untrusted.

        Its bundle must belong where the run lies: beside it or, with results elsewhere, to a folder of that name.
        """
        if self.signer is None or not self.signer.trusted_keys:
            return
        self.signer.check(self.run_id, end, self.storage.url(key) if key else f"the end of run {self.run_id}")
        folder, _, name = f"/{end['bundle']['url'].partition('://')[2]}".rpartition("/")
        home = self.url.partition("://")[2].removesuffix(f"/runs/{self.run_id}")
        if home.rpartition("/")[2] not in {folder.rpartition("/")[2], naming.slugify(name)}:
            message = f"{self.url} holds a run of {end['bundle']['url']}, which is no bundle of this flow"
            raise Untrusted(message, hint="Somebody put it there: look who, and take another run id.")

    def create_request(self, request: RunRequest) -> None:
        """Store what the run is asked for. Raises AlreadyExists when another was stored before."""
        self._create(self.layout.run, request, "run")

    def refuses_second_request(self, request: RunRequest) -> bool:
        """Return whether the storage refuses to store again what the run was begun with, and lies there."""
        return self.storage.refuses_create(self.layout.run, encode(request))

    def create_claim(self, document: ClaimDocument) -> None:
        """Store a claim. Raises AlreadyExists when the attempt is another's."""
        self._create(self.layout.claim(document["attempt"]), document, "claim")

    def create_end(self, end: EndDocument) -> None:
        """Store how an attempt ended. Raises AlreadyExists when it has another end."""
        self._create(self.layout.end(end["attempt"]), end, "end")

    def create_outcome(self, end: EndDocument) -> None:
        """Store an end as the run's outcome: a copy, so that whoever finds it missing writes the same bytes."""
        self._create(self.layout.outcome, end, "end")

    def create_cancel(self, cancel: CancelDocument) -> None:
        """Ask for the run to end. Raises AlreadyExists when somebody did before."""
        self._create(self.layout.cancel, cancel, "cancel")

    def create_launch(self, launch: LaunchDocument) -> None:
        """Claim a launch. Raises AlreadyExists when somebody did before."""
        self._create(self.layout.launch(launch["launch"]), launch, "launch")

    def create_launch_handle(self, handle: HandleDocument) -> None:
        """Store what the platform answered. Raises AlreadyExists when that was stored before."""
        self._create(self.layout.launch_handle(handle["launch"]), handle, "handle")

    def create_launch_end(self, end: LaunchEnd) -> None:
        """Store what became of a launch. Raises AlreadyExists when that was told before."""
        self._create(self.layout.launch_end(end["launch"]), end, "launch-end")

    def write_heartbeat(self, claim: Claim, number: int, news: HeartbeatNews | None = None) -> None:
        """Show that an attempt lives, with what there is to tell; the number differs from beat to beat."""
        told: HeartbeatNews = news or {}
        document: Heartbeat = {"format": FORMAT, "token": claim.token, "beat": number, "time": naming.now(), **told}
        self.storage.replace(self.layout.beat(claim.attempt), encode(document))

    def write_log_part(self, attempt: int, part: int, lines: bytes) -> None:
        """Store a part of an attempt's log, counted from 1."""
        self.storage.create(self.layout.log(attempt, part), lines)

    def write_report(self, page: bytes) -> None:
        """Store the page about the run, in the place of the one that is there."""
        self.storage.replace(self.layout.report, page, "text/html; charset=utf-8")

    # What is there

    def exists(self) -> bool:
        """Return whether anything lies in the run's folder."""
        folders, entries = self.storage.list_folder(f"{self.layout.prefix}/")
        return bool(folders or entries)

    def list_attempts(self) -> range:
        """Return the numbers of the run's attempts, in order."""
        names, _ = self.storage.list_folder(self.layout.attempts)
        return self.layout.attempts_among(names)

    def list_launches(self) -> range:
        """Return the numbers of the run's launches, in order."""
        _, entries = self.storage.list_folder(self.layout.launches)
        keys, last = {entry.key for entry in entries}, 0
        while self.layout.launch(last + 1) in keys:
            last += 1
        return range(1, last + 1)

    def list_log_parts(self, attempt: int) -> list[int]:
        """Return the numbers of the parts of an attempt's log, in order."""
        _, entries = self.storage.list_folder(self.layout.log(attempt, 1).removesuffix("000001.jsonl"))
        names = (entry.key.rpartition("/")[2].removesuffix(".jsonl") for entry in entries)
        numbers, keys = {int(name) for name in names if name.isdecimal()}, {entry.key for entry in entries}
        return sorted(number for number in numbers if self.layout.log(attempt, number) in keys)

    def _create(self, key: str, document: Mapping[str, object], kind: Kind) -> None:
        data = encode(document)
        if len(data) > limit_of(kind) or (kind == "run" and parts_in(data) > MOST_PARTS):
            message = f"{self.storage.url(key)} would be larger than can be read again: {len(data):,} bytes"
            raise WriteFailed(message, hint="Map over fewer elements, or give smaller parameters.", transient=False)
        try:
            self.storage.create(key, data)
        except Denied as error:
            message = f"the run cannot be written down: {error.message}"
            raise WriteFailed(message, hint=error.hint, transient=False) from error

    def _read(self, key: str, kind: Kind, attempt: int | None = None) -> Any:
        if key in self._known:
            return self._known[key]
        data = self._read_bytes(key, kind)
        if data is None:
            return None
        try:
            document = decode(data, kind)
        except ValueError as error:
            message = f"{self.storage.url(key)} cannot be read: {error}"
            raise BundleCorrupt(message, hint="Use another run id, or a newer version of runner.") from error
        if kind == "end":
            self._believe(document, key, attempt)
        if document["run_id"] != self.run_id or attempt not in {None, document.get("attempt")}:
            of = f"run {document['run_id']}" + (f", attempt {document['attempt']}" if "attempt" in document else "")
            message = f"{self.storage.url(key)} is of another run or attempt: {of}"
            raise BundleCorrupt(message, hint="Somebody put it there: look who, and take another run id.")
        self._known[key] = document
        return document

    def _read_bytes(self, key: str, kind: Kind | Literal["signature"]) -> bytes | None:
        try:
            return self.storage.read(key, limit=limit_of(kind))
        except NotFound:
            return None

    def _believe(self, end: EndDocument, key: str, attempt: int | None) -> None:
        """Refuse an end, or without an attempt an outcome, unless this start wrote it or a trusted key signed it.

        Where nothing is signed, one that does not conclude the run tells only that another attempt may follow, which
        then makes everything anew. Raises Untrusted.
        """
        if self.signer is None or not self.signer.trusted_keys or (self.secret and is_own(end, self.secret)):
            return
        is_last = concludes(end)
        if attempt is None or is_last or self.signer.signing_key:
            self.check_end(end, key)
        if (attempt is None and not is_last) or attempt not in {None, end["attempt"]}:
            message = f"{self.storage.url(key)} is the end of attempt {end['attempt']}, {end['state']}"
            raise Untrusted(message, hint="Somebody put it there: look who, and take another run id.")


def open_run_store(
    place: RunPlace,
    settings: Settings,
    *,
    signer: RunSigner | None = None,
    secret: bytes = b"",
    patience: float | None = None,
) -> RunStore:
    """Open the storage of a run that another process told of. Raises what `open_storage` raises."""
    from runner.backends import open_storage
    from runner.location import Location
    from runner.secrets.named import resolve

    location = Location(place.scheme, place.container, "")
    credentials = resolve(settings.secrets, settings.environ)
    storage = open_storage(location, credentials, settings.environ, patience=patience)
    return RunStore(storage, RunLayout(place.home, place.run_id), signer, secret)
