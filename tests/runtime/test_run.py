"""The main job through the real entrypoint: published, run by environment alone, read back with the cloud's own SDK."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cloudpickle
import pytest

from runner import naming
from runner.runs import documents
from runner.runs.layout import RunLayout
from support import schemas
from support.flows import located, outcome_of, publish
from support.places import Place, local_place
from support.process_runs import begin, end_of, trouble
from support.servers.s3_as_aws import S3AsAws
from support.starting import Ran, start

pytestmark = pytest.mark.usefixtures("_documents_are_as_described")

ETL = "e-t-l-taglich"
TRAILER = 44


# The main job, on every storage


def test_a_flow_is_run_by_environment_alone_and_its_results_read_with_the_clouds_own_sdk(place: Place) -> None:
    url = publish(place, "etl.py")
    parameters = {"RUNNER_PARAMETERS": '{"day": "2026-02-01", "rows": 4}', "RUNNER_RUN_ID": "r"}
    done = start(located(place, ETL) | parameters)
    assert (done.code, done.stderr) == (0, ""), done
    assert done.lines[-1]["code"] == 0

    outcome = outcome_of(place, "r", ETL)
    assert (outcome["state"], outcome["exit_code"], outcome["flow"]) == ("succeeded", 0, "E.T.L. täglich")
    assert outcome["bundle"]["url"] == url
    asked = json.loads(place.read(f"{ETL}/runs/r/run.json"))
    assert asked["parameters"] == {"day": "2026-02-01", "rows": 4}
    assert asked["bundle"]["sha256"] == hashlib.sha256(place.read(f"{ETL}/{url.rpartition('/')[2]}")).hexdigest()

    tasks = {(task["task"], task["index"]): task for task in outcome["tasks"]}
    values = {}
    for label, task in tasks.items():
        assert task["state"] == "succeeded"
        if (result := task["result"]) is not None:
            data = place.read(result["key"])
            pickled, trailer = data[:-TRAILER], data[-TRAILER:]
            digest = hashlib.sha256(pickled)
            assert (result["size"], result["sha256"]) == (len(pickled), digest.hexdigest())
            assert trailer == b"RNR1" + len(pickled).to_bytes(8, "big") + digest.digest()
            values[label] = pickle.loads(data)
    assert values[("load-it", None)] == 12
    assert [values[("clean", index)] for index in range(4)] == [0, 2, 4, 6]
    assert values[("large", None)] == b"\x0c" * 3_000_000
    assert values[("nothing", None)] is None
    assert tasks[("unkept", None)]["result"] is None
    assert tasks[("large", None)]["result"]["type"] == "bytes"
    assert tasks[("nothing", None)]["result"]["type"] == "NoneType"
    assert tasks[("clean", 3)]["result"]["key"] == f"{ETL}/runs/r/attempts/0001/results/clean/3.pkl"
    assert schemas.validate_place(place) == 4
    schemas.validate_bundle(place.read(f"{ETL}/{url.rpartition('/')[2]}"))


def test_a_second_start_of_a_finished_run_repeats_its_outcome(place: Place) -> None:
    publish(place, "trouble.py")
    ok, failing = trouble(place, "do well"), trouble(place, "fail", RUNNER_RUN_ID="f")
    assert (start(ok).code, start(failing).code) == (0, 1)
    before = place.keys()
    for key in [key for key in before if "/runs/" not in key]:
        place.open().delete(key)  # nothing is fetched
    before = place.keys()
    again, failed_again = start(ok), start(failing)
    assert (again.code, failed_again.code) == (0, 1)
    reported = start({name: text for name, text in ok.items() if name != "RUNNER_PARAMETERS"}, "run", "--json")
    assert json.loads(reported.stdout) == outcome_of(place, "r", "trouble")
    assert "nothing is run again" in again.lines[-1]["message"]
    assert "failed" in failed_again.error["message"]
    assert place.keys() == before


def test_a_run_that_another_attempt_holds_is_left_alone(place: Place) -> None:
    publish(place, "trouble.py")
    assert start(trouble(place, "do well")).code == 0
    asked = place.read("trouble/runs/r/run.json")
    place.write("trouble/runs/held/run.json", asked.replace(b'"r"', b'"held"'))
    claim = json.loads(place.read("trouble/runs/r/attempts/0001/claim.json"))
    held = {**claim, "token": naming.new_token(), "run_id": "held", "beat": 3}
    place.write("trouble/runs/held/attempts/0001/claim.json", documents.encode(held))
    beat = "trouble/runs/held/attempts/0001/beat"
    place.write(beat, documents.encode({"format": 1, "token": held["token"], "beat": 1, "time": naming.now()}))
    before = place.keys()
    watcher = begin(trouble(place, "do well", RUNNER_RUN_ID="held"))
    number = 1
    while watcher.poll() is None:
        time.sleep(0.5)
        number += 1
        place.write(beat, documents.encode({"format": 1, "token": held["token"], "beat": number, "time": naming.now()}))
    stdout, stderr = watcher.communicate()
    done = Ran(watcher.returncode, stdout, stderr)
    assert done.code == 75
    assert claim["started"] in done.error["message"]
    assert place.keys() == before


def test_a_run_id_that_stands_for_other_parameters_is_refused_and_claims_nothing(place: Place) -> None:
    publish(place, "trouble.py")
    assert start(trouble(place, "be killed")).code == 137
    before = place.keys()
    done = start(trouble(place, "do well"))
    assert done.code == 78
    assert "other parameters" in done.error["message"]
    assert "RUNNER_RUN_ID" in done.error["message"]
    assert place.keys() == before


def test_a_run_goes_on_with_the_bundle_that_it_was_begun_with(place: Place) -> None:
    first = publish(place, "trouble.py")
    assert start(trouble(place, "be killed")).code == 137
    publish(place, "trouble.py")
    again = start(trouble(place, "be killed"))
    assert again.code == 137, again
    assert end_of(place, 2)["bundle"]["url"] == first


def test_a_run_id_that_stands_for_another_bundle_is_refused(here: Place) -> None:
    publish(here, "trouble.py")
    assert start(trouble(here, "do well")).code == 0
    newer = publish(here, "trouble.py")
    done = start(trouble(here, "do well") | {"RUNNER_LOCATION": newer})
    assert done.code == 78
    assert "another bundle" in done.error["message"]


def test_a_file_that_can_be_read_only_once_is_read_once(here: Place, tmp_path: Path) -> None:
    publish(here, "trouble.py")
    environ = trouble(here, "do well") | {"RUNNER_SECRETS": "TOKEN"}
    pipes = {"RUNNER_PARAMETERS": environ.pop("RUNNER_PARAMETERS"), "TOKEN": "a secret of ours"}
    for name in pipes:
        os.mkfifo(tmp_path / name)
        environ[f"{name}_FILE"] = str(tmp_path / name)
    with ThreadPoolExecutor() as pool:
        writing = [pool.submit((tmp_path / name).write_text, text) for name, text in pipes.items()]
        done = start(environ)
        assert all(future.result() for future in writing)
    assert done.code == 0, done
    assert json.loads(here.read("trouble/runs/r/run.json"))["parameters"] == {"kind": "do well"}


@pytest.mark.parametrize("backend", ["local", "s3"], indirect=True)
def test_a_location_names_a_flow_a_version_a_key_or_a_whole_url(place: Place) -> None:
    first = publish(place, "etl.py")
    newest = publish(place, "etl.py")
    own = publish(place, "etl.py", key="own/place.bin")
    version = f"{ETL}/{first.rpartition('/')[2]}"
    elsewhere = {**place.environ, "RUNNER_LOCATION": f"{place.url}/{ETL}"}
    for environ, url, home in [
        (located(place, ETL), newest, ETL),
        (located(place, version), first, ETL),
        (located(place, "own/place.bin"), own, "own"),
        (elsewhere, newest, ETL),
        ({**elsewhere, "RUNNER_LOCATION": first, "RUNNER_STORAGE": place.word}, first, ETL),
    ]:
        run_id = naming.new_run_id()
        done = start(environ | {"RUNNER_RUN_ID": run_id})
        assert done.code == 0, done
        assert outcome_of(place, run_id, home)["bundle"]["url"] == url


def test_a_raw_pickle_runs_and_its_runs_lie_beside_it(place: Place) -> None:
    place.write("old/raw", cloudpickle.dumps(lambda number=4: number + 1))
    done = start(located(place, "old/raw") | {"RUNNER_RUN_ID": "r", "RUNNER_PARAMETERS": '{"number": 41}'})
    assert done.code == 0, done
    assert any(
        line["level"] == "WARNING" and "nothing of it could be verified" in line["message"] for line in done.lines
    )
    [task] = outcome_of(place, "r", "old")["tasks"]
    assert pickle.loads(place.read(task["result"]["key"])) == 42


def test_a_pickled_object_with_a_run_method_runs(here: Place) -> None:
    class Job:
        def run(self, day: str) -> str:
            return f"ran {day}"

    here.write("old/job", cloudpickle.dumps(Job()))
    done = start(located(here, "old/job") | {"RUNNER_RUN_ID": "r", "RUNNER_PARAMETERS": '{"day": "today"}'})
    assert done.code == 0, done
    [task] = outcome_of(here, "r", "old")["tasks"]
    assert pickle.loads(here.read(task["result"]["key"])) == "ran today"


def test_results_go_elsewhere_when_asked(place: Place, tmp_path: Path) -> None:
    publish(place, "trouble.py")
    before = place.keys()
    other = local_place(tmp_path / "elsewhere")
    done = start(trouble(place, "do well", RUNNER_RESULTS=f"{other.url}/deep"))
    assert done.code == 0, done
    assert place.keys() == before
    assert outcome_of(other, "r", "deep/trouble")["state"] == "succeeded"


def test_every_variable_may_be_given_as_a_file(here: Place, tmp_path: Path) -> None:
    publish(here, "trouble.py")
    environ = {}
    for name, value in trouble(here, "do well").items():
        path = tmp_path / name
        path.write_text(f"{value}\n")
        environ[f"{name}_FILE"] = str(path)
    assert start(environ).code == 0
    assert outcome_of(here, "r", "trouble")["state"] == "succeeded"


def test_a_flow_brings_its_modules_and_data_and_nothing_of_them_stays(here: Place, tmp_path: Path) -> None:
    publish(here, "modular/modular.py")
    done = start(located(here, "modular") | {"RUNNER_RUN_ID": "r", "TMPDIR": str(tmp_path)}, cwd=tmp_path)
    assert done.code == 0, done
    [task] = outcome_of(here, "r", "modular")["tasks"]
    value = pickle.loads(here.read(task["result"]["key"]))
    folder = Path(value.pop("folder"))
    assert value == {"area": 12, "words": ["one", "two", "three"], "late": "imported in the task"}
    assert folder.parent == tmp_path
    assert not folder.exists()


# Secrets


@pytest.mark.parametrize("form", ["variable", "file"])
def test_a_named_secret_opens_the_bucket_without_ambient_credentials(form: str, tmp_path: Path) -> None:
    with S3AsAws() as s3:
        environ = s3.server.environ
        place = local_place(tmp_path / "storage")
        publish(place, "trouble.py")
        kept = place.keys()
        for key in kept:
            s3.objects[key] = place.read(key)
        secret = {
            "ACCESS_KEY": environ.pop("AWS_ACCESS_KEY_ID"),
            "SECRET_ACCESS_KEY": environ.pop("AWS_SECRET_ACCESS_KEY"),
        }
        environ |= {
            "RUNNER_STORAGE": "s3",
            "RUNNER_LOCATION": f"{s3.bucket}/trouble",
            "RUNNER_SECRETS": "AWS_CREDENTIALS",
        }
        environ["RUNNER_PARAMETERS"] = '{"kind": "do well"}'
        if form == "variable":
            environ["AWS_CREDENTIALS"] = json.dumps(secret)
        else:
            (tmp_path / "keys.json").write_text(json.dumps(secret))
            environ["AWS_CREDENTIALS_FILE"] = str(tmp_path / "keys.json")
        done = start(environ)
        assert done.code == 0, done
        assert "AWS_CREDENTIALS" in done.lines[0]["message"]
        assert secret["SECRET_ACCESS_KEY"] not in done.stdout
        assert any(key.endswith("outcome.json") for key in s3.objects)


def test_a_refusal_says_when_a_known_secret_is_here_but_not_named() -> None:
    with S3AsAws() as s3:
        environ = s3.server.environ | {"RUNNER_STORAGE": "s3", "RUNNER_LOCATION": f"{s3.bucket}/trouble"}
        environ |= {"AWS_ACCESS_KEY_ID": "AKIDWRONG", "AWS_CREDENTIALS": "{}"}
        done = start(environ)
        assert done.code == 77
        assert "AWS_CREDENTIALS is set, but not named in RUNNER_SECRETS" in done.error["message"]


def test_no_value_of_a_secret_is_written_anywhere(here: Place) -> None:
    publish(here, "trouble.py")
    value = 'hunter2-"quoted"-ä'
    secrets = {"RUNNER_SECRETS": "DB_PASSWORD", "DB_PASSWORD": value}
    done = start(trouble(here, "tell a secret") | secrets)
    assert done.code == 1
    kept = here.keys()
    written = done.stdout + done.stderr + "".join(here.read(key).decode() for key in kept if key.endswith(".json"))
    for form in (value, json.dumps(value)[1:-1], "hunter2"):
        assert form not in written
    assert done.error["message"] == "task misbehave failed: ValueError: ***"
    assert [line["message"] for line in done.lines if line["logger"] == "elsewhere"] == ["and again: ***"]


# Logs


def test_log_lines_are_json_with_their_run_and_task(here: Place) -> None:
    publish(here, "trouble.py")
    done = start(trouble(here, "log"))
    assert done.code == 0, done
    said = {line["message"]: line for line in done.lines}
    mine = said["a line for you"]
    assert {name: mine[name] for name in ("run_id", "flow", "task", "attempt", "level", "logger")} == {
        "run_id": "r", "flow": "trouble", "task": "misbehave", "attempt": 1, "level": "INFO", "logger": "runner.flow",
    }  # fmt: skip
    assert said["another"]["task"] == "misbehave"
    assert "ZeroDivisionError" in said["it broke"]["exception"]
    [broken] = [line for line in done.lines if "cannot be made" in line["message"]]
    assert "trouble.py" in broken["message"]
    assert "not shown" not in said


def test_log_lines_are_text_when_asked(here: Place) -> None:
    publish(here, "trouble.py")
    done = start(trouble(here, "log", RUNNER_LOG_FORMAT="text", RUNNER_LOG_LEVEL="debug"))
    assert done.code == 0
    assert "INFO    misbehave: a line for you" in done.stdout
    assert "ZeroDivisionError: " in done.stdout
    assert "not shown" in done.stdout
    assert "{" not in done.stdout
    refused = start({"RUNNER_LOG_FORMAT": "text"})
    assert refused.code == 78
    assert "ERROR   runner.run: RUNNER_LOCATION is not set" in refused.stdout


def test_a_flow_that_takes_logging_down_still_ends_with_the_one_line(here: Place) -> None:
    publish(here, "trouble.py")
    done = start(trouble(here, "take logging down"))
    assert done.code == 0
    assert done.lines[-1]["code"] == 0


# How long it takes, and what is not imported for it


@pytest.mark.usefixtures("_unmeasured")
def test_ten_thousand_mapped_tasks_run(here: Place) -> None:
    publish(here, "wide.py")
    begun = time.monotonic()
    done = start(located(here, "wide") | {"RUNNER_RUN_ID": "r"})
    assert done.code == 0, done.error
    assert time.monotonic() - begun < 30
    outcome = outcome_of(here, "r", "wide")
    assert len(outcome["tasks"]) == 10_002
    assert pickle.loads(here.read(outcome["tasks"][-1]["result"]["key"])) == 9_999 * 10_000


HEAVY = {
    "asyncio", "azure", "boto3", "botocore", "click", "concurrent", "configparser", "difflib", "email",
    "google", "http", "jsonschema", "multiprocessing", "pathlib", "pythonjsonlogger", "requests",
    "runner.authoring.storages", "runner.cli", "runner.publishing", "shutil", "socket", "ssl", "subprocess",
    "tempfile", "urllib.request", "xml", "zipfile",
}  # fmt: skip


@pytest.mark.parametrize("backend", ["local", "s3"], indirect=True)
@pytest.mark.usefixtures("_unmeasured")
def test_nothing_heavy_is_imported_before_the_flows_first_line(place: Place) -> None:
    publish(place, "modules_seen.py")
    done = start(located(place, "modules-seen") | {"RUNNER_RUN_ID": "r"})
    assert done.code == 0, done
    [task] = outcome_of(place, "r", "modules-seen")["tasks"]
    seen = pickle.loads(place.read(task["result"]["key"]))
    assert "runner.engine.scheduler" in seen
    assert {name for name in seen if HEAVY & {name, name.split(".")[0]}} == set()


def test_garbage_is_collected_where_a_flow_runs_and_what_runner_imported_is_none(here: Place) -> None:
    """To look at that again and again takes each start 3 ms, and copies it for each process."""
    publish(here, "garbage.py")
    assert start(located(here, "garbage") | {"RUNNER_RUN_ID": "r"}).code == 0
    [task] = outcome_of(here, "r", "garbage")["tasks"]
    assert pickle.loads(here.read(task["result"]["key"])) == (True, True)


def test_folder_names_of_runs_are_as_designed() -> None:
    folder = RunLayout("etl", "r")
    assert folder.end(3) == "etl/runs/r/attempts/0003/end.json"
    assert RunLayout("", "r").outcome == "runs/r/outcome.json"
