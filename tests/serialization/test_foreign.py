"""What runner did not write, made to look like a flow."""

from __future__ import annotations

import base64
import functools
import inspect
import json
import logging
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, task
from runner.errors import BundleCorrupt, FlowFailed, Incompatible, UsageError
from runner.serialization import foreign, prefect_setup

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


def test_prefects_own_handlers_are_taken_away_so_that_no_line_appears_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_LOGGING_SETTINGS_PATH", "/elsewhere")  # an author's, which is left alone
    own = logging.NullHandler()
    loggers = [logging.getLogger("prefect"), logging.getLogger("also")]
    for logger in loggers:
        monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(), own])
    with prefect_setup.logging_as_ours():
        pass
    assert [len(logger.handlers) for logger in loggers] == [2, 2]
    prefect: Any = ModuleType("prefect")
    prefect.config = SimpleNamespace(logging={"extra_loggers": ["also"]})
    with prefect_setup.logging_as_ours():
        monkeypatch.setitem(sys.modules, "prefect", prefect)
        monkeypatch.setitem(sys.modules, "prefect.utilities.logging", ModuleType("prefect.utilities.logging"))
    assert [logger.handlers for logger in loggers] == [[own], [own]]
    assert os.environ["PREFECT_LOGGING_SETTINGS_PATH"] == "/elsewhere"


def test_prefect_is_told_to_leave_the_root_logger_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_LOGGING_SETTINGS_PATH", "")
    monkeypatch.delenv("PREFECT_LOGGING_SETTINGS_PATH")
    with prefect_setup.logging_as_ours():
        path = Path(os.environ["PREFECT_LOGGING_SETTINGS_PATH"])
    assert "root:" not in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("made_with", "here", "pin"),
    [
        ("1.4.1", None, "prefect==1.4.1"),
        ("1.4.1", "3.9.1", "prefect==1.4.1"),
        ("1.4.1", "0.15.13", None),
        ("0.14.22", "1.4.1", None),
        ("==1.4.1", "2.20.0", "prefect==1.4.1"),
        (">=2,<3", "3.0.1", "'prefect>=2,<3'"),
        (">=3,<4", "3.9.1", None),
        ("1.4.1+5.gabc; rm -rf /", None, "prefect==1.4.1"),
        ("", None, None),
        ("nonsense", None, None),
    ],
)
def test_the_prefect_that_is_needed_is_advised(
    made_with: str, here: str | None, pin: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefect_setup, "_installed_version", lambda: here)
    if pin is None:
        prefect_setup.check_version(made_with, "an/image")
        return
    with pytest.raises(Incompatible) as refused:
        prefect_setup.check_version(made_with, "an/image")
    assert f"FROM an/image\nUSER root\nRUN pip install {pin}\n" in str(refused.value)


@pytest.mark.parametrize(
    ("pickled", "version"),
    [
        (b"\x80\x05prefect.core.flow", "==1.4.1"),
        (b"\x80\x05prefect.flows prefect.task_runners ConcurrentTaskRunner", ">=2,<3"),
        (b"\x80\x05prefect.flows prefect.task_runners ThreadPoolTaskRunner", ">=3,<4"),
        (b"\x80\x05ThreadPoolTaskRunner", ""),
    ],
)
def test_a_raw_pickle_shows_which_prefect_made_it(pickled: bytes, version: str) -> None:
    assert prefect_setup.required_version(pickled, None) == version
    assert prefect_setup.required_version(pickled, "1.2.3") == (version and "1.2.3")


class OfPrefect1:
    """As Prefect 1 has it: its value is no method."""

    message = "no"
    result = ValueError("boom")

    def is_failed(self) -> bool:
        return True

    def is_successful(self) -> bool:
        return False


async def fail_later() -> Failed:
    return Failed()


@pytest.mark.parametrize("value", [[Completed(), Failed()], (Failed(),), {Failed()}])
def test_a_state_among_states_that_says_failed_is_a_failure(value: object) -> None:
    with pytest.raises(FlowFailed, match="the flow ended as Failed: task x failed"):
        Flow.of(foreign.as_flow(lambda: value, "f")).run()


def test_a_coroutine_function_that_returns_a_failed_state_fails() -> None:
    with pytest.raises(FlowFailed, match="the flow ended as Failed: task x failed"):
        Flow.of(foreign.as_flow(fail_later, "f")).run()


def test_the_exception_in_a_state_is_the_failures() -> None:
    with pytest.raises(FlowFailed) as failed:
        Flow.of(foreign.as_flow(functools.partial(OfPrefect1), "f")).run()
    assert failed.value.__cause__ is OfPrefect1.result  # its own


@pytest.mark.parametrize("value", [[Completed(), 1], [], {"a": Failed()}, [[Failed()]]])
def test_other_values_are_values(value: object) -> None:
    assert values(foreign.as_flow(lambda: value, "f")) is value


@pytest.mark.parametrize("text", ["import prefect\n", "# x\nfrom prefect import Flow\n"])
def test_a_script_is_told_from_nonsense(text: str) -> None:
    with pytest.raises(BundleCorrupt, match="stored_as_script=True"):
        foreign.open_pickle(text.encode())


class LaterFlow:
    """As Prefect 2 and 3 have flows: what they return when they are asked for their state."""

    def __init__(self, state: Any) -> None:
        self.state, self.name, self.__signature__ = state, "later", inspect.Signature()

    def __call__(self, *, return_state: bool) -> Any:
        assert return_state
        return self.state


LaterFlow.__module__, LaterFlow.__name__ = "prefect.flows", "Flow"


class State:
    """As Prefect 2 and 3 have it, with a result that is a method."""

    def __init__(self, name: str, result: Any) -> None:
        self.name, self.message, self._result = name, "2/3 states failed.", result

    def is_failed(self) -> bool:
        return self.name == "Failed"

    def is_completed(self) -> bool:
        return self.name == "Completed"

    def result(self, *, raise_on_failure: bool) -> Any:
        assert not raise_on_failure
        return self._result


FAILED = [State("Failed", ValueError(number)) for number in range(5)]


async def later(value: Any) -> Any:
    return value


@pytest.mark.parametrize("wrapped", [lambda state: state, later])
def test_a_final_state_decides_and_its_value_holds_no_states(wrapped: Any) -> None:
    made: list[Any] = [State("Completed", 1), {"a": (State("Completed", [2]), 3)}, {FAILED[0]}]
    found = values(foreign.as_flow(LaterFlow(wrapped(State("Completed", made)))))
    assert found[:2] == [1, {"a": ([2], 3)}]
    assert [str(each) for each in found[2]] == ["0"]
    with pytest.raises(
        FlowFailed, match=r"ended as Failed: 2/3 states failed; ValueError: 0; .*2; and 2 more"
    ) as failed:
        Flow.of(foreign.as_flow(LaterFlow(wrapped(State("Failed", FAILED))))).run()
    assert isinstance(failed.value.__cause__, Exception)


def test_a_value_without_states_is_not_copied() -> None:
    made: list[Any] = [1]
    made.append(made)
    assert values(foreign.as_flow(LaterFlow(State("Completed", made)))) is made
