"""S3 as AWS has it, as its own SDK sees it."""

import io
from collections.abc import Iterator
from typing import Any, Literal

import botocore.exceptions
import pytest
import requests
from botocore.config import Config

from support.servers.s3_as_aws import Lost, S3AsAws
from support.servers.sdk_checks import code_of, race, s3_client


@pytest.fixture
def s3() -> Iterator[S3AsAws]:
    with S3AsAws() as s3:
        yield s3


def test_objects_come_and_go_with_their_headers_on_record(s3: S3AsAws) -> None:
    client = s3_client(s3.server)
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key-1", "BucketKeyEnabled": True}
    client.put_object(Bucket="bucket", Key="a b/ü", Body=b"0123456789", **encryption)
    assert s3.objects == {"a b/ü": b"0123456789"}
    assert client.get_object(Bucket="bucket", Key="a b/ü", Range="bytes=-3")["Body"].read() == b"789"
    assert client.head_object(Bucket="bucket", Key="a b/ü")["ContentLength"] == 10
    client.delete_object(Bucket="bucket", Key="a b/ü")
    assert not s3.objects
    assert [one.method for one in s3.requests] == ["PUT", "GET", "HEAD", "DELETE"]
    (put,) = s3.seen("PUT", "a b/ü")
    sent = {name: value for name, value in put.headers.items() if "server-side-encryption" in name}
    assert sent == {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "key-1",
        "x-amz-server-side-encryption-bucket-key-enabled": "true",
    }
    assert put.scope[2] == s3.region


def test_a_listing_has_folders(s3: S3AsAws) -> None:
    s3.objects = dict.fromkeys(["a/1 &", "a/b/2", "a/b/3", "z"], b"")
    found = s3_client(s3.server).list_objects_v2(Bucket="bucket", Prefix="a/", Delimiter="/")
    assert [one["Key"] for one in found["Contents"]] == ["a/1 &"]
    assert [one["Prefix"] for one in found["CommonPrefixes"]] == ["a/b/"]


def test_of_many_creations_one_wins(s3: S3AsAws) -> None:
    client = s3_client(s3.server)

    def create(content: bytes) -> None:
        client.put_object(Bucket="bucket", Key="race", Body=content, IfNoneMatch="*")

    winners = race(create, client.exceptions.ClientError)
    assert winners == [s3.objects["race"]]


def test_a_multipart_upload_appears_at_its_end_and_may_be_a_creation(s3: S3AsAws) -> None:
    client = s3_client(s3.server)
    where = {"Bucket": "bucket", "Key": "parts"}

    def create() -> None:
        upload = client.create_multipart_upload(**where)["UploadId"]
        parts = []
        for number in (1, 2):
            part = client.upload_part(**where, UploadId=upload, PartNumber=number, Body=b"%d" % number)
            parts.append({"PartNumber": number, "ETag": part["ETag"]})
            before.append("parts" in s3.objects)
        client.complete_multipart_upload(**where, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")

    before: list[bool] = []
    create()
    assert (before, s3.objects["parts"]) == ([False, False], b"12")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        create()
    assert code_of(error) == (412, "PreconditionFailed")
    upload = client.create_multipart_upload(**where)["UploadId"]
    client.abort_multipart_upload(**where, UploadId=upload)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"")
    assert code_of(error) == (404, "NoSuchUpload")


def test_a_stream_of_unknown_length_is_taken(s3: S3AsAws) -> None:
    client = s3_client(s3.server)
    client.upload_fileobj(io.BytesIO(b"x" * (9 << 20)), "bucket", "stream")
    assert s3.objects["stream"] == b"x" * (9 << 20)


def test_a_signature_for_another_region_is_told_the_right_one(s3: S3AsAws) -> None:
    scope = f"{s3.access_key}/20260101/us-west-2/s3/aws4_request"
    headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
    expected: list[tuple[Literal["400", "301"], int, str]] = [
        ("400", 400, "AuthorizationHeaderMalformed"),
        ("301", 301, "PermanentRedirect"),
    ]
    for mode, status, code in expected:
        s3.redirect_mode = mode
        answer = requests.get(f"{s3.url}/bucket/key", headers=headers, timeout=5)
        assert (answer.status_code, answer.headers["x-amz-bucket-region"]) == (status, s3.region)
        assert f"<Code>{code}</Code>" in answer.text
        assert (f"<Region>{s3.region}</Region>" in answer.text) == (mode == "400")
        assert "Location" not in answer.headers


@pytest.mark.parametrize("mode", ["400", "301"])
def test_boto3_follows_the_hint_to_the_right_region(s3: S3AsAws, mode: Literal["400", "301"]) -> None:
    s3.objects["key"] = b"here"
    s3.redirect_mode = mode
    client = s3_client(s3.server, region_name="us-west-2", config=Config(s3={"addressing_style": "path"}))
    assert client.get_object(Bucket="bucket", Key="key")["Body"].read() == b"here"
    assert [one.scope[2] for one in s3.requests] == ["us-west-2", s3.region]


def test_anybody_learns_the_region_from_the_bucket(s3: S3AsAws) -> None:
    head = requests.head(f"{s3.url}/bucket", timeout=5)
    assert (head.status_code, head.headers["x-amz-bucket-region"]) == (403, s3.region)
    assert "x-amz-bucket-region" not in requests.head(f"{s3.url}/nowhere", timeout=5).headers
    assert s3_client(s3.server).head_bucket(Bucket="bucket")["BucketRegion"] == s3.region
    assert s3_client(s3.server).get_bucket_location(Bucket="bucket")["LocationConstraint"] == s3.region


def test_who_may_not_list_does_not_learn_what_is_missing(s3: S3AsAws) -> None:
    client = s3_client(s3.server)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.get_object(Bucket="bucket", Key="none")
    assert code_of(error) == (404, "NoSuchKey")
    s3.can_list = False
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.get_object(Bucket="bucket", Key="none")
    assert code_of(error) == (403, "AccessDenied")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.list_objects_v2(Bucket="bucket")
    assert code_of(error) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"can_write": False}, "AccessDenied"),
        ({"access_key": "AKIDOTHER"}, "InvalidAccessKeyId"),
        ({"signature_ok": False}, "SignatureDoesNotMatch"),
        ({"clock_skewed": True}, "RequestTimeTooSkewed"),
    ],
)
def test_a_refused_write_says_why_and_writes_nothing(s3: S3AsAws, change: dict[str, Any], code: str) -> None:
    client = s3_client(s3.server)
    vars(s3).update(change)
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.put_object(Bucket="bucket", Key="key", Body=b"")
    assert code_of(error) == (403, code)
    assert not s3.objects


def test_a_refused_read_and_a_missing_bucket(s3: S3AsAws) -> None:
    s3.objects["key"] = b""
    s3.can_read = False
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3_client(s3.server).get_object(Bucket="bucket", Key="key")
    assert code_of(error) == (403, "AccessDenied")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        s3_client(s3.server).get_object(Bucket="nowhere", Key="key")
    assert code_of(error) == (404, "NoSuchBucket")


def test_a_failure_comes_as_often_as_it_was_ordered(s3: S3AsAws) -> None:
    client = s3_client(s3.server)
    s3.fail_next = [("PUT", 503, 1), ("PUT", 500, 1)]
    for expected in ((503, "SlowDown"), (500, "InternalError")):
        with pytest.raises(botocore.exceptions.ClientError) as error:
            client.put_object(Bucket="bucket", Key="key", Body=b"")
        assert code_of(error) == expected
        assert not s3.objects
    client.put_object(Bucket="bucket", Key="key", Body=b"")
    assert "key" in s3.objects


def test_a_lost_answer_leaves_what_was_written(s3: S3AsAws) -> None:
    client = s3_client(s3.server)
    s3.lose_answer = [Lost("cut"), Lost("failed", nth=2, how="500")]
    with pytest.raises(botocore.exceptions.ConnectionClosedError):
        client.put_object(Bucket="bucket", Key="cut", Body=b"1")
    client.put_object(Bucket="bucket", Key="failed", Body=b"1")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        client.put_object(Bucket="bucket", Key="failed", Body=b"2")
    assert code_of(error) == (500, "InternalError")
    assert s3.objects == {"cut": b"1", "failed": b"2"}


def test_a_delay_outlasts_a_client_but_not_the_test(s3: S3AsAws) -> None:
    s3.delay = 600
    impatient = Config(read_timeout=0.1, retries={"total_max_attempts": 1})
    with pytest.raises(botocore.exceptions.ReadTimeoutError):
        s3_client(s3.server, config=impatient).get_object(Bucket="bucket", Key="key")


def test_tls_is_trusted_by_its_own_authority_only() -> None:
    with S3AsAws(tls=True) as s3:
        s3_client(s3.server).put_object(Bucket="bucket", Key="key", Body=io.BytesIO(b"body"))
        assert s3.objects == {"key": b"body"}
        with pytest.raises(botocore.exceptions.SSLError):
            s3_client(s3.server, verify=True).get_object(Bucket="bucket", Key="key")
