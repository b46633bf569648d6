"""Attacks on what a run says of itself: what is planted between check and use, copied from elsewhere, or taken away.

The flow is signed by its author, who also signs what runs of it write. Mallory can write anything to the bucket.
"""

from __future__ import annotations

import json
import os
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from runner import naming
from runner.errors import EnvironmentWrong, RunHeld, Untrusted
from runner.runs import claims, documents, ends
from runner.runs.layout import Claim, RunLayout
from runner.runs.reuse import reusable_results
from runner.runs.store import RunStore
from runner.signing.run_signatures import run_signer
from support.canary import AUTHOR
from support.flows import located, publish
from support.places import local_place
from support.scene import FOLDER, Scene, begin, look, wait_for
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.schema.documents import RunRequest

OLD = RunLayout("steps", "old")
FACTS = ends.RunFacts("steps", {"url": "file:///steps/v", "sha256": "0" * 64})


class Watch(threading.Thread):
    """Does something as soon as an object is there, and again and again if it is told to."""

    def __init__(self, scene: Scene, key: str, act: Callable[[], object], *, again: bool = False) -> None:
        super().__init__(daemon=True)
        self.path, self.act, self.again = Path(scene.place.open()._path(key)), act, again  # type: ignore[attr-defined]
        self.over = threading.Event()
        self.acted = 0
        self.start()

    def run(self) -> None:
        while not self.over.is_set() and (self.again or not self.acted):
            if self.path.exists():
                self.act()
                self.acted += 1
            self.over.wait(0.0005)

    def stop(self) -> None:
        self.over.set()
        self.join()


def url_of(scene: Scene, run_id: str = "r", flow: str = "steps") -> str:
    return f"{scene.place.url}/{flow}/runs/{run_id}"


def copy_run(scene: Scene, source: str, target: str) -> None:
    for key in scene.place.keys():  # noqa: SIM118 - it is no dict
        if key.startswith(f"{source}/"):
            scene.place.write(f"{target}{key.removeprefix(source)}", scene.place.read(key))


# What no run of runner's has


def without_keys(scene: Scene, **more: str) -> dict[str, str]:
    environ = scene.environ("hold and abort", **more)
    del environ["RUNNER_TRUSTED_KEYS"], environ["RUNNER_SIGNING_KEY"]
    return environ


@pytest.mark.parametrize(
    "planted",
    [
        {"exit_code": 256},
        {"exit_code": 512},
        {"exit_code": 0},
        {"exit_code": -1},
        {"state": "succeeded"},
        {"state": "?"},
    ],
)
def test_an_outcome_of_a_failure_has_a_code_that_a_process_ends_with_0_by(
    scene: Scene, planted: dict[str, Any]
) -> None:
    """Of 256 the kernel keeps what is left of a division by 256; nobody needs a key to write it."""
    (scene.notes / "go on").touch()
    assert start(without_keys(scene)).code == 134
    scene.write(FOLDER.outcome, scene.document(FOLDER.end(1)) | {"state": "failed", "exit_code": 1} | planted)
    ran = start(without_keys(scene))
    assert (ran.code, "is not as runner writes it" in ran.stdout) == (65, True), ran.stdout


@pytest.mark.parametrize("keys", [True, False])
@pytest.mark.parametrize("planted", [{"attempt": 7}, {"run_id": "another"}])
def test_a_claim_is_planted_that_is_of_another_attempt_or_run(
    scene: Scene, planted: dict[str, Any], *, keys: bool
) -> None:
    """A start took attempt 7 for dead, wrote and signed its end, found attempt 1 unended, and so on for ever."""
    assert start(scene.environ(RUNNER_RUN_ID="old")).code == 0
    claim = scene.document(OLD.claim(1)) | {"run_id": "r", "beat": 0.2} | planted
    scene.write(FOLDER.claim(1), claim)
    environ = scene.environ(RUNNER_TIMEOUT="30") if keys else without_keys(scene, RUNNER_TIMEOUT="30")
    ran = start(environ)
    assert (ran.code, "of another run or attempt" in ran.stdout) == (65, True), ran.stdout
    assert not [key for key in scene.place.keys() if "/runs/r/" in key and key.endswith("end.json")]  # noqa: SIM118


def test_an_end_is_planted_that_is_of_another_attempt(scene: Scene) -> None:
    """The end of attempt 7 in the place of the first one's."""
    (scene.notes / "go on").touch()
    assert start(without_keys(scene)).code == 134
    scene.write(FOLDER.end(1), scene.document(FOLDER.end(1)) | {"attempt": 7})
    ran = start(without_keys(scene))
    assert (ran.code, "of another run or attempt" in ran.stdout) == (65, True), ran.stdout


def test_what_a_claim_says_is_not_signed_by_who_takes_it_for_dead(scene: Scene) -> None:
    """A claim has no signature; the end that is written for a dead attempt has."""
    assert start(scene.environ(RUNNER_RUN_ID="old")).code == 0
    scene.write(FOLDER.claim(1), scene.document(OLD.claim(1)) | {"run_id": "r", "beat": 0.2, "host": "an evil text"})
    start(scene.environ(RUNNER_HEARTBEAT="1"))
    end = scene.document(FOLDER.end(1))
    assert (end["state"], "evil" in json.dumps(end)) == ("lost", False)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_is_no_document_lies_where_an_attempts_end_belongs(scene: Scene, kind: str) -> None:
    """A start that took the attempt for dead could neither read nor write its end, and tried for ever."""
    scene.cut_off()
    scene.delete(FOLDER.end(1))
    end = Path(scene.place.open()._path(FOLDER.end(1)))  # type: ignore[attr-defined]
    acts: dict[str, Callable[[], None]] = {
        "pipe": lambda: os.mkfifo(end), "folder": end.mkdir, "link": lambda: end.symlink_to("nowhere"),
    }  # fmt: skip
    acts[kind]()
    assert scene.run("hold and abort", RUNNER_TIMEOUT="30").code in {65, 73, 74}


def test_the_outcome_of_a_run_is_planted_for_who_lists_runs(scene: Scene) -> None:
    """A run that was cut off is said to have succeeded; ls and logs believe no more than show does."""
    scene.cut_off()
    planted = scene.document(FOLDER.end(1)) | {"state": "succeeded", "exit_code": 0, "error": None}
    scene.write(FOLDER.outcome, planted)
    listed = json.loads(look(scene, "ls", f"{scene.place.url}/steps", "--json").stdout)["runs"]
    assert [(run["run"], run["state"]) for run in listed] == [("r", "untrusted")]
    told = look(scene, "logs", url_of(scene)).stderr.splitlines()[-1]
    assert "succeeded" not in told, told
    assert "signature" in told, told


# What is read once


def test_the_run_to_repeat_is_planted_between_check_and_use(scene: Scene) -> None:
    """When the attempt is claimed, run.json was checked; then she names last week's run in it."""
    assert start(scene.environ(RUNNER_RUN_ID="old")).code == 0
    scene.cut_off()
    before = scene.calls()
    planted = scene.document(FOLDER.run) | {"reuse": {"run_id": "old", "from": None}}
    watch = Watch(scene, FOLDER.claim(2), lambda: scene.write(FOLDER.run, planted))
    assert scene.run("hold and abort").code == 134
    watch.stop()
    assert watch.acted
    assert scene.calls()[len(before) :] == ["last"]


def test_the_same_without_keys(scene: Scene) -> None:
    """Nothing is signed; all the same, what was checked is what is used."""
    del (unsigned := scene.environ("hold and abort"))["RUNNER_TRUSTED_KEYS"], unsigned["RUNNER_SIGNING_KEY"]
    (scene.notes / "go on").touch()
    assert start({**unsigned, "RUNNER_RUN_ID": "old"}).code == 134
    assert start(unsigned).code == 134
    before = scene.calls()
    planted = scene.document(FOLDER.run) | {"reuse": {"run_id": "old", "from": None}}
    for key in [key for key in scene.place.keys() if "/runs/r/" in key and "/results/" in key]:  # noqa: SIM118
        scene.delete(key)
    watch = Watch(scene, FOLDER.claim(2), lambda: scene.write(FOLDER.run, planted))
    assert start(unsigned).code == 134
    watch.stop()
    assert "first" in scene.calls()[len(before) :]


def test_a_document_is_read_once_whatever_lies_there_later(scene: Scene) -> None:
    """She exchanges the request after it was read: who asks again gets what was read."""
    scene.cut_off()
    store = RunStore(scene.place.open(), FOLDER)
    first = store.read_request()
    end = store.read_end(1)
    scene.write(FOLDER.run, scene.document(FOLDER.run) | {"parameters": {}})
    scene.write(FOLDER.end(1), scene.document(FOLDER.end(1)) | {"state": "succeeded"})
    assert store.read_request() is first
    assert store.read_end(1) is end


def test_no_other_module_reads_a_document_of_a_run() -> None:
    """What bypasses the one reader would bypass limits, schemas and signatures."""
    modules = Path(documents.__file__).parents[1].rglob("*.py")
    readers = {path.name for path in modules if re.search(r"runs\.documents import .*\bdecode\b", path.read_text())}
    assert readers == {"store.py", "stored.py"}  # the second reads what belongs to no run: the queue and its agents


# Ends that conclude nothing


def unsigned(end: dict[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in end.items() if name != "signature"}


def test_attempts_are_made_up_that_were_lost(scene: Scene) -> None:
    """A thousand of them once held up a start for so long that she could choose what it read next."""
    scene.cut_off()
    end = unsigned(scene.document(FOLDER.end(1)))
    for attempt in range(2, 30):
        scene.write(FOLDER.end(attempt), end | {"attempt": attempt, "state": "lost"})
    refused = scene.run("hold and abort")
    assert (refused.code, "is not signed" in refused.error["message"]) == (79, True)


def test_the_signed_end_of_one_attempt_is_copied_to_the_next(scene: Scene) -> None:
    """It is the author's, of this run, and not of that attempt."""
    scene.cut_off()
    scene.place.write(FOLDER.end(2), scene.place.read(FOLDER.end(1)))
    refused = scene.run("hold and abort")
    assert (refused.code, "is the end of attempt 1" in refused.error["message"]) == (79, True)


def test_the_signed_end_of_an_attempt_is_made_the_outcome(scene: Scene) -> None:
    """The attempt crashed, which concludes nothing, and its end is put where the outcome belongs."""
    scene.cut_off()
    scene.place.write(FOLDER.outcome, scene.place.read(FOLDER.end(1)))
    refused = scene.run("hold and abort")
    assert (refused.code, "crashed" in refused.error["message"]) == (79, True)


def test_a_living_attempt_is_told_that_it_is_lost(scene: Scene) -> None:
    """Unsigned: it does not end as if the run went on elsewhere, which it does not."""
    process = begin(scene.environ("hold"))
    wait_for((scene.notes / "holding").exists)
    claim = scene.document(FOLDER.claim(1))
    facts = {name: claim[name] for name in ("format", "token", "run_id", "attempt", "started", "host", "python")}
    lie = {**facts, "ended": naming.now(), "flow": "steps", "bundle": scene.document(FOLDER.run)["bundle"]}
    error = {"type": "Lost", "message": "gone"}
    scene.write(FOLDER.end(1), lie | {"state": "lost", "exit_code": 137, "error": error, "tasks": []})
    assert process.wait(60) in {73, 79}
    assert FOLDER.outcome not in scene.place.keys()  # noqa: SIM118


# Claims, which nobody signs


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(local_place(tmp_path / "root").open(), FOLDER, secret=b"secret")


def claim(store: RunStore, interval: float) -> Claim | ends.Concluded:
    return claims.claim_run(store, lambda _claim: None, FACTS, fresh=False, interval=interval)


def planted_claim(store: RunStore, beat: float) -> None:
    assert isinstance(claim(store, 0.1), Claim)
    document = json.loads(store.storage.read(FOLDER.claim(1))) | {"beat": beat}
    store.storage.replace(FOLDER.claim(1), documents.encode(document))


def test_a_claim_whose_beat_is_huge_holds_up_no_start_for_good(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that its next sign of life comes in a million years."""
    planted_claim(store, 3e13)
    monkeypatch.setattr(claims, "LONGEST_HEARTBEAT", 0.2)
    made = claim(store, 0.1)
    assert isinstance(made, Claim)
    assert made.attempt == 2


def test_a_claim_whose_beat_is_tiny_makes_no_living_attempt_lost(store: RunStore) -> None:
    """With trusted keys; else the next start would sign at once that the attempt is lost, and run beside it."""
    store.signer = run_signer(AUTHOR, (AUTHOR.public,), {"bundle": {"sha256": "0" * 64}, "parameters": {}})
    planted_claim(store, 1e-9)
    holder = Claim(1, "", naming.new_token())
    over = threading.Event()

    def beat() -> None:
        number = 0
        while not over.wait(0.05):
            store.write_heartbeat(holder, number := number + 1)

    thread = threading.Thread(target=beat)
    thread.start()
    with pytest.raises(RunHeld):
        claim(store, 1.0)
    over.set()
    thread.join()


def test_who_chooses_a_run_id_is_not_told_what_it_was_asked_for(scene: Scene) -> None:
    """He may start flows under any id, and may not read the bucket."""
    environ = scene.environ()
    assert start(environ).code == 0
    other = {**environ, "RUNNER_PARAMETERS": json.dumps({"folder": "/tmp", "kind": "go on"})}
    for keys in (True, False):
        asked = other if keys else {n: v for n, v in other.items() if n != "RUNNER_TRUSTED_KEYS"}
        refused = start(asked)
        assert refused.code == (79 if keys else 78)
        assert str(scene.notes) not in refused.stdout + refused.stderr


# What is copied from elsewhere


@pytest.fixture
def wiped(scene: Scene) -> Scene:
    """Another flow of the same author, signed as well, has run under the id «old»."""
    version = publish(scene.place, "trouble.py").rpartition("/")[2]
    environ = scene.environ() | located(scene.place, f"trouble/{version}") | {"RUNNER_RUN_ID": "old"}
    assert start(environ | {"RUNNER_PARAMETERS": '{"kind": "fail"}'}).code == 1
    copy_run(scene, "trouble/runs/old", "steps/runs/old")
    return scene


def test_another_flows_run_is_copied_below_this_one(wiped: Scene) -> None:
    """Every byte of it is signed. Whoever looks there means this flow."""
    for command in ("result", "retry"):
        refused = look(wiped, command, url_of(wiped, "old"))
        assert (refused.code, "no bundle of this flow" in refused.stderr) == (79, True), refused
    shown = look(wiped, "show", url_of(wiped, "old"))
    assert "nobody who is trusted here" in shown.stdout
    assert look(wiped, "show", url_of(wiped, "old", "trouble")).stdout.count("signed") == 0


def test_show_tells_programs_too_whom_not_to_trust(wiped: Scene) -> None:
    told = json.loads(look(wiped, "show", "--json", url_of(wiped, "old")).stdout)
    assert "no bundle of this flow" in told["untrusted"]
    assert "untrusted" not in json.loads(look(wiped, "show", "--json", url_of(wiped, "old", "trouble")).stdout)


def repeating(scene: Scene, run_id: str = "old", *, trusting: bool = True) -> tuple[RunStore, RunRequest]:
    """A run that is to repeat another one, asked for as the run «r» was."""
    request: Any = scene.document(FOLDER.run) | {"run_id": "new", "reuse": {"run_id": run_id, "from": None}}
    signer = run_signer(AUTHOR, (AUTHOR.public,), request) if trusting else None
    return RunStore(scene.place.open(), RunLayout("steps", "new"), signer), request


NO_FLOW: Any = SimpleNamespace(nodes=[], varying=set())


def test_the_run_to_repeat_is_exchanged_for_another_flows(wiped: Scene) -> None:
    """After `retry` has looked at it; the results of the other flow are signed, for its own request."""
    assert start(wiped.environ()).code == 0
    store, request = repeating(wiped)
    with pytest.raises(Untrusted, match="of another bundle"):
        reusable_results(store, NO_FLOW, request)
    store, request = repeating(wiped, trusting=False)
    with pytest.raises(EnvironmentWrong, match="of another bundle"):
        reusable_results(store, NO_FLOW, request)


def test_the_run_to_repeat_is_said_to_repeat_an_older_one(scene: Scene) -> None:
    """Its run.json is edited, so that signed results of a month ago, of the same request, would be taken."""
    assert start(scene.environ(RUNNER_RUN_ID="old")).code == 0
    assert scene.run().code == 0
    store, request = repeating(scene, "r")
    assert len(reusable_results(store, NO_FLOW, request)) == 7
    scene.write(FOLDER.run, scene.document(FOLDER.run) | {"reuse": {"run_id": "old", "from": None}})
    store, request = repeating(scene, "r")
    request["reuse"] = {"run_id": "r", "from": None}
    with pytest.raises(Untrusted):
        reusable_results(store, NO_FLOW, request)
    assert look(scene, "retry", url_of(scene)).code == 79


def test_runs_are_made_to_repeat_one_another(scene: Scene) -> None:
    """Without keys: whoever follows them comes to an end."""
    assert start(scene.environ(RUNNER_RUN_ID="old")).code == 0
    assert scene.run().code == 0
    scene.write(FOLDER.run, scene.document(FOLDER.run) | {"reuse": {"run_id": "old", "from": None}})
    scene.write(OLD.run, scene.document(OLD.run) | {"reuse": {"run_id": "r", "from": None}})
    store, request = repeating(scene, "r", trusting=False)
    assert len(reusable_results(store, NO_FLOW, request)) == 7


# What is taken away, or exchanged, before a success is told


def test_a_result_is_deleted_as_soon_as_it_is_stored(scene: Scene) -> None:
    key = FOLDER.result(1, "after", None)
    watch = Watch(scene, key, lambda: scene.delete(key))
    failed = scene.run(RUNNER_PATIENCE="1")
    watch.stop()
    assert (failed.code, "after.pkl" in failed.error["message"]) == (73, True)


def test_a_result_is_exchanged_before_the_run_is_over(scene: Scene) -> None:
    """For one of hers, of another size."""
    key, planted = FOLDER.result(1, "after", None), scene.planted()
    watch = Watch(scene, key, lambda: scene.place.write(key, planted))
    assert scene.run(RUNNER_PATIENCE="1").code == 73
    watch.stop()
    assert not scene.canary.executed


@pytest.mark.parametrize("change", ["junk", "another token", "fewer tasks", "nothing"])
def test_the_outcome_is_exchanged_as_soon_as_it_is_stored(scene: Scene, change: str) -> None:
    """It would still say that the run has succeeded."""
    path = Path(scene.place.open()._path(FOLDER.outcome))  # type: ignore[attr-defined]

    def exchange() -> None:
        document: dict[str, Any] = json.loads(path.read_bytes())
        document["token"] = "0" * 32 if change == "another token" else document["token"]
        document["tasks"] = document["tasks"][1:]
        new = path.with_name("new")
        new.write_bytes(b"junk" if change == "junk" else documents.encode(document))
        path.unlink() if change == "nothing" else new.replace(path)

    watch = Watch(scene, FOLDER.outcome, exchange)
    failed = scene.run(RUNNER_PATIENCE="1")
    watch.stop()
    assert watch.acted
    assert failed.code == 73, failed


def test_a_result_is_taken_away_after_the_run(scene: Scene) -> None:
    """Who starts the run again is not told that all is well."""
    assert scene.run().code == 0
    assert scene.run().code == 0
    scene.delete(FOLDER.result(1, "each", 2))
    refused = scene.run()
    assert (refused.code, "each/2.pkl" in refused.error["message"]) == (73, True)


def test_an_outcome_lists_what_is_no_key(scene: Scene) -> None:
    """Without keys, she writes an outcome whose results lead out of the storage; nothing is read there."""
    assert scene.run().code == 0
    asked = {n: v for n, v in scene.environ().items() if n not in {"RUNNER_TRUSTED_KEYS", "RUNNER_SIGNING_KEY"}}
    outcome = scene.document(FOLDER.outcome)
    for key in ("../../etc/results/passwd.pkl", "/etc/passwd", "", "a//results/b", "\ud800/results/x"):
        for task in outcome["tasks"]:
            if task["result"]:
                task["result"]["key"] = key
        scene.write(FOLDER.outcome, outcome)
        assert start(asked).code == 73, key


def test_what_is_printed_by_run_is_exchanged_after_it(scene: Scene) -> None:
    """`runner run --json` prints the outcome that lies there; with trusted keys it must be signed."""

    def exchange() -> None:
        document = unsigned(scene.document(FOLDER.outcome))
        if document["tasks"]:
            scene.write(FOLDER.outcome, document | {"tasks": []})

    watch = Watch(scene, FOLDER.outcome, exchange)
    done = start(scene.environ(), "run", "--json")
    watch.stop()
    told = json.loads(done.stdout)
    assert (done.code, told.get("tasks")) == (told["exit_code"], None)


def test_bytes_are_copied_only_when_they_are_the_outcomes(scene: Scene) -> None:
    """What was exchanged after the run never reaches the program that reads the pipe."""
    assert scene.run().code == 0
    key = FOLDER.result(1, "last", None)
    scene.place.write(key, scene.planted())
    refused = look(scene, "result", url_of(scene), "last", "-o", "-")
    assert (refused.code, refused.stdout) == (65, "")
