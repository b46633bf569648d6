"""S3 as AWS really answers, and the settings that its users know; what holds for every storage is in the contract."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from runner import errors
from runner.backends import open_storage
from runner.location import parse_location
from runner.secrets.named import resolve
from support.servers.proxy import Proxy
from support.servers.s3_as_aws import S3AsAws
from support.wire import Fault, Relay, blackhole, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from runner.backends.base import Storage

MB = 1024 * 1024
KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


@pytest.fixture
def s3() -> Iterator[S3AsAws]:
    with S3AsAws() as server:
        server.objects["etl/v1"] = b"bundle"
        yield server


@pytest.fixture
def tls() -> Iterator[S3AsAws]:
    with S3AsAws(tls=True) as server:
        server.objects["etl/v1"] = b"bundle"
        yield server


def opened(environ: Mapping[str, str], *secrets: str) -> Storage:
    return open_storage(parse_location("s3://bucket"), resolve(secrets, environ), environ)


def without(server: S3AsAws, *names: str) -> dict[str, str]:
    return {name: value for name, value in server.server.environ.items() if name not in names}


def write(storage: Storage, key: str, data: bytes) -> None:
    with storage.writer(key) as writer:
        writer.write(data)


FIRST: dict[str, Callable[[Storage], object]] = {
    "read": lambda storage: storage.read("etl/v1"),
    "create": lambda storage: storage.create("new", b"1"),
    "write": lambda storage: write(storage, "new", b"1"),
    "write much": lambda storage: write(storage, "new", bytes(20 * MB)),
    "walk": lambda storage: list(storage.list_recursive()),
    "folder": lambda storage: storage.list_folder(),
}


@pytest.mark.parametrize("mode", ["400", "301"])
@pytest.mark.parametrize("region", [None, "eu-west-1"])
@pytest.mark.parametrize("first", FIRST)
def test_the_buckets_region_is_found_at_whatever_comes_first(
    s3: S3AsAws, first: str, region: str | None, mode: Literal["400", "301"]
) -> None:
    s3.redirect_mode = mode
    storage = opened(without(s3, "AWS_REGION") | ({"AWS_REGION": region} if region else {}))
    FIRST[first](storage)
    if "new" in s3.objects:
        assert len(s3.objects["new"]) == (20 * MB if first == "write much" else 1)
    before = len(s3.requests)
    assert storage.read("etl/v1") == b"bundle"
    assert [one.scope[2] for one in s3.requests[before:]] == [s3.region]  # from now on the right one at once


@pytest.mark.parametrize("mode", ["400", "301"])
def test_the_region_is_found_by_many_threads_at_once(s3: S3AsAws, mode: Literal["400", "301"]) -> None:
    s3.redirect_mode = mode
    storage = opened(without(s3, "AWS_REGION"))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: storage.read("etl/v1"), range(32))) == {b"bundle"}


def test_a_region_that_is_right_costs_no_further_request(s3: S3AsAws) -> None:
    opened(s3.server.environ).read("etl/v1")
    assert len(s3.requests) == 1


def test_a_403_without_the_right_to_list_may_be_either(s3: S3AsAws) -> None:
    s3.can_list = False
    storage = opened(s3.server.environ)
    with pytest.raises(errors.Denied) as refusal:
        storage.read("nope")
    assert refusal.value.code == 77
    assert "Without s3:ListBucket this is also what S3 answers when there is no such object" in refusal.value.hint
    with pytest.raises(errors.Denied, match="not allowed to list"):
        storage.list_folder()
    assert storage.read("etl/v1") == b"bundle"


def test_each_right_that_is_missing_is_named(s3: S3AsAws) -> None:
    storage = opened(s3.server.environ)
    s3.can_write = False
    for call in (FIRST["create"], FIRST["write"], FIRST["write much"]):
        with pytest.raises(errors.Denied, match="s3:PutObject"):
            call(storage)
    s3.can_read = False
    with pytest.raises(errors.Denied, match="s3:GetObject"):
        storage.read("etl/v1")
    s3.can_list = False
    with pytest.raises(errors.Denied, match="s3:ListBucket"):
        storage.list_folder()


def test_a_wrong_clock_is_reported(s3: S3AsAws) -> None:
    s3.clock_skewed = True
    with pytest.raises(errors.CredentialsRefused, match=r"clock is 20 minutes behind.*Check the clock"):
        opened(s3.server.environ).read("etl/v1")


def test_wrong_keys_are_reported_and_never_shown(s3: S3AsAws) -> None:
    environ = s3.server.environ
    with pytest.raises(errors.CredentialsRefused, match="InvalidAccessKeyId"):
        opened(environ | {"AWS_ACCESS_KEY_ID": "AKIDOTHER"}).read("etl/v1")
    s3.signature_ok = False
    with pytest.raises(errors.CredentialsRefused, match="SignatureDoesNotMatch") as refusal:
        opened(environ | {"AWS_SECRET_ACCESS_KEY": "open-sesame"}).read("etl/v1")
    assert type(refusal.value) is errors.CredentialsRefused
    assert "open-sesame" not in str(refusal.value) + str(refusal.value.__cause__)


def test_a_busy_server_is_tried_again(s3: S3AsAws) -> None:
    s3.fail_next = [("GET", 503, 3), ("PUT", 503, 3)]
    storage = opened(s3.server.environ)
    assert storage.read("etl/v1") == b"bundle"
    storage.create("new", b"1")
    assert len(s3.seen("PUT", "new")) == 4


def test_a_create_that_conflicts_with_another_is_tried_again(s3: S3AsAws) -> None:
    s3.fail_next = [("PUT", 409, 2)]
    opened(s3.server.environ).create("new", b"1")
    assert s3.objects["new"] == b"1"


# ---- credentials


def test_a_named_secret_beats_the_environment_and_brings_its_own_token_alone(
    s3: S3AsAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    stray = {"AWS_ACCESS_KEY_ID": "AKIDSTRAY", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "stray"}
    for name, value in stray.items():
        monkeypatch.setenv(name, value)
    secret = '{"ACCESS_KEY": "AKIDEXAMPLE", "SECRET_ACCESS_KEY": "secret"%s}'
    environ = without(s3, *KEYS) | stray
    opened(environ | {"AWS_CREDENTIALS": secret % ""}, "AWS_CREDENTIALS").read("etl/v1")
    opened(environ | {"AWS_CREDENTIALS": secret % ', "SESSION_TOKEN": "mine"'}, "AWS_CREDENTIALS").read("etl/v1")
    assert [one.headers.get("x-amz-security-token") for one in s3.requests] == [None, "mine"]


def test_a_session_token_of_the_environment_is_sent(s3: S3AsAws) -> None:
    opened(s3.server.environ | {"AWS_SESSION_TOKEN": "short-lived"}).read("etl/v1")
    assert s3.requests[0].headers["x-amz-security-token"] == "short-lived"


def test_a_key_without_its_secret_is_reported(s3: S3AsAws) -> None:
    with pytest.raises(errors.CredentialsRefused, match="AWS_SECRET_ACCESS_KEY is not"):
        opened(without(s3, "AWS_SECRET_ACCESS_KEY"))


def test_an_empty_key_is_reported(s3: S3AsAws) -> None:
    with pytest.raises(errors.CredentialsRefused, match="AWS_ACCESS_KEY_ID is set, and empty"):
        opened(s3.server.environ | {"AWS_ACCESS_KEY_ID": ""})


PROFILES = """
[default]
aws_access_key_id = AKIDEXAMPLE
aws_secret_access_key = 100%plain
[other]
aws_access_key_id = AKIDOTHER
aws_secret_access_key = x
[temporary]
aws_access_key_id=AKIDEXAMPLE
aws_secret_access_key=x
aws_session_token=short-lived
[sso]
sso_session = mine
"""


def test_the_shared_credentials_file_is_read_by_profile(s3: S3AsAws, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text(PROFILES)
    environ = without(s3, *KEYS) | {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
    assert opened(environ).read("etl/v1") == b"bundle"
    assert opened(environ | {"AWS_PROFILE": "temporary"}).read("etl/v1") == b"bundle"
    assert s3.requests[-1].headers["x-amz-security-token"] == "short-lived"
    with pytest.raises(errors.CredentialsRefused, match="InvalidAccessKeyId"):
        opened(environ | {"AWS_PROFILE": "other"}).read("etl/v1")
    with pytest.raises(errors.CredentialsRefused, match="AWS_PROFILE is 'absent'"):
        opened(environ | {"AWS_PROFILE": "absent"})
    with pytest.raises(errors.CredentialsRefused, match=r"shared credentials file: no keys for the profile 'sso'"):
        opened(environ | {"AWS_PROFILE": "sso", "AWS_EC2_METADATA_DISABLED": "true"})
    file.write_text("no section")
    with pytest.raises(errors.CredentialsRefused, match="cannot be read as an AWS credentials file"):
        opened(environ)


def test_the_shared_credentials_file_lies_in_the_home(s3: S3AsAws) -> None:
    folder = Path.home() / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(PROFILES)
    assert opened(without(s3, *KEYS)).read("etl/v1") == b"bundle"


def test_where_nobody_has_a_home_there_is_no_shared_credentials_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that is started as some number, without HOME."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 987_654_321)
    with pytest.raises(errors.CredentialsRefused, match="no credentials for s3://bucket/ found"):
        opened({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://none.example"})
    with pytest.raises(
        errors.CredentialsRefused, match=r"neither ~/\.aws/credentials nor ~/\.aws/config has a profile"
    ):
        opened({"AWS_PROFILE": "mine"})


@pytest.mark.parametrize("door", [refused, blackhole])
def test_no_credentials_at_all_are_reported(s3: S3AsAws, door: Callable[[], AbstractContextManager[int]]) -> None:
    def attempt(call: Callable[[Storage], object]) -> float:
        began = time.monotonic()
        with pytest.raises(errors.CredentialsRefused, match="no credentials for s3://bucket/ found") as refusal:
            call(opened(without(s3, *KEYS) | metadata))
        assert refusal.value.code == 77
        assert "AWS_ACCESS_KEY_ID" in refusal.value.hint
        return time.monotonic() - began

    with door() as port, ThreadPoolExecutor(len(FIRST)) as pool:
        metadata = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}"}
        assert max(pool.map(attempt, FIRST.values())) < 15
    assert s3.requests == []


def test_a_machine_without_a_role_has_no_credentials(s3: S3AsAws) -> None:
    nothing = [Fault("answer", method, status=404) for method in ("GET", "PUT")]
    with Relay(s3.url, *nothing) as metadata:
        environ = without(s3, *KEYS) | {"AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{metadata.port}"}
        with pytest.raises(errors.CredentialsRefused, match="no credentials for s3://bucket/ found"):
            opened(environ).read("etl/v1")
        assert metadata.requests[0] == ("PUT", "/latest/api/token")


def test_what_strays_in_the_processs_own_environment_does_no_harm(s3: S3AsAws, monkeypatch: pytest.MonkeyPatch) -> None:
    stray = {
        "AWS_BUCKET": "other",
        "AWS_BUCKET_NAME": "other",
        "AWS_CONDITIONAL_PUT": "disabled",
        "AWS_REGION": "us-west-2",
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/x",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere",
    }
    with refused() as port:
        names = ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
        for name, value in (stray | dict.fromkeys(names, f"http://127.0.0.1:{port}")).items():
            monkeypatch.setenv(name, value)
        storage = opened(s3.server.environ)
        assert storage.read("etl/v1") == b"bundle"
        with pytest.raises(errors.AlreadyExists):
            storage.create("etl/v1", b"other")
    assert s3.objects["etl/v1"] == b"bundle"


# ---- encryption, certificates, proxies


def test_encryption_settings_are_passed_on_with_every_write(s3: S3AsAws) -> None:
    settings = {"AWS_SERVER_SIDE_ENCRYPTION": "aws:kms", "AWS_SSE_KMS_KEY_ID": "arn:aws:kms:x:1:key/2"}
    storage = opened(s3.server.environ | settings)
    storage.create("created", b"1")
    write(storage, "small", b"1")
    write(storage, "parts", bytes(20 * MB))
    begun = [one for one in s3.seen("POST", "parts") if "uploads" in one.query]
    for one in (*s3.seen("PUT", "created"), *s3.seen("PUT", "small"), *begun):
        assert one.headers["x-amz-server-side-encryption"] == "aws:kms"
        assert one.headers["x-amz-server-side-encryption-aws-kms-key-id"] == "arn:aws:kms:x:1:key/2"
    assert len(begun) == 1


def test_a_setting_that_makes_no_sense_is_reported(s3: S3AsAws) -> None:
    with pytest.raises(errors.EnvironmentWrong, match="Invalid encryption type: rubbish"):
        opened(s3.server.environ | {"AWS_SERVER_SIDE_ENCRYPTION": "rubbish"})


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_the_certificates_that_a_variable_names_are_trusted(tls: S3AsAws, variable: str) -> None:
    environ = without(tls, "AWS_CA_BUNDLE", "AWS_REGION") | {variable: tls.ca_file}
    tls.redirect_mode = "301"  # the region is asked for with the same trust
    storage = opened(environ)
    assert storage.read("etl/v1") == b"bundle"
    storage.create("new", b"1")
    assert tls.objects["new"] == b"1"


@pytest.mark.parametrize("first", ["read", "create", "write", "folder"])
def test_a_certificate_that_nobody_vouches_for_is_refused(tls: S3AsAws, first: str) -> None:
    with pytest.raises(errors.Unreachable, match=r"certificate is not trusted.*AWS_CA_BUNDLE") as refusal:
        FIRST[first](opened(without(tls, "AWS_CA_BUNDLE")))
    assert refusal.value.code == 69
    assert tls.requests == []


def test_certificates_that_cannot_be_read_are_reported(tls: S3AsAws, tmp_path: Path) -> None:
    with pytest.raises(errors.EnvironmentWrong, match=r"no\.pem cannot be read"):
        opened(tls.server.environ | {"AWS_CA_BUNDLE": str(tmp_path / "no.pem")})
    (tmp_path / "bad.pem").write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    with pytest.raises(errors.EnvironmentWrong):
        opened(tls.server.environ | {"AWS_CA_BUNDLE": str(tmp_path / "bad.pem")})


READ = """
import sys
from runner.secrets.named import resolve
from runner.environ import process_environ
from runner.backends import open_storage
from runner.location import parse_location
environ = process_environ()
storage = open_storage(parse_location("s3://bucket"), resolve((), environ), environ)
print(storage.read("etl/v1"))
storage.create("new", b"1")
"""


def read_in_a_process(environ: Mapping[str, str]) -> str:
    environment = {
        name: value for name, value in os.environ.items() if name in {"PATH", "HOME"} or name.startswith("COV")
    }
    done = subprocess.run(
        [sys.executable, "-c", READ], env=environment | dict(environ), capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("names", [("HTTP_PROXY", "HTTPS_PROXY"), ("http_proxy", "https_proxy")])
def test_proxies_are_gone_through(s3: S3AsAws, tls: S3AsAws, names: tuple[str, str]) -> None:
    with Proxy() as proxy:
        environ = dict.fromkeys(names, proxy.url)
        assert "b'bundle'" in read_in_a_process(s3.server.environ | environ)
        assert [(one.method, one.target) for one in proxy.requests][:1] == [("GET", f"{s3.url}/bucket/etl/v1")]
        proxy.requests.clear()
        assert "b'bundle'" in read_in_a_process(tls.server.environ | environ)
        assert {(one.method, one.target) for one in proxy.requests} == {("CONNECT", f"127.0.0.1:{tls.port}")}


def test_the_region_is_asked_for_through_the_proxy_too(s3: S3AsAws) -> None:
    s3.redirect_mode = "301"
    with Proxy() as proxy:
        environ = without(s3, "AWS_REGION") | {"HTTP_PROXY": proxy.url, "http_proxy": proxy.url}
        assert "b'bundle'" in read_in_a_process(environ)
        assert ("HEAD", f"{s3.url}/bucket") in [(one.method, one.target) for one in proxy.requests]


def test_hosts_that_need_no_proxy_are_reached_without(s3: S3AsAws) -> None:
    with Proxy() as proxy:
        environ = {"HTTP_PROXY": proxy.url, "NO_PROXY": "localhost,127.0.0.1"}
        assert "b'bundle'" in read_in_a_process(s3.server.environ | environ)
        assert proxy.requests == []


def test_awss_own_endpoint_is_asked_for_by_region(tls: S3AsAws) -> None:
    host = f"s3.{tls.region}.amazonaws.com"
    with Proxy({host: tls.port, f"bucket.{host}": tls.port}) as proxy:
        environ = without(tls, "AWS_ENDPOINT_URL") | {"HTTPS_PROXY": proxy.url}
        assert "b'bundle'" in read_in_a_process(environ | {"AWS_ENDPOINT": "http://127.0.0.1:1"})
        assert {one.target for one in proxy.requests} == {f"{host}:443"}
        proxy.requests.clear()
        tls.objects.pop("new")
        assert "b'bundle'" in read_in_a_process(environ | {"AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"})
        assert {one.target for one in proxy.requests} == {f"bucket.{host}:443"}


def test_a_proxy_that_is_down_makes_the_bucket_unreachable(s3: S3AsAws) -> None:
    with refused() as port:
        assert "Unreachable" in read_in_a_process(s3.server.environ | {"HTTP_PROXY": f"http://127.0.0.1:{port}"})


def test_who_may_not_delete_learns_which_permission_is_missing(s3: S3AsAws) -> None:
    s3.can_delete = False
    with pytest.raises(errors.Denied, match="not allowed to delete s3://bucket/etl/v1") as refusal:
        opened(s3.server.environ).delete("etl/v1")
    assert "s3:DeleteObject" in refusal.value.hint
    s3.can_delete = True
    opened(s3.server.environ).delete("etl/v1")
    assert s3.objects == {}
