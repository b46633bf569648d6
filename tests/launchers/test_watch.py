"""What is done about launches that do not go well: a platform that says what it is told."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import pytest

from runner.errors import BundleCorrupt, Incompatible, NotStarted, RunHeld, Unreachable, from_code
from runner.launchers import watch
from runner.launchers.base import Launcher, Order, Sighting
from runner.launchers.budgets import Budgets
from runner.launchers.start import Launch, end_launch, next_launch, take_launch
from runner.launchers.watch import Watcher
from runner.model.verdict import Verdict
from runner.runs.cancelling import CancelLook
from runner.runs.claims import begin_run, claim_run, new_request
from runner.runs.ends import Concluded, RunFacts, commit_end, end_document
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from runner.signing.run_signatures import RunSigner
from support import schemas
from support.canary import AUTHOR
from support.flows import located, publish
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner.schema.documents import BundleReference, EndDocument
    from support.places import Place

WAITING, RUNNING, ABSENT = Sighting("waiting", "Unschedulable", "0/3 nodes"), Sighting("running"), Sighting("absent")


class Scripted(Launcher):
    """A platform that says one thing after the other, and the last one for ever; a callable is called instead."""

    kind = "local"

    def __init__(self, *script: Sighting | Callable[[], Sighting]) -> None:
        super().__init__()
        self.script, self.calls = list(script), list[str]()

    def render(self, order: Order) -> str:
        return order.name

    def launch(self, order: Order) -> dict[str, str]:
        self.calls.append(f"launch {order.environ['number']}")
        return {"name": order.name}

    def describe(self, name: str) -> Sighting:  # noqa: ARG002 - as below, the platform's
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return said() if callable(said) else said

    def stop(self, name: str, grace: float) -> None:  # noqa: ARG002
        self.calls.append(f"stop {name[-1]}")

    def remove(self, name: str) -> None:
        self.calls.append(f"remove {name[-1]}")

    def logs(self, name: str, lines: int = 30) -> list[str]:  # noqa: ARG002
        return ["the last line"]


class Removing(Scripted):
    """One on which what was removed is gone."""

    def remove(self, name: str) -> None:
        super().remove(name)
        if f"launch {name[-1]}" in self.calls:
            self.script.insert(0, ABSENT)


@pytest.fixture(autouse=True)
def _in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(watch, "FIRST_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(watch, "REASON_SECONDS", (0.0, 0.01, 0.01))


@pytest.fixture
def store(here: Place) -> Iterator[RunStore]:
    yield RunStore(here.open(), RunLayout("etl", "r"))
    schemas.validate_place(here)


FACTS = RunFacts(None, {"url": "file:///etl/v", "sha256": "0" * 64})


def watcher(store: RunStore, platform: Scripted, **budgets: float | None) -> Watcher:
    def order(launch: Launch) -> Order:
        return Order(launch.name, "team/etl:7", {"number": str(launch.number)}, {}, {}, {}, 1.0)

    wanted = {"start_timeout": 0.05, "start_retries": 0, **budgets}
    made = Watcher(store, platform, order, Budgets(**wanted), 0.1, lambda _: None)  # type: ignore[arg-type]
    begin_run(
        store,
        new_request("r", bundle=FACTS.bundle, parameters={}, executor="threads", reuse=None, labels=[], image=None),
    )
    made.begin()
    return made


def claimed(store: RunStore, launch: int = 1, *, beat: float = 0.05) -> None:
    """Claim an attempt, as the container of a launch does."""
    claim = claim_run(store, lambda _: None, FACTS, fresh=False, interval=beat, launch=launch)
    assert not isinstance(claim, Concluded)


def ended(store: RunStore, verdict: Verdict, launch: int = 1) -> None:
    claim = claim_run(store, lambda _: None, FACTS, fresh=False, interval=1, launch=launch)
    assert not isinstance(claim, Concluded)
    commit_end(store, end_document(store.run_id, claim, FACTS, verdict))


def test_what_does_not_begin_is_removed_and_only_then_launched_again(store: RunStore) -> None:
    platform = Removing(WAITING)
    with pytest.raises(NotStarted, match=r"Unschedulable: 0/3 nodes: the last line\. Ask for less"):
        watcher(store, platform, start_retries=2).until_over()
    steps = [step for number in "123" for step in (f"launch {number}", f"stop {number}", f"remove {number}")]
    assert platform.calls == steps
    ends = [store.read_launch_end(number) for number in store.list_launches()]
    assert [end and end["state"] for end in ends] == ["never started"] * 3
    assert store.read_outcome() is None


@pytest.mark.parametrize("sighting", [Sighting("ended", "Completed", exit_code=0), Sighting("ended", exit_code=127)])
def test_an_image_that_does_not_start_runner_is_told_and_not_tried_again(store: RunStore, sighting: Sighting) -> None:
    platform = Scripted(sighting)
    with pytest.raises(Incompatible, match=r"the image team/etl:7 did not start runner.*the last line.*ENTRYPOINT"):
        watcher(store, platform, start_retries=2).until_over()
    assert platform.calls == ["launch 1", "remove 1"]
    end = store.read_launch_end(1)
    assert end is not None
    assert (end["reason"], end["exit_code"]) == ("NoRunner", sighting.exit_code)


def test_what_fails_before_runner_begins_may_go_better_the_next_time(store: RunStore) -> None:
    platform = Scripted(Sighting("ended", exit_code=1))
    with pytest.raises(NotStarted, match="launch 2 was not begun"):
        watcher(store, platform, start_retries=1).until_over()


def test_a_container_that_runs_and_gives_no_sign_of_life_is_stopped_and_removed(store: RunStore) -> None:
    platform = Scripted(RUNNING)
    looked = watcher(store, platform)
    claimed(store)
    assert looked.until_over()["state"] == "lost"
    assert platform.calls == ["launch 1", "stop 1", "remove 1"]


class Failing(Scripted):
    """A platform that is out of reach when it is first asked for the second launch, and does what it is asked for."""

    def launch(self, order: Order) -> dict[str, str]:
        made = super().launch(order)
        if self.calls.count("launch 2") == 1:
            raise Unreachable("nobody there")
        return made


def test_a_platform_that_is_out_of_reach_for_a_while_is_asked_for_the_same_launch_again(store: RunStore) -> None:
    platform = Failing(Sighting("ended", exit_code=143))
    with pytest.raises(NotStarted, match="launch 2 was not begun"):
        watcher(store, platform, start_retries=1).until_over()
    assert platform.calls == ["launch 1", "remove 1", "launch 2", "launch 2", "remove 2"]


@pytest.mark.parametrize(("patience", "raised"), [(60, NotStarted), (-1, Unreachable)])
def test_a_storage_that_is_out_of_reach_for_a_while_is_asked_again(
    store: RunStore, monkeypatch: pytest.MonkeyPatch, patience: float, raised: type[Exception]
) -> None:
    monkeypatch.setattr(watch, "_PATIENCE_SECONDS", patience)
    looked, asked, read = watcher(store, Scripted(Sighting("ended", exit_code=143))), [], store.read_outcome

    def out_of_reach() -> EndDocument | None:
        asked.append("outcome")
        if len(asked) < 3:
            raise Unreachable("the storage does not answer")
        return read()

    monkeypatch.setattr(store, "read_outcome", out_of_reach)
    with pytest.raises(raised):
        looked.until_over()
    assert len(asked) == 1 or raised is NotStarted


def test_the_time_in_a_queue_is_not_that_of_a_start(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives a limit means both."""
    monkeypatch.setattr(watch, "START_SECONDS", 0.1)
    queued = Sighting("waiting", "Priority", is_queued=True)
    with pytest.raises(NotStarted, match="Unschedulable"):
        watcher(store, Removing(*[queued] * 30, WAITING), start_timeout=None).until_over()
    with pytest.raises(NotStarted, match="Priority"):
        watcher(store, Removing(queued)).until_over()


def test_what_can_never_begin_is_not_waited_for(store: RunStore) -> None:
    platform = Scripted(Sighting("waiting", "InvalidImageName", is_hopeless=True), ABSENT)
    with pytest.raises(NotStarted, match="InvalidImageName"):
        watcher(store, platform, start_timeout=1000, start_retries=5).until_over()
    assert platform.calls == ["launch 1", "stop 1", "remove 1"]


def test_a_container_that_runs_and_never_claims_is_removed(store: RunStore) -> None:
    platform = Scripted(*[RUNNING] * 8, Sighting("ended", exit_code=137))
    with pytest.raises(NotStarted):
        watcher(store, platform).until_over()
    assert platform.calls[1:3] in (["stop 1", "remove 1"], ["remove 1"])


def test_what_a_strangers_document_names_is_neither_stopped_nor_removed(store: RunStore) -> None:
    """Whoever may write to the bucket could have had any container, or any folder, removed by its name."""
    platform = Scripted(RUNNING)
    watched = watcher(store, platform)
    key = store.layout.launch(1)
    written = store.storage.read(key).replace(watched.launch.name.encode(), b"/home/me")
    store.storage.replace(key, written)
    again = RunStore(store.storage, store.layout)
    with pytest.raises(BundleCorrupt, match=r"launch 1 of .* is written down as '/home/me', and not as 'run-r-"):
        next_launch(again, platform, None)
    assert platform.calls == ["launch 1"]


def test_a_request_to_end_that_may_not_be_heard_ends_no_launch(store: RunStore) -> None:
    """The run passes over it, so whoever looks after the run does."""
    told: list[str] = []
    platform = Scripted(RUNNING)
    watched = watcher(store, platform, start_timeout=1000)
    watched._cancel = CancelLook(store, told.append)
    store.storage.create(store.layout.cancel, b"nonsense")
    assert [watched.look(), watched.look()] == [None, None]
    assert [text.partition(": ")[0] for text in told] == ["a request to end the run is not heard"]
    assert platform.calls == ["launch 1"]
    store.storage.delete(store.layout.cancel)


def test_a_platform_that_does_not_answer_says_nothing(store: RunStore) -> None:
    asked = 0

    def no_answer() -> Sighting:
        nonlocal asked
        asked += 1
        if asked > 40:  # the run went on all the time
            return Sighting("ended", exit_code=143)
        raise Unreachable("nobody there")

    platform = Scripted(no_answer)
    with pytest.raises(NotStarted):
        watcher(store, platform).until_over()
    assert asked > 40
    assert platform.calls == ["launch 1", "remove 1"]


def test_why_a_container_died_is_asked_until_the_platform_says_it(store: RunStore) -> None:
    died, why = Sighting("ended", exit_code=137), Sighting("ended", "OOMKilled", exit_code=137, events=("Killing",))
    platform = Scripted(RUNNING, died, died, why)
    looked = watcher(store, platform)
    claimed(store)
    end = looked.until_over()
    assert (end["state"], end["exit_code"]) == ("crashed", 137)
    assert "OOMKilled. Give it more memory" in (end["error"] or {"message": ""})["message"]
    assert end["death"]["log"] == "the last line"
    told = store.read_launch_end(1)
    assert told is not None
    assert (told["reason"], told["events"], told["log"]) == ("OOMKilled", ["Killing"], ["the last line"])


def test_what_a_container_said_that_could_store_no_end_is_told(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the storage is full: the end is saved in the container, where nobody looks."""
    platform = Scripted(Sighting("ended", exit_code=73))
    log = [
        '{"level": "ERROR", "message": "writing s3://b/end.json failed. Make room.", "code": 73}',
        '{"level": "WARNING", "message": "the end of the log could not be shipped"}',
        "",
    ]
    monkeypatch.setattr(platform, "logs", lambda *_: log)
    looked = watcher(store, platform)
    claimed(store)
    end = looked.until_over()
    assert end["exit_code"] == 73
    assert (end["error"] or {"message": ""})["message"] == (
        "its container is gone: ended: writing s3://b/end.json failed. Make room"
    )


def test_what_the_platform_forgot_is_lost_only_when_its_heart_has_stopped(store: RunStore) -> None:
    platform = Scripted(ABSENT)
    looked = watcher(store, platform)
    claimed(store, beat=0.2)
    end = looked.until_over()
    assert (end["state"], end["exit_code"]) == ("lost", 137)
    assert store.read_outcome() is None


def test_what_ended_by_itself_is_launched_again_within_its_budget(store: RunStore) -> None:
    platform = Scripted(Sighting("ended", exit_code=143))
    looked = watcher(store, platform, restarts=1)
    claimed(store)
    with pytest.raises(NotStarted, match="launch 2 was not begun"):
        looked.until_over()
    assert platform.calls == ["launch 1", "remove 1", "launch 2", "remove 2"]


@pytest.mark.parametrize("code", [2, 65, 66, 76, 77, 78, 79])
def test_what_the_next_start_would_do_no_better_is_not_tried_again(store: RunStore, code: int) -> None:
    platform = Scripted(Sighting("ended", exit_code=code))
    with pytest.raises(from_code(code) or NotStarted, match=f"exit code {code}: the last line"):
        watcher(store, platform, start_retries=5, restarts=5).until_over()
    assert len(store.list_launches()) == 1


def test_a_run_that_somebody_else_has_is_left_to_them(store: RunStore) -> None:
    with pytest.raises(RunHeld, match="held by another start"):
        watcher(store, Scripted(Sighting("ended", exit_code=75)), start_retries=5).until_over()


def test_a_run_launched_on_another_platform_is_not_launched_here(store: RunStore) -> None:
    first = next_launch(store, Scripted(ABSENT), None)
    assert first is not None
    other = Scripted(ABSENT)
    other.kind = "docker"  # type: ignore[misc]
    with pytest.raises(Exception, match=f"was launched on local, as {first.name}"):
        next_launch(store, other, None)


@pytest.mark.parametrize("claim_next", [next_launch, take_launch])
def test_a_run_that_ends_while_one_looks_is_not_launched_again(
    store: RunStore, claim_next: Callable[..., Launch | None]
) -> None:
    """Its outcome was not there when it was looked for first; its launch's end, written later, is."""
    watcher(store, platform := Scripted(Sighting("running")))
    ended(store, Verdict("succeeded", 0, ""))
    end_launch(store, Launch(1, "x"), "ended", Sighting("ended", exit_code=0), [])
    assert claim_next(RunStore(store.storage, store.layout), platform, None) is None
    assert list(store.list_launches()) == [1]


def test_where_runs_are_signed_no_end_is_written_without_a_key(store: RunStore) -> None:
    """The next start, which has one, would believe none of ours: it finds by itself that this one is lost."""
    platform = Scripted(Sighting("ended", "OOMKilled", exit_code=137))
    looked = watcher(store, platform)
    claimed(store)
    store.signer = RunSigner("0" * 64, None, (AUTHOR.public,))
    assert looked.until_over()["exit_code"] == 137
    assert store.read_end(1) is None
    end = store.read_launch_end(1)
    assert end is not None
    assert end["reason"] == "OOMKilled"


def asked_for(here: Place) -> RunStore:
    url = publish(here, "etl.py")
    bundle: BundleReference = {
        "url": url,
        "sha256": hashlib.sha256(here.read(f"e-t-l-taglich/{url.rpartition('/')[2]}")).hexdigest(),
    }
    store = RunStore(here.open(), RunLayout("e-t-l-taglich", "r"))
    store.create_request(
        new_request("r", bundle=bundle, parameters={}, executor="threads", reuse=None, labels=[], image=None)
    )
    return store


@pytest.mark.parametrize("trusted", [False, True])
def test_a_start_that_comes_when_its_run_was_removed_runs_nothing(here: Place, *, trusted: bool) -> None:
    """It began the run anew, whose results, logs and outcome had been there for as long as they were wanted."""
    store = asked_for(here)
    next_launch(store, Scripted(ABSENT), None)
    for key in here.keys():  # noqa: SIM118
        if "/runs/" in key:
            store.storage.delete(key)
    keys = {"RUNNER_SIGNING_KEY": base64.b64encode(AUTHOR.raw).decode(), "RUNNER_TRUSTED_KEYS": AUTHOR.public.text}
    signed = start({"RUNNER_SIGNING_KEY": keys["RUNNER_SIGNING_KEY"]}, "sign", f"{here.url}/e-t-l-taglich")
    assert signed.code == 0, signed
    location = located(here, "e-t-l-taglich") | (keys if trusted else {})
    done = start(location | {"RUNNER_RUN_ID": "r", "RUNNER_LAUNCH": "1"})
    assert done.code == 66, done
    assert "was launched, and is there no more" in done.stderr + done.stdout
    assert not [key for key in here.keys() if "/runs/" in key]  # noqa: SIM118


@pytest.mark.parametrize("next_one", [False, True])
def test_a_start_whose_launch_was_given_up_claims_nothing(here: Place, *, next_one: bool) -> None:
    store = asked_for(here)
    for _ in range(1 + next_one):
        next_launch(store, Scripted(ABSENT), None)
        if next_one and len(store.list_launches()) == 1:
            end_launch(store, Launch(1, "x"), "never started", WAITING, [])
    done = start(located(here, "e-t-l-taglich") | {"RUNNER_RUN_ID": "r", "RUNNER_LAUNCH": "1"})
    assert done.code == (75 if next_one else 0), done
    assert bool(store.list_attempts()) is not next_one
    if not next_one:
        claim = store.read_claim(1)
        assert claim is not None
        assert claim["launch"] == 1
