"""moto, as S3's own SDK sees it."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import botocore.exceptions
import pytest

from support.servers.moto import make_bucket as make_s3_bucket
from support.servers.moto import start_moto
from support.servers.sdk_checks import ODD_KEYS, code_of, race, s3_client, torn_reads


@pytest.fixture(scope="module")
def s3_bucket() -> Iterator[Any]:
    with start_moto() as server:
        make_s3_bucket(server, "bucket")
        yield s3_client(server)


def test_of_many_creations_one_wins(s3_bucket: Any) -> None:
    for key in ("race-1", "race-2", "race-3"):

        def create(content: bytes, key: str = key) -> None:
            s3_bucket.put_object(Bucket="bucket", Key=key, Body=content, IfNoneMatch="*")

        winners = race(create, s3_bucket.exceptions.ClientError)
        assert [s3_bucket.get_object(Bucket="bucket", Key=key)["Body"].read()] == winners


def test_a_reader_sees_one_whole_content(s3_bucket: Any) -> None:
    def write(content: bytes) -> None:
        s3_bucket.put_object(Bucket="bucket", Key="torn", Body=content)

    def read() -> bytes:
        content: bytes = s3_bucket.get_object(Bucket="bucket", Key="torn")["Body"].read()
        return content

    assert not torn_reads(write, read)


def test_a_multipart_upload_may_be_a_creation(s3_bucket: Any) -> None:
    def create() -> None:
        where = {"Bucket": "bucket", "Key": "parts"}
        upload = s3_bucket.create_multipart_upload(**where)["UploadId"]
        part = s3_bucket.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"part")
        parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
        s3_bucket.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")

    create()
    with pytest.raises(botocore.exceptions.ClientError) as error:
        create()
    assert code_of(error) == (412, "PreconditionFailed")


def test_a_listing_has_pages_and_folders(s3_bucket: Any) -> None:
    names = [f"many/{number:04}/x" for number in range(12)]
    for name in names:
        s3_bucket.put_object(Bucket="bucket", Key=name)
    pages = s3_bucket.get_paginator("list_objects_v2").paginate(
        Bucket="bucket", Prefix="many/", Delimiter="/", PaginationConfig={"PageSize": 5}
    )
    found = [[folder["Prefix"] for folder in page.get("CommonPrefixes", [])] for page in pages]
    assert [len(page) for page in found] == [5, 5, 2]
    assert list(chain.from_iterable(found)) == [name.removesuffix("x") for name in names]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_is_taken_as_it_is(s3_bucket: Any, key: str) -> None:
    s3_bucket.put_object(Bucket="bucket", Key=f"odd/{key}", Body=key.encode())
    assert s3_bucket.get_object(Bucket="bucket", Key=f"odd/{key}")["Body"].read() == key.encode()
    listed = s3_bucket.list_objects_v2(Bucket="bucket", Prefix="odd/")["Contents"]
    assert f"odd/{key}" in [one["Key"] for one in listed]
