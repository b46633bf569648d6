"""Azure's credentials: azure-identity and azure-storage-blob are asked the same as runner, and find the same."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from runner import errors
from runner.backends import open_storage
from runner.backends.azure.credentials import SOURCES, find_azure, parse_connection_string
from runner.backends.pieces import CHUNK
from runner.images import image_of
from runner.location import parse_location
from runner.secrets.named import resolve
from support.cloud import Cloud, Request
from support.places import azure_place
from support.servers import HOST
from support.wire import blackhole, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from runner.backends.base import Storage
    from support.servers import Server

PUBLIC, CHINA, GOVERNMENT = "login.microsoftonline.com", "login.chinacloudapi.cn", "login.microsoftonline.us"
SUFFIXES = {PUBLIC: "core.windows.net", CHINA: "core.chinacloudapi.cn", GOVERNMENT: "core.usgovcloudapi.net"}
TENANT = "11111111-1111-1111-1111-111111111111"
KEY = base64.b64encode(b"key" * 12).decode()
WHO = {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": "app"}
SECRET = WHO | {"AZURE_CLIENT_SECRET": "right"}
ACCOUNT = {"AZURE_STORAGE_ACCOUNT": "me"}
STRING = "AZURE_STORAGE_CONNECTION_STRING"


class Azure:
    """Entra ID, the machine's metadata service, App Service and the storage: a token names who it was given to."""

    def __init__(self) -> None:
        self.machine: tuple[int, Any] | None = None
        self.blob: tuple[int, Any] = (404, b"<Error><Code>BlobNotFound</Code></Error>")
        self.lifetime = 3600
        self.given = 0

    def answer(self, request: Request) -> tuple[int, Any]:
        if ".blob." in request.host:
            return self.blob
        if request.host.startswith("login."):
            return self._entra(request)
        if request.path == "/metadata/identity/oauth2/token":
            if "metadata" not in request.headers:
                return 400, {"error": "invalid_request"}
            return self.machine or self._token(f"machine:{request.query.get('client_id')}:{request.query['resource']}")
        if request.path == "/msi":
            return self._token(f"service:{request.query.get('client_id')}:{request.headers['x-identity-header']}")
        return 404, b""

    def _token(self, identity: str) -> tuple[int, Any]:
        self.given += 1
        token = base64.b64encode(f"{identity}:{self.given}".encode()).decode()
        times = {"expires_in": self.lifetime, "expires_on": int(time.time()) + self.lifetime}
        return 200, {"access_token": token, "token_type": "Bearer", "resource": "https://storage.azure.com"} | times

    def _entra(self, request: Request) -> tuple[int, Any]:
        base = f"https://{request.host}/{TENANT}"
        if request.path.endswith("/openid-configuration"):
            ends = {"token_endpoint": f"{base}/oauth2/v2.0/token", "authorization_endpoint": f"{base}/authorize"}
            return 200, ends | {"issuer": f"{base}/v2.0"}
        if request.path.endswith("/discovery/instance"):
            return 200, {"tenant_discovery_endpoint": f"{base}/v2.0/.well-known/openid-configuration", "metadata": []}
        form = request.form
        proof = form.get("client_secret") or form.get("client_assertion", "")
        if proof == "wrong":
            text = "AADSTS7000215: Invalid client secret provided. Trace ID: 1"
            return 401, {"error": "invalid_client", "error_description": text}
        if proof == "late":
            text = "AADSTS700024: Client assertion is not within its valid time range. Current time: 2026-11-25"
            return 401, {"error": "invalid_client", "error_description": text}
        if proof.count(".") == 2:  # signed with a certificate
            part = proof.split(".")[1]
            proof = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["iss"]
        return self._token(f"{request.host}:{request.path}:{form['client_id']}:{proof}:{form['scope'].split()[0]}")


@pytest.fixture(scope="module")
def azure() -> Azure:
    return Azure()


@pytest.fixture(scope="module")
def cloud(azure: Azure, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    hosts = [*SUFFIXES, *(f"me.blob.{suffix}" for suffix in SUFFIXES.values())]
    with Cloud(azure.answer, hosts, tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture(autouse=True)
def fresh(azure: Azure, cloud: Cloud) -> None:
    azure.__init__()  # type: ignore[misc]
    cloud.answer, cloud.headers = azure.answer, {}
    del cloud.requests[:]


def here(cloud: Cloud) -> dict[str, str]:
    return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": cloud.url}


def nowhere() -> dict[str, str]:
    return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": f"http://{HOST}:1"}


def token_file(folder: Path, text: str = "assertion") -> dict[str, str]:
    (folder / "token").write_text(text)
    return {"AZURE_FEDERATED_TOKEN_FILE": str(folder / "token")}


def certificate(folder: Path) -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "runner")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "certificate.pem").write_bytes(key.private_bytes(*form) + made)
    return {"AZURE_CLIENT_CERTIFICATE_PATH": str(folder / "certificate.pem")}


def command_line(folder: Path) -> dict[str, str]:
    """An `az` that is logged in."""
    token = {"accessToken": "dG9vbDphejp4", "expires_on": 2_000_000_000, "expiresOn": "2033-05-18 00:00:00.000000"}
    (folder / "az").write_text(f"#!/bin/sh\necho '{json.dumps(token)}'\n")
    (folder / "az").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def string(**parts: str) -> dict[str, str]:
    return {STRING: ";".join(f"{name}={value}" for name, value in parts.items())}


def at(host: str, scheme: str = "https://") -> dict[str, str]:
    """A sovereign cloud; the referee must be given the account's address."""
    return {"AZURE_AUTHORITY_HOST": f"{scheme}{host}", "REFEREES_URL": f"https://me.blob.{SUFFIXES[host]}"}


SAS = "sv=2024-11-04&sr=c&se=2030-01-01T00:00:00Z&sig=c2ln"
# The environment beside AZURE_STORAGE_ACCOUNT, and the source that both find; "" where both refuse.
SITUATIONS: dict[str, tuple[Callable[[Cloud, Path], dict[str, str]], str]] = {
    "string with a key": (lambda *_: string(AccountName="me", AccountKey=KEY), "connection string"),
    "string in other case": (lambda *_: string(accountname="me", ACCOUNTKEY=KEY), "connection string"),
    "string with a suffix": (
        lambda *_: string(AccountName="me", AccountKey=KEY, EndpointSuffix=SUFFIXES[CHINA]),
        "connection string",
    ),
    "string with a SAS": (
        lambda *_: string(BlobEndpoint="https://me.blob.core.windows.net/", SharedAccessSignature=SAS),
        "connection string",
    ),
    "string before keys": (
        lambda *_: string(AccountName="me", AccountKey=KEY) | {"AZURE_STORAGE_SAS_TOKEN": SAS},
        "connection string",
    ),
    "key": (lambda *_: {"AZURE_STORAGE_KEY": KEY}, "account key"),
    "key before SAS": (lambda *_: {"AZURE_STORAGE_KEY": KEY, "AZURE_STORAGE_SAS_TOKEN": SAS}, "account key"),
    "SAS": (lambda *_: {"AZURE_STORAGE_SAS_TOKEN": f"?{SAS}"}, "SAS"),
    "SAS before tokens": (lambda *_: SECRET | {"AZURE_STORAGE_SAS_TOKEN": SAS}, "SAS"),
    "client secret": (lambda *_: SECRET, "client secret"),
    "client secret in China": (lambda *_: SECRET | at(CHINA), "client secret"),
    "client secret of a government": (lambda *_: SECRET | at(GOVERNMENT, ""), "client secret"),
    "client secret before workload": (lambda _, folder: SECRET | token_file(folder), "client secret"),
    "wrong client secret": (lambda *_: WHO | {"AZURE_CLIENT_SECRET": "wrong"} | nowhere(), ""),
    "wrong secret, machine": (lambda cloud, _: WHO | {"AZURE_CLIENT_SECRET": "wrong"} | here(cloud), ""),
    "empty client secret": (lambda cloud, _: WHO | {"AZURE_CLIENT_SECRET": ""} | here(cloud), ""),
    "authority in the clear": (lambda *_: SECRET | {"AZURE_AUTHORITY_HOST": f"http://{PUBLIC}"}, ""),
    "certificate": (lambda _, folder: WHO | certificate(folder), "certificate or password"),
    "certificate that is none": (lambda *_: WHO | {"AZURE_CLIENT_CERTIFICATE_PATH": "/nowhere"}, ""),
    "workload": (lambda _, folder: WHO | token_file(folder), "workload identity"),
    "workload in China": (lambda _, folder: WHO | token_file(folder) | at(CHINA), "workload identity"),
    "workload before machine": (lambda cloud, folder: WHO | token_file(folder) | here(cloud), "workload identity"),
    "workload refused": (lambda cloud, folder: WHO | token_file(folder, "wrong") | here(cloud), ""),
    "workload without a file": (lambda *_: WHO | {"AZURE_FEDERATED_TOKEN_FILE": "/nowhere"} | nowhere(), ""),
    "workload without a client": (
        lambda cloud, folder: {"AZURE_TENANT_ID": TENANT} | token_file(folder) | at(PUBLIC) | here(cloud),
        "",
    ),
    "machine": (lambda cloud, _: here(cloud), "managed identity of the machine"),
    "machine, one of several": (
        lambda cloud, _: here(cloud) | {"AZURE_CLIENT_ID": "two"},
        "managed identity of the machine",
    ),
    "machine before az": (lambda cloud, folder: here(cloud) | command_line(folder), "managed identity of the machine"),
    "service": (
        lambda cloud, _: {"IDENTITY_ENDPOINT": f"{cloud.url}/msi", "IDENTITY_HEADER": "head"},
        "managed identity of a service",
    ),
    "service before machine": (
        lambda cloud, _: here(cloud) | {"IDENTITY_ENDPOINT": f"{cloud.url}/msi", "IDENTITY_HEADER": "head"},
        "managed identity of a service",
    ),
    "az": (lambda _, folder: nowhere() | command_line(folder), "az CLI and other tools"),
    "az alone wanted": (
        lambda cloud, folder: SECRET | here(cloud) | command_line(folder) | only("AzureCliCredential"),
        "az CLI and other tools",
    ),
    "tools alone wanted": (
        lambda cloud, folder: SECRET | here(cloud) | command_line(folder) | only("dev"),
        "az CLI and other tools",
    ),
    "machine alone wanted": (
        lambda cloud, folder: SECRET | here(cloud) | command_line(folder) | only("ManagedIdentityCredential"),
        "managed identity of the machine",
    ),
    "no tools wanted": (lambda _, folder: nowhere() | command_line(folder) | only("prod"), ""),
    "nothing": (lambda *_: nowhere(), ""),
}


def only(name: str) -> dict[str, str]:
    return {"AZURE_TOKEN_CREDENTIALS": name}


def signer(request: Request) -> tuple[str, str]:
    """The account, and who asks: a token's identity, a key's account, or the SAS."""
    kind, _, rest = request.headers.get("authorization", "").partition(" ")
    if kind == "Bearer":
        return request.host, base64.b64decode(rest).decode().rpartition(":")[0]
    return request.host, f"{kind} {rest.partition(':')[0]}{request.query.get('sig', '')}"


def test_there_are_enough_situations_and_every_source_is_in_one() -> None:
    found = [source for _, source in SITUATIONS.values()]
    assert len(found) == 36
    assert found.count("") == 10
    assert {source.name for source in SOURCES} - set(found) == {"named secret"}  # which no SDK knows


@pytest.mark.parametrize("name", SITUATIONS)
def test_runner_and_azures_own_sdk_find_the_same(cloud: Cloud, tmp_path: Path, name: str) -> None:
    environ, source = SITUATIONS[name]
    answers = cloud.ask("azure", ACCOUNT | {"HOME": str(tmp_path)} | environ(cloud, tmp_path))
    expected = "opened" if source else "refused"
    assert (answers["sdk"]["outcome"], answers["runner"]["outcome"]) == (expected, expected), answers
    if source:
        assert answers["runner"]["source"] == source
        assert signer(cloud.of("runner")) == signer(cloud.of("sdk"))
    else:
        assert not any(request.path.endswith(("sdk", "runner")) for request in cloud.requests)
    assert "wrong" not in json.dumps(answers["runner"])


@pytest.fixture
def on_machine(cloud: Cloud, azure: Azure) -> dict[str, str]:
    """A machine with an identity, and a storage in the clear that looks at the tokens it is shown."""

    def blob(request: Request) -> tuple[int, Any]:
        return azure.blob if request.path.startswith("/me/") else azure.answer(request)

    cloud.answer = blob
    return ACCOUNT | here(cloud) | {"AZURE_STORAGE_SERVICE_ENDPOINT": f"{cloud.url}/me"}


def opened(environ: Mapping[str, str], url: str = "azure://b") -> Storage:
    return open_storage(parse_location(url), resolve((), environ), environ)


@pytest.mark.parametrize("how", ["machine", "service"])
def test_a_token_that_expires_is_renewed_in_the_middle_of_a_run(
    cloud: Cloud, azure: Azure, on_machine: dict[str, str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    azure.lifetime = 1
    if how == "service":
        for name, value in {"IDENTITY_ENDPOINT": f"{cloud.url}/msi", "IDENTITY_HEADER": "head"}.items():
            monkeypatch.setenv(name, value)
        on_machine = {**on_machine, "IDENTITY_ENDPOINT": f"{cloud.url}/msi"}
    storage = opened(on_machine)
    ends = []
    for _ in range(3):
        with pytest.raises(errors.NotFound):
            storage.read("runner")
        assert storage.credential_source
        ends.append(storage.credential_source.expires_at())
        time.sleep(1.1)  # what is waited for is the time itself
    tokens = {request.headers["authorization"] for request in cloud.requests if request.path.endswith("runner")}
    assert len(tokens) == 3
    assert ends == sorted(set(ends))  # type: ignore[type-var]
    assert all(end and abs(end.timestamp() - time.time()) < 10 for end in ends)


def test_a_token_that_expires_is_renewed_in_the_middle_of_one_upload(
    cloud: Cloud, azure: Azure, on_machine: dict[str, str]
) -> None:
    azure.lifetime = 1
    storage = opened(on_machine)
    cloud.headers = {"ETag": "1"}
    serve = cloud.answer
    cloud.answer = lambda request: (201, b"") if request.method == "PUT" else serve(request)
    with storage.writer("long") as writer:
        for _ in range(3):
            writer.write(bytes(CHUNK))
            writer.write(b"more")
            time.sleep(1.1)  # what is waited for is the time itself
    sent = [request for request in cloud.requests if request.method == "PUT"]
    assert [request.query["comp"] for request in sent] == ["block"] * 4 + ["blocklist"]
    assert len({request.headers["authorization"] for request in sent}) > 2


def test_a_token_that_cannot_be_renewed_is_refused_and_says_why(azure: Azure, on_machine: dict[str, str]) -> None:
    azure.lifetime = 1
    storage = opened(on_machine)
    with pytest.raises(errors.NotFound):
        storage.read("a")
    azure.machine = (400, {"error": "invalid_request", "error_description": "Identity not found"})
    time.sleep(1.1)
    with pytest.raises(errors.CredentialsRefused, match=r"gives no new token.*Identity not found.*used: managed"):
        storage.read("a")


def test_the_machines_busy_service_is_tried_again(azure: Azure, on_machine: dict[str, str], cloud: Cloud) -> None:
    busy = [(429, {"error": "busy"}), (500, b"")]
    serve = cloud.answer
    cloud.answer = lambda request: busy.pop() if busy and "metadata" in request.path else serve(request)
    with pytest.raises(errors.NotFound):
        opened(on_machine).read("a")
    assert azure.given == 1


def test_a_machines_service_that_refuses_is_reported(azure: Azure, on_machine: dict[str, str]) -> None:
    azure.machine = (403, {"error": "forbidden", "error_description": "Not for this container"})
    with pytest.raises(errors.CredentialsRefused, match="identity service refused: 403: Not for this container"):
        opened(on_machine)


@pytest.mark.parametrize("door", [refused, blackhole])
def test_where_there_is_no_metadata_service_the_end_is_clear_and_quick(door: Any) -> None:
    with door() as port:
        environ = ACCOUNT | only("prod") | {"AZURE_POD_IDENTITY_AUTHORITY_HOST": f"http://{HOST}:{port}"}
        began = time.monotonic()
        with pytest.raises(errors.CredentialsRefused, match=r"identity of the machine: 127\.0\.0\.1 does not answer"):
            opened(environ)
    assert time.monotonic() - began < 3


DATE = "Request date header too old: 'Wed, 25 Nov 2026 04:54:51 GMT'"
FRAME = "Signature not valid in the specified time frame: Start [Wed] - Expiry [Thu] - Current [Fri]"
MAC = "The MAC signature found in the HTTP request 'c2lnbmF0dXJl' is not the same as any computed signature."
WALL = "This request is not authorized to perform this operation."


@pytest.mark.parametrize(
    ("code", "message", "detail", "kind", "text"),
    [
        ("AuthenticationFailed", "Server failed", DATE, errors.CredentialsRefused, "date header too old.*clock"),
        ("AuthenticationFailed", "Server failed", FRAME, errors.CredentialsRefused, "time frame.*clock"),
        ("AuthenticationFailed", "Server failed", MAC, errors.CredentialsRefused, "Check the keys"),
        (
            "AuthorizationPermissionMismatch",
            f"{WALL[:-1]} using this permission.",
            "",
            errors.Denied,
            "Data Contributor",
        ),
        ("AuthorizationFailure", WALL, "", errors.Denied, "firewall"),
    ],
)
def test_what_the_storage_refuses_is_reported_with_the_source(
    azure: Azure, on_machine: dict[str, str], code: str, message: str, detail: str, kind: Any, text: str
) -> None:  # fmt: skip
    more = detail and f"<AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail>"
    azure.blob = 403, f"<Error><Code>{code}</Code><Message>{message}\nId:1</Message>{more}</Error>".encode()
    with pytest.raises(kind, match=text) as refusal:
        opened(on_machine).read("a")
    assert type(refusal.value) is kind
    assert refusal.value.code == 77
    assert "used: managed identity of the machine; before it, named secret: none is named" in str(refusal.value)
    assert "c2lnbmF0dXJl" not in str(refusal.value)


def test_an_assertion_that_the_clock_made_invalid_is_reported(cloud: Cloud, tmp_path: Path) -> None:
    answers = cloud.ask("azure", ACCOUNT | WHO | token_file(tmp_path, "late") | nowhere())
    assert "AADSTS700024: Client assertion is not within its valid time range" in answers["runner"]["text"]
    assert "Check the clock of this machine" in answers["runner"]["text"]


@pytest.mark.parametrize(
    ("environ", "kind", "text"),
    [
        ({}, errors.CredentialsRefused, "it needs azure-identity, which is not installed"),
        (
            WHO | {"AZURE_CLIENT_CERTIFICATE_PATH": "/x"},
            errors.EnvironmentWrong,
            "certificate or password needs azure-i",
        ),
        ({"IDENTITY_ENDPOINT": "http://x"}, errors.EnvironmentWrong, "managed identity of a service needs azure-id"),
    ],
)
def test_without_azure_identity_the_image_and_the_extra_are_named(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], kind: type[errors.RunnerError], text: str
) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    monkeypatch.delattr("azure.identity", raising=False)
    with pytest.raises(kind, match=text) as refusal:
        opened(ACCOUNT | nowhere() | environ)
    assert refusal.value.hint == f"Use {image_of('azure')} or pip install 'flow-runner[azure]'."


def test_an_account_that_nothing_names_has_no_credentials() -> None:
    with pytest.raises(errors.CredentialsRefused, match="account key: AZURE_STORAGE_ACCOUNT is not set") as refusal:
        opened({})
    assert "named secret: none is named in RUNNER_SECRETS" in str(refusal.value)


def test_stray_variables_of_obstores_do_no_harm(cloud: Cloud, tmp_path: Path) -> None:
    stray = {"AZURE_STORAGE_TOKEN": "stray", "AZURE_STORAGE_CLIENT_ID": "stray", "AZURE_STORAGE_ACCOUNT_KEY": KEY}
    stray |= {"AZURE_USE_AZURE_CLI": "true", "AZURE_SKIP_SIGNATURE": "true", "AZURE_CREDENTIAL_TYPE": "azure_cli"}
    for environ in (SECRET, WHO | token_file(tmp_path), here(cloud)):
        answers = cloud.ask("azure", ACCOUNT | environ | stray)
        assert answers["runner"]["outcome"] == "opened", answers
        assert signer(cloud.of("runner")) == signer(cloud.of("sdk"))


@pytest.mark.parametrize("kind", ["key", "sas", "emulator"])
def test_azurite_takes_keys_and_a_sas_of_the_environment(
    azurite: Server, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = azure_place(azurite)
    parts = dict(part.split("=", 1) for part in place.environ[STRING].split(";") if part)
    account, key, container = parts["AccountName"], parts["AccountKey"], parse_location(place.url).container
    environ = {"AZURE_STORAGE_SERVICE_ENDPOINT": parts["BlobEndpoint"]}
    until = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=1)
    if kind == "key":
        environ |= {"AZURE_STORAGE_ACCOUNT": account, "AZURE_STORAGE_KEY": key}
    elif kind == "sas":
        rights = ContainerSasPermissions(read=True, create=True, list=True)
        sas = generate_container_sas(account, container, account_key=key, permission=rights, expiry=until)
        environ |= {"AZURE_STORAGE_SAS_TOKEN": sas}
    else:
        # the emulator's own port may be anybody's here
        port = azurite.url.rpartition(":")[2]
        monkeypatch.setattr("runner.backends.azure.credentials.EMULATOR_PORT", port)
        environ = {STRING: "UseDevelopmentStorage=true"}
    storage = opened(environ, place.url)
    storage.create("etl/v1", b"bundle")
    assert place.read("etl/v1") == b"bundle"
    assert storage.credential_source
    assert storage.credential_source.expires_at() == (until if kind == "sas" else None)


def test_the_emulators_proxy_is_asked_where_it_is() -> None:
    text = "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite"
    assert parse_connection_string(text)["endpoint"] == "http://azurite:10000/devstoreaccount1"


@pytest.mark.parametrize("end", ["2026-12-31", "2026-12-31T00:00Z", "2026-12-31T00:00:00Z"])
def test_every_form_of_a_sas_end_is_a_time_in_utc(end: str) -> None:
    """https://learn.microsoft.com/rest/api/storageservices/formatting-datetime-values"""
    environ = {"AZURE_STORAGE_ACCOUNT": "a", "AZURE_STORAGE_SAS_TOKEN": f"sv=1&se={end}&sig=x"}
    assert find_azure(resolve((), environ), environ).source.expires_at() == dt.datetime(2026, 12, 31, tzinfo=dt.UTC)
