"""An agent goes on whatever the storage answers: its runs are to be looked after."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from runner.agents.agent import Agent, Habits
from runner.agents.queue import Queue
from runner.agents.register import Register
from support.launching import wait_for

if TYPE_CHECKING:
    import pytest

    from runner.schema.documents import AgentDocument
    from support.places import Place

DOCUMENT: AgentDocument = {
    "format": 1,
    "token": "0" * 32,
    "agent": "a",
    "kind": "local",
    "labels": [],
    "concurrency": 1,
    "beat": 0.1,
    "version": "1",
    "pid": 1,
    "started": "2026-11-28T06:00:00.000000+00:00",
    "by": {"uid": 0, "host": "h"},
}


class Stumbling:
    """What raises the first time that it is asked."""

    def __init__(self, answer: Any) -> None:
        self.asked, self._answer = 0, answer

    def __call__(self, *given: Any) -> Any:
        self.asked += 1
        if self.asked == 1:
            raise IndexError("no such group")
        return self._answer(*given)


def test_an_agent_goes_on_after_what_nobody_expected(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, register = Queue(here.open(), ""), Register(here.open(), "")
    sets, beats = Stumbling(queue.sets), Stumbling(register.write_beat)
    monkeypatch.setattr(queue, "sets", sets)
    monkeypatch.setattr(register, "write_beat", beats)
    agent = Agent(DOCUMENT, queue, register, Any, Habits(poll=0.05), lambda _: None)  # type: ignore[arg-type]
    works = threading.Thread(target=agent.work)
    works.start()
    wait_for(lambda: beats.asked > 1)
    queue.ring()
    wait_for(lambda: sets.asked > 1)
    agent.stop()
    works.join(20)
    assert not works.is_alive()
    assert not register.folders()


def test_an_agent_that_was_taken_for_dead_enters_once_more(here: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not with each heartbeat, which would be paid for."""
    queue, register = Queue(here.open(), ""), Register(here.open(), "")
    entered, beats = list[str](), list[int]()
    enter_again, write_beat = register.enter_again, register.write_beat

    def count_entered(said: AgentDocument) -> None:
        entered.append(said["agent"])
        enter_again(said)

    def count_beat(said: AgentDocument, number: int) -> None:
        beats.append(number)
        write_beat(said, number)

    monkeypatch.setattr(register, "enter_again", count_entered)
    monkeypatch.setattr(register, "write_beat", count_beat)
    agent = Agent(DOCUMENT, queue, register, Any, Habits(poll=0.05), lambda _: None)  # type: ignore[arg-type]
    works = threading.Thread(target=agent.work)
    works.start()
    wait_for(lambda: len(beats) > 1)
    register.forget("a")
    queue.ring()
    wait_for(lambda: bool(entered))
    done = len(beats)
    wait_for(lambda: len(beats) > done + 3)
    agent.stop()
    works.join(20)
    assert entered == ["a"]
