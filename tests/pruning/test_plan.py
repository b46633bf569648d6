"""What goes of a flow, and what stays: on every storage, whatever lies there."""

from __future__ import annotations

import json
import operator
import os
import time
from typing import TYPE_CHECKING

from runner.agents.slots import Slots
from runner.launchers import Local
from runner.launchers.base import Sighting
from runner.launchers.start import end_launch, take_launch
from runner.pruning import needs
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from support import schemas
from support.command_line import assert_refused, run_command
from support.places import local_place
from support.pruned import (
    YOUNG,
    folder_of,
    names,
    prune,
    reasons,
    version,
    wait_in_queue,
    write_everything,
    write_pointer,
    write_versions,
)
from support.run_documents import LONG_AGO, write_run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from support.places import Place


SETTLED, LAUNCH = 3600.0, 86400.0  # seconds, as docs/pruning.md has them


def sizes(place: Place) -> dict[str, int]:
    return {key: len(place.read(key)) for key in place.keys()}  # noqa: SIM118


def test_what_nothing_needs_goes_and_all_else_stays(place: Place) -> None:
    expected = write_everything(place)
    before = sizes(place)
    dry = prune(place, "--older-than", "2026-11-01", "--dry-run")
    assert sizes(place) == before
    assert names(dry["removed"]) == sorted(expected["gone"])
    assert names(dry["kept"]) == sorted(expected["kept"])
    done = prune(place)
    by_url = operator.itemgetter("url")
    assert sorted(done["removed"], key=by_url) == sorted(dry["removed"], key=by_url)
    assert (done["kept"], done["freed"], done["failed"]) == (dry["kept"], dry["freed"], [])
    left = sizes(place)
    gone = {key: size for key, size in before.items() if key not in left}
    assert {key: before[key] for key in left} == left
    runs = ("failed", "lonely", "old")
    assert {key.split("/")[2] for key in gone if "/runs/" in key} == {*runs}
    assert done["freed"] == {"runs": 3, "versions": 2, "objects": len(gone), "bytes": sum(gone.values())}
    assert "etl/runs/old/mine.txt" in left
    assert not [key for key in left if key.startswith(tuple(f"etl/runs/{run}/" for run in runs)) and "mine" not in key]
    why = reasons(done)
    assert why["first"] == "run second takes its results"
    assert why["second"] == "run third takes its results"
    assert why["waits"] == "it waits in the queue"
    assert why["watched"] == "an agent looks after it"
    assert "another start may go on with it; --states crashed has it go" in why["crashed"]
    assert "--states asked-for" in why["asked"]
    assert (why[version(5)], why[version(6)]) == ("latest.json names it", "the alias prod names it")
    assert why[version(4)] in {"run asked is of it", "run crashed is of it"}
    assert prune(place)["freed"] == {"runs": 0, "versions": 0, "objects": 0, "bytes": 0}


def test_the_newest_of_each_flow_are_kept(here: Place) -> None:
    for home, number in (("etl", 5), ("other", 2)):
        write_versions(here, *range(1, number + 1), home=home)
        for each in range(1, number + 1):
            write_run(
                here, f"r{each}", home=home, began=f"2026-0{each}-02T06:00:00.000000+00:00", version=version(each)
            )
        write_run(here, "lives", home=home, state=None, began=YOUNG, version=version(number))
    done = prune(here, "--keep", "3")
    assert names(done["removed"]) == sorted([version(1), version(2), "r1", "r2"])
    assert all("beyond the newest 3" in one["reason"] for one in done["removed"])
    done = prune(here, "--keep", "1", "--older-than", "2026-04-01", url=f"{here.url}/etl")
    assert names(done["removed"]) == sorted([version(3), "r3"])
    assert names(prune(here, "--keep", "1", "--only", "runs")["removed"]) == ["r1", "r4"]
    assert names(prune(here, "--keep", "1", "--only", "versions")["removed"]) == sorted([version(4), version(1)])
    left = [key for key in here.keys() if "/runs/" not in key]  # noqa: SIM118
    assert left == [f"etl/{version(5)}", f"other/{version(2)}"]
    write_versions(here, 6, home="etl")
    assert names(prune(here, "--older-than", "0s")["removed"]) == ["r2", "r5"], (
        "the version is that of a run which waits"
    )


def test_runs_are_counted_among_those_in_the_states_that_are_named(here: Place) -> None:
    for number, state in enumerate(["succeeded", "failed", "crashed", "lost", "refused", None] * 3):
        write_run(here, f"r{number:02d}", state=state, began=f"2026-01-{number + 1:02d}T06:00:00.000000+00:00")
    assert names(prune(here, "--keep", "2", "--states", "failed", "--states", "refused,lost")["removed"]) == [
        *("r01", "r03", "r04", "r07", "r09", "r10", "r13")
    ]
    kept = reasons(prune(here, "--keep", "2", "--dry-run"))
    assert sorted(kept) == ["r02", "r05"], "the others would be among the newest"
    assert names(prune(here, "--keep", "1", "--states", "asked_for")["removed"]) == ["r05", "r11"]
    assert names(prune(here, "--older-than", "2026-01-10", "--states", "crashed")["removed"]) == ["r02", "r08"]
    assert names(prune(here, "--older-than", "0d")["removed"]) == ["r00", "r06", "r12"]


def make_older(folder: Path, seconds: float) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (time.time() - seconds - 1,) * 2)


def test_what_was_written_to_just_now_is_kept(here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever worked on it may still ship the end of its log, or not know yet that it was taken for dead."""
    write_run(here, "old")
    monkeypatch.setattr(needs, "SETTLED_SECONDS", SETTLED)
    assert "so somebody may still work on it" in reasons(prune(here))["old"]
    make_older(tmp_path, SETTLED)
    assert names(prune(here)["removed"]) == ["old"]


def test_a_run_whose_launch_has_no_end_is_looked_after_for_a_day(
    here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in ("ended", "open"):
        write_run(here, run_id)
        here.write(f"etl/runs/{run_id}/launches/0001.json", b"{}")
        here.write(f"etl/runs/{run_id}/launches/0001.handle.json", b"{}")
    here.write("etl/runs/ended/launches/0001.end.json", b"{}")
    monkeypatch.setattr(needs, "LAUNCH_SECONDS", LAUNCH)
    done = prune(here)
    assert names(done["removed"]) == ["ended"]
    assert reasons(done)["open"] == "nobody has told the end of its launch yet"
    make_older(tmp_path, LAUNCH)
    assert names(prune(here)["removed"]) == ["open"]


def test_what_cannot_be_read_may_need_everything(here: Place) -> None:
    write_versions(here, 1, 2, 3)
    write_run(here, "old", version=version(1))
    write_run(here, "broken", version=version(1))
    original = here.read("etl/runs/broken/run.json")
    here.write("etl/runs/broken/run.json", b"{")
    done = prune(here)
    assert done["removed"] == []
    assert "run broken may take its results" in reasons(done)["old"]
    assert "run broken, which cannot be read, may be of it" in reasons(done)[version(2)]
    here.write("etl/runs/broken/run.json", original)
    here.write("etl/runs/broken/outcome.json", b"{")
    here.write("etl/aliases/prod.json", b"{")
    done = prune(here)
    assert names(done["removed"]) == ["old"]
    assert "nobody knows what it is" in reasons(done)["broken"]
    assert "the alias prod may name it" in reasons(done)[version(2)]
    assert reasons(done)[version(1)] == "run broken is of it"


def test_what_is_not_there_any_more_stops_nothing(here: Place) -> None:
    """Somebody had removed a version, or some of a run, by hand; others end with an error, or begin anew, then."""
    write_versions(here, 2, 3)
    write_run(here, "hollow", version=version(1))
    for key in folder_of(here, "hollow"):
        if not key.endswith(("run.json", "outcome.json")):
            here.open().delete(key)
    write_run(here, "young", began=YOUNG, version=version(1), reuse="gone")
    assert names(prune(here)["removed"]) == [version(2), "hollow"]


def test_a_folder_that_a_killed_start_left_is_no_attempt(here: Place, tmp_path: Path) -> None:
    """The run was taken for one that is running, for ever."""
    write_run(here, "asked", state=None)
    (tmp_path / "storage/etl/runs/asked/attempts/0001").mkdir(parents=True)
    assert "asked for, and not over" in reasons(prune(here))["asked"]
    assert names(prune(here, "--older-than", "2026-11-01", "--states", "asked-for")["removed"]) == ["asked"]
    assert [path.name for path in (tmp_path / "storage/etl/runs").iterdir()] == []


def test_all_attempts_of_a_run_go(here: Place) -> None:
    write_run(here, "again")
    for key in folder_of(here, "again"):
        if "/attempts/0001/" in key:
            here.write(key.replace("/0001/", "/0002/"), here.read(key))
    assert names(prune(here)["removed"]) == ["again"]
    assert here.keys() == []


def test_a_run_that_has_a_slot_is_kept_until_it_is_given_up(here: Place) -> None:
    for run_id in ("has-one", "had-one", "crashed"):
        write_run(here, run_id, state="crashed")
    for slot, run_id in enumerate(("has-one", "crashed")):
        assert Slots(here.open(), "etl", [slot]).take(run_id)
    here.write("etl/runs/_slots/notes", b"x")
    here.write("etl/runs/_slots/00000000012345678901/000001.json", b"x")
    launch = take_launch(RunStore(here.open(), RunLayout("etl", "crashed")), Local(), None)
    assert launch
    store = RunStore(here.open(), RunLayout("etl", "crashed"))
    end_launch(store, launch, "never started", Sighting("absent"), [], given_up=True)
    done = prune(here, "--older-than", "2026-11-01", "--states", "crashed")
    assert names(done["removed"]) == ["crashed", "had-one"]
    assert reasons(done) == {"has-one": "it has one of the flow's slots"}


def test_a_run_whose_results_another_lists_is_kept_whatever_names_it(here: Place) -> None:
    write_run(here, "old")
    write_run(here, "young", began=YOUNG, reuse="old")
    request = json.loads(here.read("etl/runs/young/run.json"))
    here.write("etl/runs/young/run.json", json.dumps({**request, "reuse": None}).encode())
    assert reasons(prune(here))["old"] == "run young takes its results"


def test_whatever_runner_puts_into_a_runs_folder_goes_by_its_exact_name(here: Place) -> None:
    ours = [
        *("cancel.json", "report.html", "launches/0001.json", "launches/0001.handle.json", "launches/0001.end.json"),
        *("attempts/0001/beat", "attempts/12345/claim.json", "attempts/0001/logs/000002.jsonl"),
        *("attempts/0001/results/größe-2.pkl.sig", "attempts/0001/results/~/clean/17.pkl", "launches/10000.end.json"),
    ]
    others = [
        *("cancel.json.bak", "Report.html", "launches/1.json", "launches/x/0001.json", "attempts/0001/beats"),
        *("attempts/01/claim.json", "attempts/0001/logs/2.jsonl", "attempts/0001/results/a b.pkl", "x/run.json"),
        *(
            "attempts/0001/results/clean/x/1.pkl",
            "attempts/0001/results/clean.pkl.sig.txt",
            "launches/\u0660\u0660\u0660\u0661.json",
        ),
    ]
    write_run(here, "old")
    for name in ours + others:
        here.write(f"etl/runs/old/{name}", b"x")
    assert names(prune(here)["removed"]) == ["old"]
    assert folder_of(here, "old") == sorted(f"etl/runs/old/{name}" for name in others)


def test_a_loop_of_runs_that_repeat_each_other_is_followed_once(here: Place) -> None:
    write_run(here, "one", reuse="two")
    write_run(here, "two", reuse="one")
    write_run(here, "three", reuse="four", began=YOUNG)
    write_run(here, "four", reuse="three")
    done = prune(here)
    assert names(done["removed"]) == ["one", "two"]
    assert reasons(done)["four"] == "run three takes its results"


def test_an_entry_that_is_no_key_and_others_objects_stop_nothing(here: Place) -> None:
    write_run(here, "old", entry="../../_queue/x")
    write_run(here, "elsewhere", entry="another/root/_queue/0123456789abcdef/50-x")
    for key in ("x/runs/r/notes", "y/notes", "_queue/x", "_agents/x/runs/y", "etl/runs/r", "etl/runs/r!/run.json"):
        here.write(key, b"x")
    before = here.keys()
    done = prune(here)
    assert names(done["removed"]) == ["elsewhere", "old"]
    assert [key for key in before if "/old/" not in key and "/elsewhere/" not in key] == here.keys()
    assert reasons(done) == {}


def test_a_folder_that_is_a_link_is_another_place(here: Place, tmp_path: Path) -> None:
    elsewhere = local_place(tmp_path / "elsewhere")
    write_run(elsewhere, "old")
    write_run(here, "old")
    root = tmp_path / "storage"
    (root / "etl/runs/linked").symlink_to(root / "etl/runs/old")
    (root / "etl/runs/out").symlink_to(tmp_path / "elsewhere/etl/runs/old")
    (root / "etl/runs/old/attempts/0001/results/link.pkl").symlink_to(tmp_path / "elsewhere/etl/runs/old/run.json")
    assert names(prune(here)["removed"]) == ["old"]
    assert len(folder_of(elsewhere, "old")) == 7
    assert [path.name for path in (root / "etl/runs").iterdir() if not path.is_symlink()] == ["old"], "with the link"


def test_what_killed_writers_left_goes_after_a_day(here: Place, tmp_path: Path) -> None:
    write_run(here, "young", began=YOUNG)
    folder = tmp_path / "storage/etl"
    for name in ("runs/young/attempts/0001/.tmp-0123456789abcdef", ".tmp-0123456789abcdef", ".tmp-mine"):
        here.write(f"etl/{name}", b"half")
        os.utime(folder / name, (0, 0))
    here.write("etl/.tmp-00000000000000ff", b"just now")
    done = prune(here)
    assert names(done["removed"]) == [".tmp-0123456789abcdef"] * 2
    assert done["freed"] == {"runs": 0, "versions": 0, "objects": 2, "bytes": 8}
    assert sorted(path.name for path in folder.glob(".tmp-*")) == [".tmp-00000000000000ff", ".tmp-mine"]


def test_runs_that_lie_elsewhere_keep_their_versions_and_are_pruned_there(here: Place, tmp_path: Path) -> None:
    results = local_place(tmp_path / "results")
    write_versions(here, 1, 2, 3)
    write_run(results, "young", began=YOUNG, version=version(1))
    write_run(results, "old", version=version(2))
    for place in (here, results):
        place.environ["RUNNER_RESULTS"] = results.url
    done = prune(here)
    assert done["removed"] == []
    assert reasons(done)[version(2)] == f"run old is of it, at {results.url}/etl"
    assert names(prune(results)["removed"]) == ["old"]
    assert names(prune(here)["removed"]) == [version(2)]
    here.environ.clear()


def test_a_flow_is_found_by_its_own_url_and_what_is_none_is_refused(here: Place) -> None:
    write_run(here, "old")
    wait_in_queue(here, "old")
    here.write("junk/notes.txt", b"x")
    done = prune(here, url=f"{here.url}/etl")
    assert reasons(done)["old"] == "it waits in the queue"
    assert done["kept"][0]["url"] == f"{here.url}/etl/runs/old"
    options = ("--keep", "1", "--yes")
    assert_refused(run_command({}, "prune", f"{here.url}/etl/runs/old", *options), 2, "is the folder of a run")
    assert_refused(run_command({}, "prune", f"{here.url}/junk", *options), 66, "there is no flow at")
    assert_refused(run_command({}, "prune", f"{here.url}/none", *options), 66)


def test_what_is_left_is_whole(here: Place) -> None:
    expected = write_everything(here)
    write_pointer(here, 6, "prod")
    prune(here)
    for name in ("mine.txt", "-x", "_slots"):
        here.open().delete(next(key for key in here.keys() if f"/{name}" in key))  # noqa: SIM118
    assert schemas.validate_place(here) >= len(expected["kept"])
    assert json.loads(here.read("etl/runs/third/outcome.json"))["started"] > LONG_AGO
