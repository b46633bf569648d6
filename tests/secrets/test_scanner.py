"""No secret leaves with a bundle: what is found, where it is reported to be, and that its value is never shown."""

from __future__ import annotations

import base64
import json
import logging
import urllib.parse
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, Parameter, build_flow, task
from runner.errors import FlowFailed
from runner.secrets import scanner
from runner.signing import keys
from runner.storage import Azure, Docker, Local
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place

VALUE = "correct-horse/battery+staple"
PEM = keys.PrivateKey(bytes(range(32))).pem.decode()
AZURE_KEY = base64.b64encode(bytes(range(64))).decode()
AWS_ID = "AKIA" + "Q3EGRIYZ57UJTYXB"
SHARED = VALUE  # what share_global takes along


def build(here: Place, function: Any, **options: Any) -> str:
    return build_flow(function, name="f", storage=Local(here.url.removeprefix("file://")), **options)


def share_global() -> str:
    return SHARED


def closed_over(value: Any) -> Any:
    def inner() -> Any:
        return value

    return inner


def in_code() -> str:
    return "correct-horse/battery+staple"


def with_default(value: Any = VALUE) -> Any:
    return value


@pytest.mark.parametrize(
    ("function", "place"),
    [
        (share_global, "the variable SHARED, which share_global uses"),
        (closed_over(VALUE), "the closure variable value of closed_over.<locals>.inner"),
        (closed_over({"deep": [1, {"er": VALUE.encode()}]}), "the closure variable value"),
        (in_code, "the code of in_code"),
        (with_default, "a default of with_default"),
    ],
)
def test_the_value_of_a_variable_is_found_and_its_place_named(
    here: Place, monkeypatch: pytest.MonkeyPatch, function: Any, place: str
) -> None:
    monkeypatch.setenv("DB_PASSWORD", VALUE)
    with pytest.raises(FlowFailed) as refusal:
        build(here, function)
    assert "the value of the variable DB_PASSWORD, in " + place in refusal.value.message
    assert VALUE not in str(refusal.value)
    assert here.keys() == []
    assert build(here, function, allow_secrets=True)


def test_a_tasks_argument_and_a_parameters_default_are_named(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", VALUE)
    flow = Flow("f", storage=Local(here.url.removeprefix("file://")))
    flow.add_parameter(Parameter("where", default={"a": VALUE}))
    with pytest.raises(FlowFailed, match="in the default of parameter where"):
        flow.storage.build()
    with Flow("g", storage=Local(here.url.removeprefix("file://"))) as other:
        task(with_none, name="call")([VALUE])
    with pytest.raises(FlowFailed, match="in an argument of task call"):
        other.storage.build()


def with_none(value: Any = None) -> Any:
    return value


ENCODINGS = {
    "as it stands": VALUE,
    "in JSON": json.dumps({"a": VALUE}),
    "in a URL": f"https://example.com/?key={urllib.parse.quote(VALUE, safe='')}",
    "in base64": base64.b64encode(VALUE.encode()).decode(),
    "in base64 that begins before it": base64.b64encode(b"user:" + VALUE.encode()).decode(),
    "in base64 for a URL": base64.urlsafe_b64encode(b"a" + VALUE.encode() + b"b").decode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_value_is_found_in_every_encoding(here: Place, monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setenv("DB_CREDENTIALS", json.dumps({"user": "me", "pass": VALUE}))
    with pytest.raises(FlowFailed, match="the variable DB_CREDENTIALS"):
        build(here, closed_over(ENCODINGS[encoding]))


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("an AWS access key", f'client(aws_access_key_id="{AWS_ID}")'),
        ("a private key", PEM),
        ("a private key", json.dumps({"type": "service_account", "private_key": PEM * 2})),
        ("an Azure account key", f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={AZURE_KEY}"),
        (
            "an Azure shared access signature",
            f"https://a.blob.core.windows.net/c?sv=2024&sig={urllib.parse.quote(base64.b64encode(bytes(range(32))))}",
        ),
        ("a Google API key", "AIza" + "Sy4_-abcdefghijklmnopqrstuvwxyz12345"[:35]),
        ("a GitHub token", "ghp_" + "a1B2" * 9),
        ("a URL with a password", "postgresql://etl:kZ83hfa92k@db.example.com/etl"),
    ],
)
def test_a_well_known_shape_is_found(here: Place, what: str, text: str) -> None:
    with pytest.raises(FlowFailed, match=f"{what}, in the closure variable"):
        build(here, closed_over(text))


def test_a_url_with_a_password_is_found_whatever_its_length(here: Place) -> None:
    for more in range(80):  # a short text in a pickle stands behind a byte that is its length: "3", "_", "A"
        with pytest.raises(FlowFailed, match="a URL with a password, in the closure variable"):
            build(here, closed_over(f"postgresql://etl:kZ83hfa92k@db.example.com/{'e' * more}"), check=False)


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN PRIVATE KEY-----",
        "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
        "postgresql://user:password@localhost/db",
        "postgresql://user:{password}@localhost/db",
        "https://example.com:8443/a@b",
        "design=sig, sig=short",
        "THAKIABCDEFGHIJKLMNOPQRST",
    ],
)
def test_what_only_looks_alike_travels(here: Place, text: str) -> None:
    assert build(here, closed_over(text))


def test_a_file_is_named(here: Place, tmp_path: Path) -> None:
    (tmp_path / "author").mkdir()
    (tmp_path / "author/flow.py").write_text(
        "import conf\nfrom runner import Flow, task\n\n\n@task\ndef t():\n    return conf.HOST\n\n\n"
        "with Flow('f') as flow:\n    t()\n"
    )
    (tmp_path / "author/conf.py").write_text(f'HOST, KEY = "h", "{AWS_ID}"\n')
    file = str(tmp_path / "author/flow.py")
    done = start({}, "build", file, "--storage", here.url)
    assert done.code == 1, done
    assert "an AWS access key, in the file conf.py" in done.stderr
    assert AWS_ID not in done.stderr
    assert start({}, "build", file, "--storage", here.url, "--allow-secrets").code == 0


def test_named_secrets_are_looked_for_whatever_they_are_called(
    here: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mounted").write_text(VALUE + "\n")
    monkeypatch.setenv("WAREHOUSE_FILE", str(tmp_path / "mounted"))
    storage = Local(here.url.removeprefix("file://"), secrets=["WAREHOUSE", "NOWHERE"])
    with pytest.raises(FlowFailed, match="the secret WAREHOUSE, in the closure variable value"):
        build_flow(closed_over(VALUE), name="f", storage=storage)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("/wJalrXUtnFEMI/K7MDENG", "/wJalrXUtnFEMI/K7MDENG"),
        ("~/wJalrXUtnFEMI", "~/wJalrXUtnFEMI"),
        ("12345678901", "12345678901"),
        ('{"pin": 12345678901}', "12345678901"),
        ("disabled", "disabled"),
    ],
)
def test_a_named_secret_is_looked_for_whatever_it_looks_like(
    here: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, text: str, part: str
) -> None:
    monkeypatch.setenv("WAREHOUSE", text)
    storage = Local(here.url.removeprefix("file://"), secrets=["WAREHOUSE"])
    with pytest.raises(FlowFailed, match="the secret WAREHOUSE, in the closure variable value"):
        build_flow(closed_over(f"x{part}x"), name="f", storage=storage)
    assert "shorter" not in caplog.text


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_CLIENT_SECRET"])
@pytest.mark.parametrize("text", ["/wJalrXUtnFEMI/K7MDENG", "12345678901"])
def test_a_clouds_own_secret_is_looked_for_whatever_it_looks_like(name: str, text: str) -> None:
    found = scanner.collect_secrets((), {name: text})
    assert scanner.find_secrets(f"x{text}x".encode(), found) == [f"the value of the variable {name}"]


def test_a_short_secret_is_warned_of_by_name_and_not_looked_for(
    here: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PIN", "1234")
    monkeypatch.setenv("OTHER_TOKEN", "true")
    storage = Local(here.url.removeprefix("file://"), secrets=["PIN"])
    with caplog.at_level(logging.WARNING):
        assert build_flow(closed_over("1234 true"), name="f", storage=storage)
    assert [line.getMessage() for line in caplog.records if "shorter" in line.getMessage()] == [
        "the secret PIN is shorter than 8 characters, and is neither looked for nor hidden"
    ]


def test_what_is_public_in_a_secret_may_travel(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    account = {
        "type": "service_account",
        "project_id": "my-project-1",
        "client_email": "etl@my-project-1.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
        "private_key_id": "0123456789abcdef",
    }
    monkeypatch.setenv("GCP_CREDENTIALS", json.dumps(account))
    public = {name: value for name, value in account.items() if name != "private_key_id"}
    assert build(here, closed_over(public))
    with pytest.raises(FlowFailed, match="GCP_CREDENTIALS"):
        build(here, closed_over(account))


def test_a_connection_strings_account_and_endpoint_may_travel(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        f"DefaultEndpointsProtocol=https;AccountName=myaccount;AccountKey={AZURE_KEY};EndpointSuffix=core.windows.net"
    )
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    assert build(here, closed_over("myaccount core.windows.net"))
    with pytest.raises(FlowFailed, match="the variable AZURE_STORAGE_CONNECTION_STRING"):
        build(here, closed_over({"key": AZURE_KEY}))


@pytest.mark.parametrize("name", ["SSH_KEY_PATH", "RUNNER_TRUSTED_KEYS", "GPG_KEY", "XKB_KEYBOARD_LAYOUT", "HOME"])
def test_variables_that_hold_no_secret_are_not_looked_for(name: str) -> None:
    assert scanner.collect_secrets((), {name: VALUE}) == []


@pytest.mark.parametrize("value", ["/home/me/key", "disabled", "123456789"])
def test_values_that_are_none_are_not_looked_for(value: str) -> None:
    assert scanner.collect_secrets((), {"A_KEY": value}) == []


def test_the_key_that_signs_does_not_travel(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keys.new_key()
    monkeypatch.setenv("RUNNER_SIGNING_KEY", key.pem.decode())
    body = key.pem.decode().splitlines()[1]
    with pytest.raises(FlowFailed, match="the variable RUNNER_SIGNING_KEY"):
        build(here, closed_over(body))


@pytest.mark.parametrize("where", ["env_vars", "build_args"])
def test_a_variable_of_an_image_is_looked_at_before_it_is_built(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setenv("DB_PASSWORD", VALUE)
    declared: dict[str, Any] = {where: {"DB": f"postgres {VALUE}"}}
    flow = Flow("f", storage=Docker(**declared))
    with pytest.raises(FlowFailed, match=r"the variable DB_PASSWORD, in the (image's variable|build argument) DB"):
        flow.storage.build()


def test_what_was_handed_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    handed_over = Azure("c", connection_string="AccountName=a;AccountKey=c2hvcnQ=").private_texts()
    assert scanner.find_secrets(b"x c2hvcnQ= y", [scanner.handed_over_secret(handed_over)])
