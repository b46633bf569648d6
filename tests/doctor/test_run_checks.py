"""`runner doctor` goes the run's own way: given the same environment, it has the run's exit code."""

from __future__ import annotations

import json
import pickle
import posix  # whose _exit is none that coverage has put there
import signal
from typing import TYPE_CHECKING, Any

import pytest

from runner.signing import keys
from support.flows import located, publish
from support.starting import Ran, start, without_privileges

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.places import Place


def same_code(environ: dict[str, str], **options: Any) -> tuple[Ran, dict[str, dict[str, Any]]]:
    """Give the environment to doctor and to a run, whose codes must be one; return doctor's word, and its checks."""
    told = start(environ, "doctor", **options)
    document = json.loads(start(environ, "doctor", "--json", **options).stdout)
    ran = start(environ, **options)
    assert told.code == document["exit_code"] == ran.code, (told.stdout, ran.stdout)
    assert (told.code == 0) == told.stdout.endswith("\nnothing failed\n")
    return told, {check["check"]: check for check in document["checks"] if check["about"] == "the run"}


def etl(place: Place) -> dict[str, str]:
    version = publish(place, "etl.py").removeprefix("file://")
    return {"RUNNER_STORAGE": "local", "RUNNER_LOCATION": version.rpartition("/")[0]}


class Calls:
    """What calls a function as it is unpickled."""

    def __init__(self, function: Callable[[int], object], number: int) -> None:
        self.call = function, (number,)

    def __reduce__(self) -> tuple[Callable[[int], object], tuple[int]]:
        return self.call


def test_a_flow_that_runs_is_loaded_and_leaves_nothing(here: Place, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    publish(here, "modular/modular.py")
    environ = located(here, "modular") | {"TMPDIR": str(tmp_path / "tmp")}
    before = here.keys()
    told = start(environ, "doctor")
    assert (told.code, told.stderr) == (0, "")
    assert "ok       load: flow 'modular', tasks: 1; it can be run here" in told.stdout
    assert here.keys() == before
    assert list((tmp_path / "tmp").iterdir()) == []
    same_code(environ)


def test_a_flow_that_is_not_there(here: Place) -> None:
    etl(here)
    told, checks = same_code(located(here, "none"))
    assert told.code == 66
    assert "Check the name; runner ls lists what is there." in checks["flow"]["hint"]


def test_no_such_alias(here: Place) -> None:
    environ = etl(here)
    assert same_code({**environ, "RUNNER_LOCATION": f"{environ['RUNNER_LOCATION']}@prod"})[0].code == 66


def test_a_flow_that_nobody_signed_and_one_that_is_asked_for_by_another_digest(here: Place) -> None:
    trusted = keys.new_key("flows").public.text
    told, checks = same_code(etl(here) | {"RUNNER_TRUSTED_KEYS": trusted})
    assert told.code == 79
    assert checks["signature"]["state"] == "FAILED"
    assert same_code(etl(here) | {"RUNNER_BUNDLE_SHA256": "0" * 64})[0].code == 79
    assert same_code(etl(here) | {"RUNNER_MIN_VERSION": "2999-01-01"})[0].code == 79


def test_a_key_that_may_not_sign_runs(here: Place, tmp_path: Path) -> None:
    key = tmp_path / "key"
    assert start({}, "keygen", "--for", "flows", str(key)).code == 0
    told, checks = same_code(etl(here) | {"RUNNER_SIGNING_KEY_FILE": str(key)})
    assert told.code == 78
    assert checks["signing key"]["state"] == "FAILED"


@pytest.mark.parametrize("parameters", ['{"nosuch": 1}', "{"])
def test_parameters_that_the_flow_does_not_know_or_nobody_can_read(here: Place, parameters: str) -> None:
    assert same_code(etl(here) | {"RUNNER_PARAMETERS": parameters})[0].code == 78


def test_a_parameter_that_is_missing(here: Place) -> None:
    publish(here, "trouble.py")
    told, checks = same_code(located(here, "trouble"))
    assert told.code == 78
    assert "parameter 'kind' is required" in checks["load"]["message"]


def test_what_is_no_bundle_and_what_holds_no_flow(here: Place) -> None:
    here.write("odd/1", b"PK\x03\x04 and nothing more")
    assert same_code(located(here, "odd/1"))[0].code == 65
    here.write("odd/2", pickle.dumps(3))
    assert same_code(located(here, "odd/2"))[0].code == 65


def test_a_module_that_is_not_installed(here: Place, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['numpy'] = None\n")
    publish(here, "needs_numpy.py")
    assert same_code(located(here, "needs-numpy") | {"PYTHONPATH": str(tmp_path)})[0].code == 76


def test_a_flow_that_ends_the_process_as_it_is_loaded(here: Place) -> None:
    here.write("gone/1", pickle.dumps(Calls(posix._exit, 3)))
    told, checks = same_code(located(here, "gone/1"))
    assert told.code == 1
    assert "ended its process with code 3" in checks["load"]["message"]
    here.write("gone/2", pickle.dumps(Calls(signal.raise_signal, signal.SIGKILL)))
    assert same_code(located(here, "gone/2"))[0].code == 137


def test_a_folder_that_cannot_be_written(here: Place, tmp_path: Path) -> None:
    environ = etl(here)
    [flow] = (tmp_path / "storage").iterdir()
    flow.chmod(0o555)
    told, _ = same_code(environ, prefix=without_privileges())
    assert told.code == 73
    flow.chmod(0o755)
    (flow / "runs").mkdir(mode=0o555)
    assert same_code(environ, prefix=without_privileges())[0].code == 73
    (flow / "runs").chmod(0o755)
    flow.chmod(0o555)  # as docs/policies have it: a run writes below runs/ alone
    assert same_code(environ, prefix=without_privileges())[0].code == 0
    assert not list(flow.rglob("_doctor"))
    flow.chmod(0o755)


def test_the_run_that_is_named(here: Place) -> None:
    environ = etl(here) | {"RUNNER_RUN_ID": "once", "RUNNER_PARAMETERS": '{"rows": 2}'}
    told, checks = same_code(environ)
    assert (told.code, checks["run id"]["message"]) == (0, "once is a new run")
    assert same_code(environ)[0].code == 0  # it is over, and repeated
    told = start(environ, "doctor")
    assert "is over since" in told.stdout
    for name in ("create", "replace", "delete", "signature", "run id", "load"):  # no line is left out
        assert f"unknown  {name}: not tried: a start with this RUNNER_RUN_ID only repeats" in told.stdout
    assert same_code(environ | {"RUNNER_PARAMETERS": '{"rows": 4}'})[0].code == 78
    publish(here, "trouble.py")
    failing = located(here, "trouble") | {"RUNNER_RUN_ID": "bad", "RUNNER_PARAMETERS": '{"kind": "fail"}'}
    assert start(failing).code == 1
    told, _ = same_code(failing)
    assert told.code == 1
    assert "Give another RUNNER_RUN_ID, or unset it." in told.stdout


def test_a_secret_that_the_flow_lists_and_the_run_does_not_name(here: Place) -> None:
    version = publish(here, "etl.py", secrets=["DB_PASSWORD", "AWS_CREDENTIALS"]).removeprefix("file://")
    environ = {"RUNNER_STORAGE": "local", "RUNNER_LOCATION": version}
    said = "the flow says that it uses {}, and RUNNER_SECRETS does not name it"
    _, checks = same_code(environ)
    assert (checks["listed secrets"]["state"], checks["listed secrets"]["message"]) == (
        "note",
        said.format("DB_PASSWORD"),
    )
    warned = [line["message"] for line in start(environ).lines if line["level"] == "WARNING"]
    assert warned == [said.format("the secret DB_PASSWORD")]  # the other opens a storage, and is not set here
    named = environ | {"RUNNER_SECRETS": "DB_PASSWORD", "DB_PASSWORD": "hush-hush-1"}
    assert "WARNING" not in start(named).stdout
    assert same_code(named)[1]["listed secrets"]["state"] == "ok"


def test_what_a_flow_says_of_a_secret_that_it_lists_alone_is_hidden(here: Place) -> None:
    publish(here, "trouble.py", secrets=["TOLD"])
    environ = located(here, "trouble") | {"TOLD": "hush-hush-2", "RUNNER_RUN_ID": "r"}
    done = start(environ | {"RUNNER_PARAMETERS": '{"kind": "fail", "file": "hush-hush-2"}'})
    assert done.code == 1
    assert "hush-hush-2" not in done.stdout + here.read("trouble/runs/r/outcome.json").decode()


def test_results_elsewhere_that_cannot_be_written(here: Place, tmp_path: Path) -> None:
    (tmp_path / "results").mkdir(mode=0o555)
    environ = etl(here) | {"RUNNER_RESULTS": str(tmp_path / "results")}
    assert same_code(environ, prefix=without_privileges())[0].code == 73


def test_a_heartbeat_that_the_storage_cannot_keep_and_a_secret_that_is_nowhere(here: Place) -> None:
    assert same_code(etl(here) | {"RUNNER_SECRETS": "NOWHERE", "RUNNER_PARAMETERS": '{"nosuch": 1}'})[0].code == 78


def test_at_a_url_a_flow_is_loaded_too_and_a_place_for_flows_is_none(here: Place) -> None:
    environ = etl(here)
    told = start({}, "doctor", environ["RUNNER_LOCATION"])
    assert told.code == 0
    assert "it can be run here" in told.stdout
    told = start({}, "doctor", here.url)
    assert told.code == 0
    assert "note     flow: there is neither" in told.stdout
    trusted = keys.new_key("flows").public.text
    assert start({"RUNNER_TRUSTED_KEYS": trusted}, "doctor", environ["RUNNER_LOCATION"]).code == 79
