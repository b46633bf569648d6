"""Outcomes that others met and that were false: what was done told as failed, or lost, and what was not as done."""

from __future__ import annotations

import json
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.contract import CLOUDS, endpoint, through
from support.flows import located, outcome_of, publish
from support.places import unsigned
from support.process_runs import begin, end_of
from support.starting import start
from support.wire import Fault, Relay

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.places import Place

HOME = "e-t-l-taglich"
ABSENT = {
    "s3": b"<Error><Code>NoSuchKey</Code></Error>",
    "azure": b"<Error><Code>BlobNotFound</Code></Error>",
    "gcs": b'{"error": {"code": 404, "message": "No such object: bucket/key"}}',
}
STEPS = "steps/runs/r/attempts/0001"


@pytest.fixture(params=CLOUDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


on_s3 = pytest.mark.parametrize("backend", ["s3"], indirect=True)


@contextmanager
def before(place: Place, *faults: Fault, home: str = HOME, **more: str) -> Iterator[dict[str, str]]:
    """A relay with these faults before the storage, and the environment of a run through it."""
    upstream = endpoint(place)
    with Relay(f"http://{upstream}", *faults) as relay:
        yield located(through(unsigned(place), relay.port, upstream), home) | more


def steps(folder: Path, kind: str) -> dict[str, str]:
    return {"RUNNER_PARAMETERS": json.dumps({"folder": str(folder), "kind": kind}), "RUNNER_RUN_ID": "r"}


def wait_until(condition: Callable[[], bool], *processes: subprocess.Popen[str]) -> None:
    while not condition():
        assert all(process.poll() is None for process in processes), [process.communicate() for process in processes]
        time.sleep(0.01)


def test_an_outcome_that_is_shown_late_is_no_lost_one(place: Place) -> None:
    """What was just stored was not found by another connection, least of all where it had been asked for before.

    https://github.com/data-fair/data-fair/pull/402, https://github.com/NixOS/nix/issues/1420,
    https://github.com/harvard-lil/perma/pull/2761, https://github.com/jschneier/django-storages/issues/802
    """
    publish(place, "etl.py")
    late = Fault("answer", "GET", "outcome.json", times=2, status=404, body=ABSENT[place.word])
    with before(place, late) as environ:
        done = start(environ)
    assert done.code == 0, done


@on_s3
def test_a_result_that_is_listed_and_gone_keeps_no_end_from_being_written(place: Place, tmp_path: Path) -> None:
    """Listings told of objects that could not be read, and whoever trusted them stopped there.

    https://github.com/rustfs/rustfs/issues/6218, https://github.com/minio/minio/issues/15040,
    https://github.com/boto/boto3/issues/1647
    """
    publish(place, "steps.py")
    place.write(f"{STEPS}/results/ghost.pkl", bytes(100))
    gone = Fault("answer", "GET", "ghost.pkl", status=404, body=ABSENT["s3"])
    with before(place, gone, home="steps") as environ:
        done = start(environ | steps(tmp_path, "leave at once"))
    assert done.code == 1, done
    end = end_of(place, home="steps")
    assert end["state"] == "failed"
    listed = {task["task"] for task in end["tasks"]}
    assert {"first"} <= listed <= {"first", "each", "after"}, "what was durable when the process left"


@on_s3
def test_a_run_id_that_counts_as_taken_where_nothing_is_names_no_holder(place: Place) -> None:
    """In a versioned bucket the lock that was deleted was refused for good, and a holder was looked for.

    https://github.com/rustfs/rustfs/issues/1610
    """
    publish(place, "etl.py")
    for words in ("run.json", "claim.json"):
        refused = Fault("answer", "PUT", words, status=412, body=b"<Error><Code>PreconditionFailed</Code></Error>")
        with before(place, refused, RUNNER_RUN_ID="r", RUNNER_PATIENCE="1") as environ:
            done = start(environ)
        assert (done.code, "nothing can be read there" in done.error["message"]) == (73, True), done


@on_s3
def test_a_storage_that_knows_no_conditional_writes_is_refused_with_78(place: Place) -> None:
    """https://github.com/tobi/walgit/issues/67: what was told was the server's own words, and to try again."""
    publish(place, "etl.py")
    body = b"<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality</Message></Error>"
    with before(place, Fault("answer", "PUT", status=501, body=body)) as environ:
        done = start(environ)
    assert (done.code, "conditional writes" in str(done.error)) == (78, True), done


def test_of_two_starts_that_both_created_the_claim_one_succeeds(place: Place, tmp_path: Path) -> None:
    """Conditional writes were right one after the other, and not at once: both of two writers had created the key.

    https://github.com/rustfs/rustfs/issues/1659, https://github.com/floci-io/floci/issues/1328,
    https://github.com/versity/versitygw/pull/2288, https://github.com/pithings/mountx/issues/19
    """
    publish(place, "steps.py")
    faults = [Fault("unconditional", method, "claim.json") for method in ("PUT", "POST")]
    with before(place, *faults, home="steps") as environ:
        both = []
        for _ in range(2):
            (tmp_path / "holding").unlink(missing_ok=True)
            both.append(begin(environ | steps(tmp_path, "hold")))
            wait_until((tmp_path / "holding").exists, *both)
        (tmp_path / "go on").touch()
        codes = sorted(process.wait(60) for process in both)
        assert codes in ([0, 73], [0, 75]), [process.communicate() for process in both]
    assert outcome_of(place, "r", "steps")["state"] == "succeeded"


@pytest.mark.parametrize("backend", ["local"], indirect=True)
def test_to_be_stopped_after_the_outcome_changes_it_no_more(place: Place) -> None:
    """A run that was over was stopped while it cleaned up, and its success was made a crash.

    https://github.com/PrefectHQ/prefect/issues/23025, https://github.com/apache/airflow/issues/12396,
    https://github.com/PrefectHQ/prefect/issues/18653
    """
    publish(place, "etl.py")
    process = begin(located(place, HOME) | {"RUNNER_RUN_ID": "r"})
    wait_until(lambda: f"{HOME}/runs/r/outcome.json" in place.keys(), process)  # noqa: SIM118
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert outcome_of(place, "r", HOME)["state"] == "succeeded"
