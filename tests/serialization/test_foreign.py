"""What runner did not write, made to look like a flow."""

from __future__ import annotations

import base64
import functools
import json
import logging
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, task
from runner.errors import BundleCorrupt, FlowFailed, UsageError
from runner.serialization import foreign

if TYPE_CHECKING:
    from runner.model.flow import FlowGraph


def values(flow: FlowGraph, **parameters: Any) -> Any:
    report = Flow.of(flow).run(**parameters)
    return report.result(flow.nodes[0].slug)


def add(left: int, right: int = 2) -> int:
    return left + right


async def add_later(left: int) -> int:
    return left + 1


class Callable:
    def __call__(self, left: int) -> int:
        return left + 3


class Job:
    name = "nightly job"

    def run(self, *, left: int) -> int:
        return left + 4


def test_a_flow_stays_what_it_is() -> None:
    flow = Flow("mine")
    assert foreign.as_flow(flow) is flow
    assert foreign.as_flow(flow, "mine") is flow
    with pytest.raises(UsageError, match="'mine' has a name"):
        foreign.as_flow(flow, "other")


@pytest.mark.parametrize(
    ("obj", "name", "value"),
    [
        (add, "add", 3),
        (task(add), "add", 3),
        (task(name="named")(add), "named", 3),
        (functools.partial(add, right=10), "partial", 11),
        (add_later, "add_later", 2),
        (Callable(), "Callable", 4),
        (Job(), "nightly job", 5),
        (Job().run, "run", 5),
    ],
)
def test_whatever_can_be_called_or_run_is_a_flow(obj: object, name: str, value: int) -> None:
    flow = foreign.as_flow(obj)
    assert flow.name == name
    assert values(flow, left=1) == value
    assert foreign.as_flow(obj, "given").name == "given"


def test_its_arguments_are_the_flows_parameters() -> None:
    def many(a: int, /, *rest: int, b: int = 2, **more: int) -> int:
        return a + b + len(rest) + len(more)

    def some(*rest: int, b: int = 2, **more: int) -> int:
        return b + len(rest) + len(more)

    listed = [(each.name, each.required, each.default) for each in foreign.as_flow(add).parameters]
    assert listed == [("left", True, None), ("right", False, 2)]
    assert values(foreign.as_flow(some)) == 2
    with pytest.raises(UsageError, match=r"'a' .* only be given by position"):
        foreign.as_flow(many)
    assert foreign.as_flow(max, "a builtin that does not tell").parameters == []


@pytest.mark.parametrize("obj", [None, 5, {"a": 1}, Job, [add]])
def test_what_cannot_be_run_is_refused_by_its_type(obj: object) -> None:
    with pytest.raises(UsageError, match=f"{type(obj).__name__} .*cannot be run"):
        foreign.as_flow(obj)


class Failed:
    message = "task x failed"

    def is_failed(self) -> bool:
        return True

    def is_successful(self) -> bool:
        return False


class Completed:
    """As Prefect 3 has it."""

    def is_failed(self) -> bool:
        return False

    def is_completed(self) -> bool:
        return True


def fail() -> Failed:
    return Failed()


def complete() -> Completed:
    return Completed()


def test_a_state_that_says_failed_is_a_failure() -> None:
    with pytest.raises(FlowFailed, match="the flow ended as Failed: task x failed"):
        Flow.of(foreign.as_flow(fail, "f")).run()
    assert isinstance(values(foreign.as_flow(complete, "c")), Completed)


def test_a_pickle_and_what_its_envelope_says() -> None:
    pickled = b"\x80\x05K\x01."
    assert foreign.open_pickle(pickled) == (pickled, {})
    envelope = {"flow": base64.b64encode(pickled).decode(), "versions": {"python": "3.11.7", "prefect": "1.4.1"}}
    found = foreign.open_pickle(json.dumps(envelope).encode())
    assert found == (pickled, {"python": "3.11.7", "prefect": "1.4.1"})


@pytest.mark.parametrize("data", [b"", b"text", b"[]", b"{}", b'{"flow": "?", "versions": {}}', b"\xff\xfe"])
def test_anything_else_is_no_flow(data: bytes) -> None:
    with pytest.raises(BundleCorrupt):
        foreign.open_pickle(data)


def test_prefects_own_handler_is_taken_away_so_that_no_line_appears_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("prefect")
    own = logging.NullHandler()
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(), own])
    foreign.quiet_prefect()
    assert len(logger.handlers) == 2
    monkeypatch.setitem(sys.modules, "prefect", ModuleType("prefect"))
    foreign.quiet_prefect()
    assert logger.handlers == [own]
