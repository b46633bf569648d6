"""Attacks on secrets: what somebody who can read the bucket, the log or the image would like to find there."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, build_flow, secret, task
from runner.errors import FlowFailed, Unreachable, UsageError
from runner.secrets import scanner
from runner.secrets.named import find_secret
from runner.secrets.parts import passwords_in
from runner.secrets.redaction import MASK, redact, reset_masks
from runner.storage import Docker, Local
from runner.tracebacks import describe_exception
from support.canary import AUTHOR, KEY, Target
from support.secret_forms import FORMS
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

VALUE = "wF3!kq9_Zr7-mmV2"


def closing_over(value: Any) -> Any:
    def close_over() -> Any:
        return value

    return close_over


def local(target: Target) -> Local:
    return Local(target.place.url.removeprefix("file://"))


def refused(target: Target, function: Any, *words: str) -> None:
    with pytest.raises(FlowFailed) as refusal:
        build_flow(function, name="f", storage=local(target))
    assert all(word in str(refusal.value) for word in words), str(refusal.value)
    assert VALUE not in str(refusal.value)
    assert target.place.keys() == []


def test_a_password_is_closed_over(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """The author's helper takes the password once and returns a function; the pickle takes the cell along."""
    monkeypatch.setenv("DB_PASSWORD", VALUE)
    refused(target, closing_over({"password": VALUE}), "DB_PASSWORD", "closure variable value")


def test_a_client_is_made_at_the_top_of_the_file(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object with a token deep inside is an argument of a task."""
    monkeypatch.setenv("SERVICE_TOKEN", VALUE)
    with Flow("f", storage=local(target)) as flow:
        task(_first, name="ask")([{"session": {"headers": [("authorization", f"Bearer {VALUE}")]}}])
    with pytest.raises(FlowFailed, match="SERVICE_TOKEN, in an argument of task ask") as refusal:
        flow.storage.build()
    assert VALUE not in str(refusal.value)


def _first(parts: list[Any]) -> Any:
    return parts[0]


def test_a_secret_hides_in_a_basic_authorisation(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """base64 of user:password has no byte in common with the password."""
    monkeypatch.setenv("API_SECRET", VALUE)
    refused(target, closing_over(base64.b64encode(f"user:{VALUE}".encode())), "API_SECRET")


def test_a_key_file_lies_in_the_package(target: Target, tmp_path: Path) -> None:
    """Data files of a package travel; one of them is the service account's key that was downloaded into it."""
    package = tmp_path / "author/pipeline"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "key.json").write_text(json.dumps({"type": "service_account", "private_key": AUTHOR.pem.decode()}))
    (tmp_path / "author/flow.py").write_text(
        "import pipeline\nfrom runner import Flow, task\n\n\n@task\ndef t():\n    return pipeline.__name__\n\n\n"
        "with Flow('f') as flow:\n    t()\n"
    )
    done = start({}, "build", str(tmp_path / "author/flow.py"), "--storage", target.place.url)
    assert done.code == 1, done
    assert "a private key, in the file pipeline/key.json" in done.stderr
    assert target.place.keys() == []


@pytest.mark.parametrize("form", FORMS)
def test_a_named_secret_hides_in_a_form_that_its_author_did_not_think_of(form: str) -> None:
    """What a run hides is what a build refuses, whoever wrote it: one list, and no value is too harmless."""
    for value in (VALUE, "/usr/lib'x\"&<>%2", "Straße-9-Straße"):
        written = FORMS[form](value)
        secrets = scanner.collect_secrets(["WAREHOUSE"], {"WAREHOUSE": value})
        assert scanner.find_secrets(f"x{written}x".encode(), secrets) == ["the value of the secret WAREHOUSE"], written
        find_secret("WAREHOUSE", {"WAREHOUSE": value})
        assert MASK in redact(f"x{written}x")


DSNS = {
    "postgresql://etl:{}@db.example.com:5432/x?sslmode=require": "a URL",
    "redis://:{}@cache:6379/0": "a URL without a user",
    "mongodb+srv://etl:{}@a.example.com,b.example.com/x": "a URL with two hosts",
    "azure://application-id:{}?tenantId=made-up": "a URL without a host, as Airflow's (apache/airflow 38144)",
    "jdbc:postgresql://db/x?user=etl&password={}": "a query",
    "host=db user=etl password='{}' dbname=x": "libpq's words",
    "Driver={{ODBC Driver 18}};Server=db;UID=etl;PWD={{{}}};": "ODBC's words",
    "Server=db;User Id=etl;Password={};": "ADO's words",
    "Endpoint=sb://x.example.com/;SharedAccessKeyName=etl;SharedAccessKey={}": "Service Bus's words",
}


@pytest.mark.parametrize("dsn", DSNS, ids=DSNS.values())
def test_the_password_stands_alone_that_was_named_in_a_connection_string(
    target: Target, monkeypatch: pytest.MonkeyPatch, dsn: str
) -> None:
    """The string is named; the author, or a driver's error, writes the password out of it."""
    monkeypatch.setenv("DSN", dsn.format(VALUE))
    storage = Local(target.place.url.removeprefix("file://"), secrets=["DSN"])
    with pytest.raises(FlowFailed, match="the value of the secret DSN, in the closure variable value"):
        build_flow(closing_over(f"login failed for {VALUE}"), name="f", storage=storage)
    find_secret("DSN", {"DSN": dsn.format(VALUE)})
    assert redact(f"login failed for {VALUE}, {dsn.format(VALUE)}").count(MASK) == 2


def test_a_password_stands_in_a_url_as_no_url_may_have_it() -> None:
    """An unescaped @ or / ends the password for one reader, and not for the next; both readings are hidden."""
    for written in ("p@ss/w0rd-long-enough", "p%40ss%2Fw0rd-long-enough"):
        find_secret("DSN", {"DSN": f"postgresql://etl:{written}@db/x"})
        assert "w0rd-long" not in redact(f"{written} p@ss/w0rd-long-enough")
        reset_masks()


@pytest.mark.timeout(60)  # it took minutes
@pytest.mark.parametrize("text", ["://", "://a:", "password=", "a:b@", "%", "'\\"])
def test_a_variable_is_long_and_looks_like_connection_strings_without_end(text: str) -> None:
    """What has no password in it does not hold up a start, or a build, by the trying."""
    assert passwords_in(f"{text * 200_000}\npostgres://etl:{VALUE}@db/x") == [VALUE]


def test_a_token_stands_where_a_url_has_its_user() -> None:
    """Only passwords were hidden, and some services take the token as the user (pypa/pip 9973)."""
    token = "ghp_" + "aB3" * 12
    for url in (f"https://{token}@github.com/x", f"https://{token}:@pypi.example.com", f"https://{token}:x-oauth@x"):
        find_secret("INDEX", {"INDEX": url})
        assert redact(f"401 for {token}") == "401 for ***"
        reset_masks()


TOKEN = "aB3dE5gH7jK9mN1pQ3rS5tU7"
PAIR = base64.b64encode(f"etl:{VALUE}".encode()).decode()
HIDDEN_PARTS = {
    # an error of requests tells the path of a webhook, without the host: Shweta-Mishra-ai/github-autopilot 96
    "a webhook": (
        f"https://hooks.slack.com/services/T0AB/B0AB/{TOKEN}",
        f"exceeded with url: /services/T0AB/B0AB/{TOKEN}",
    ),
    "a bot": (f"https://api.telegram.org/bot12345:{TOKEN}-x_y/send", f"GET /bot12345:{TOKEN}-x_y/send"),
    "an index": (f"https://pypi.fury.io/{TOKEN}/me/", f"404 for /{TOKEN}/me/pandas"),  # jazzband/pip-tools 697
    "a field": (json.dumps({"webhook_url": f"https://hooks.slack.com/services/{TOKEN}"}), f"to /services/{TOKEN}"),
    "a code": (f"https://x.azurewebsites.net/api/f?code={TOKEN}==", f"GET /api/f?code={TOKEN}== 500"),
    # agbcloud/agbcloud-sdk 14
    "a signed URL": (f"https://b.example.com/k?X-Amz-Signature={'5d672d79' * 8}", f"sig {'5d672d79' * 8}"),
    # moby/moby 46773: --env-file leaves the quotes, and whoever reads it takes them off
    "quotes": (f'"{VALUE}"', f"login with {VALUE}"),
    # google-github-actions/setup-gcloud 134: keys' files are given in base64, and decoded when they are used
    "a file in base64": (base64.b64encode(json.dumps({"private_key": VALUE}).encode()).decode(), f"key {VALUE}"),
    "wrapped base64": (base64.encodebytes(b"x " * 40 + VALUE.encode()).decode(), f"key {'x ' * 40}{VALUE}"),
    "a header": (f"Basic {PAIR}", f"etl:{VALUE}"),
    "a registry's": (json.dumps({"auths": {"r.example.com": {"auth": PAIR}}}), f"denied: {VALUE}"),
    # jenkinsci/credentials-binding-plugin binds user and password in one
    "user and password": (f"etl:{VALUE}", f"denied: {VALUE}"),
    ".pgpass": (f"db:5432:etl:etl:{VALUE}", f"denied: {VALUE}"),
    "a netrc": (f"machine db.example.com login etl password {VALUE}", f"denied: {VALUE}"),
    "a long netrc": (f"machine db.example.com\nlogin etl\npassword {VALUE}", f"denied: {VALUE}"),
    "YAML": (f"user: etl\npassword: {VALUE}\n", f"denied: {VALUE}"),
    "a dictionary": (f"{{'user': 'etl', 'password': '{VALUE}'}}", f"denied: {VALUE}"),
}


@pytest.mark.parametrize("kind", HIDDEN_PARTS)
def test_a_part_of_a_secret_is_shown_alone_by_whoever_uses_it(kind: str) -> None:
    """A secret is given as somebody wrote it down, and what a library tells of it is the part that matters.

    https://github.com/Shweta-Mishra-ai/github-autopilot/pull/96, https://github.com/jazzband/pip-tools/issues/697,
    https://github.com/moby/moby/issues/46773, https://github.com/google-github-actions/setup-gcloud/issues/134
    """
    text, told = HIDDEN_PARTS[kind]
    find_secret("S", {"S": text})
    assert MASK in redact(told)
    assert not any(part in redact(told) for part in (VALUE, TOKEN, "5d672d79"))
    secrets = scanner.collect_secrets(["S"], {"S": text})
    assert scanner.find_secrets(told.encode(), secrets) == ["the value of the secret S"]


def test_what_of_a_secret_is_no_secret_stays_readable() -> None:
    """A mask that takes too much makes logs useless (actions/runner 326: every e and f was hidden).

    https://github.com/actions/runner/issues/326
    """
    key = {"type": "service_account", "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/a%40b"}
    find_secret("A", {"A": json.dumps(key | {"private_key": VALUE})})
    find_secret(
        "B", {"B": f"postgres://etl:{VALUE}@db.example.com/analytics/orders-by-customer-and-day?sslmode=require"}
    )
    find_secret("C", {"C": "{\n}\n"})
    find_secret("D", {"D": "true"})
    find_secret("E", {"E": "1"})
    line = "11 true {e} f /analytics/orders-by-customer-and-day?sslmode=require x509/a%40b www.googleapis.com/robot"
    assert redact(line) == line


@pytest.mark.parametrize(
    "name",
    [
        "MONGO_SECRET_URI",
        "PASSWD",
        "ORACLE_PWD",
        "MSSQL_SA_PWD",
        "SSH_PASSPHRASE",
        "DB_PASS",
        "GITHUB_PAT",
        "PGPASSWORD",
    ],
)
def test_a_variable_is_named_as_a_secret_in_a_way_that_was_not_looked_for(name: str) -> None:
    secrets = scanner.collect_secrets((), {name: VALUE})
    assert scanner.find_secrets(f"x{VALUE}x".encode(), secrets) == [f"the value of the variable {name}"]


def test_a_variable_that_is_named_harmlessly_has_a_password_in_its_url() -> None:
    """DATABASE_URL says nothing of a secret, and every platform sets it."""
    secrets = scanner.collect_secrets(
        (), {"DATABASE_URL": f"postgres://etl:{VALUE}@db/x", "http_proxy": "http://proxy"}
    )
    assert scanner.find_secrets(f"x{VALUE}x".encode(), secrets) == ["the value of the variable DATABASE_URL"]
    assert not scanner.collect_secrets((), {"PWD": "work-in-progress", "OLDPWD": "work-in-progress"})
    assert not scanner.collect_secrets((), {"EXAMPLE_URL": "postgres://user:password@db", "T": "http://a:{b-c-d-e}@x"})


def test_an_exception_carries_the_secret_in_the_name_of_its_class(target: Target) -> None:
    """A driver makes a class for each error that a server reports, and the report quotes the password."""
    flow = build_flow(raises_a_class_named_after_the_password, name="etl", storage=local(target))
    done = start({"RUNNER_LOCATION": flow, "RUNNER_RUN_ID": "r", "RUNNER_SECRETS": "DB", "DB": VALUE})
    assert done.code == 1, done
    outcome = target.place.read("etl/runs/r/outcome.json").decode()
    assert "***" in json.loads(outcome)["tasks"][0]["error"]["type"]
    assert VALUE not in outcome + done.stdout + done.stderr


def raises_a_class_named_after_the_password() -> None:
    raise type(f"No{secret('DB')}", (ValueError,), {})


def returns_an_object_of_a_class_named_after_the_password() -> Any:
    return type(f"Rows{secret('DB')}", (list,), {"__reduce__": lambda _self: (list, ())})()


def crashes_in_a_file_named_after_the_password() -> None:
    exec(compile("import ctypes\nctypes.string_at(0)", f"/opt/{secret('DB')}.py", "exec"))


@pytest.mark.parametrize(
    ("function", "code"),
    [
        (returns_an_object_of_a_class_named_after_the_password, 0),
        (crashes_in_a_file_named_after_the_password, 139),
    ],
)
def test_a_document_names_what_is_named_after_the_secret(target: Target, function: Any, code: int) -> None:
    """A library makes a class, or code, for what it was given: a result's class and a crash's trace tell its name.

    Airflow hid the message and not what stood around it: https://github.com/apache/airflow/pull/17618
    """
    flow = build_flow(function, name="etl", storage=local(target))
    environ = {"RUNNER_LOCATION": flow, "RUNNER_RUN_ID": "r", "RUNNER_SECRETS": "DB", "DB": VALUE}
    done = start(environ)
    assert done.code == code, done
    shown = start({}, "show", f"{target.place.url}/etl/runs/r")
    documents = [target.place.read(key) for key in target.place.keys() if key.startswith("etl/runs/")]  # noqa: SIM118
    assert "***" in target.place.read("etl/runs/r/attempts/0001/end.json").decode()
    assert VALUE not in done.stdout + done.stderr + shown.stdout + shown.stderr
    assert not any(VALUE.encode() in document for document in documents)


def test_an_exception_carries_the_secret_in_what_hangs_on_it() -> None:
    """Causes, contexts, notes and groups were told as they were (apache/airflow 17618)."""
    find_secret("DB", {"DB": VALUE})
    try:
        try:
            _ = dict[str, int]()[VALUE]
        except KeyError as error:
            error.add_note(f"tried {VALUE}")
            raise ExceptionGroup(VALUE, [ValueError(VALUE), ExceptionGroup("inner", [OSError(VALUE)])]) from error
    except ExceptionGroup as group:
        group.__notes__ = [{"password": VALUE}, VALUE.encode()]  # type: ignore[list-item] # libraries do
        try:
            int("while it was handled")
        except ValueError as error:
            told = describe_exception(error)
    assert told["traceback"].count(MASK) >= 6
    assert VALUE not in str(told)


GIVEN_AS_A_PATH = {
    "RUNNER_SIGNING_KEY_FILE": base64.b64encode(AUTHOR.raw).decode(),
    "RUNNER_TRUSTED_KEYS_FILE": AUTHOR.pem.decode(),
    "DB_FILE": "hunter2-hunter2",
    "GOOGLE_APPLICATION_CREDENTIALS": json.dumps({"type": "service_account", "private_key": AUTHOR.pem.decode()}),
    "AZURE_FEDERATED_TOKEN_FILE": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJldGwifQ.c2lnbmF0dXJl",
}
OPENED = {
    "GOOGLE_APPLICATION_CREDENTIALS": {"RUNNER_LOCATION": "gs://bucket/etl"},
    "AZURE_FEDERATED_TOKEN_FILE": {
        "RUNNER_LOCATION": "azure://container/etl",
        "AZURE_STORAGE_ACCOUNT": "account",
        "AZURE_TENANT_ID": "tenant",
        "AZURE_CLIENT_ID": "client",
    },
}


@pytest.mark.parametrize("name", GIVEN_AS_A_PATH)
def test_the_secret_itself_is_given_where_its_files_path_belongs(target: Target, name: str) -> None:
    """The error that there is no such file quoted the key (spiffe/helm-charts-hardened 492).

    https://github.com/spiffe/helm-charts-hardened/issues/492
    """
    text = GIVEN_AS_A_PATH[name]
    environ = {name: text, "RUNNER_SECRETS": "DB" * name.startswith("DB")} | OPENED.get(
        name, {"RUNNER_LOCATION": f"{target.place.url}/etl"}
    )
    for arguments in ((), ("doctor",), ("doctor", "--json"), ("ls", environ["RUNNER_LOCATION"])):
        done = start(environ, *arguments)
        assert done.code in {77, 78}, done
        for part in (text, json.dumps(text)[1:-1], AUTHOR.pem.decode().splitlines()[1]):
            assert part not in done.stdout + done.stderr


LOCATIONS = [
    f"s3://AKIDAKIDAKID:{VALUE}@bucket/etl",
    f"gs://{VALUE}@bucket/etl",
    f"https://account.blob.core.windows.net/container/etl?sv=2024&sig={VALUE}%3D",
    f"azure://container/etl?sig={VALUE}%3D&se=2027",
    f"s3://bucket/etl?X-Amz-Expires=60&X-Amz-Signature={VALUE}",
]


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_location_has_a_password_or_a_signature_in_it(location: str) -> None:
    """The error about a signed URL quoted the signature; and a location stands in every log and document of a run.

    https://github.com/Azure/azure-sdk-for-java/issues/10887
    """
    for environ, arguments in (
        ({"RUNNER_LOCATION": location}, ()),
        ({"RUNNER_LOCATION": "/nowhere/etl", "RUNNER_STORAGE": "local", "RUNNER_RESULTS": location}, ()),
        ({"RUNNER_LOCATION": location}, ("doctor",)),
        ({}, ("doctor", location)),
        ({}, ("ls", location)),
        ({}, ("inspect", location)),
    ):
        done = start(environ, *arguments)
        assert done.code in {2, 78}, done
        assert MASK in done.stdout + done.stderr
        assert VALUE not in done.stdout + done.stderr, arguments


WRONG = dict.fromkeys(("TIMEOUT", "EXECUTOR", "LOG_LEVEL", "LOG_FORMAT", "MIN_VERSION", "BUNDLE_SHA256"), VALUE)


@pytest.mark.parametrize(("name", "value"), [*WRONG.items(), ("RUN_ID", f"{VALUE} {VALUE}"), ("IMAGE", VALUE)])
def test_a_secret_is_given_where_another_setting_belongs(target: Target, name: str, value: str) -> None:
    """A template mixes two variables up: what is wrong with the setting is told, before a flow is even looked for."""
    environ = {"RUNNER_SECRETS": "DB", "DB": VALUE, "RUNNER_LOCATION": target.place.url, f"RUNNER_{name}": value}
    for command in ((), ("ls", target.place.url), ("doctor", target.place.url), ("doctor", "--json")):
        done = start(environ, *command)
        assert VALUE not in done.stdout + done.stderr, command


def test_a_command_fails_with_the_secret_in_its_error(target: Target) -> None:
    """Only runs were redacted; what a flow says while ``runner check`` loads it is told by the command."""
    flow = build_flow(FailsWhenLoaded(), name="etl", storage=local(target), check=False)
    for arguments in (("check", flow), ("check", "--json", flow)):
        done = start({"RUNNER_SECRETS": "DB", "DB": VALUE}, *arguments)
        assert done.code, done
        assert MASK in done.stdout + done.stderr
        assert VALUE not in done.stdout + done.stderr


class FailsWhenLoaded:
    def __setstate__(self, state: object) -> None:
        raise ValueError(secret("DB"))

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}

    def run(self) -> None: ...


def test_a_secret_is_baked_into_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can pull an image reads its variables."""
    monkeypatch.setenv("DB_PASSWORD", VALUE)
    flow = Flow("f", storage=Docker(env_vars={"DSN": f"postgres {VALUE}"}))
    with pytest.raises(FlowFailed, match="the image's variable DSN"):
        flow.storage.build()


@pytest.mark.parametrize(
    "line",
    [
        f"--index-url=https://svc:{VALUE}@pypi.example.com/simple",
        "--extra-index-url=https://svc:short@pypi.example.com/simple",
        "--extra-index-url=https://ghp_aB3aB3aB3aB3aB3aB3@pypi.example.com/simple",
        "--extra-index-url=https://pypi.fury.io/aB3dE5gH7jK9mN1pQ3rS5tU7/me/",  # jazzband/pip-tools 697
        "-i https://pypi.fury.io/aB3dE5gH7jK9mN1pQ3rS5tU7/me/",
        "--find-links=https://:token@pypi.example.com/wheels",
        "ours @ git+https://x-access-token:ghp_aB3aB3aB3@github.com/team/ours@v1",
        "ours @ git+ssh://git:pa55@git.example.com/ours",
        "ours @ https://pypi.example.com/ours-1.0-py3-none-any.whl?token=aB3aB3aB3",
    ],
)
def test_a_requirement_takes_a_password_into_the_images_history(line: str) -> None:
    """``pip install`` with it is a line of the history, which whoever can pull the image reads (pypa/pip 4746)."""
    with pytest.raises(UsageError, match=r"a line of python_dependencies has a password.*build_secrets") as refusal:
        Docker(python_dependencies=["pandas>=2,<3", line])
    assert VALUE not in str(refusal.value)


def test_a_requirement_without_a_password_is_none_of_that() -> None:
    lines = [
        "pandas[parquet]>=2; python_version > '3.10'",
        "ours @ git+ssh://git@github.com/team/ours@v1",
        "--no-index",
        "--extra-index-url=https://pypi.example.com/repository/pypi-all/simple",
        "ours @ https://files.example.com/packages/ab/cd/AVeryLongPackageName-1.0-py3-none-any.whl",
    ]
    assert Docker(python_dependencies=lines).python_dependencies == tuple(lines)


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what was not refused end with Unreachable."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    monkeypatch.setenv("DB_PASSWORD", VALUE)


def bake(**declared: Any) -> None:
    Flow("f", storage=Docker(**declared)).storage.build()


@pytest.mark.usefixtures("no_engine")
def test_a_named_secret_is_in_a_line_that_has_no_url() -> None:
    with pytest.raises(FlowFailed, match="DB_PASSWORD, in line 2 of python_dependencies") as refusal:
        bake(python_dependencies=["pandas", f"--config-settings=token={base64.b64encode(VALUE.encode()).decode()}"])
    assert VALUE not in str(refusal.value)


@pytest.mark.usefixtures("no_engine")
@pytest.mark.parametrize("name", ["sa.json", "deep/in/a/folder/sa.json"])
def test_a_key_file_is_laid_into_the_image(tmp_path: Path, name: str) -> None:
    """The service account's key is among the flow's files; everybody who pulls the image has it."""
    key = tmp_path / "data" / name
    key.parent.mkdir(parents=True)
    key.write_text(json.dumps({"type": "service_account", "private_key": AUTHOR.pem.decode()}))
    for given in (tmp_path / "data", key):
        with pytest.raises(FlowFailed, match=r"a private key, in the file .*sa\.json.*build_secrets"):
            bake(files={str(given): "/opt/data"})
    with pytest.raises(Unreachable):
        Flow("f", storage=Docker(files={str(key): "/opt/data"})).storage.build(allow_secrets=True)


@pytest.mark.usefixtures("no_engine")
def test_a_dockerfile_and_what_lies_beside_it_hold_a_secret(tmp_path: Path) -> None:
    """``COPY . .`` takes the .env along, and an ENV stays for ever; what is ignored is not sent."""
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(f"FROM org/runner:slim\nENV DSN={VALUE}\n")
    with pytest.raises(FlowFailed, match="DB_PASSWORD, in the file Dockerfile"):
        bake(dockerfile=str(dockerfile))
    dockerfile.write_text("FROM org/runner:slim\nCOPY . .\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/.env").write_text(f"PASSWORD={VALUE}\n")
    with pytest.raises(FlowFailed, match=r"DB_PASSWORD, in the file config/\.env"):
        bake(dockerfile=str(dockerfile))
    (tmp_path / ".dockerignore").write_text("# not for the image\n**/.env\n")
    with pytest.raises(Unreachable):
        bake(dockerfile=str(dockerfile))


@pytest.mark.usefixtures("no_engine")
def test_a_build_secret_is_also_laid_into_the_image(tmp_path: Path) -> None:
    """The pip.conf is given as it should be, and lies in a folder that is copied."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/pip.conf").write_text("[global]\nindex-url = https://svc:wF3kq9Zr7mmV2@pypi.example.com/simple\n")
    (tmp_path / "data/notes").write_text("the password is wF3kq9Zr7mmV2\n")
    for name in ("pip.conf", "notes"):
        with pytest.raises(FlowFailed, match=f"the build secret pip, in the file {name}"):
            bake(
                build_secrets={"pip": str(tmp_path / "data/pip.conf")}, files={str(tmp_path / "data" / name): "/opt/x"}
            )


def test_the_private_key_is_given_for_the_public_one(target: Target) -> None:
    """An operator mixes them up, and the error, which ends in the log, would tell the key."""
    target.put(target.bundle())
    text = base64.b64encode(AUTHOR.raw).decode()
    for environ in ({"RUNNER_TRUSTED_KEYS": AUTHOR.pem.decode()}, {"RUNNER_SIGNING_KEY": text[:-6]}):
        for arguments in ((), ("check",), ("doctor",), ("inspect", f"{target.place.url}/{KEY}")):
            done = start({"RUNNER_LOCATION": f"{target.place.url}/{KEY}"} | environ, *arguments)
            assert text[:-6] not in done.stdout + done.stderr
            assert AUTHOR.pem.decode().splitlines()[1] not in done.stdout + done.stderr
    assert not target.canary.executed
