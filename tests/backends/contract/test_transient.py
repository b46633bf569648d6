"""What counts as passing: what the clouds' own libraries call so, and what people have reported of real storages."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import botocore
import pytest
from azure.core.pipeline.policies import RetryPolicy
from azure.storage.blob._shared import policies as azure_policies
from botocore.retries import standard
from google.cloud.storage import retry as google_retry

from runner import errors
from runner.backends.errors import TRANSIENT_CODES, TRANSIENT_STATUSES
from support.contract import CREATES, MB, impatient, noise, relayed, write_all
from support.wire import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.places import Place

OURS_ALONE = {409, 425}  # of two writers at once, and of a replayed early request
BOTOCORES = json.loads((Path(botocore.__file__).parent / "data/_retry.json").read_text())


def policies_of_botocore() -> Iterator[dict[str, object]]:
    for policy in BOTOCORES["definitions"].values():
        yield policy["applies_when"].get("response", {})
    for policy in BOTOCORES["retry"]["s3"]["__default__"]["policies"].values():
        yield policy["applies_when"]["response"]


def statuses_of_sdks() -> set[int]:
    botocores = {
        policy.get("http_status_code") for policy in policies_of_botocore() if "service_error_code" not in policy
    }
    botocores |= set(vars(standard.TransientRetryableChecker)["_TRANSIENT_STATUS_CODES"])
    # azure-storage-blob's own words: 408, and all of the server's but two
    source = inspect.getsource(azure_policies.is_retry)
    assert "status == 408" in source
    assert "status >= 500" in source
    [excepted] = re.findall(r"status in \[([\d, ]+)\]", source)
    azures = {408, *range(500, 600)} - {int(number) for number in excepted.split(",")}
    azures |= {status for status in RetryPolicy()._retry_on_status_codes if status < 600}
    googles = {int(status) for status in google_retry._RETRYABLE_STATUS_CODES}
    googles |= {kind.code for kind in google_retry._RETRYABLE_TYPES if getattr(kind, "code", None)}
    return {int(status) for status in botocores | azures | googles if isinstance(status, int)}


def test_the_statuses_that_may_pass_are_those_of_the_clouds_own_libraries() -> None:
    assert statuses_of_sdks() | OURS_ALONE == TRANSIENT_STATUSES
    assert not OURS_ALONE & statuses_of_sdks()


def test_the_codes_of_s3_that_may_pass_are_botocores() -> None:
    codes = set(vars(standard.TransientRetryableChecker)["_TRANSIENT_ERROR_CODES"])
    codes |= set(vars(standard.ThrottledRetryableChecker)["_THROTTLED_ERROR_CODES"])
    codes |= {str(policy["service_error_code"]) for policy in policies_of_botocore() if "service_error_code" in policy}
    assert codes == TRANSIENT_CODES


def xml(code: str, message: str = "") -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def google(code: int, reason: str, message: str = "") -> bytes:
    error = {"code": code, "message": message, "errors": [{"reason": reason, "message": message}]}
    return json.dumps({"error": error}).encode()


PAGE = b"<html><body><h1>503 Service Unavailable</h1>No server is available to handle this request.</body></html>"
IDLE = "Your socket connection to the server was not read from or written to within the timeout period."
EXPIRED = "Lifetime validation failed. The token is expired."


class Report(NamedTuple):
    """An answer that somebody met: where that is told, and what must come of it."""

    where: str
    backend: str
    status: int
    body: bytes
    begun: bool = False  # the run has begun
    kind: type[errors.RunnerError] | None = None  # what is raised at once; None: another try is made


REPORTS = [
    Report("aws/aws-sdk-java#1542", "s3", 400, xml("RequestTimeout", IDLE)),
    Report("nextcloud/server#20519", "s3", 400, xml("RequestTimeout", f"{IDLE}, source: i/o timeout")),
    Report("s3fs-fuse/s3fs-fuse#603", "s3", 503, xml("SlowDown", "Please reduce your request rate.")),
    Report("TileDB-Inc/TileDB#1158", "s3", 503, xml("SlowDown")),
    Report("ssl-hep/ServiceX#958", "s3", 503, b"<Error><Code>SlowDown</Code><RequestId>tx00</RequestId></Error>"),
    Report("cockpit-project/bots#3991", "s3", 503, b""),
    Report("mosaicml/composer#3543", "s3", 429, xml("TooManyRequests")),
    Report("a proxy's page", "s3", 503, PAGE),
    Report("a gateway's page", "s3", 502, b"<html><h1>502 Bad Gateway</h1></html>"),
    Report("minio: not ready", "s3", 503, xml("XMinioServerNotInitialized")),
    Report("two writers at once", "s3", 409, xml("OperationAborted", "A conflicting conditional operation")),
    Report("s3fs-fuse/s3fs-fuse#949", "s3", 501, xml("NotImplemented"), kind=errors.EnvironmentWrong),
    Report("secureCodeBox#2255: at the start", "s3", 400, xml("ExpiredToken"), kind=errors.CredentialsRefused),
    Report(
        "secureCodeBox/secureCodeBox#2255",
        "s3",
        400,
        xml("ExpiredToken", "The provided token has expired."),
        begun=True,
    ),
    Report("cube-js/cube#11622", "s3", 403, xml("ExpiredToken"), begun=True),
    Report("apache/arrow-rs-object-store#202", "s3", 403, xml("InvalidAccessKeyId"), begun=True),
    Report("a policy that was just changed", "s3", 403, xml("AccessDenied", "Access Denied"), begun=True),
    Report("Azure: busy", "azure", 503, xml("ServerBusy", "Egress is over the account limit.")),
    Report("Azure: slow", "azure", 500, xml("OperationTimedOut", "Operation could not be completed in time.")),
    Report("epam/ai-dial-core#779", "azure", 403, xml("AuthenticationFailed", EXPIRED), begun=True),
    Report("Azure/azure-sdk-for-java#8667", "azure", 401, xml("InvalidAuthenticationInfo", EXPIRED), begun=True),
    Report(
        "Azure-Samples#1857: at the start",
        "azure",
        403,
        xml("AuthenticationFailed", EXPIRED),
        kind=errors.CredentialsRefused,
    ),
    Report("googleapis/python-storage: backend", "gcs", 503, google(503, "backendError", "Backend Error")),
    Report("googleapis/python-storage: rate", "gcs", 429, google(429, "rateLimitExceeded", "exceeded the rate limit")),
    Report("googleapis/python-storage: time", "gcs", 408, b"Request Timeout"),
    Report("fsspec/gcsfs: refused", "gcs", 401, google(401, "authError", "Invalid Credentials"), begun=True),
]


@pytest.mark.parametrize(
    ("backend", "report"),
    [pytest.param(report.backend, report, id=report.where) for report in REPORTS],
    indirect=["backend"],
)
def test_an_answer_that_was_reported_is_borne_or_told_at_once(place: Place, report: Report) -> None:
    method, words = CREATES[report.backend]
    answer = Fault("answer", method, words, times=2, status=report.status, body=report.body)
    with relayed(place, answer) as (relay, storage):
        if report.begun:
            storage.bear(20)
        if report.kind is None:
            storage.create("lost", b"mine")
            assert place.read("lost") == b"mine"
            return
        with pytest.raises(report.kind) as refusal:
            storage.create("lost", b"mine")
        assert type(refusal.value) is report.kind
        assert [sent for sent, _ in relay.requests].count(method) == 1


@pytest.mark.parametrize("status", [410, 404])
@pytest.mark.parametrize("backend", ["gcs"], indirect=True)
def test_a_session_of_an_upload_that_is_gone_is_begun_anew(place: Place, status: int) -> None:
    """googleapis/python-storage#26, elastic/elasticsearch#45963, GoogleCloudDataproc/hadoop-connectors#121."""
    data = noise(9 * MB)
    with relayed(place, Fault("answer", "PUT", "upload_id", after=1, times=1, status=status)) as (relay, storage):
        storage.persistently(lambda: write_all(storage, "large", data))
        assert (
            len([path for method, path in relay.requests if method == "POST" and "uploadType=resumable" in path]) == 2
        )
    assert place.read("large") == data


@pytest.mark.parametrize("backend", ["s3"], indirect=True)
def test_without_time_what_may_pass_is_told_with_its_words(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch, 0)
    with (
        relayed(place, Fault("answer", "PUT", status=400, body=xml("RequestTimeout", IDLE))) as (_, storage),
        pytest.raises(errors.WriteFailed, match="RequestTimeout"),
    ):
        storage.create("lost", b"mine")
