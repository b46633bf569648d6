"""Google's credentials: google.auth and google-cloud-storage are asked the same as runner, and find the same."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING, Any

import google_crc32c
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from runner import errors
from runner.backends import open_storage
from runner.backends.gcp.credentials import SOURCES
from runner.backends.pieces import CHUNK
from runner.location import parse_location
from runner.secrets.named import resolve
from support.cloud import Cloud, Request
from support.servers import HOST
from support.wire import blackhole, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from runner.backends.base import Storage

HOSTS = ["oauth2.googleapis.com", "sts.googleapis.com", "iamcredentials.googleapis.com"]
PROJECTS = "cloudresourcemanager.googleapis.com"  # which the library asks of a pool, and runner need not
IMPERSONATED = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/other@p:generateAccessToken"
AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/here"
FILE = "GOOGLE_APPLICATION_CREDENTIALS"
OTHER_PROJECT = {"GOOGLE_CLOUD_QUOTA_PROJECT": "other"}


class Google:
    """Token endpoints, the metadata server and the storage: a token names who it was given to."""

    def __init__(self) -> None:
        self.storage: tuple[int, Any] = (404, {"error": {"code": 404, "message": "Not Found"}})
        self.refusal: dict[str, str] | None = None
        self.lifetime = 3600
        self.given = 0

    def answer(self, request: Request) -> tuple[int, Any]:
        if request.path.startswith(("/storage/", "/download/", "/upload/")):
            return self.storage
        if request.path.endswith(":generateAccessToken"):
            bearer = identity(request)
            token = self._token(f"{request.path} by {bearer}")[1]["access_token"]
            return 200, {"accessToken": token, "expireTime": "2033-05-18T00:00:00Z"}
        if request.host in HOSTS or request.path == "/token":
            return (400, self.refusal) if self.refusal else self._token(request.host + _asker(request.form))
        if request.host == PROJECTS:
            return 200, {"projectId": "p"}
        if request.path.endswith("/token"):
            return self._token(f"machine{request.path}")
        if "/service-accounts/" in request.path:
            return 200, {"email": "machine@p", "scopes": ["a"], "aliases": ["default"]}
        return (200, b"p") if request.path == "/" or request.path.endswith("/project-id") else (404, b"")

    def _token(self, asker: str) -> tuple[int, Any]:
        self.given += 1
        token = base64.b64encode(f"{asker}#{self.given}".encode()).decode()
        kind = "urn:ietf:params:oauth:token-type:access_token"
        answer = {"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer", "issued_token_type": kind}
        return 200, answer


def _asker(form: Mapping[str, str]) -> str:
    if assertion := form.get("assertion"):
        part = assertion.split(".")[1]
        return f"account {json.loads(base64.urlsafe_b64decode(part + '=' * (-len(part) % 4)))['iss']}"
    if user := form.get("refresh_token"):
        return f"user {user} of {form['client_id']}"
    subject = form.get("subject_token", "")
    signed = re.search(r"Credential%3D(\w+)|Credential=(\w+)", subject)
    return f"pool {form.get('audience')} {signed[0] if signed else subject}"


def identity(request: Request) -> str:
    return base64.b64decode(request.headers["authorization"].removeprefix("Bearer ")).decode().partition("#")[0]


@pytest.fixture(scope="module")
def google() -> Google:
    return Google()


@pytest.fixture(scope="module")
def cloud(google: Google, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud(google.answer, [*HOSTS, PROJECTS], tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture(autouse=True)
def fresh(google: Google, cloud: Cloud) -> None:
    google.__init__()  # type: ignore[misc]
    cloud.headers = {"Metadata-Flavor": "Google"}
    del cloud.requests[:]


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form).decode()


def account(key: str, **more: str) -> dict[str, Any]:
    uri = "https://oauth2.googleapis.com/token"
    values = {"client_email": "runner@p", "private_key_id": "1", "project_id": "p", "token_uri": uri}
    return {"type": "service_account", "private_key": key} | values | more


def user(**more: str) -> dict[str, Any]:
    return {"type": "authorized_user", "client_id": "me", "client_secret": "s", "refresh_token": "again"} | more


def pool(source: Mapping[str, Any], kind: str = "jwt", **more: str) -> dict[str, Any]:
    ends = {"token_url": "https://sts.googleapis.com/v1/token", "audience": AUDIENCE}
    kinds = {"type": "external_account", "subject_token_type": f"urn:ietf:params:{kind}"}
    return kinds | ends | {"credential_source": source} | more


def of_file(folder: Path) -> dict[str, Any]:
    (folder / "subject").write_text("subject of a file")
    return pool({"file": str(folder / "subject")}, "oauth:token-type:jwt")


def of_url(cloud: Cloud) -> dict[str, Any]:
    return pool({"url": f"{cloud.url}/computeMetadata/v1/project/project-id"}, "oauth:token-type:jwt")


def of_amazon() -> dict[str, Any]:
    verification = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
    source = {"environment_id": "aws1", "regional_cred_verification_url": verification}
    return pool(source, "aws:token-type:aws4_request")


def impersonating(source: Mapping[str, Any]) -> dict[str, Any]:
    kind = "impersonated_service_account"
    return {"type": kind, "service_account_impersonation_url": IMPERSONATED, "source_credentials": source}


def named(folder: Path, document: object) -> dict[str, str]:
    (folder / "named.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return {FILE: str(folder / "named.json")}


def gcloud(folder: Path, document: object, *, inside: str = ".config/gcloud") -> dict[str, str]:
    (folder / inside).mkdir(parents=True)
    (folder / inside / "application_default_credentials.json").write_text(json.dumps(document))
    return {}


def well_known(folder: Path) -> str:
    return str(folder / ".config/gcloud/application_default_credentials.json")


def here(cloud: Cloud) -> dict[str, str]:
    return {"GCE_METADATA_HOST": f"{HOST}:{cloud.port}", "GCE_METADATA_IP": f"{HOST}:{cloud.port}"}


def nowhere() -> dict[str, str]:
    return {"GCE_METADATA_HOST": f"{HOST}:1", "GCE_METADATA_IP": f"{HOST}:1", "GCE_METADATA_DETECT_RETRIES": "1"}


def elsewhere(folder: Path, document: object) -> dict[str, str]:
    gcloud(folder, document, inside="elsewhere")
    return {"CLOUDSDK_CONFIG": str(folder / "elsewhere")}


AMAZON = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"}
IN_FILE, IN_GCLOUD, ON_GOOGLE = "credentials file", "gcloud's credentials", "metadata server"
# What stands where, and the source that both find; "" where both refuse.
SITUATIONS: dict[str, tuple[Callable[[Cloud, Path, str], dict[str, str]], str]] = {
    "account": (lambda _, folder, key: named(folder, account(key)), IN_FILE),
    "account, idle project": (
        lambda _, folder, key: named(folder, account(key, quota_project_id="q")),
        IN_FILE,
    ),
    "account, quota": (lambda _, folder, key: named(folder, account(key)) | OTHER_PROJECT, IN_FILE),
    "user": (lambda _, folder, _key: named(folder, user()), IN_FILE),
    "user, quota in file": (lambda _, folder, _key: named(folder, user(quota_project_id="q")), IN_FILE),
    "user, two quotas": (lambda _, folder, _key: named(folder, user(quota_project_id="q")) | OTHER_PROJECT, IN_FILE),
    "pool by a file": (lambda _, folder, _key: named(folder, of_file(folder)), IN_FILE),
    "pool by a URL": (lambda cloud, folder, _: named(folder, of_url(cloud)), IN_FILE),
    "pool of Amazon's": (lambda _, folder, _key: named(folder, of_amazon()) | AMAZON, IN_FILE),
    "pool, impersonating": (
        lambda _, folder, _key: named(folder, of_file(folder) | {"service_account_impersonation_url": IMPERSONATED}),
        IN_FILE,
    ),
    "user, impersonating": (lambda _, folder, _key: named(folder, impersonating(user())), IN_FILE),
    "account, impersonating": (lambda _, folder, key: named(folder, impersonating(account(key))), IN_FILE),
    "file before gcloud": (
        lambda _, folder, key: named(folder, account(key)) | gcloud(folder, user()),
        IN_FILE,
    ),
    "file before metadata": (lambda cloud, folder, key: named(folder, account(key)) | here(cloud), IN_FILE),
    "gcloud": (lambda _, folder, _key: gcloud(folder, user()), IN_GCLOUD),
    "gcloud, quota": (lambda _, folder, _key: gcloud(folder, user()) | OTHER_PROJECT, IN_GCLOUD),
    "gcloud elsewhere": (lambda _, folder, _key: elsewhere(folder, user()), IN_GCLOUD),
    "elsewhere before home": (
        lambda _, folder, key: elsewhere(folder, user()) | gcloud(folder, account(key)),
        IN_GCLOUD,
    ),
    "gcloud before metadata": (lambda cloud, folder, _: gcloud(folder, user()) | here(cloud), IN_GCLOUD),
    "gcloud's, named": (
        lambda _, folder, _key: gcloud(folder, user()) | {FILE: well_known(folder)},
        IN_GCLOUD,
    ),
    "gcloud's, named and gone": (lambda cloud, folder, _: here(cloud) | {FILE: well_known(folder)}, ON_GOOGLE),
    "metadata": (lambda cloud, *_: here(cloud), ON_GOOGLE),
    "metadata, quota": (lambda cloud, *_: here(cloud) | OTHER_PROJECT, ON_GOOGLE),
    "empty name": (lambda cloud, *_: here(cloud) | {FILE: ""}, ON_GOOGLE),
    "named and gone": (lambda cloud, *_: here(cloud) | {FILE: "/nowhere"}, ""),
    "no JSON": (lambda cloud, folder, _: here(cloud) | named(folder, "{open-sesame"), ""),
    "a list": (lambda cloud, folder, _: here(cloud) | named(folder, "[]"), ""),
    "unknown kind": (lambda cloud, folder, _: here(cloud) | named(folder, {"type": "other"}), ""),
    "no private key": (lambda cloud, folder, _: here(cloud) | named(folder, account("open-sesame")), ""),
    "half a user": (lambda cloud, folder, _: here(cloud) | named(folder, {"type": "authorized_user"}), ""),
    "half a pool": (lambda cloud, folder, _: here(cloud) | named(folder, pool({"file": "/x"}, "x", audience="")), ""),
    "pool without its file": (
        lambda cloud, folder, _: here(cloud) | named(folder, pool({"file": "/nowhere"}, "oauth:token-type:jwt")),
        "",
    ),
    "bad gcloud": (lambda cloud, folder, _: here(cloud) | gcloud(folder, {"type": "other"}), ""),
    "nothing": (lambda *_: nowhere(), ""),
    "metadata not to be asked": (lambda cloud, *_: here(cloud) | {"NO_GCE_CHECK": "true"}, ""),
}


def test_there_are_enough_situations_and_every_source_is_in_one() -> None:
    found = [source for _, source in SITUATIONS.values()]
    assert len(found) == 35
    assert found.count("") == 11
    # which no SDK knows, and which nobody is asked for
    assert {source.name for source in SOURCES} - set(found) == {"named secret", "emulator, anonymous"}


@pytest.mark.parametrize("name", SITUATIONS)
def test_runner_and_googles_own_library_find_the_same(
    cloud: Cloud, tmp_path: Path, private_key: str, name: str
) -> None:
    environ, source = SITUATIONS[name]
    place = {"HOME": str(tmp_path), "API_ENDPOINT_OVERRIDE": cloud.url}
    answers = cloud.ask("gcs", place | nowhere() | environ(cloud, tmp_path, private_key))
    expected = "opened" if source else "refused"
    assert (answers["sdk"]["outcome"], answers["runner"]["outcome"]) == (expected, expected), answers
    if source:
        assert answers["runner"]["source"] == source
        assert identity(cloud.of("runner")) == identity(cloud.of("sdk"))
        quotas = [cloud.of(who).headers.get("x-goog-user-project") for who in ("sdk", "runner")]
        assert quotas[0] == quotas[1]
        assert bool(quotas[0]) == ("quota" in name)
    else:
        assert not any(request.path.endswith(("sdk", "runner")) for request in cloud.requests)
    assert "open-sesame" not in json.dumps(answers["runner"])


@pytest.fixture
def opens(cloud: Cloud, tmp_path: Path, private_key: str, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setenv("API_ENDPOINT_OVERRIDE", cloud.url)
    environ = named(tmp_path, account(private_key, token_uri=f"{cloud.url}/token"))
    return opened(environ)


def opened(environ: Mapping[str, str]) -> Storage:
    return open_storage(parse_location("gs://b"), resolve((), environ), environ)


def test_a_token_that_expires_is_renewed_in_the_middle_of_a_run(opens: Storage, cloud: Cloud, google: Google) -> None:
    google.lifetime = 1
    for _ in range(2):
        with pytest.raises(errors.NotFound):
            opens.read("runner")
        assert opens.credential_source
        end = opens.credential_source.expires_at()
        assert end
        assert abs(end.timestamp() - time.time()) < 10
        time.sleep(1.1)  # what is waited for is the time itself
    assert len({request.headers["authorization"] for request in cloud.requests if request.path.endswith("runner")}) > 1


def test_a_token_that_expires_is_renewed_in_the_middle_of_an_upload(
    opens: Storage, cloud: Cloud, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://cloud.google.com/storage/docs/performing-resumable-uploads"""
    google.lifetime = 1
    headers: dict[str, str] = {}
    monkeypatch.setattr(cloud, "headers", headers)

    def answer(request: Request) -> tuple[int, Any]:
        part = re.fullmatch(r"bytes \d+-(\d+)/(\d+|\*)", request.headers.get("content-range", ""))
        headers.clear()
        if part is None:
            headers["Location"] = f"{cloud.url}/upload/going-on"
            return (200, b"") if request.path.startswith("/upload/") else google.answer(request)
        headers["Range"] = f"bytes=0-{part[1]}"
        digest = google_crc32c.value(bytes(int(part[1]) + 1)).to_bytes(4, "big")
        return (308, b"") if part[2] == "*" else (200, {"name": "large", "crc32c": base64.b64encode(digest).decode()})

    monkeypatch.setattr(cloud, "answer", answer)
    with opens.writer("large") as writer:
        for _ in range(3):
            writer.write(bytes(CHUNK))
            time.sleep(1.1)  # what is waited for is the time itself
        writer.write(b"\0")
    sent = [request.headers["authorization"] for request in cloud.requests if "content-range" in request.headers]
    assert len(sent) > 1
    assert len(set(sent)) == len(sent)


def test_a_clock_that_is_wrong_is_reported_as_such(opens: Storage, google: Google) -> None:
    text = (
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
        "Check your iat and exp values in the JWT claim."
    )
    google.refusal = {"error": "invalid_grant", "error_description": text}
    with pytest.raises(errors.CredentialsRefused, match=r"reasonable timeframe.*used: credentials file") as refusal:
        opens.read("a")
    assert refusal.value.code == 77
    assert "Check the clock of this machine" in refusal.value.hint


@pytest.mark.parametrize("form", ["JSON", "XML"])
def test_who_lacks_which_permission_is_reported(opens: Storage, google: Google, form: str) -> None:
    text = "runner@p does not have storage.objects.get access to the Google Cloud Storage object."
    error = {"error": {"code": 403, "message": text}}
    google.storage = 403, error if form == "JSON" else f"<Error><Details>{text}</Details></Error>".encode()
    with pytest.raises(errors.Denied, match=r"runner@p does not have storage\.objects\.get.*used: credent") as refusal:
        opens.read("a")
    assert refusal.value.code == 77
    assert "before it, emulator, anonymous: STORAGE_EMULATOR_HOST is not set; named secret: none" in str(refusal.value)
    assert "storage.objects.get" in refusal.value.hint


@pytest.mark.parametrize("door", [refused, blackhole])
def test_where_there_is_no_metadata_server_the_end_is_clear_and_quick(cloud: Cloud, tmp_path: Path, door: Any) -> None:
    with door() as port:
        place = {"HOME": str(tmp_path), "GCE_METADATA_HOST": f"{HOST}:{port}", "GCE_METADATA_IP": f"{HOST}:{port}"}
        began = time.monotonic()
        answers = cloud.ask("runner-gcs", place)["runner"]
    assert time.monotonic() - began < 10
    assert answers["outcome"] == "refused"
    assert (
        f"gcloud's credentials: there is no {well_known(tmp_path)}; metadata server: {HOST}:{port} is no"
        in answers["text"]
    )
