"""Real flows of Prefect 1.4.1, stored by Prefect's own S3 storage and run by runner in Prefect's own environment."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import schemas
from support.flows import located, outcome_of
from support.places import Place, s3_place
from support.prefects import STORE, STORE_RAW, prefect_python
from support.starting import KEPT, Ran

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.servers import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def prefect() -> Path:
    """The python of an environment with Prefect 1.4.1, made once, in .cache."""
    return prefect_python(1, ROOT, ROOT / ".cache")


@pytest.fixture
def bucket(moto: Server) -> Iterator[Place]:
    place = s3_place(moto)
    yield place
    schemas.validate_place(place)


def store(prefect: Path, script: Path, place: Place, key: str, kind: str) -> None:
    names = {"AWS_REGION": "AWS_DEFAULT_REGION"}  # boto3's name for it
    environ = {names.get(name, name): value for name, value in place.environ.items()}
    _run(prefect, [str(script), place.url.removeprefix("s3://"), key, kind], environ).check_returncode()


def run(prefect: Path, place: Place, key: str, **environ: str) -> Ran:
    done = _run(prefect, ["-m", "runner"], located(place, key) | {"RUNNER_RUN_ID": "r"} | environ)
    return Ran(done.returncode, done.stdout, done.stderr)


def _run(prefect: Path, arguments: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    command = [str(prefect), "-W", "ignore", *arguments]
    return subprocess.run(
        command, env=inherited | environ, cwd="/", capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("script", [STORE, STORE_RAW], ids=["envelope", "raw pickle"])
def test_a_prefect_1_flow_that_succeeds_is_exit_code_0(prefect: Path, bucket: Place, script: Path) -> None:
    store(prefect, script, bucket, "prefect1-ok/2026-01-01", "ok")
    done = run(prefect, bucket, "prefect1-ok/2026-01-01")
    assert done.code == 0, done
    [warning] = [line for line in done.lines if line["logger"] == "runner.load"]
    assert warning["level"] == "WARNING"
    assert "nothing of it could be verified" in warning["message"]
    outcome = outcome_of(bucket, "r", "prefect1-ok")
    assert (outcome["state"], outcome["flow"]) == ("succeeded", "prefect1-ok")
    [task] = outcome["tasks"]
    values = pickle.loads(bucket.read(task["result"]["key"]))
    assert values["total-1"] == 12


@pytest.mark.parametrize("script", [STORE, STORE_RAW], ids=["envelope", "raw pickle"])
def test_a_prefect_1_flow_that_ends_failed_is_exit_code_1(prefect: Path, bucket: Place, script: Path) -> None:
    store(prefect, script, bucket, "prefect1-fail/2026-01-01", "fail")
    done = run(prefect, bucket, "prefect1-fail/2026-01-01")
    assert done.code == 1, done
    assert "task refuse-1 failed: ValueError: 12 is refused" in done.error["message"]
    assert any("12 is refused" in json.dumps(line) for line in done.lines)
    outcome = outcome_of(bucket, "r", "prefect1-fail")
    assert (outcome["state"], outcome["exit_code"]) == ("failed", 1)


def test_the_elements_that_failed_are_named(prefect: Path, bucket: Place) -> None:
    store(prefect, STORE, bucket, "prefect1-mapped/2026-01-01", "mapped")
    done = run(prefect, bucket, "prefect1-mapped/2026-01-01")
    assert done.code == 1
    message = done.error["message"]
    assert "task refuse_odd-1[0] failed: ValueError: 1 is refused; task refuse_odd-1[2] failed: FAIL: 3" in message
    assert message.endswith("and 1 more")
    assert "total" not in message


def test_nothing_is_stored_that_prefect_would_not_keep(prefect: Path, bucket: Place) -> None:
    """Neither a secret nor a resource; https://github.com/PrefectHQ/prefect/issues/4274 is what a lock did there."""
    store(prefect, STORE, bucket, "prefect1-keeps/2026-01-01", "keeps")
    done = run(prefect, bucket, "prefect1-keeps/2026-01-01", PREFECT__CONTEXT__SECRETS__PASSWORD="correct-horse")
    assert done.code == 0, done
    [task] = outcome_of(bucket, "r", "prefect1-keeps")["tasks"]
    assert pickle.loads(bucket.read(task["result"]["key"])) == {"length-1": 13}
    listed = bucket.keys()
    stored = {key: bucket.read(key) for key in listed}
    assert len(stored) > 3
    assert [key for key, data in stored.items() if b"correct-horse" in data] == []


def test_parameters_of_a_prefect_1_flow_are_checked_and_given(prefect: Path, bucket: Place) -> None:
    key = "prefect1-params/2026-01-01"
    store(prefect, STORE, bucket, key, "params")
    refused = run(prefect, bucket, key, RUNNER_PARAMETERS='{"fcator": 5}', RUNNER_RUN_ID="refused")
    assert refused.code == 78
    assert "no parameter 'fcator'" in refused.error["message"]
    assert "'factor' is required" in refused.error["message"]
    done = run(prefect, bucket, key, RUNNER_PARAMETERS='{"factor": 5}')
    assert done.code == 0, done
    [task] = outcome_of(bucket, "r", "prefect1-params")["tasks"]
    assert pickle.loads(bucket.read(task["result"]["key"]))["label-1"] == "2026-01-01: 60"


def test_another_python_than_the_envelopes_is_refused(prefect: Path, bucket: Place) -> None:
    key = "prefect1-ok/2026-01-01"
    store(prefect, STORE, bucket, key, "ok")
    envelope = json.loads(bucket.read(key))
    envelope["versions"]["python"] = "3.7.9"
    bucket.write(key, json.dumps(envelope).encode())
    done = run(prefect, bucket, key)
    assert done.code == 76
    assert "Python 3.7.9" in done.error["message"]


def test_a_script_that_prefect_stored_is_told_from_nonsense(prefect: Path, bucket: Place) -> None:
    key = "scripts/flow.py"
    bucket.write(key, STORE.read_bytes())
    done = run(prefect, bucket, key)
    assert done.code == 65
    assert "stored_as_script=True" in done.error["message"]
    assert "runner build FILE" in done.error["message"]


@pytest.mark.parametrize("script", [STORE, STORE_RAW], ids=["envelope", "raw pickle"])
@pytest.mark.parametrize("major", [None, 3])
def test_the_prefect_that_it_needs_is_named(prefect: Path, bucket: Place, script: Path, major: int | None) -> None:
    key = "prefect1-ok/2026-01-01"
    store(prefect, script, bucket, key, "ok")
    python = prefect_python(major, ROOT, ROOT / ".cache") if major else Path(sys.executable)
    done = run(python, bucket, key)
    assert done.code == 76, done
    message = done.error["message"]
    assert "made with Prefect 1.4.1, and this image has " + ("Prefect 3." if major else "none") in message
    assert "RUN pip install prefect==1.4.1\n" in message
