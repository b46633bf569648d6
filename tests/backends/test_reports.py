"""What was reported of storages and their clients elsewhere, tried here; right is what the cloud's own SDK has."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.blob import BlobServiceClient, ContentSettings
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage as google_storage

from runner import errors
from runner.location import parse_location
from support.contract import CLOUDS, MB, noise, relayed, write_all
from support.servers import Server
from support.servers.sdk_checks import s3_client
from support.wire import Fault

if TYPE_CHECKING:
    from support.places import Place

AZURE_STRING = "AZURE_STORAGE_CONNECTION_STRING"


@pytest.fixture(params=["local", *CLOUDS])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


on_clouds = pytest.mark.parametrize("backend", CLOUDS, indirect=True)
on_s3 = pytest.mark.parametrize("backend", ["s3"], indirect=True)
on_azure = pytest.mark.parametrize("backend", ["azure"], indirect=True)
on_both = pytest.mark.parametrize("backend", ["s3", "azure"], indirect=True)  # those of obstore
on_gcs = pytest.mark.parametrize("backend", ["gcs", "fake-gcs"], indirect=True)


def bucket_of(place: Place) -> str:
    return parse_location(place.url).container


def s3_of(place: Place) -> Any:
    return s3_client(Server(place.environ["AWS_ENDPOINT_URL"], place.environ))


def blob_of(place: Place, key: str) -> Any:
    return BlobServiceClient.from_connection_string(place.environ[AZURE_STRING]).get_blob_client(bucket_of(place), key)


# Keys and listings


@on_clouds
def test_a_page_may_end_at_an_odd_key(place: Place) -> None:
    """Continuation tokens were encoded twice or not at all where a key had % or +, and keys came back changed.

    https://github.com/greghendershott/aws/issues/72, https://github.com/localstack/localstack/pull/13746,
    https://github.com/bcgov/gwells/pull/1801, https://github.com/floci-io/floci/pull/1736
    """
    names = [f"many/{number:04}-%C+ (é)&<x>" for number in range(1005)]
    storage = place.open()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: storage.create(name, b"1"), names))
    assert sorted(entry.key for entry in storage.list_recursive("many/")) == names
    assert [entry.key for entry in storage.list_folder("many/")[1]] == names


@on_clouds
def test_an_object_may_have_the_name_of_a_folder(place: Place) -> None:
    """https://github.com/minio/minio/issues/20834: the folder's objects were not listed."""
    for key in ("my/test", "my/test/something"):
        place.write(key, b"x")
    storage = place.open()
    folders, entries = storage.list_folder("my/")
    assert (folders, [entry.key for entry in entries]) == (["test"], ["my/test"])
    assert [entry.key for entry in storage.list_folder("my/test/")[1]] == ["my/test/something"]
    assert sorted(entry.key for entry in storage.list_recursive("my/")) == ["my/test", "my/test/something"]


def test_neighbours_that_sort_before_the_slash_are_no_part_of_a_folder(place: Place) -> None:
    """And names come in the order of their UTF-8, where UTF-16 has another one.

    https://github.com/versity/versitygw/issues/1283, https://github.com/nextflow-io/nextflow/pull/6851,
    https://github.com/guardian/riff-raff/pull/400, https://github.com/floci-io/floci/pull/63
    """
    here = ["t/obj+", "t/obj1", "t/a.txt", "t/\ue000", "t/\U00010000"]
    storage = place.open()
    for key in [*here, "t/obj/x", "t/a-a/3", "t/a/1"]:
        storage.create(key, b"x")
    folders, entries = storage.list_folder("t/")
    assert folders == ["a", "a-a", "obj"]
    assert [entry.key for entry in entries] == sorted(here, key=str.encode)
    assert [entry.key for entry in storage.list_recursive("t/a/")] == ["t/a/1"]


@on_clouds
def test_a_folder_marker_is_no_object_and_an_empty_object_is_one(place: Place) -> None:
    """https://github.com/developmentseed/multistore/pull/22, https://github.com/gaul/s3proxy/issues/119,
    https://github.com/minio/minio/issues/8148, https://github.com/apache/arrow-rs/issues/5451
    """
    for key in ("etl/", "etl/sub/", "etl/empty"):
        place.write(key, b"")
    place.write("etl/sub/x", b"1")
    storage = place.open()
    folders, entries = storage.list_folder("etl/")
    assert (folders, [(entry.key, entry.size) for entry in entries]) == (["sub"], [("etl/empty", 0)])
    assert sorted(entry.key for entry in storage.list_recursive("etl/")) == ["etl/empty", "etl/sub/x"]


def test_a_folder_of_any_name_is_listed(place: Place) -> None:
    """Prefixes were signed or encoded otherwise than they were sent, and folders came back empty.

    https://github.com/Azure/Azurite/issues/1696, /221, /1348 and /282, https://github.com/kahing/goofys/issues/319 and
    /326, https://github.com/Azure/azure-sdk-for-java/issues/17616, https://github.com/s3fs-fuse/s3fs-fuse/issues/123,
    https://github.com/fsspec/gcsfs/issues/270 and /447, https://github.com/aws/aws-sdk-java/issues/1946
    """
    names = [
        "foo bar",
        "a+b",
        "100%",
        "JPC\uf028",
        "a&b=c",
        "(x)",
        "dir,2",
        "#h",
        "q?",
        "%20",
        "unicodé",
        "e\u0301",
        "@a",
    ]
    storage = place.open()
    for name in names:
        storage.create(f"x/{name}/f 1", b"1")
        storage.create(f"x/{name}2/f", b"1")
    for name in names:
        assert [entry.key for entry in storage.list_folder(f"x/{name}/")[1]] == [f"x/{name}/f 1"], name
        assert [entry.key for entry in storage.list_recursive(f"x/{name}/")] == [f"x/{name}/f 1"], name
    assert storage.list_folder("x/")[0] == sorted([*names, *(f"{name}2" for name in names)])


@pytest.mark.parametrize("key", ["ü" * 512, "/".join(["n" * 200] * 5), "a/" * 200 + "b", "x/" + "n" * 300])
def test_a_long_key_can_be_used_where_the_storages_own_client_can(place: Place, key: str) -> None:
    try:
        place.write(f"{key[:-1]}z", b"1")
    except Exception:  # noqa: BLE001 - each SDK has its own
        with pytest.raises(errors.RunnerError, match="name too long"):
            place.open().create(key, b"1")
    else:
        storage = place.open()
        storage.create(key, b"1")
        assert storage.read(key) == storage.read(f"{key[:-1]}z") == b"1"


# Creates


@on_both
@pytest.mark.parametrize(
    ("status", "code"), [(409, "ConditionalRequestConflict"), (409, "OperationAborted"), (412, "PreconditionFailed")]
)
def test_a_create_that_is_refused_while_nothing_is_there_is_made_again(place: Place, status: int, code: str) -> None:
    """A storage may refuse a create because of another request that is under way, in words of its own.

    https://github.com/apache/arrow-rs-object-store/pull/852, https://github.com/apache/arrow-rs-object-store/issues/138,
    https://github.com/NOFireAI/ravel/pull/1354
    """
    body = f"<Error><Code>{code}</Code><Message>try again</Message></Error>".encode()
    with relayed(place, Fault("answer", "PUT", "key", times=1, status=status, body=body)) as (_, storage):
        storage.create("key", b"mine")
    assert place.read("key") == b"mine"


@on_both
@pytest.mark.parametrize("status", [409, 412])
def test_a_create_of_what_another_made_is_refused_whatever_the_status(place: Place, status: int) -> None:
    """https://github.com/apache/arrow-rs-object-store/issues/829: on Azure a precondition was another error."""
    place.write("key", b"other")
    body = b"<Error><Code>ConditionNotMet</Code></Error>"
    with (
        relayed(place, Fault("answer", "PUT", "key", times=1, status=status, body=body)) as (_, storage),
        pytest.raises(errors.AlreadyExists),
    ):
        storage.create("key", b"mine")


@on_gcs
def test_an_object_that_was_written_too_often_is_written_a_little_later(place: Place) -> None:
    """https://github.com/googleapis/python-storage/issues/237, https://github.com/bespokelabsai/curator/issues/665,
    https://github.com/trinodb/trino/issues/19943
    """
    said = "The object b/key exceeded the rate limit for object mutation operations (create, update, and delete)."
    body = b'{"error": {"code": 429, "message": "%s"}}' % said.encode()
    with relayed(place, Fault("answer", "POST", "uploadType", times=1, status=429, body=body)) as (_, storage):
        storage.replace("key", b"beat")
    assert place.read("key") == b"beat"
    too_often = Fault("answer", "POST", "uploadType", status=429, body=body)
    with relayed(place, too_often) as (relay, storage):  # nor does the proof of a second create's refusal wait for it
        assert storage.refuses_create("key", b"beat")
        assert sum(method == "POST" for method, _ in relay.requests) == 1


@on_s3
def test_an_upload_whose_success_turns_out_to_be_an_error_is_not_taken_for_one(place: Place) -> None:
    """S3 may answer the end of an upload in parts with 200 and an error: https://github.com/scylladb/scylladb/issues/20517,
    https://github.com/apache/arrow-rs-object-store/issues/122
    """
    body = b"<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"
    with relayed(place, Fault("answer", "POST", "uploadId", times=1, status=200, body=body)) as (_, storage):
        write_all(storage, "large", noise(20 * MB))
    assert place.read("large") == noise(20 * MB)


@on_s3
def test_a_deleted_object_of_a_versioned_bucket_can_be_created_again(place: Place) -> None:
    """A delete marker is no object: https://github.com/versity/versitygw/issues/902."""
    s3_of(place).put_bucket_versioning(Bucket=bucket_of(place), VersioningConfiguration={"Status": "Enabled"})
    storage = place.open()
    storage.create("key", b"1")
    with pytest.raises(errors.AlreadyExists):
        storage.create("key", b"2")
    assert storage.refuses_create("key", b"1")
    storage.delete("key")
    with pytest.raises(errors.NotFound):
        storage.read("key")
    assert list(storage.list_recursive("")) == []
    storage.create("key", b"3")
    storage.replace("key", b"4")
    assert storage.read("key") == place.read("key") == b"4"
    assert [entry.size for entry in storage.list_recursive("")] == [1]


# Reads


@on_s3
def test_an_object_in_glacier_is_no_lack_of_rights(place: Place) -> None:
    """https://github.com/counsyl/stor/issues/38: it is answered with 403."""
    s3_of(place).put_object(Bucket=bucket_of(place), Key="cold", Body=b"x", StorageClass="GLACIER")
    with pytest.raises(errors.ReadFailed, match=r"cold failed: it is archived \(InvalidObjectState\)") as refusal:
        place.open().read("cold")
    assert refusal.value.hint == "Restore it first."


@on_azure
def test_a_blob_in_the_archive_is_not_one_that_exists_already(place: Place) -> None:
    """https://github.com/janmg/logstash-input-azure_blob_storage/issues/16: it is answered with 409, as is a create."""
    blob = blob_of(place, "cold")
    blob.upload_blob(b"x")
    blob.set_standard_blob_tier("Archive")
    with pytest.raises(errors.ReadFailed, match=r"cold failed: it is archived \(BlobArchived\)") as refusal:
        place.open().read("cold")
    assert not refusal.value.transient


@on_clouds
def test_what_is_stored_compressed_is_read_as_it_is_stored(place: Place) -> None:
    """A range of what was unpacked on the way is another one: https://github.com/fsspec/gcsfs/issues/512,
    https://github.com/googleapis/python-storage/issues/607
    """
    data, bucket = gzip.compress(b"hello" * 100), bucket_of(place)
    if place.word == "s3":
        s3_of(place).put_object(Bucket=bucket, Key="packed", Body=data, ContentEncoding="gzip")
    elif place.word == "azure":
        blob_of(place, "packed").upload_blob(data, content_settings=ContentSettings(content_encoding="gzip"))
    else:
        options = {"api_endpoint": place.environ["STORAGE_EMULATOR_HOST"]}
        nobody: Any = AnonymousCredentials  # which has no types
        client = google_storage.Client(project="test", credentials=nobody(), client_options=options)
        packed = client.bucket(bucket).blob("packed")
        packed.content_encoding = "gzip"
        packed.upload_from_string(data)
    storage = place.open()
    assert storage.read("packed") == data
    assert b"".join(storage.stream("packed", 3, 5)) == data[3:8]
    assert [entry.size for entry in storage.list_recursive("")] == [len(data)]


# Addresses


@on_clouds
def test_an_endpoint_may_end_with_a_slash(place: Place) -> None:
    environ = {
        name: f"{value}/" if name in {"AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST"} else value
        for name, value in place.environ.items()
    }
    if text := environ.get(AZURE_STRING):
        environ[AZURE_STRING] = f"{text.rstrip(';')}/;"
    storage = type(place)(place.word, place.url, environ, place.read, place.write, place.keys).open()
    storage.create("a/b", b"1")
    write_all(storage, "large", noise(20 * MB))
    assert (storage.read("a/b"), storage.list_folder("")[0]) == (b"1", ["a"])
    assert place.read("large") == noise(20 * MB)


@pytest.mark.parametrize(
    "url", ["s3://My_Bucket/k", "azure://$web/k", "azure://$root/k", "gs://a.b.c/k", "s3://b/a?b", "s3://b/a%20b"]
)
def test_names_in_a_location_are_taken_as_they_are(url: str) -> None:
    """Parsers of URLs fold the case of what they take for a host, and cut at a question mark."""
    assert parse_location(url).url == url
