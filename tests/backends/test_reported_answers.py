"""Answers that others met, and what their clients falsely made of them, tried on all storages that can have them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from runner import errors
from support.contract import CLOUDS, MB, impatient, noise, relayed, write_all
from support.wire import Fault

if TYPE_CHECKING:
    from support.places import Place

LISTS = {"s3": "list-type=2", "azure": "comp=list", "gcs": "/o?"}
CREATES = {"s3": "PUT", "azure": "PUT", "gcs": "POST"}
TYPES = {"s3": "application/xml", "azure": "application/xml", "gcs": "application/json"}


@pytest.fixture(params=CLOUDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("backend", names, indirect=True)


def page(word: str, names: list[str], token: str = "") -> bytes:
    """Make a listing's page as the cloud does, with the token of the next one."""
    if word == "gcs":
        items = [{"name": name, "size": "1", "updated": "2024-01-01T00:00:00Z"} for name in names]
        return json.dumps(
            {"kind": "storage#objects", "items": items} | ({"nextPageToken": token} if token else {})
        ).encode()
    if word == "s3":
        told = "<LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>a</ETag><Size>1</Size>"
        found = "".join(f"<Contents><Key>{name}</Key>{told}</Contents>" for name in names)
        more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
        truncated = str(bool(token)).lower()
        return f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{more}{found}</ListBucketResult>".encode()
    told = (
        "<Last-Modified>Wed, 21 Oct 2015 07:28:00 GMT</Last-Modified><Content-Length>1</Content-Length>"
        "<Content-Type>text/plain</Content-Type><Etag>a</Etag>"
    )
    found = "".join(f"<Blob><Name>{name}</Name><Properties>{told}</Properties></Blob>" for name in names)
    return f"<EnumerationResults><Blobs>{found}</Blobs><NextMarker>{token}</NextMarker></EnumerationResults>".encode()


def listed(place: Place, body: bytes, times: int = 1_000_000, after: int = 0) -> Fault:
    kind = (("Content-Type", TYPES[place.word]),)
    words = LISTS[place.word]
    return Fault("answer", "GET", words, times=times, after=after, status=200, body=body, headers=kind)


# Listings


def test_a_page_without_objects_is_not_the_last_one(place: Place) -> None:
    """A page may be empty, and the next one not; whoever took it for the end lost the rest.

    https://github.com/Azure/azure-storage-net/issues/612, https://github.com/Azure/azure-storage-fuse/pull/50,
    https://github.com/MicrosoftDocs/feedback/issues/3060
    """
    pages = [listed(place, page(place.word, [], "more"), times=1), listed(place, page(place.word, ["x/a"]))]
    with relayed(place, *pages) as (_, storage):
        assert [entry.key for entry in storage.list_recursive("x/")] == ["x/a"]
    with relayed(place, *pages) as (_, storage):
        assert [entry.key for entry in storage.list_folder("x/")[1]] == ["x/a"]


def test_an_object_that_two_pages_tell_of_is_listed_once(place: Place) -> None:
    """https://github.com/meganz/s4-specs/issues/3: pages overlapped, and what was on both was there twice."""
    pages = [
        listed(place, page(place.word, ["x/a", "x/b"], "more"), times=1),
        listed(place, page(place.word, ["x/b", "x/c"])),
    ]
    with relayed(place, *pages) as (_, storage):
        assert sorted(entry.key for entry in storage.list_recursive("x/")) == ["x/a", "x/b", "x/c"]
    with relayed(place, *pages) as (_, storage):
        assert [entry.key for entry in storage.list_folder("x/")[1]] == ["x/a", "x/b", "x/c"]


def test_a_listing_whose_pages_do_not_advance_is_told(place: Place) -> None:
    """The server gave the same token with every page, and the listing never ended.

    https://github.com/runpod/runpod-python/issues/505, https://github.com/minio/minio-go/pull/1704,
    https://github.com/meganz/s4-specs/issues/3
    """
    with relayed(place, listed(place, page(place.word, ["x/a", "x/b"], "same"))) as (_, storage):
        with pytest.raises(errors.ReadFailed, match="again and again") as refusal:
            list(storage.list_recursive("x/"))
        if place.word == "gcs":  # a folder's listing is one call of obstore's, into which nobody can look
            with pytest.raises(errors.ReadFailed, match="again and again"):
                storage.list_folder("x/")
    assert not refusal.value.transient


@on("s3")
@pytest.mark.parametrize("more", [[], ["x/9999"]])
def test_a_listing_that_is_cut_off_after_a_full_page_is_told(place: Place, more: list[str]) -> None:
    """The server said that there was more, and no token to ask for it: a thousand objects were taken for all.

    https://github.com/findify/s3mock/issues/144, https://github.com/taylorfinnell/awscr-s3/issues/71 (Ceph),
    https://github.com/minio/minio-go/pull/1704 (Huawei)
    """
    full = page("s3", [f"x/{number:04}" for number in range(1000)]).replace(b">false<", b">true<")
    xml = (("Content-Type", "application/xml"),)
    behind = Fault("answer", "GET", "start-after=x%2F0999", status=200, body=page("s3", more), headers=xml)
    with relayed(place, behind, listed(place, full)) as (_, storage):
        if not more:
            assert len(storage.list_folder("x/")[1]) == len(list(storage.list_recursive("x/"))) == 1000
            return
        with pytest.raises(errors.ReadFailed, match="was cut off"):
            storage.list_folder("x/")
        with pytest.raises(errors.ReadFailed, match="was cut off"):
            list(storage.list_recursive("x/"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><h1>502 Bad Gateway</h1></html>",
        b"<Error><Code>InternalError</Code><Message>Oops</Message></Error>",
        b"<ListBucketResult><Contents>",
    ],
    ids=["nothing", "a page", "an error", "the start of one"],
)
def test_an_error_that_is_answered_with_200_is_no_empty_listing(place: Place, body: bytes) -> None:
    """Clients took for empty what was no listing at all, and what lies there was made anew, or deleted.

    https://github.com/oven-sh/bun/pull/35868, https://github.com/aws/aws-sdk-js/issues/1216,
    https://github.com/aws/aws-sdk-js/pull/4654, https://github.com/segmentio/s3-lister/issues/5
    """
    place.write("x/a", b"1")
    place.write("x/sub/b", b"1")
    with relayed(place, listed(place, body, times=1)) as (_, storage):
        assert sorted(entry.key for entry in storage.list_recursive("x/")) == ["x/a", "x/sub/b"]
    with relayed(place, listed(place, body, times=1)) as (_, storage):
        assert storage.list_folder("x/")[0] == ["sub"]


# Reads

DATA = bytes(range(100))


def part(start: int, stop: int, status: int = 206) -> Fault:
    told = [
        ("Content-Type", "application/octet-stream"),
        ("ETag", '"1"'),
        ("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"),
    ]
    if status == 206:
        told.append(("Content-Range", f"bytes {start}-{stop - 1}/{len(DATA)}"))
    return Fault("answer", "GET", "key", times=1, status=status, body=DATA[start:stop], headers=tuple(told))


@pytest.mark.parametrize(
    ("start", "stop", "status"), [(0, 100, 200), (0, 10, 206), (4, 10, 206)], ids=["all of it", "the start", "earlier"]
)
def test_another_part_than_was_asked_for_is_asked_for_again(place: Place, start: int, stop: int, status: int) -> None:
    """Servers and caches ignored a range, or gave another one, and what was resumed was put together wrongly.

    https://github.com/rust-lang/rustup/issues/4710, https://github.com/pypa/pip/pull/14131,
    https://github.com/xroche/httrack/pull/428, https://github.com/openai/git/pull/78
    """
    place.write("key", DATA)
    with relayed(place, part(start, stop, status)) as (_, storage):
        assert b"".join(storage.stream("key", 5)) == DATA[5:]


@on("gcs", "fake-gcs")  # the others are read with one request, which asks for no part
def test_a_part_that_is_shorter_than_was_asked_for_is_not_the_last_one(place: Place) -> None:
    """Allowed by HTTP, and taken for the end of the object: what was read was cut, without an error.

    https://github.com/jizhi0v0/duo-updater/issues/225, https://github.com/googleapis/google-cloud-python/issues/4129
    """
    place.write("key", DATA)
    with relayed(place, part(0, 40)) as (_, storage):
        assert storage.read("key") == DATA


def test_an_answer_that_ends_before_its_length_is_none(place: Place) -> None:
    """A server or a proxy closed the connection in order, in the middle of the object, and clients took what there was.

    https://github.com/minio/minio-go/issues/1451, https://github.com/boto/botocore/pull/210,
    https://github.com/aws/aws-sdk-js/issues/257, https://github.com/rustfs/rustfs/pull/4594,
    https://github.com/googleapis/google-resumable-media-python/pull/435
    """
    data = noise(MB)
    place.write("key", data)
    with relayed(place, Fault("short", "GET", "key", times=2)) as (_, storage):
        assert storage.read("key") == data


@on("s3", "azure", "fake-gcs")  # the other emulator keeps no headers
def test_what_is_written_anew_is_kept_by_no_cache(place: Place) -> None:
    """A gateway gave an object as it was an hour before: of a heartbeat that means that a living attempt is dead.

    https://github.com/frodenas/gcs-resource/issues/27, https://github.com/nginx/nginx-s3-gateway/issues/333
    """
    with relayed(place, Fault("cache", "GET")) as (_, storage):
        for beat in (b"1", b"2", b"3"):
            storage.replace("beat", beat)
            assert storage.read("beat") == beat


@on("s3", "azure")
def test_an_answer_that_lacks_a_header_says_which(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """https://github.com/FilenCloudDienste/filen-s3/issues/146: it was called E-Tag, and nothing could be stored.

    https://github.com/apache/arrow-rs-object-store/issues/340: a proxy left out the length.
    """
    impatient(monkeypatch, 0)
    answer = Fault("answer", "PUT", "beat", status=200, headers=(("E-Tag", '"1"'),))
    with relayed(place, answer) as (_, storage), pytest.raises(errors.WriteFailed, match="it has no ETag") as refusal:
        storage.replace("beat", b"1")
    assert "whether a proxy" in refusal.value.hint


# Creates


def test_a_create_that_is_refused_for_good_where_nothing_is_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a versioned bucket a deleted key counted as taken, and whoever asked was told of a holder that was none.

    https://github.com/rustfs/rustfs/issues/1610
    """
    impatient(monkeypatch, 0.3)
    refused = Fault(
        "answer", CREATES[place.word], "key", status=412, body=b"<Error><Code>PreconditionFailed</Code></Error>"
    )
    with relayed(place, refused) as (_, storage), pytest.raises(errors.WriteFailed) as refusal:
        storage.create("key", b"mine")
    assert type(refusal.value) is errors.WriteFailed
    assert "nothing can be read there" in refusal.value.message


@on("s3")
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (
            501,
            "<Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented",
        ),
        (
            400,
            "<Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented",
        ),
        (400, "<Code>InvalidArgument</Code><Message>Unsupported header 'If-None-Match' received for this API call."),
    ],
)
def test_a_storage_that_refuses_conditional_writes_is_told_as_that(place: Place, status: int, body: str) -> None:
    """https://github.com/tobi/walgit/issues/67, https://github.com/ZhuJHua/moodiary/pull/305 (Alibaba's OSS)."""
    answer = Fault("answer", "PUT", "key", status=status, body=f"<Error>{body}</Message></Error>".encode())
    with relayed(place, answer) as (_, storage), pytest.raises(errors.EnvironmentWrong) as refusal:
        storage.create("key", b"mine")
    assert "conditional writes" in refusal.value.hint


@on("s3")
def test_a_bucket_with_object_lock_says_what_it_wants_and_gets_it(place: Place) -> None:
    """Each object, and each part of one, must come with a checksum there.

    https://github.com/hashicorp/terraform/issues/36113 and /23127, https://github.com/s3tools/s3cmd/issues/1436
    """
    said = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
    body = f"<Error><Code>InvalidRequest</Code><Message>{said}</Message></Error>".encode()
    locked = Fault("answer", "PUT", status=400, body=body, without="x-amz-checksum-sha256")
    with relayed(place, locked) as (_, storage), pytest.raises(errors.WriteFailed) as refusal:
        storage.create("key", b"mine")
    assert refusal.value.hint == "The bucket has Object Lock: set AWS_CHECKSUM_ALGORITHM=SHA256."
    place.environ["AWS_CHECKSUM_ALGORITHM"] = "SHA256"
    with relayed(place, locked) as (_, storage):
        storage.create("key", b"mine")
        storage.replace("beat", b"1")
        write_all(storage, "large", noise(9 * MB))
    assert (place.read("key"), place.read("large")) == (b"mine", noise(9 * MB))


@on("s3")
@pytest.mark.parametrize("status", [501, 405, 403])
def test_what_knows_no_deleting_of_many_is_asked_for_one_after_the_other(place: Place, status: int) -> None:
    """https://github.com/apache/arrow-rs-object-store/issues/731, cloudnative-pg/plugin-barman-cloud#1049 (ONTAP)."""
    for name in ("one", "two"):
        place.write(name, b"1")
    unknown = Fault("answer", "POST", "?delete", status=status, body=b"<Error><Code>NotImplemented</Code></Error>")
    with relayed(place, unknown) as (_, storage), pytest.raises((errors.WriteFailed, errors.Denied)) as refusal:
        storage.delete("one")
    assert ("AWS_DISABLE_BULK_DELETE=true" in refusal.value.hint) is (status != 403)
    place.environ["AWS_DISABLE_BULK_DELETE"] = "true"
    with relayed(place, unknown) as (_, storage):
        storage.delete("one")
        storage.delete_all(["one", "two"])
    assert place.keys() == []
    del place.environ["AWS_DISABLE_BULK_DELETE"]


HELD = "Object 'b/beat' is subject to bucket's retention policy and cannot be deleted, overwritten or archived until"


@on("gcs")
@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("x does not have storage.objects.delete access to the object.", "Give the identity storage.objects.delete."),
        (f"{HELD} 2021-02-05", "Let runs write to a bucket that holds no objects back"),
    ],
)
def test_an_object_that_may_not_be_replaced_says_what_is_in_the_way(place: Place, said: str, remedy: str) -> None:
    """Google takes replacing for deleting: whoever may create may not write a heartbeat anew.

    https://github.com/benbjohnson/litestream.io/issues/61, https://github.com/treeverse/lakeFS/issues/1339,
    https://github.com/google-github-actions/upload-cloud-storage/issues/388,
    https://github.com/sitespeedio/sitespeed.io/issues/2749
    """
    body = json.dumps({"error": {"code": 403, "message": said}}).encode()
    held = Fault("answer", "POST", "beat", status=403, body=body)
    with relayed(place, held) as (_, storage), pytest.raises(errors.Denied) as refusal:
        storage.replace("beat", b"1")
    assert refusal.value.hint.startswith(remedy)


@on("s3")
def test_an_upload_that_is_gone_when_it_is_to_be_completed_is_no_success(place: Place) -> None:
    """It may have expired, or have been completed by a request whose answer was lost; it was taken for a success.

    https://github.com/ydb-platform/ydb/pull/49947, https://github.com/scylladb/scylladb/issues/19533,
    https://github.com/minio/minio/issues/2737
    """
    gone = Fault("answer", "POST", "uploadId", times=1, status=404, body=b"<Error><Code>NoSuchUpload</Code></Error>")
    for fault in (gone, Fault("lose", "POST", "uploadId", times=1)):
        data = noise(20 * MB, len(fault.how))
        with relayed(place, fault) as (_, storage):
            storage.persistently(lambda data=data, storage=storage: write_all(storage, "large", data))  # type: ignore[misc]
        assert place.read("large") == data
