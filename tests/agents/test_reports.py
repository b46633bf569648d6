"""What users of other queues report: a backlog that starves others, a hiccup that loses a run, a stop that hangs."""

from __future__ import annotations

import json
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from runner.agents.agent import Agent, Habits
from support import schemas
from support.agents import KEY, Site, agent_of
from support.launching import wait_for
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

    from support.places import Place

# An agent of which some calls fail with an error, the first times that they are made, as many as are named.
OUT_OF_REACH = """
import sys
from runner import cli, errors
from runner.agents.queue import Queue
from runner.agents.register import Register
from runner.agents.runs import Runs
from runner.launchers.watch import Watcher

def stumble(owner, name, times):
    whole, asked = getattr(owner, name), []
    def stumbling(*given):
        asked.append(given)
        if len(asked) <= times:
            raise error(f"{name} is refused")
        return whole(*given)
    setattr(owner, name, stumbling)

error = getattr(errors, sys.argv.pop(1))
kinds = {kind.__name__: kind for kind in (Queue, Register, Runs, Watcher)}
for text in sys.argv.pop(1).split(","):
    owner, name, times = text.split(".")
    stumble(kinds[owner], name, int(times))
sys.exit(cli.main())
"""
# An agent that writes down for which runs it looks for a place.
COUNTED = """
import sys
from runner import cli
from runner.agents.runs import Runs

path, whole = sys.argv.pop(1), Runs.has_place
def counted(self, marker, concurrency):
    with open(path, "a") as file:
        print(marker["run_id"], file=file)
    return whole(self, marker, concurrency)
Runs.has_place = counted
sys.exit(cli.main())
"""


@pytest.fixture
def site(here: Place, tmp_path: Path) -> Iterator[Site]:
    yield (found := Site(here, tmp_path / "launches").publish())
    schemas.validate_place(found.place)


def out_of_reach(*calls: str, error: str = "CredentialsRefused") -> tuple[str, ...]:
    return ("-c", OUT_OF_REACH, error, ",".join(calls))


def test_many_that_have_no_place_are_not_all_looked_at_before_others(here: Place, tmp_path: Path) -> None:
    """At each ring every one of them was marked and prepared, from the head on: what waited behind them never began."""
    site = Site(here, tmp_path / "launches").publish(concurrency={"max_runs": 1, "on_conflict": "wait"})
    looked, others = tmp_path / "looked", [f"other-{number}" for number in range(6)]
    site.submit("hold", "one")
    with site.agent("--concurrency", "2", program=("-c", COUNTED, str(looked))):
        site.until_running("one")
        for name in others:
            site.submit("ok", name)
        wait_for(lambda: set(others) <= set(looked.read_text().split()))
        before = len(looked.read_text().split())
        site.publish()  # which has as many places as it likes
        site.submit("ok", "last", "--priority", "-1")
        assert site.until_over("last") == {"last": "succeeded"}
        assert len(looked.read_text().split()) - before < len(others)
        start(here.environ, "cancel", site.store("one").url)
        assert set(site.until_over(*others).values()) == {"succeeded"}
    schemas.validate_place(here)


def test_what_can_never_begin_is_given_up_once_keeps_nobody_and_is_begun_when_it_can(site: Site) -> None:
    """A run that fails before it begins was tried again for ever, by each who met it at the queue's head."""
    site.submit("ok", "gone", "--priority", "9")
    bundle = site.url.removeprefix(f"{site.place.url}/")
    data = site.place.read(bundle)
    site.publish()
    site.submit("ok", "good")
    site.place.open().delete(bundle)
    with site.agent():
        assert site.until_over("good") == {"good": "succeeded"}
        wait_for(lambda: not site.is_waiting("gone") and not site.markers())
    assert list(site.store("gone").list_launches()) == [1]
    site.place.write(bundle, data)
    site.url = f"{site.place.url}/{bundle}"
    site.submit("ok", "gone")
    shown = start(site.place.environ, "show", site.store("gone").url).stdout
    assert "waits    for an agent" in shown
    with site.agent():
        assert site.until_over("gone") == {"gone": "succeeded"}
    assert list(site.store("gone").list_launches()) == [1, 2]


def test_a_run_whose_entry_cannot_be_removed_is_looked_after_and_not_launched_again(site: Site) -> None:
    site.submit("segfault", "r")
    with site.agent("--restarts", "1", program=out_of_reach("Queue.remove.3")):
        wait_for(lambda: len(site.store("r").list_launches()) == 2)
        site.submit("ok", "next")
        assert site.until_over("next") == {"next": "succeeded"}
        wait_for(lambda: not site.is_waiting("r") and not site.markers())
    assert list(site.store("r").list_launches()) == list(site.store("r").list_attempts()) == [1, 2]


def test_an_outcome_is_told_and_a_run_done_with_also_where_nobody_answers_then(site: Site, tmp_path: Path) -> None:
    site.submit("ok", "r")
    hook = ("--on-outcome", f'echo "$RUNNER_STATE" >>{tmp_path}/heard')
    with site.agent(*hook, program=out_of_reach("Runs.ended.2", "Register.unmark.2")):
        wait_for(lambda: (tmp_path / "heard").exists() and not site.markers())
    assert (tmp_path / "heard").read_text().split() == ["succeeded"]


@pytest.mark.parametrize("error", ["CredentialsRefused", "WriteFailed"])
def test_where_keys_expired_or_no_room_is_left_a_run_is_looked_after_with_each_heartbeat(
    site: Site, error: str
) -> None:
    site.submit("ok", "r")
    with site.agent(program=out_of_reach("Watcher.until_over.3", error=error)) as agent:
        assert site.until_over("r") == {"r": "succeeded"}
        wait_for(lambda: not site.markers())
        [name] = site.register().folders()
        beats = json.loads(site.register().read_beat(name) or b"")["beat"]
        agent.send_signal(signal.SIGTERM)
        assert agent.stdout is not None
        assert agent.stdout.read().count("until_over is refused") == 3
    assert beats >= 3


def test_a_run_that_cannot_be_read_is_done_with_by_an_agent_that_tells(site: Site) -> None:
    site.submit("ok", "r")
    site.place.write(f"{KEY}/runs/r/run.json", b"{")
    with site.agent("--on-outcome", "true"):
        wait_for(lambda: not site.is_waiting("r") and not site.markers())
    site.place.open().delete(f"{KEY}/runs/r/run.json")


def test_a_signal_stops_an_agent_whatever_it_is_doing() -> None:
    """The handler of a signal runs in the main thread, which may hold the lock of what tells the main thread."""
    none: Any = None
    agent = Agent(agent_of("a", "local"), none, none, none, Habits(), print)
    stopped = set[tuple[str, int]]()

    def stop(frame: FrameType, _event: str, _given: object) -> Any:
        """Stop it at each line of whatever it calls."""
        place = frame.f_code.co_name, frame.f_lineno
        if place not in stopped and place[0] != "stop":
            stopped.add(place)
            agent.stop()
        return stop

    def wait() -> None:
        sys.settrace(stop)
        try:
            agent._wait(0.01)
        finally:
            sys.settrace(None)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    waiting.join(20)
    assert not waiting.is_alive()
    assert len(stopped) > 3
