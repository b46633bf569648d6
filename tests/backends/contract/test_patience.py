"""How long failures are borne: every size the same, reads as writes, by all threads together; and slow answers."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

import pytest

from runner import errors
from runner.backends import open_storage, retry
from runner.location import parse_location
from runner.model.task import Node, Task
from runner.runs.layout import RunLayout
from runner.runs.results import Results
from runner.runs.store import RunStore
from runner.secrets.named import resolve
from support.contract import METHODS, endpoint, impatient, noise, relayed, through
from support.servers import HOST
from support.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.places import Place
    from support.wire import Relay

CLOUDS = ["s3", "gcs", "azure"]
BUSY = b"<Error><Code>SlowDown</Code></Error>"
OUTAGE = [Fault("answer", method, status=503, body=BUSY) for method in METHODS]


@contextmanager
def outage(relay: Relay, seconds: float) -> Iterator[None]:
    """A storage that is down for so long from now on."""
    relay.faults = list(OUTAGE)
    ending = threading.Timer(seconds, relay.faults.clear)
    ending.start()
    try:
        yield
    finally:
        ending.join()


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
@pytest.mark.parametrize("size", [2_000, 2_000_000])
def test_a_result_of_any_size_outlives_an_outage(place: Place, size: int) -> None:
    """More than 1 MB had 8 s of patience, and less had 60; the parts of an upload bear only a share of it."""
    value = noise(size)
    node = Node(Task(lambda: None, name="load"), (), {}, (), mapped=False)
    node.slug = "load"
    with relayed(place) as (relay, storage):
        storage.bear(8)
        store = RunStore(storage, RunLayout("etl", "r"))
        with outage(relay, 8 * retry.PART_SHARE + 1):
            record = Results(store, 1).save(node, None, value)()
    assert value in place.read(record["key"])


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_once_a_run_has_begun_reads_and_listings_bear_what_writes_do(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resumed run gave up after 8 s of failing reads, where a write was tried for 60."""
    impatient(monkeypatch, 0.2)
    place.write("etl/one", b"1")
    with relayed(place) as (relay, storage):
        with outage(relay, 2), pytest.raises(errors.ReadFailed):
            storage.read("etl/one")
        storage.bear(20)
        with outage(relay, 2):
            assert storage.read("etl/one") == b"1"
        with outage(relay, 2):
            assert [entry.key for entry in storage.list_recursive("etl/")] == ["etl/one"]
        with outage(relay, 2):
            assert storage.list_folder("etl/")[1][0].key == "etl/one"
        with outage(relay, 2):
            storage.delete("etl/one")
    assert place.keys() == []


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_after_requests_that_hung_for_all_of_the_patience_there_is_one_more(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write hung for 30 s, the look for it 30 s more, and storage that was well again was given up."""
    monkeypatch.setattr(retry, "ANSWER_SECONDS", 0.5)
    silent = [Fault("silent", method, times=1) for method in ("PUT", "POST", "GET")]
    with relayed(place, *silent) as (_, storage):
        storage.bear(0.6)
        storage.create("etl/one", b"1")
    assert place.read("etl/one") == b"1"


@pytest.mark.parametrize("backend", ["s3"], indirect=True)
def test_a_storage_that_asks_to_slow_down_is_asked_by_one_thread_for_all(place: Place) -> None:
    """30 tasks made 669 requests in 20 s of SlowDown."""
    with relayed(place) as (relay, storage):
        storage.bear(60)
        with outage(relay, 5), ThreadPoolExecutor(30) as pool:
            for done in [pool.submit(storage.create, f"etl/{number}", b"1") for number in range(30)]:
                done.result()
        methods = Counter(method for method, _ in relay.requests)
    assert len(place.keys()) == 30
    assert methods["PUT"] < 30 + 30 + 25, methods  # in vain, well, and those that one thread makes in 5 s
    assert methods["GET"] < 30 + 25, methods  # a write that failed is looked for


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
@pytest.mark.parametrize("share", [0.35, 0.45])
def test_with_patience_a_storage_may_take_nearly_half_of_it_for_each_answer(place: Place, share: float) -> None:
    """Answers that came after a third of the patience were never waited for, and each beat was lost."""
    patience = 3.0
    place.write("key", b"theirs")
    late = [Fault("late", method, seconds=share * patience) for method in METHODS]
    with relayed(place, *late) as (relay, _):
        storage = through(place, relay.port, endpoint(place)).open(patience)
        for number in range(3):
            storage.replace("beat", b"%d" % number)
            assert storage.read("key") == b"theirs"
        seen = len(relay.requests)
        storage.replace("beat", b"last")  # what is known to be slow is given the time at once
        assert len(relay.requests) - seen == 1
    assert place.read("beat") == b"last"


@pytest.mark.parametrize("backend", CLOUDS, indirect=True)
def test_a_page_in_the_place_of_an_object_is_told_as_that(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login page was taken for a document of another version: «use another run id»."""
    impatient(monkeypatch, 0)
    page = Fault("answer", "GET", status=200, body=b"<html>Log in</html>", headers=(("Content-Type", "text/html"),))
    with relayed(place, page) as (_, storage), pytest.raises(errors.ReadFailed, match="not the storage's") as refusal:
        storage.read("key")
    assert "login page" in refusal.value.hint


@pytest.mark.parametrize("status", [301, 302, 307])
@pytest.mark.parametrize("backend", ["s3", "azure"], indirect=True)
def test_a_redirect_to_another_host_is_told_as_that(place: Place, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where that refuses what it does not know, it said: «Give the identity s3:GetObject»."""
    impatient(monkeypatch, 0)
    denied = [
        Fault("answer", method, status=403, body=b"<Error><Code>AccessDenied</Code></Error>") for method in METHODS
    ]
    with relayed(place, *denied) as (other, _):
        there = (("Location", f"http://localhost:{other.port}/elsewhere"),)
        sent = [Fault("answer", method, status=status, headers=there) for method in METHODS]
        with relayed(place, *sent) as (_, storage), pytest.raises(errors.ReadFailed, match="redirected to localhost"):
            storage.read("key")


class Keys:
    """A server of S3's protocol that takes one access key alone, and refuses any other as S3 does."""

    def __init__(self) -> None:
        self.valid, self.objects, self.refused = "OLD", dict[str, bytes](), threading.Event()
        keys = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if f"Credential={keys.valid}/" not in self.headers.get("Authorization", ""):
                    keys.refused.set()
                    self._answer(403, b"<Error><Code>InvalidAccessKeyId</Code></Error>")
                elif self.command == "PUT":
                    keys.objects[self.path] = data
                    self._answer(200, b"")
                else:
                    found = keys.objects.get(self.path)
                    self._answer(404 if found is None else 200, found or b"")

            do_GET = do_PUT = do_HEAD = _serve  # noqa: N815

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("ETag", '"1"')
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer((HOST, 0), Handler)
        self.server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_keys_that_are_replaced_while_a_run_works_are_asked_for_anew(tmp_path: Path) -> None:
    """A rotation: the old key is refused at once, the file with the new one comes a moment later."""
    file = tmp_path / "credentials"

    def write_key(name: str) -> None:
        file.write_text(f"[default]\naws_access_key_id = {name}\naws_secret_access_key = secret\n")

    write_key("OLD")
    with Keys() as keys:
        environ = {
            "AWS_ENDPOINT_URL": f"http://{HOST}:{keys.server.server_port}",
            "AWS_SHARED_CREDENTIALS_FILE": str(file),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        storage = open_storage(parse_location("s3://bucket"), resolve((), environ), environ)
        storage.create("before", b"1")
        keys.valid = "NEW"
        with pytest.raises(errors.CredentialsRefused):
            storage.read("before")  # the run has not begun
        storage.bear(30)
        keys.refused.clear()
        with ThreadPoolExecutor(3) as pool:
            writing = [pool.submit(storage.create, f"after/{number}", b"2") for number in range(3)]
            assert keys.refused.wait(20)
            write_key("NEW")
            for done in writing:
                done.result()
        assert storage.read("before") == b"1"
    assert sorted(keys.objects) == ["/bucket/after/0", "/bucket/after/1", "/bucket/after/2", "/bucket/before"]
