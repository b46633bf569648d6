"""Which attempt may work on a run, and how each of them ends."""

from __future__ import annotations

import itertools
import json
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from runner import naming
from runner.errors import BundleCorrupt, EnvironmentWrong, NotFound, RunHeld, WriteFailed
from runner.model.verdict import Verdict
from runner.runs import claims, documents, ends, results
from runner.runs.ends import Concluded, RunFacts
from runner.runs.layout import Claim, RunLayout
from runner.runs.status import run_status
from runner.runs.store import RunStore
from support import schemas
from support.places import Place, local_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.schema.documents import BundleReference, EndDocument, RunRequest, State, TaskRecord

LAYOUT = RunLayout("etl", "r")
BUNDLE: BundleReference = {"url": "file:///etl/v", "sha256": "0" * 64}
FACTS = RunFacts("etl", BUNDLE)
SECRET = b"known to two processes"
TASK: TaskRecord = {
    "task": "clean",
    "name": "clean",
    "index": None,
    "mapped": False,
    "state": "succeeded",
    "tries": 1,
    "started": None,
    "ended": None,
    "error": None,
    "result": None,
}
CODES: dict[State, int] = {
    "succeeded": 0,
    "failed": 1,
    "timed_out": 124,
    "cancelled": 143,
    "crashed": 137,
    "lost": 137,
    "refused": 65,
}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Place]:
    place = local_place(tmp_path / "storage")
    yield place
    schemas.validate_place(place)


@pytest.fixture
def store(here: Place) -> RunStore:
    return RunStore(here.open(), LAYOUT)


def request(**other: Any) -> RunRequest:
    fields: dict[str, Any] = {"bundle": BUNDLE, "parameters": {"day": 1}, "executor": "threads", "reuse": None}
    return claims.new_request("r", **{**fields, "labels": ["etl"], "image": None, **other})


def claim(store: RunStore, announce: Any = lambda _claim: None, *, fresh: bool = False) -> Claim | Concluded:
    return claims.claim_run(store, announce, FACTS, fresh=fresh, interval=0.2)


def claimed(store: RunStore) -> Claim:
    made = claim(store)
    assert isinstance(made, Claim)
    return made


def verdict(state: State) -> Verdict:
    return Verdict(state, CODES[state], state, None if state == "succeeded" else "X")


def commit(store: RunStore, held: Claim, state: State) -> EndDocument:
    end = ends.end_document("r", held, FACTS, verdict(state), secret=SECRET)
    ends.commit_end(store, end)
    return end


def settle(store: RunStore, held: Claim, state: State) -> EndDocument | None:
    return ends.finish_dead_attempt(store, held, FACTS, verdict(state), SECRET)


@contextmanager
def beating(store: RunStore, holder: Claim | Concluded) -> Iterator[None]:
    """Let an attempt live for the block."""
    assert isinstance(holder, Claim)
    over = threading.Event()

    def beat() -> None:
        for number in itertools.count(1):
            if over.wait(0.05):
                return
            store.write_heartbeat(holder, number)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_run_is_begun_once_and_asked_for_again_alike(store: RunStore, here: Place) -> None:
    claims.begin_run(store, request())
    before = here.read(LAYOUT.run)
    claims.begin_run(store, request(bundle={"url": "file:///mounted/elsewhere", "sha256": "0" * 64}))
    assert here.read(LAYOUT.run) == before


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"parameters": {"day": 2}}, "other parameters"),
        ({"bundle": {"url": "file:///etl/w", "sha256": "1" * 64}}, "another bundle"),
    ],
)
def test_a_run_id_stands_for_one_bundle_and_its_parameters(store: RunStore, other: dict[str, Any], said: str) -> None:
    claims.begin_run(store, request())
    with pytest.raises(EnvironmentWrong, match="RUNNER_RUN_ID") as caught:
        claims.begin_run(store, request(**other))
    assert said in caught.value.message


def test_of_many_starts_at_once_one_holds_the_run(store: RunStore) -> None:
    got: list[object] = []
    done = threading.Event()

    def race() -> None:
        try:
            made = claim(store)
            got.append(made)
            with beating(store, made):
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


def test_an_attempt_without_a_beat_is_ended_as_lost_and_the_run_goes_on(store: RunStore, here: Place) -> None:
    first = claimed(store)
    begun = time.monotonic()
    second = claimed(store)
    assert time.monotonic() - begun >= claims.MISSED_HEARTBEATS * 0.2
    assert (first.attempt, second.attempt) == (1, 2)
    lost = documents.decode(here.read(LAYOUT.end(1)))
    assert (lost["state"], lost["exit_code"], lost["started"]) == ("lost", 137, first.started)
    assert "no beat for 3 times 0.2 s" in lost["error"]["message"]


def test_an_attempt_that_beats_and_then_stops_is_held_first_and_lost_later(store: RunStore) -> None:
    first = claimed(store)
    with beating(store, first), pytest.raises(RunHeld, match="process"):
        claim(store)
    assert claimed(store).attempt == 2
    assert ends.lost_end(store, first.attempt) is not None


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_wrong_keeps_no_attempt_alive_and_ends_none(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """Whether a lease was over was judged by another clock than the one that had written it.

    https://github.com/kubernetes/client-go/issues/448, https://github.com/johanhaleby/occurrent/issues/659,
    https://github.com/hashicorp/terraform/pull/17470, https://github.com/kagkarlsson/db-scheduler/issues/433
    """
    with monkeypatch.context() as elsewhere:
        wrong = datetime.now(UTC) + timedelta(days=days)
        elsewhere.setattr(naming, "now", lambda: wrong.isoformat(timespec="microseconds"))
        first = claimed(store)
        store.write_heartbeat(first, 1)
    with beating(store, first), pytest.raises(RunHeld):
        claim(store)
    assert claimed(store).attempt == 2


def test_an_end_that_appears_while_an_attempt_is_watched_is_acted_on(store: RunStore) -> None:
    first = claimed(store)
    timer = threading.Timer(0.2, commit, [store, first, "failed"])
    timer.start()
    assert isinstance(claim(store), Concluded)
    timer.join()


def test_an_attempt_of_a_version_without_beats_is_never_taken_for_dead(store: RunStore, here: Place) -> None:
    claimed(store)
    document = json.loads(here.read(LAYOUT.claim(1))) | {"beat": None}
    here.write(LAYOUT.claim(1), documents.encode(document))
    with pytest.raises(RunHeld):
        claim(store)


def test_an_attempt_that_was_given_up_commits_nothing(store: RunStore, here: Place) -> None:
    first = claimed(store)
    claimed(store)
    before = here.read(LAYOUT.end(1))
    for conclude in (commit, settle):
        with pytest.raises(RunHeld, match="goes on elsewhere"):
            conclude(store, first, "succeeded")
    keys = here.keys()
    assert LAYOUT.outcome not in keys
    assert here.read(LAYOUT.end(1)) == before


def test_the_results_of_a_process_that_is_gone_are_listed_where_that_concludes_the_run(store: RunStore) -> None:
    mine = claimed(store)
    node = SimpleNamespace(slug="clean")
    writer = results.Results(store, 1)
    records = [writer.save(node, index, index)() for index in (None, 1)]  # type: ignore[arg-type]
    store.storage.create(LAYOUT.result(1, "torn", None), b"no result")
    settled = settle(store, mine, "timed_out")
    assert settled is not None
    found = {(task["task"], task["index"]): task["result"] for task in settled["tasks"]}
    untyped = [{**result, "type": None} for result in records]
    assert found == {("clean", None): untyped[0], ("clean", 1): untyped[1]}


@pytest.mark.parametrize("state", ["cancelled", "crashed", "lost", "refused"])
def test_after_an_end_that_concludes_nothing_the_next_attempt_goes_on(
    store: RunStore, here: Place, state: State
) -> None:
    commit(store, claimed(store), state)
    assert claimed(store).attempt == 2
    keys = here.keys()
    assert LAYOUT.outcome not in keys


@pytest.mark.parametrize("state", ["succeeded", "failed", "timed_out"])
def test_an_end_that_concludes_the_run_is_its_outcome(store: RunStore, here: Place, state: State) -> None:
    document = commit(store, claimed(store), state)
    assert here.read(LAYOUT.outcome) == here.read(LAYOUT.end(1))
    again = claim(store)
    assert isinstance(again, Concluded)
    assert again.outcome == document


def test_whoever_finds_an_outcome_missing_writes_it(store: RunStore, here: Place) -> None:
    commit(store, claimed(store), "failed")
    written = here.read(LAYOUT.outcome)
    Path(here.open()._path(LAYOUT.outcome)).unlink()  # type: ignore[attr-defined]
    assert isinstance(claim(store), Concluded)
    assert here.read(LAYOUT.outcome) == written


def test_a_claim_is_announced_before_it_is_made_and_taken_back_when_it_is_anothers(
    store: RunStore, here: Place
) -> None:
    announced: list[Claim | None] = []

    def announce(made: Claim | None) -> None:
        keys = here.keys()
        assert made is None or LAYOUT.claim(made.attempt) not in keys or made.attempt == 1
        announced.append(made)

    first = claim(store, announce, fresh=True)
    assert announced == [first]
    with beating(store, first), pytest.raises(RunHeld, match="since"):
        claim(store, announce)
    assert announced[2] is None


def test_an_attempt_is_settled_from_outside_only_if_it_was_its_own(store: RunStore, here: Place) -> None:
    mine = claimed(store)
    anothers = Claim(1, mine.started, naming.new_token())
    never_made = Claim(2, mine.started, naming.new_token())
    assert settle(store, anothers, "crashed") is None
    assert settle(store, never_made, "crashed") is None
    keys = here.keys()
    assert LAYOUT.end(1) not in keys
    settled = settle(store, mine, "crashed")
    assert settled is not None
    assert settled["state"] == "crashed"


@pytest.mark.parametrize("state", ["succeeded", "crashed"])
def test_the_end_that_an_attempt_committed_itself_stands(store: RunStore, here: Place, state: State) -> None:
    mine = claimed(store)
    document = commit(store, mine, state)
    assert ends.finish_dead_attempt(store, mine, FACTS, Verdict("crashed", 139, "crashed", "X"), SECRET) == document
    keys = here.keys()
    assert (LAYOUT.outcome in keys) == (state == "succeeded")


@pytest.mark.parametrize(
    "forged",
    [
        {"state": "succeeded", "exit_code": 0, "error": None},
        {"tasks": []},
        {"exit_code": 1},
        {"token": "0" * 32},
    ],
)
def test_an_end_that_somebody_changed_is_not_believed(store: RunStore, here: Place, forged: dict[str, Any]) -> None:
    """It has the token of the attempt's own end, which everybody can read, and it has its place."""
    mine = claimed(store)
    written = commit(store, mine, "crashed")
    if forged == {"tasks": []}:
        written = ends.end_document("r", mine, FACTS, verdict("crashed"), [TASK], secret=SECRET)
    here.write(LAYOUT.end(1), documents.encode({**written, **forged}))
    with pytest.raises(WriteFailed, match="not what this start wrote"):
        settle(store, mine, "crashed")
    assert LAYOUT.outcome not in here.keys()  # noqa: SIM118 - a place is no dictionary


def test_a_document_of_another_version_is_told_by_its_url(here: Place) -> None:
    here.write("etl/runs/other/outcome.json", b'{"format": 2}')
    with pytest.raises(BundleCorrupt, match=r"outcome\.json"):
        run_status(RunStore(here.open(), RunLayout("etl", "other")))
    Path(here.open()._path("etl/runs/other/outcome.json")).unlink()  # type: ignore[attr-defined]


def test_how_a_run_stands_is_told_at_each_of_its_steps(store: RunStore) -> None:
    with pytest.raises(NotFound, match="there is no run"):
        run_status(store)
    claims.begin_run(store, request())
    assert run_status(store).state == "asked for"
    first = claimed(store)
    running = run_status(store)
    assert (running.state, running.claim and running.claim["token"]) == ("running", first.token)
    commit(store, first, "crashed")
    assert run_status(store).state == "crashed"
    commit(store, claimed(store), "failed")
    assert run_status(store).state == "failed"


def test_the_last_attempt_is_that_of_the_greatest_number_whatever_else_lies_there(store: RunStore) -> None:
    commit(store, claimed(store), "crashed")
    second = claimed(store)
    for stray in ("notes", "0003.old", "lost+found"):
        store.storage.create(f"{LAYOUT.prefix}/attempts/{stray}/x", b"")
    assert run_status(store).claim == store.read_claim(second.attempt)
    assert run_status(store).state == "running"


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


def test_only_a_claim_that_may_succeed_is_announced(store: RunStore) -> None:
    claims.begin_run(store, request())
    for _ in range(20):
        commit(store, claimed(store), "crashed")
    announced: list[Claim | None] = []
    last = claim(store, announced.append)
    assert announced == [last]
    assert isinstance(last, Claim)
    assert last.attempt == 21


def test_true_and_one_are_different_parameters(store: RunStore) -> None:
    claims.begin_run(store, request(parameters={"x": True}))
    with pytest.raises(EnvironmentWrong, match="other parameters"):
        claims.begin_run(store, request(parameters={"x": 1}))
