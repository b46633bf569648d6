"""The environment: every variable, its file, and all that can be wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runner.errors import EnvironmentWrong
from runner.settings import NEVER_EMPTY, VARIABLES, Settings, unread, with_files_read
from runner.signing import keys

if TYPE_CHECKING:
    from pathlib import Path

PLACE = {"RUNNER_LOCATION": "s3://b/k"}


def read(**environ: str) -> Settings:
    return Settings.from_environ(PLACE | environ)


def test_without_more_than_a_location_everything_has_its_default() -> None:
    settings = read()
    assert settings.location is not None
    assert (settings.location.scheme, settings.location.container, settings.location.key) == ("s3", "b", "k")
    assert (settings.secrets, settings.parameters, settings.run_id, settings.results) == ((), None, None, None)
    assert (settings.executor, settings.timeout, settings.grace) == ("threads", None, 10.0)
    assert (settings.min_version, settings.log_level, settings.log_format) == (None, "INFO", None)


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("RUNNER_SECRETS", "A, B_2 ,,c.d", "secrets", ("A", "B_2", "c.d")),
        ("RUNNER_PARAMETERS", '{"a": [1, null]}', "parameters", {"a": [1, None]}),
        ("RUNNER_RUN_ID", "2026.a_b-C", "run_id", "2026.a_b-C"),
        ("RUNNER_EXECUTOR", "threads:8", "executor", "threads:8"),
        ("RUNNER_EXECUTOR", "sequential", "executor", "sequential"),
        ("RUNNER_TIMEOUT", "1.5", "timeout", 1.5),
        ("RUNNER_GRACE", "3", "grace", 3.0),
        ("RUNNER_PATIENCE", "2.5", "patience", 2.5),
        ("RUNNER_MIN_VERSION", "2026-01-01t", "min_version", "2026-01-01t"),
        ("RUNNER_BUNDLE_SHA256", "0A" * 32, "bundle_sha256", "0a" * 32),
        ("RUNNER_LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("RUNNER_LOG_FORMAT", "TEXT", "log_format", "text"),
    ],
)
def test_a_variable_is_read_from_the_environment_or_from_its_file(
    tmp_path: Path, name: str, text: str, field: str, value: object
) -> None:
    assert name in VARIABLES
    (tmp_path / "file").write_text(f"{text}\n")
    assert getattr(read(**{name: text}), field) == value
    assert getattr(read(**{f"{name}_FILE": str(tmp_path / "file")}), field) == value
    assert getattr(read(**{name: "nonsense", f"{name}_FILE": str(tmp_path / "file")}), field) == value  # as of a secret
    with pytest.raises(EnvironmentWrong, match=f"{name}_FILE names /none, which cannot be read"):
        read(**{name: text, f"{name}_FILE": "/none"})
    if name not in NEVER_EMPTY:
        assert getattr(read(**{name: " "}), field) == getattr(read(), field)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("RUNNER_SECRETS", "A=value", "no name"),
        ("RUNNER_PARAMETERS", "a=1", "no JSON"),
        ("RUNNER_PARAMETERS", "1", "no JSON object"),
        ("RUNNER_PARAMETERS", '{"a": Infinity}', "Infinity"),
        ("RUNNER_PARAMETERS", "[" * 100_000, "no JSON"),
        ("RUNNER_RUN_ID", ".hidden", "run id"),
        ("RUNNER_RUN_ID", "a" * 129, "127"),
        ("RUNNER_MIN_VERSION", "1", "begin with a date"),
        ("RUNNER_MIN_VERSION", "2026-11-22T12", "begin with a date"),  # a T is less than any t
        ("RUNNER_MIN_VERSION", "2026-11-22 12:10", "begin with a date"),
        ("RUNNER_MAX_AGE", "7d", "no positive number of seconds"),
        ("RUNNER_MAX_AGE", "60", "without RUNNER_TRUSTED_KEYS"),
        ("RUNNER_EXECUTOR", "processes", "threads"),
        ("RUNNER_EXECUTOR", "threads:", "threads"),
        ("RUNNER_EXECUTOR", "sequential:1", "threads"),
        ("RUNNER_TIMEOUT", "0", "positive"),
        ("RUNNER_LAUNCH", "9" * 19, "no number, counted from 1"),
        ("RUNNER_TIMEOUT", "inf", "positive"),
        ("RUNNER_TIMEOUT", "nan", "positive"),
        ("RUNNER_HEARTBEAT", "1e10", "1e+09 are the most"),
        ("RUNNER_GRACE", "-1", "positive"),
        ("RUNNER_PATIENCE", "0", "positive"),
        ("RUNNER_LOG_LEVEL", "TRACE", "WARNING"),
        ("RUNNER_LOG_FORMAT", "xml", "json, text"),
        ("RUNNER_RESULTS", "s3://", "no bucket"),
        ("RUNNER_SIGNING_KEY", "x=value", "no private key"),
        ("RUNNER_TRUSTED_KEYS", "x=value", "no public key"),
        ("RUNNER_TRUSTED_KEYS", " , ", "holds no key"),
        ("RUNNER_BUNDLE_SHA256", "0" * 63, "64 hexadecimal digits"),
        ("RUNNER_BUNDLE_SHA256", "sha256:" + "0" * 57, "64 hexadecimal digits"),
        ("RUNNER_BUNDLE_SHA256", "g" * 64, "64 hexadecimal digits"),
        ("RUNNER_LOCATION", "s3://b/k#sha256=", "64 hexadecimal digits"),
        ("RUNNER_LOCATION", "s3://b/k#sha256=1", "64 hexadecimal digits"),
        ("RUNNER_TRUSTED_KEYS_FILE", "/none", "cannot be read"),
        ("RUNNER_TIMEOUT_FILE", "/none", "cannot be read"),
    ],
)
def test_a_wrong_value_is_named_and_explained(name: str, text: str, words: str) -> None:
    with pytest.raises(EnvironmentWrong) as caught:
        read(**{name: text})
    assert name in caught.value.message
    assert words in caught.value.message
    assert "=value" not in caught.value.message


@pytest.mark.parametrize(
    "name", ["TRUSTED_KEYS", "SIGNING_KEY", "MIN_VERSION", "MAX_AGE", "BUNDLE_SHA256", "WEBHOOK_SECRET"]
)
def test_a_setting_for_safety_that_a_broken_template_left_empty_is_refused(name: str, tmp_path: Path) -> None:
    """An empty list of trusted keys trusted everybody (Coder-s-OG-s/Trajectory-IR 314); unset is something else.

    https://github.com/Coder-s-OG-s/Trajectory-IR/issues/314
    """
    (tmp_path / "empty").write_text(" \n")
    name = f"RUNNER_{name}"
    given = [{name: ""}, {name: " \n"}]
    given += [{f"{name}_FILE": ""}, {f"{name}_FILE": "/dev/null"}, {f"{name}_FILE": str(tmp_path / "empty")}]
    for environ in given:
        for seen in (environ, with_files_read(environ)):
            with pytest.raises(EnvironmentWrong, match=f"{name}(_FILE)? is set, but empty"):
                read(**seen)
    assert read(**with_files_read({})) == read()


@pytest.mark.parametrize(
    ("storage", "location", "expected"),
    [
        ("s3", "bucket/a/b", ("s3", "bucket", "a/b")),
        ("GCS", "bucket/a", ("gs", "bucket", "a")),
        ("azure", "container/a/", ("azure", "container", "a")),
        ("", "gs://bucket/a", ("gs", "bucket", "a")),
        ("azure", "azure://c/a", ("azure", "c", "a")),
        ("local", "/data/etl", ("file", "/data", "etl")),
        ("", "file:///data/with%20space", ("file", "/data", "with space")),
        ("s3", "bucket", ("s3", "bucket", "")),
    ],
)
def test_a_location_is_read_with_its_storage_or_as_a_url(
    storage: str, location: str, expected: tuple[str, str, str]
) -> None:
    found = Settings.from_environ({"RUNNER_STORAGE": storage, "RUNNER_LOCATION": location}).location
    assert found is not None
    assert (found.scheme, found.container, found.key) == expected


def test_a_digest_is_read_from_its_variable_or_from_the_end_of_the_location() -> None:
    one, other = "0a" * 32, "1b" * 32
    assert read(RUNNER_BUNDLE_SHA256=one.upper()).bundle_sha256 == one
    pinned = read(RUNNER_LOCATION=f"s3://b/k#sha256={one}")
    assert (pinned.bundle_sha256, pinned.location) == (one, read().location)
    assert read(RUNNER_LOCATION=f"s3://b/k#sha256={one}", RUNNER_BUNDLE_SHA256=one).bundle_sha256 == one
    with pytest.raises(EnvironmentWrong, match="not the same digest"):
        read(RUNNER_LOCATION=f"s3://b/k#sha256={one}", RUNNER_BUNDLE_SHA256=other)
    for text in (f"file:///flows/k#sha256={one}", f"gs://b/a#b#sha256={one}"):
        location = read(RUNNER_LOCATION=text).location
        assert location is not None
        assert location.url.endswith(("/k", "/a#b"))


def test_commands_that_need_no_location_get_none() -> None:
    assert Settings.from_environ({}, needs_location=False).location is None


def test_settings_show_neither_the_environment_nor_a_private_key() -> None:
    key = keys.new_key()
    shown = repr(read(DB_PASSWORD="hunter2", RUNNER_SIGNING_KEY=key.pem.decode()))
    assert "hunter2" not in shown
    assert "signing_key=<secret>, min_version=None" in shown
    assert shown.endswith("environ=<secret>)")
    assert repr(key) == str(key) == "PrivateKey(<secret>)"
    assert "environ=mappingproxy({})" in repr(Settings())


def test_every_variable_of_the_table_is_read() -> None:
    """A variable in the table that nothing reads would be passed over in silence: give each a broken file."""
    broken: dict[str, Any] = {f"{name}_FILE": "/none" for name in VARIABLES}
    with pytest.raises(EnvironmentWrong) as caught:
        Settings.from_environ(broken)
    assert all(f"{name}_FILE names /none" in caught.value.message for name in VARIABLES)


def test_a_storage_whose_file_cannot_be_read_is_reported_once() -> None:
    _, problems = Settings.read({"RUNNER_STORAGE_FILE": "/none", "RUNNER_LOCATION": "s3://bucket/key"})
    assert problems == ["RUNNER_STORAGE_FILE names /none, which cannot be read"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1e999}', "1e999 is none"),
        ('{"a": [-1e999]}', "-1e999"),
        ('{"a": 1, "a": 2}', "'a' stands there twice"),
        ('{"a": {"b": 1, "b": 1}}', "'b' stands there twice"),
    ],
)
def test_json_that_may_mean_two_things_is_refused(text: str, words: str) -> None:
    with pytest.raises(EnvironmentWrong, match="RUNNER_PARAMETERS: no JSON") as raised:
        read(RUNNER_PARAMETERS=text)
    assert words in raised.value.message


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """https://github.com/jdx/mise/pull/12320, https://github.com/earendil-works/pi/issues/7499."""
    (tmp_path / "file").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n')
    assert read(RUNNER_PARAMETERS_FILE=str(tmp_path / "file")).parameters == {"a": 1}
    assert read(RUNNER_PARAMETERS='\ufeff{"a": 1}').parameters == {"a": 1}
    assert read(RUNNER_RUN_ID="\ufeffmine\r\n").run_id == "mine"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RUNNER_TRUSTED_KEY", "RUNNER_TRUSTED_KEYS"),
        ("RUNNER_TRUSTED_KEY_FILE", "RUNNER_TRUSTED_KEYS"),
        ("RUNNER_SIGN_KEY", "RUNNER_SIGNING_KEY"),
        ("RUNNER_SECRET", "RUNNER_SECRETS"),
        ("RUNNER_PARAMS", "RUNNER_PARAMETERS"),
        ("RUNNER_RUNID", "RUNNER_RUN_ID"),
        ("RUNNER_MAXAGE", "RUNNER_MAX_AGE"),
        ("RUNNER_BUNDLE_SHA", "RUNNER_BUNDLE_SHA256"),
        ("RUNNER_WEBHOOKSECRET", "RUNNER_WEBHOOK_SECRET"),
    ],
)
def test_a_misspelt_name_that_guards_something_is_refused(name: str, meant: str) -> None:
    with pytest.raises(EnvironmentWrong, match=f"{name} is read by nothing; the name is {meant}"):
        read(**{name: "x"})


@pytest.mark.parametrize("name", ["RUNNER_OS", "RUNNER_VERSION", "RUNNER_TEMP", "RUNNER_LOGLEVEL", "RUNNER_REVISION"])
def test_other_names_that_nothing_reads_are_no_error(name: str) -> None:
    """As GitHub's agents set them."""
    assert read(**{name: "x"}) == Settings.from_environ({**PLACE, name: "x"})
    assert unread({name: "x"}) == ([] if name == "RUNNER_REVISION" else [(name, NEAR.get(name, ""))])


NEAR = {"RUNNER_LOGLEVEL": "RUNNER_LOG_LEVEL"}


def test_a_secrets_name_is_read_also_where_it_is_near_to_one_of_ours() -> None:
    assert read(RUNNER_SECRETS="RUNNER_PARAMS", RUNNER_PARAMS="x").secrets == ("RUNNER_PARAMS",)


def test_what_others_call_it_is_taken() -> None:
    settings = read(RUNNER_LOG_LEVEL="warn", RUNNER_GRACE="0", RUNNER_STORAGE="GS", RUNNER_LOCATION="b/k")
    assert (settings.log_level, settings.grace) == ("WARNING", 0.0)
    assert settings.location is not None
    assert settings.location.scheme == "gs"
