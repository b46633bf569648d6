"""Which attempt may work on a run, and how each of them ends."""

from __future__ import annotations

import itertools
import json
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from runner import naming
from runner.errors import BundleCorrupt, EnvironmentWrong, NotFound, RunHeld
from runner.runs import claims, documents, ends, results
from runner.runs.ends import Claim, Concluded
from runner.runs.layout import RunLayout
from runner.runs.status import run_status
from support import schemas
from support.places import Place, local_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.backends.base import Storage

FOLDER = RunLayout("etl", "r")
ASKED: dict[str, Any] = {
    "bundle": {"url": "file:///etl/v", "sha256": "0" * 64},
    "parameters": {"day": 1},
    "labels": ["etl"],
    "image": None,
}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    place = local_place(tmp_path / "storage")
    yield place
    schemas.validate_place(place)


@pytest.fixture
def storage(here: Place) -> Storage:
    return here.open()


FACTS = {"flow": "etl", "bundle": ASKED["bundle"]}


def claim(storage: Storage, announce: Any = lambda _claim: None, *, fresh: bool = False) -> Claim | Concluded:
    return claims.claim_run(storage, FOLDER, announce, FACTS, fresh=fresh, interval=0.2)


def claimed(storage: Storage) -> Claim:
    made = claim(storage)
    assert isinstance(made, Claim)
    return made


def end(state: str) -> dict[str, Any]:
    codes = {
        "succeeded": 0,
        "failed": 1,
        "timed_out": 124,
        "cancelled": 143,
        "crashed": 137,
        "lost": 137,
        "refused": 65,
    }
    error = None if state == "succeeded" else {"type": "X", "message": state}
    return {**FACTS, "state": state, "exit_code": codes[state], "error": error, "tasks": []}


@contextmanager
def beating(storage: Storage, holder: Claim | Concluded) -> Iterator[None]:
    """Let an attempt live for the block."""
    assert isinstance(holder, Claim)
    over = threading.Event()

    def beat() -> None:
        for number in itertools.count(1):
            if over.wait(0.05):
                return
            claims.write_heartbeat(storage, holder, number)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_run_is_begun_once_and_asked_for_again_alike(storage: Storage, here: Place) -> None:
    claims.begin_run(storage, FOLDER, ASKED)
    before = here.read(FOLDER.run)
    claims.begin_run(storage, FOLDER, ASKED | {"bundle": {"url": "file:///mounted/elsewhere", "sha256": "0" * 64}})
    assert here.read(FOLDER.run) == before


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"parameters": {"day": 2}}, "other parameters: {'day': 1}"),
        ({"bundle": {"url": "file:///etl/w", "sha256": "1" * 64}}, "another bundle: file:///etl/v"),
    ],
)
def test_a_run_id_stands_for_one_bundle_and_its_parameters(storage: Storage, other: dict[str, Any], said: str) -> None:
    claims.begin_run(storage, FOLDER, ASKED)
    with pytest.raises(EnvironmentWrong, match="RUNNER_RUN_ID") as caught:
        claims.begin_run(storage, FOLDER, ASKED | other)
    assert said in caught.value.message


def test_of_many_starts_at_once_one_holds_the_run(storage: Storage) -> None:
    got: list[object] = []
    done = threading.Event()

    def race() -> None:
        try:
            made = claim(storage)
            got.append(made)
            with beating(storage, made):
                done.wait()
        except RunHeld as error:
            got.append(error)
            if len(got) == 16:
                done.set()

    threads = [threading.Thread(target=race) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sum(isinstance(each, Claim) for each in got) == 1
    assert sum(isinstance(each, RunHeld) for each in got) == 15


def test_an_attempt_without_a_beat_is_ended_as_lost_and_the_run_goes_on(storage: Storage, here: Place) -> None:
    first = claimed(storage)
    begun = time.monotonic()
    second = claimed(storage)
    assert time.monotonic() - begun >= claims.MISSED * 0.2
    assert (first.attempt, second.attempt) == (1, 2)
    lost = documents.decode(here.read(FOLDER.end(1)))
    assert (lost["state"], lost["exit_code"], lost["started"]) == ("lost", 137, first.started)
    assert "no beat for 3 times 0.2 s" in lost["error"]["message"]


def test_an_attempt_that_beats_and_then_stops_is_held_first_and_lost_later(storage: Storage) -> None:
    first = claimed(storage)
    with beating(storage, first), pytest.raises(RunHeld, match="process"):
        claim(storage)
    assert claimed(storage).attempt == 2
    assert ends.lost_end(storage, first) is not None


def test_an_end_that_appears_while_an_attempt_is_watched_is_acted_on(storage: Storage) -> None:
    first = claimed(storage)
    timer = threading.Timer(0.2, ends.end_attempt, [storage, first, end("failed")])
    timer.start()
    assert isinstance(claim(storage), Concluded)
    timer.join()


def test_an_attempt_of_a_version_without_beats_is_never_taken_for_dead(storage: Storage, here: Place) -> None:
    claimed(storage)
    document = json.loads(here.read(FOLDER.claim(1))) | {"beat": None}
    here.write(FOLDER.claim(1), documents.encode(document))
    with pytest.raises(RunHeld):
        claim(storage)


def test_an_attempt_that_was_given_up_commits_nothing(storage: Storage, here: Place) -> None:
    first = claimed(storage)
    claimed(storage)
    before = here.read(FOLDER.end(1))
    for commit in (ends.end_attempt, ends.finish_dead_attempt):
        with pytest.raises(RunHeld, match="goes on elsewhere"):
            commit(storage, first, end("succeeded"))
    kept = here.keys()
    assert FOLDER.outcome not in kept
    assert here.read(FOLDER.end(1)) == before


def test_the_results_of_a_process_that_is_gone_are_listed_where_that_concludes_the_run(storage: Storage) -> None:
    mine = claimed(storage)
    node = SimpleNamespace(slug="clean")
    kept = results.Results(storage, FOLDER, 1)
    described = [kept.save(node, index, index)() for index in (None, 1)]  # type: ignore[arg-type]
    storage.create(FOLDER.result(1, "torn", None), b"no result")
    settled = ends.finish_dead_attempt(storage, mine, end("timed_out"))
    assert settled is not None
    found = {(task["task"], task["index"]): task["result"] for task in settled["tasks"]}
    untyped = [{**result, "type": None} for result in described]
    assert found == {("clean", None): untyped[0], ("clean", 1): untyped[1]}


@pytest.mark.parametrize("state", ["cancelled", "crashed", "lost", "refused"])
def test_after_an_end_that_concludes_nothing_the_next_attempt_goes_on(
    storage: Storage, here: Place, state: str
) -> None:
    ends.end_attempt(storage, claimed(storage), end(state))
    assert claimed(storage).attempt == 2
    kept = here.keys()
    assert FOLDER.outcome not in kept


@pytest.mark.parametrize("state", ["succeeded", "failed", "timed_out"])
def test_an_end_that_concludes_the_run_is_its_outcome(storage: Storage, here: Place, state: str) -> None:
    document = ends.end_attempt(storage, claimed(storage), end(state))
    assert here.read(FOLDER.outcome) == here.read(FOLDER.end(1))
    again = claim(storage)
    assert isinstance(again, Concluded)
    assert again.outcome == document


def test_whoever_finds_an_outcome_missing_writes_it(storage: Storage, here: Place) -> None:
    ends.end_attempt(storage, claimed(storage), end("failed"))
    written = here.read(FOLDER.outcome)
    (here.open()._path(FOLDER.outcome)).unlink()  # type: ignore[attr-defined]
    assert isinstance(claim(storage), Concluded)
    assert here.read(FOLDER.outcome) == written


def test_a_claim_is_announced_before_it_is_made_and_taken_back_when_it_is_anothers(
    storage: Storage, here: Place
) -> None:
    announced: list[Claim | None] = []

    def announce(made: Claim | None) -> None:
        kept = here.keys()
        assert made is None or FOLDER.claim(made.attempt) not in kept or made.attempt == 1
        announced.append(made)

    first = claim(storage, announce, fresh=True)
    assert announced == [first]
    with beating(storage, first), pytest.raises(RunHeld, match="since"):
        claim(storage, announce)
    assert announced[2] is None


def test_an_attempt_is_settled_from_outside_only_if_it_was_its_own(storage: Storage, here: Place) -> None:
    mine = claimed(storage)
    anothers = Claim(FOLDER, 1, mine.started, naming.new_token())
    never_made = Claim(FOLDER, 2, mine.started, naming.new_token())
    assert ends.finish_dead_attempt(storage, anothers, end("crashed")) is None
    assert ends.finish_dead_attempt(storage, never_made, end("crashed")) is None
    kept = here.keys()
    assert FOLDER.end(1) not in kept
    settled = ends.finish_dead_attempt(storage, mine, end("crashed"))
    assert settled is not None
    assert settled["state"] == "crashed"


@pytest.mark.parametrize("state", ["succeeded", "crashed"])
def test_the_end_that_an_attempt_committed_itself_stands(storage: Storage, here: Place, state: str) -> None:
    mine = claimed(storage)
    document = ends.end_attempt(storage, mine, end(state))
    assert ends.finish_dead_attempt(storage, mine, end("crashed") | {"exit_code": 139}) == document
    kept = here.keys()
    assert (FOLDER.outcome in kept) == (state == "succeeded")


def test_a_document_of_another_version_is_told_by_its_url(storage: Storage, here: Place) -> None:
    here.write("etl/runs/other/outcome.json", b'{"format": 2}')
    with pytest.raises(BundleCorrupt, match=r"outcome\.json"):
        run_status(storage, RunLayout("etl", "other"))
    (here.open()._path("etl/runs/other/outcome.json")).unlink()  # type: ignore[attr-defined]


def test_how_a_run_stands_is_told_at_each_of_its_steps(storage: Storage) -> None:
    with pytest.raises(NotFound, match="there is no run"):
        run_status(storage, FOLDER)
    claims.begin_run(storage, FOLDER, ASKED)
    assert run_status(storage, FOLDER).state == "asked for"
    first = claimed(storage)
    running = run_status(storage, FOLDER)
    assert (running.state, running.claim and running.claim["token"]) == ("running", first.token)
    ends.end_attempt(storage, first, end("crashed"))
    assert run_status(storage, FOLDER).state == "crashed"
    ends.end_attempt(storage, claimed(storage), end("failed"))
    assert run_status(storage, FOLDER).state == "failed"


def test_the_last_attempt_is_that_of_the_greatest_number_whatever_else_lies_there(storage: Storage) -> None:
    ends.end_attempt(storage, claimed(storage), end("crashed"))
    second = claimed(storage)
    for stray in ("notes", "0003.old", "lost+found"):
        storage.create(f"{FOLDER.prefix}/attempts/{stray}/x", b"")
    assert run_status(storage, FOLDER).claim == documents.read_document(storage, FOLDER.claim(second.attempt))
    assert run_status(storage, FOLDER).state == "running"


def test_text_that_is_no_unicode_can_be_written_down() -> None:
    document = {"format": 1, "name": "täglich \udce9"}
    assert documents.decode(documents.encode(document)) == document
    assert "täglich".encode() in documents.encode({"format": 1, "name": "täglich"})


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": 2}', b"\xff"])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - what json says of it, or we
        documents.decode(data)


def test_run_ids_and_versions_sort_by_time() -> None:
    made = [naming.new_run_id() for _ in range(5)]
    assert [each[:23] for each in made] == sorted(each[:23] for each in made)
    assert naming.VERSION.fullmatch(naming.new_version())
    assert json.loads(documents.encode({"format": 1})) == {"format": 1}


def test_only_a_claim_that_may_succeed_is_announced(storage: Storage) -> None:
    claims.begin_run(storage, FOLDER, ASKED)
    end = {"state": "crashed", "exit_code": 137, "error": {"type": "Crashed", "message": "killed"}, "tasks": []}
    for _ in range(20):
        held = claim(storage)
        assert isinstance(held, Claim)
        ends.end_attempt(storage, held, FACTS | end)
    announced: list[Claim | None] = []
    last = claim(storage, announced.append)
    assert announced == [last]
    assert isinstance(last, Claim)
    assert last.attempt == 21


def test_true_and_one_are_different_parameters(storage: Storage) -> None:
    claims.begin_run(storage, FOLDER, ASKED | {"parameters": {"x": True}})
    with pytest.raises(EnvironmentWrong, match="other parameters"):
        claims.begin_run(storage, FOLDER, ASKED | {"parameters": {"x": 1}})
