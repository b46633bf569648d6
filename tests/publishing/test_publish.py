"""Author → storage: what is published where, and what is refused."""

from __future__ import annotations

import json
import logging
import pickle
import platform
import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, Parameter, build_flow, naming, task
from runner.authoring.storages import declare
from runner.bundle.archive import read_bundle
from runner.environments import LocalEnvironment
from runner.errors import AlreadyExists, BucketMissing, FlowFailed, UsageError, WriteFailed
from runner.model.loading import loading
from runner.publishing import publish
from runner.storage import GCS, S3, Azure, Local
from support.places import azure_place, s3_place
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

    from runner.authoring.declaration import StorageDeclaration
    from runner.schema.documents import Manifest
    from support.places import Place
    from support.servers import Server

VERSION = re.compile(r"\d{4}-\d\d-\d\dt\d\d-\d\d-\d\d-\d{6}-00-00")


def same(value: Any = None) -> Any:
    return value


def storage_of(place: Place, **options: Any) -> StorageDeclaration:
    """What an author writes for this place."""
    kinds: dict[str, Any] = {"s3": S3, "gcs": GCS, "azure": Azure}
    if place.word == "local":
        return Local(place.url.removeprefix("file://"), **options)
    made: StorageDeclaration = kinds[place.word](place.url.split("://")[1], **options)
    return made


def local(tmp_path: Path, **options: Any) -> Local:
    return Local(tmp_path / "root", **options)


def manifest_of(place: Place, key: str) -> Manifest:
    return read_bundle(place.read(key)).manifest


def test_a_build_is_stored_under_its_time_and_its_url_runs(place: Place) -> None:
    with Flow("Daily ETL", storage=storage_of(place)) as flow:
        task(same, name="give")(Parameter("value", default=None))
    before = datetime.now(UTC)
    url = flow.storage.build()
    (key,) = place.keys()
    slug, version = key.split("/")
    assert slug == "daily-etl"
    assert VERSION.fullmatch(version)
    at = datetime.strptime(version, "%Y-%m-%dt%H-%M-%S-%f-00-00").replace(tzinfo=UTC)
    assert before <= at <= datetime.now(UTC)
    assert url == f"{place.url}/{key}"
    ran = start(place.environ | {"RUNNER_LOCATION": url, "RUNNER_PARAMETERS": '{"value": 3}', "RUNNER_RUN_ID": "one"})
    assert ran.code == 0, ran
    outcome = json.loads(place.read("daily-etl/runs/one/outcome.json"))
    assert place.read(outcome["tasks"][0]["result"]["key"])


def test_each_build_is_an_object_of_its_own(place: Place) -> None:
    flow = Flow("twice", storage=storage_of(place))
    urls = [flow.storage.build() for _ in range(2)]
    stored = place.keys()
    assert [f"{place.url}/{key}" for key in stored] == urls


def test_an_own_key_is_used_and_never_overwritten(place: Place) -> None:
    flow = Flow("mine", storage=storage_of(place, key="releases/v1"))
    assert flow.storage.build() == f"{place.url}/releases/v1"
    data = place.read("releases/v1")
    with pytest.raises(AlreadyExists):
        flow.storage.build()
    assert place.read("releases/v1") == data


def test_two_flows_of_one_slug_are_refused_naming_both(place: Place) -> None:
    Flow("My flow", storage=storage_of(place)).storage.build()
    with pytest.raises(WriteFailed, match=r"my-flow/? belongs to flow 'My flow', and flow 'my-flow' would lie"):
        Flow("my-flow", storage=storage_of(place)).storage.build()
    assert len(place.keys()) == 1


def test_a_prefix_stands_before_everything(place: Place) -> None:
    declared = declare(f"{place.url}/team/a")
    flow = Flow("f", storage=declared)
    flow.storage.build()
    (key,) = place.keys()
    assert re.fullmatch(rf"team/a/f/{VERSION.pattern}", key)
    with pytest.raises(WriteFailed):
        Flow("F!", storage=declared).storage.build()


def test_a_bucket_that_is_not_there_is_told(place: Place) -> None:
    if place.word == "local":
        return  # a folder is made
    scheme, name = place.url.split("://")
    flow = Flow("f", storage=declare(f"{scheme}://{name}-absent"))
    with pytest.raises(BucketMissing):
        flow.storage.build()


def test_an_object_that_cannot_be_read_there_is_told_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = tmp_path / "root" / "f" / "2999-01-01t00-00-00-000000-00-00"
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"PK no bundle")
    with caplog.at_level(logging.WARNING):
        Flow("f", storage=local(tmp_path)).storage.build()
    assert "the newest bundle there, f/2999-01-01t00-00-00-000000-00-00, cannot be read" in caplog.text
    assert len(list(bad.parent.iterdir())) == 2


def test_a_build_that_will_not_run_as_a_later_one_is_there_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody's clock was ahead, and what was written later was taken for older, and never read.

    https://github.com/apache/hudi/issues/5843, https://github.com/apache/hudi/pull/11580
    """
    flow = Flow("f", storage=local(tmp_path))
    with monkeypatch.context() as ahead:
        ahead.setattr(naming, "new_version", lambda: "2999-01-01t00-00-00-000000-00-00")
        flow.storage.build()
    with caplog.at_level(logging.WARNING):
        flow.storage.build()
    assert "f/2999-01-01t00-00-00-000000-00-00 goes on to be the newest, and to run" in caplog.text
    caplog.clear()
    Flow("f", storage=local(tmp_path, key="own")).storage.build()
    assert "the newest" not in caplog.text


def test_the_manifest_says_what_a_run_needs_to_know(tmp_path: Path) -> None:
    storage = local(tmp_path, secrets=["DB", "AWS_CREDENTIALS", "DB"], labels=["big"], add_default_labels=False)
    environment = LocalEnvironment(metadata={"image": "repo/name:tag"}, labels=["gpu"])
    with Flow("ETL", storage=storage, environment=environment) as flow:
        day = Parameter("day")
        odd = Parameter("odd", default={1})
        Parameter("plain", default=[1])
        first = task(same, name="first")([day, odd])
        task(same, name="second").map([1], upstream_tasks=[first])
    published = publish.publish(flow, flow.storage.destination(), exclude=["*.py"])
    manifest = published.manifest
    assert published.files == {}
    version = published.url.rpartition("/")[2]
    assert manifest["flow"] == {"name": "ETL", "version": version, "key": f"etl/{version}"}
    assert manifest["python"] == {"version": platform.python_version(), "implementation": "cpython"}
    assert manifest["parameters"] == [
        {"name": "day", "required": True},
        {"name": "odd", "required": False, "default_repr": "{1}"},
        {"name": "plain", "required": False, "default": [1]},
    ]
    digests = [each.pop("arguments") for each in manifest["tasks"]]
    assert len(set(digests)) == 2
    assert manifest["tasks"] == [
        {"task": "first", "name": "first", "mapped": False, "upstream": []},
        {"task": "second", "name": "second", "mapped": True, "upstream": ["first"]},
    ]
    assert manifest["labels"] == ["big", "gpu"]
    assert manifest["image"] == "repo/name:tag"
    assert manifest["secrets"] == ["AWS_CREDENTIALS", "DB"]
    assert [member["name"] for member in manifest["members"]] == ["flow.pkl"]


def test_a_flow_without_tasks_is_published_to_the_default_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    url = Flow("local-flow", storage=Local()).storage.build()
    assert url.startswith((tmp_path / ".runner" / "flows" / "local-flow").as_uri())
    assert start({"RUNNER_LOCATION": url}).code == 0


def test_a_connection_string_never_enters_the_bundle(azurite: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    place = azure_place(azurite)
    text = azurite.environ["AZURE_STORAGE_CONNECTION_STRING"]
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    storage = Azure(container=place.url.split("://")[1], connection_string=text)
    again = [storage]
    with Flow("secretive") as flow:
        task(lambda: storage.url, name="closes")()
        task(partial(same, {"storage": storage}), name="binds")()
        task(lambda: again[0].connection_string, name="asks")()
    flow.storage = storage
    task_with_flow = task(lambda: flow.storage.url, name="flow itself")
    with flow:
        task_with_flow()
    flow.storage.build(exclude=["*.py"])  # the tests' own modules know the key that the server is started with
    (key,) = place.keys()
    data = place.read(key)
    secret = next(part for part in text.split(";") if part.startswith("AccountKey=")).removeprefix("AccountKey=")
    assert secret.encode() not in data
    assert flow.storage.extra_secrets()


SAS = "sv=2025-01-05&sig=c2VjcmV0%3D"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("AccountName=me;AccountKey=c2VjcmV0", "AccountName=me;AccountKey=c2VjcmV0"),
        ("AccountName=me;AccountKey=c2VjcmV0", "KEY = 'c2VjcmV0'"),
        (f"BlobEndpoint=https://me.example;SharedAccessSignature=?{SAS}", f"url?{SAS}"),
    ],
)
@pytest.mark.parametrize("where", ["the file x.txt", "an argument of task same", "the default of parameter a"])
def test_a_bundle_that_holds_the_connection_string_is_refused(
    tmp_path: Path, text: str, written: str, where: str
) -> None:
    """Also when --storage named another place, whose readers are others."""
    root = tmp_path / "root"
    with Flow("f", storage=Azure("one", connection_string=text).relocated(Local(root))) as flow:
        parameter = Parameter("a", default=written if "parameter" in where else "")
        task(same)(written if "task" in where else parameter)
    (tmp_path / "x.txt").write_text(written if "file" in where else "")
    with pytest.raises(FlowFailed, match=f"would travel: .*handed over.*, in {where}") as refusal:
        flow.storage.build(include=[str(tmp_path / "x.txt")], exclude=["*.py"])
    assert "c2VjcmV0" not in str(refusal.value)
    assert not root.exists()


@pytest.mark.parametrize("key", ["a//b", "../up", "a\\b"])
def test_a_key_that_some_storage_would_take_for_another_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match="cannot be used"):
        Flow("f", storage=local(tmp_path, key=key)).storage.build()


def test_to_build_while_a_flow_is_loaded_publishes_nothing(tmp_path: Path) -> None:
    flow = Flow("My flow", storage=local(tmp_path))
    with loading():
        assert flow.storage.build() == build_flow(flow) == f"{(tmp_path / 'root').as_uri()}/my-flow"
    assert not (tmp_path / "root").exists()
    assert flow.storage.build().startswith(f"{(tmp_path / 'root').as_uri()}/my-flow/")


def test_to_publish_by_hand_while_a_flow_is_loaded_is_an_error(tmp_path: Path) -> None:
    flow = Flow("f", storage=local(tmp_path))
    with loading(), pytest.raises(UsageError, match="flow 'f' is built while a flow is being loaded") as caught:
        publish.publish(flow, flow.storage.destination())
    assert '__name__ == "__main__"' in caught.value.hint
    assert not (tmp_path / "root").exists()


def test_a_flow_that_cannot_be_pickled_is_not_stored(tmp_path: Path) -> None:
    with Flow("f", storage=local(tmp_path)) as flow:
        task(same, name="give")(number for number in [1])
    with pytest.raises(FlowFailed, match=r"flow\.nodes\[0\]\.args\[0\]: generator: cannot pickle"):
        flow.storage.build()
    assert not (tmp_path / "root").exists()


class Job:
    def __init__(self, value: int) -> None:
        self.value = value

    def run(self, more: int = 0) -> int:
        return self.value + more


async def awaited() -> str:
    return "awaited"


@pytest.mark.parametrize(
    ("obj", "slug", "value"), [(Job(3), "job", 4), (awaited, "awaited", "awaited"), (lambda: None, "lambda", None)]
)
def test_what_can_be_called_or_run_is_published_and_runs(tmp_path: Path, obj: Any, slug: str, value: Any) -> None:
    url = build_flow(obj, storage=local(tmp_path))
    parameters = {"RUNNER_PARAMETERS": '{"more": 1}'} if slug == "job" else {}
    ran = start({"RUNNER_LOCATION": url, **parameters}, cwd=tmp_path)
    assert ran.code == 0, ran
    (result,) = (tmp_path / "root" / slug).glob("runs/*/attempts/0001/results/*.pkl")
    assert pickle.loads(result.read_bytes()) == value


def test_build_flow_takes_a_name_and_what_travels(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("more")
    url = build_flow(awaited, name="Other name", storage=local(tmp_path), include=[str(tmp_path / "more.txt")])
    assert "/other-name/" in url
    (bundle,) = (tmp_path / "root" / "other-name").iterdir()
    assert "src/more.txt" in read_bundle(bundle.read_bytes()).members
    flow = Flow("has one")
    with pytest.raises(UsageError, match="has a name"):
        build_flow(flow, name="another")


def test_build_flow_publishes_a_flow_to_its_own_storage(tmp_path: Path) -> None:
    assert build_flow(Flow("f", storage=local(tmp_path))).startswith((tmp_path / "root" / "f").as_uri())


def test_secrets_that_are_there_open_the_storage_and_absent_ones_are_for_the_run(
    moto: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = s3_place(moto)
    keys = {
        "ACCESS_KEY": place.environ["AWS_ACCESS_KEY_ID"],
        "SECRET_ACCESS_KEY": place.environ["AWS_SECRET_ACCESS_KEY"],
    }
    for name, value in place.environ.items():
        if name not in {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CREDENTIALS", json.dumps(keys))
    flow = Flow("f", storage=storage_of(place, secrets=["AWS_CREDENTIALS", "DB_PASSWORD"]))
    flow.storage.build()
    (key,) = place.keys()
    assert manifest_of(place, key)["secrets"] == ["AWS_CREDENTIALS", "DB_PASSWORD"]


def test_without_arguments_the_entry_runs_and_with_them_it_is_the_command_line() -> None:
    assert start({}).code == 78
    ran = start({}, "version")
    assert ran.code == 0
    assert "0.1.0" in ran.stdout
