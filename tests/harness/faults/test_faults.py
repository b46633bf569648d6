"""The share of `make faults` that every `make test` has; and that the harness sees what it is there to see."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from harness.faults import check
from harness.faults.ground import BACKENDS
from harness.faults.kills import Kill, KillCase, random_case
from harness.faults.paused import paused_case
from harness.faults.processes import TARGETS
from harness.faults.report import Report
from harness.faults.stages import STAGES
from harness.faults.storage import CLOUDS, fault_case
from harness.faults.together import together_case
from harness.faults.troubles import trouble_case
from harness.faults.workers import Worker, run_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.faults.ground import Run
    from harness.faults.workers import Case
    from support.servers import Server

WORKERS = 4
STAGED = ("after claim.json", "before an element's result", "after a streamed result", "before end.json")


@pytest.fixture
def servers(moto: Server, azurite: Server, gcs_emulator: Server) -> dict[str, Server]:
    return {"s3": moto, "azure": azurite, "gcs": gcs_emulator}


def done(servers: dict[str, Server], cases: list[Case], workers: int = WORKERS) -> Report:
    """Run cases, all of which must keep every promise."""
    report = Report()
    for reported in run_cases(servers, workers, iter(cases)):
        assert not reported.violations, (
            f"{reported.case} on {reported.backend}: {reported.violations}\n{reported.details}"
        )
        report.add(reported)
    return report


def test_runs_that_are_killed_at_named_stages_lose_nothing(servers: dict[str, Server]) -> None:
    stages = [stage for name in STAGED for stage in STAGES if str(stage) == name]
    cases: list[Case] = []
    for backend in BACKENDS:
        for turn in (0, 2):
            kills = tuple(Kill(TARGETS[(turn + number) % 4], stage) for number, stage in enumerate(stages))
            cases.append(KillCase(f"named/test/{backend}/{turn}", backend, 1, kills, 1.0, 2_000_000))
    report = done(servers, cases)
    assert report.struck() >= len(cases) * 2
    assert all(report.struck(backend=backend) for backend in BACKENDS)
    assert all(report.struck(target=target) for target in TARGETS)


def test_runs_that_are_killed_at_random_moments_lose_nothing(servers: dict[str, Server]) -> None:
    report = done(servers, [random_case(7, index) for index in range(10)])
    assert report.struck() >= 12


def test_a_storage_that_fails_now_and_then_costs_time_and_no_result(servers: dict[str, Server]) -> None:
    report = done(servers, [fault_case(2, index) for index in range(9)])
    assert sum(report.faults.values()) >= 60
    assert all(report.number("storage", cloud) for cloud in CLOUDS)


TROUBLED = [
    *(("eaten", "s3"), ("eaten-result", "azure"), ("eaten-end", "s3"), ("late", "s3"), ("down", "azure")),
    *(("careless", "s3"), ("careless", "azure"), ("careless", "gcs")),
    *(("refused", "gcs"), ("resumed", "s3"), ("stopped", "azure"), ("gone", "gcs"), ("request-timeout", "s3")),
]


def test_troubles_that_were_met_end_as_they_must(servers: dict[str, Server]) -> None:
    report = done(servers, [trouble_case(1, kind, cloud) for kind, cloud in TROUBLED])
    assert sum(report.troubles.values()) == len(TROUBLED)


def test_an_attempt_that_wakes_after_its_run_was_finished_changes_nothing(servers: dict[str, Server]) -> None:
    done(servers, [paused_case(1, index, BACKENDS) for index in range(4)])


def test_of_twelve_starts_at_once_one_runs(servers: dict[str, Server]) -> None:
    done(servers, [together_case(1, index, BACKENDS) for index in (0, 1, 2, 3, 4, 6)], workers=2)


# What the harness itself is worth


@pytest.fixture
def finished(tmp_path: Path) -> Iterator[tuple[Run, dict[check.Label, str]]]:
    """A local run that nobody disturbed, and what such a run gives."""
    worker = Worker({})
    try:
        expected = dict(worker.undisturbed(1, 2_000_000))
        with worker.new_run("local", str(tmp_path.name), {"seed": 1, "size": 2_000_000, "pace": 0.1}) as run:
            assert run.begin().process.wait(60) == 0
            assert check.violations(run, 0, expected, "nothing") == []
            yield run, expected
    finally:
        shutil.rmtree(worker.folder)


def _rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


BREAKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a result is gone": (lambda run: (run / "attempts/0001/results/small.pkl").unlink(), "cannot be read"),
    "a result is cut": (
        lambda run: (run / "attempts/0001/results/large.pkl").write_bytes(b"\x80\x05N."),
        "is not what the outcome says",
    ),
    "the outcome is another": (
        lambda run: _rewrite(run / "outcome.json", lambda end: end.pop("host")),
        "not a copy",
    ),
    "there is none": (lambda run: (run / "outcome.json").unlink(), "not one outcome"),
    "it failed": (
        lambda run: _rewrite(run / "outcome.json", lambda end: end.update(exit_code=1)),
        "the outcome is",
    ),
    "an end is gone": (lambda run: (run / "attempts/0001/end.json").unlink(), "claim.json'] alone"),
    "an attempt is missing": (lambda run: (run / "attempts/0001").rename(run / "attempts/0002"), "gaps"),
    "a result is not listed": (
        lambda run: _rewrite(run / "outcome.json", lambda reported: reported["tasks"][0].update(result=None)),
        "has no result of",
    ),
    "something is left": (lambda run: (run / "attempts/0001/.tmp-1").touch(), "left behind"),
}


@pytest.mark.parametrize("what", BREAKS)
def test_the_harness_sees_that(what: str, finished: tuple[Run, dict[check.Label, str]]) -> None:
    run, expected = finished
    damage, words = BREAKS[what]
    assert run.folder is not None
    damage(run.folder)
    assert words in "; ".join(check.violations(run, 0, expected, "nothing"))


def test_the_harness_sees_what_ran_again(finished: tuple[Run, dict[check.Label, str]]) -> None:
    run, expected = finished
    run.durable[1] = {("work", 3)}
    assert check.violations(run, 0, expected, "nothing") == ["work[3] ran again in start 1"]
    run.durable[1] = set()
    expected["finish", None] = "another"
    assert "other values" in check.violations(run, 0, expected, "nothing")[0]
