"""Google's credentials and emulator settings; what holds for every storage is in `tests/backends/contract`."""

from __future__ import annotations

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from runner import errors
from runner.backends import open_storage
from runner.location import parse_location
from runner.secrets.named import resolve
from support.places import Place, gcs_place
from support.servers import HOST
from support.wire import blackhole, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from runner.backends.base import Storage
    from support.servers import Server


class TokenServer:
    """Google's token endpoint: it gives `token` for any assertion, or `refusal`."""

    def __init__(self) -> None:
        self.assertions: list[str] = []
        self.refusal: bytes | None = None

    def answer(self, body: bytes) -> tuple[int, bytes]:
        self.assertions += parse_qs(body.decode())["assertion"]
        if self.refusal:
            return 400, self.refusal
        return 200, json.dumps({"access_token": "granted", "expires_in": 3600, "token_type": "Bearer"}).encode()


@pytest.fixture
def token_server() -> Iterator[tuple[TokenServer, str]]:
    tokens = TokenServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, body = tokens.answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield tokens, f"http://{HOST}:{server.server_port}/token"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form).decode()


def service_account(private_key: str, token_uri: str) -> str:
    values = {"client_email": "runner@test", "private_key_id": "1", "project_id": "test"}
    return json.dumps({"type": "service_account", "private_key": private_key, "token_uri": token_uri} | values)


@pytest.fixture
def place(gcs_emulator: Server) -> Place:
    made = gcs_place(gcs_emulator)
    made.write("etl/v1", b"bundle")
    return made


@pytest.fixture
def googles(place: Place, monkeypatch: pytest.MonkeyPatch) -> str:
    """The emulator's bucket where the library looks for Google's own: with credentials, and no emulator's variable."""
    monkeypatch.setenv("API_ENDPOINT_OVERRIDE", endpoint(place))
    # google-auth would ask a host of Google's in which regions the account may work: nothing leaves this machine
    asks = "google.auth.credentials.CredentialsWithRegionalAccessBoundary._is_regional_access_boundary_lookup_required"
    monkeypatch.setattr(asks, lambda _self: False)
    return place.url


def endpoint(place: Place) -> str:
    return place.environ["STORAGE_EMULATOR_HOST"]


def opened(url: str, environ: Mapping[str, str], *secrets: str) -> Storage:
    return open_storage(parse_location(url), resolve(secrets, environ), environ)


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_emulator_is_found_with_and_without_a_scheme(place: Place, scheme: str) -> None:
    host = scheme + endpoint(place).removeprefix("http://")
    storage = opened(place.url, {"STORAGE_EMULATOR_HOST": host})
    assert storage.read("etl/v1") == b"bundle"
    storage.create("new", b"1")
    assert place.read("new") == b"1"


def test_a_service_accounts_key_as_a_named_secret_is_exchanged_for_a_token(
    googles: str, token_server: tuple[TokenServer, str], private_key: str
) -> None:
    tokens, uri = token_server
    environ = {"GCP_CREDENTIALS": service_account(private_key, uri)}
    assert opened(googles, environ, "GCP_CREDENTIALS").read("etl/v1") == b"bundle"
    assert tokens.assertions  # not always one: beside a bucket's first request the library looks at the bucket itself


def test_a_service_accounts_key_is_found_by_google_application_credentials(
    googles: str,
    token_server: tuple[TokenServer, str],
    private_key: str,
    tmp_path: Path,
) -> None:
    tokens, uri = token_server
    (tmp_path / "key.json").write_text(service_account(private_key, uri))
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "key.json")}
    assert opened(googles, environ).read("etl/v1") == b"bundle"
    assert tokens.assertions  # not always one: beside a bucket's first request the library looks at the bucket itself


def test_an_account_that_google_does_not_know_is_refused(
    googles: str, token_server: tuple[TokenServer, str], private_key: str
) -> None:
    tokens, uri = token_server
    tokens.refusal = b'{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}'
    storage = opened(googles, {"GCP_CREDENTIALS": service_account(private_key, uri)}, "GCP_CREDENTIALS")
    for call in (lambda: storage.read("etl/v1"), lambda: storage.create("new", b""), storage.list_folder):
        with pytest.raises(errors.CredentialsRefused, match="Invalid JWT Signature") as refusal:
            call()
        assert refusal.value.code == 77
        assert private_key.splitlines()[1] not in str(refusal.value)


@pytest.mark.parametrize("door", [refused, blackhole])
def test_a_token_server_that_is_down_makes_the_bucket_unreachable_within_15_seconds(
    googles: str, private_key: str, door: Callable[[], AbstractContextManager[int]]
) -> None:
    began = time.monotonic()
    with door() as port:
        uri = f"http://{HOST}:{port}/token"
        storage = opened(googles, {"GCP_CREDENTIALS": service_account(private_key, uri)}, "GCP_CREDENTIALS")
        with pytest.raises(errors.Unreachable):
            storage.read("etl/v1")
    assert time.monotonic() - began < 15


def test_a_key_that_is_none_is_refused_and_never_shown(googles: str) -> None:
    secret = service_account("-----BEGIN PRIVATE KEY-----\nopen-sesame\n-----END PRIVATE KEY-----\n", "http://x")
    with pytest.raises(errors.CredentialsRefused, match="cannot be used") as refusal:
        opened(googles, {"GCP_CREDENTIALS": secret}, "GCP_CREDENTIALS")
    assert refusal.value.code == 77
    assert "open-sesame" not in str(refusal.value)


def test_without_credentials_the_error_says_what_to_set(googles: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_GCE_CHECK", "true")  # there is no metadata server to wait for
    with pytest.raises(errors.CredentialsRefused, match=r"no credentials for gs://.* found") as refusal:
        opened(googles, {})
    assert "GOOGLE_APPLICATION_CREDENTIALS" in refusal.value.hint


def test_credentials_of_a_file_that_is_not_there_are_reported(googles: str) -> None:
    with pytest.raises(errors.CredentialsRefused, match=r"/nowhere/key\.json"):
        opened(googles, {"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json"})


def test_without_the_library_the_image_and_the_extra_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.cloud.storage", None)
    monkeypatch.delattr("google.cloud.storage", raising=False)
    with pytest.raises(
        errors.EnvironmentWrong, match=r"org/runner:gcp-py3\.\d+ or pip install 'flow-runner\[gcp\]'"
    ) as refusal:
        opened("gs://bucket", {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"})
    assert refusal.value.code == 78
