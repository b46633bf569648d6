"""Azure's connection strings and rights; what holds for every storage is in `tests/backends/contract`."""

from __future__ import annotations

import base64
import datetime as dt
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from azure.storage.blob import generate_container_sas

from runner import errors
from runner.authoring.storages import declare
from runner.backends import open_storage
from runner.backends.azure.credentials import parse_connection_string
from runner.location import parse_location
from runner.secrets.named import resolve
from runner.storage import Azure
from support.places import Place, azure_place
from support.wire import Relay

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runner.backends.base import Storage
    from support.servers import Server

STRING = "AZURE_STORAGE_CONNECTION_STRING"
KEY = "c2VjcmV0c2VjcmV0c2VjcmV0"


@pytest.fixture
def place(azurite: Server) -> Place:
    return azure_place(azurite)


def parts(place: Place) -> dict[str, str]:
    return dict(part.split("=", 1) for part in place.environ[STRING].split(";") if part)


def join(values: Mapping[str, str]) -> str:
    return ";".join(f"{name}={value}" for name, value in values.items())


def opened(place: Place, text: str) -> Storage:
    environ = {STRING: text}
    return open_storage(parse_location(place.url), resolve((), environ), environ)


def with_sas(place: Place, permission: str, hours: int = 1, mark: str = "") -> Storage:
    values = parts(place)
    sas = generate_container_sas(
        values["AccountName"],
        parse_location(place.url).container,
        account_key=values["AccountKey"],
        permission=permission,
        expiry=dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours),
    )
    return opened(place, join({"BlobEndpoint": values["BlobEndpoint"], "SharedAccessSignature": mark + sas}))


def test_a_connection_string_opens_the_container_that_takes_its_ones_place() -> None:
    declared = Azure("one", connection_string=f"AccountName=me;AccountKey={KEY}", secrets=["TOKEN"])
    moved = declared.relocated(declare("azure://other/deep"))
    assert (moved.url, moved.secrets) == ("azure://other/deep", ("TOKEN",))
    assert moved.extra_secrets() == declared.extra_secrets()
    assert declared.relocated(declare("s3://other")).extra_secrets() == {}


@pytest.mark.parametrize(
    ("text", "account", "endpoint"),
    [
        (f"AccountName=me;AccountKey={KEY}==", "me", "https://me.blob.core.windows.net"),
        (
            f"DefaultEndpointsProtocol=http;AccountName=me;AccountKey={KEY}==;EndpointSuffix=core.chinacloudapi.cn",
            "me",
            "http://me.blob.core.chinacloudapi.cn",
        ),
        (f" AccountName=me ;\n AccountKey={KEY}==;", "me", "https://me.blob.core.windows.net"),
        (f"BlobEndpoint=https://h/x/;AccountName=me;AccountKey={KEY}==", "me", "https://h/x"),
    ],
)
def test_a_connection_string_with_a_key_is_read(text: str, account: str, endpoint: str) -> None:
    expected = {"account_name": account, "account_key": f"{KEY}==", "endpoint": endpoint}
    assert parse_connection_string(text) == expected


@pytest.mark.parametrize("mark", ["", "?"])
def test_a_connection_string_with_a_sas_names_its_account_in_the_endpoint(mark: str) -> None:
    sas = "sv=2024-11-04&ss=b&sig=a%2Bb%3D"
    text = f"BlobEndpoint=https://me.blob.core.windows.net/;QueueEndpoint=x;SharedAccessSignature={mark}{sas}"
    expected = {"account_name": "me", "sas_key": sas, "endpoint": "https://me.blob.core.windows.net"}
    assert parse_connection_string(text) == expected


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("AccountName=me", "AccountKey or SharedAccessSignature"),
        ("AccountKey=open-sesame", "AccountName or BlobEndpoint"),
        ("open-sesame", "AccountName or BlobEndpoint"),
        ("AccountName=me;AccountKey=", "AccountKey or SharedAccessSignature"),
    ],
)
def test_what_a_connection_string_lacks_is_named_and_no_value_is_shown(place: Place, text: str, missing: str) -> None:
    with pytest.raises(errors.EnvironmentWrong, match=missing) as refusal:
        opened(place, text)
    assert refusal.value.code == 78
    assert "open-sesame" not in str(refusal.value)


def test_without_a_connection_string_there_are_no_credentials() -> None:
    with pytest.raises(errors.CredentialsRefused, match=f"{STRING} is not set") as refusal:
        open_storage(parse_location("azure://container"), resolve((), {}), {})
    assert refusal.value.code == 77


@pytest.mark.parametrize("name", [STRING, "AZURE_CREDENTIALS"])
def test_a_named_secret_beats_the_environment(place: Place, name: str) -> None:
    environ = {STRING: "AccountName=other;AccountKey=eA=="} | {name: place.environ[STRING]}
    place.write("etl/v1", b"bundle")
    storage = open_storage(parse_location(place.url), resolve([name], environ), environ)
    assert storage.read("etl/v1") == b"bundle"


@pytest.mark.parametrize("key", [base64.b64encode(b"wrong" * 8).decode(), "not-base-64!"])
def test_a_wrong_key_is_refused_and_never_shown(place: Place, key: str) -> None:
    storage = opened(place, join(parts(place) | {"AccountKey": key}))
    for call in (lambda: storage.read("a"), lambda: storage.create("a", b""), storage.list_folder):
        with pytest.raises(errors.CredentialsRefused, match="refused the credentials") as refusal:
            call()
        assert type(refusal.value) is errors.CredentialsRefused
        assert refusal.value.code == 77
        assert key not in str(refusal.value) + str(refusal.value.__cause__)


@pytest.mark.parametrize("mark", ["", "?"])
def test_a_sas_opens_what_it_allows_and_is_denied_the_rest(place: Place, mark: str) -> None:
    place.write("etl/v1", b"bundle")
    everything = with_sas(place, "rcwl", mark=mark)
    assert everything.read("etl/v1") == b"bundle"
    everything.create("new", b"1")
    assert len(list(everything.list_recursive())) == 2
    reader = with_sas(place, "r", mark=mark)
    assert reader.read("etl/v1") == b"bundle"
    for call in (lambda: reader.create("newer", b"1"), reader.list_folder, lambda: list(reader.list_recursive())):
        with pytest.raises(errors.Denied, match="Storage Blob Data Contributor"):
            call()


def test_a_sas_that_has_expired_is_refused_and_never_shown(place: Place) -> None:
    with pytest.raises(errors.CredentialsRefused, match="refused the credentials") as refusal:
        with_sas(place, "rcwl", hours=-1).read("etl/v1")
    assert type(refusal.value) is errors.CredentialsRefused
    assert "sig=" not in str(refusal.value) + str(refusal.value.__cause__)


@pytest.mark.parametrize("kind", ["key", "sas"])
def test_what_strays_in_the_processs_own_environment_does_no_harm(
    place: Place, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    stray = {
        "AZURE_STORAGE_ACCOUNT_NAME": "other",
        "AZURE_STORAGE_ACCOUNT_KEY": "eA==",
        "AZURE_STORAGE_TOKEN": "stray",
        "AZURE_STORAGE_USE_EMULATOR": "true",
        "AZURE_SKIP_SIGNATURE": "true",
        "AZURE_STORAGE_ENDPOINT": "http://127.0.0.1:1",
        "AZURE_CONTAINER_NAME": "other",
        "AZURE_CLIENT_ID": "a pod's",
        "AZURE_TENANT_ID": "a pod's",
        "AZURE_FEDERATED_TOKEN_FILE": "/nowhere",
    }
    for name, value in stray.items():
        monkeypatch.setenv(name, value)
    storage = opened(place, place.environ[STRING]) if kind == "key" else with_sas(place, "rcwl")
    storage.create("etl/v1", b"bundle")
    assert storage.read("etl/v1") == b"bundle"


def test_the_certificates_of_ssl_cert_file_are_trusted_and_no_others(place: Place, tmp_path: Path) -> None:
    authority, file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    values = parts(place)
    place.write("etl/v1", b"bundle")
    upstream = values["BlobEndpoint"]
    with Relay(upstream, context=context) as relay:
        url = f"https://127.0.0.1:{relay.port}/{values['AccountName']}"
        environ = {STRING: join(values | {"BlobEndpoint": url})}
        trusting = environ | {"SSL_CERT_FILE": str(file)}
        storage = open_storage(parse_location(place.url), resolve((), trusting), trusting)
        assert storage.read("etl/v1") == b"bundle"
        with pytest.raises(errors.Unreachable, match=r"certificate is not trusted.*SSL_CERT_FILE"):
            open_storage(parse_location(place.url), resolve((), environ), environ).read("etl/v1")


@pytest.mark.parametrize("name", ["AccountKey", "accountkey"])
def test_the_key_in_a_connection_string_is_private_in_whatever_case_its_name_is_written(name: str) -> None:
    assert "open-sesame==" in Azure("c", connection_string=f"AccountName=a;{name}=open-sesame==").private_texts()
