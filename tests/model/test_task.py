"""Tasks and their rules, as an author writes them."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from runner import Flow, Parameter, Task, task, unmapped
from runner.errors import UsageError


def add(a: int, b: int = 1) -> int:
    """Add."""
    return a + b


def test_a_task_called_outside_a_flow_is_the_plain_function() -> None:
    assert task(add)(1, b=2) == 3


def test_a_decorated_function_keeps_its_name_and_text() -> None:
    @task
    def plain() -> None:
        """Say what it does."""

    @task(name="Other Name", retries=2, retry_delay=timedelta(seconds=3), timeout=4, checkpoint=False)
    def ruled() -> None: ...

    assert (plain.name, plain.__doc__, repr(plain)) == ("plain", "Say what it does.", "<Task plain>")
    assert (plain.retries, plain.retry_delay, plain.timeout, plain.checkpoint, plain.trigger) == (
        0,
        0,
        None,
        True,
        "all_successful",
    )
    assert (ruled.name, ruled.retries, ruled.retry_delay, ruled.timeout) == ("Other Name", 2, 3, 4)
    assert not ruled.checkpoint


def test_rules_hold_also_where_task_is_called_with_the_function() -> None:
    assert task(add, name="sum", retries=1).retries == 1


def test_what_has_no_name_is_named_after_its_type() -> None:
    assert task(partial(add, 1)).name == "partial"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"retries": -1}, "retries must be a whole number"),
        ({"retries": "3"}, "retries must be a whole number"),
        ({"retries": 1.5}, "retries must be a whole number"),
        ({"retry_delay": -1}, "retry_delay takes seconds, 0 or more, not -1"),
        ({"retry_delay": "soon"}, "retry_delay takes seconds, 0 or more, not 'soon'"),
        ({"timeout": 0}, "timeout must be more than 0 seconds"),
        ({"timeout": timedelta(0)}, "timeout must be more than 0 seconds"),
        ({"timeout": float("nan")}, "timeout takes seconds, 0 or more, not nan"),
        ({"timeout": float("inf")}, "timeout takes seconds, 0 or more, not inf"),
        ({"timeout": [1]}, r"timeout takes seconds, 0 or more, not \[1\]"),
        ({"trigger": "always"}, "trigger 'always': choose one of all_successful, all_finished, any_failed"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"task 'add': {message}"):
        task(**rules)(add)


def test_a_task_is_made_of_something_that_can_be_called() -> None:
    with pytest.raises(UsageError, match="something that can be called, not of 3"):
        Task(3)  # type: ignore[arg-type]


def test_map_outside_a_flow_is_refused() -> None:
    with pytest.raises(UsageError, match="task 'add' is mapped outside a flow"):
        task(add).map([1])


@pytest.mark.parametrize("arguments", [(), (unmapped([1]),)])
def test_map_over_nothing_at_all_is_refused(arguments: tuple[Any, ...]) -> None:
    with Flow("f"), pytest.raises(UsageError, match="task 'add' is mapped over nothing"):
        task(add).map(*arguments)


def test_an_iterator_is_read_when_it_is_mapped_over_so_that_each_run_sees_it() -> None:
    with Flow("f") as flow:
        task(add).map((number for number in (1, 2)), b=iter([3, 4]))
    assert flow.run().result("add") == [4, 6]
    assert flow.run().result("add") == [4, 6]


def test_a_result_cannot_be_gone_through_before_it_is_there() -> None:
    with Flow("f"):
        node = task(add)(1)
        with pytest.raises(UsageError, match="the result of task 'add' is not there yet"):
            list(node)
    assert repr(node) == "<Node add>"


def test_upstream_tasks_takes_one_node_or_many_and_nothing_else() -> None:
    with Flow("f"):
        first = task(add)(1)
        second = task(add)(1, upstream_tasks=first)
        third = task(add).map([second], upstream_tasks=[first, second])
        with pytest.raises(UsageError, match="upstream_tasks of 'add' takes what calling tasks in the flow gave"):
            task(add)(1, upstream_tasks=[add])  # type: ignore[list-item]
    assert second.upstream == [first]
    assert third.upstream == [second, first]
    assert third.inputs == [second]


def test_a_parameter_is_required_unless_it_has_a_default() -> None:
    assert Parameter("day").required
    assert not Parameter("day", default=None).required
    assert not Parameter("day", required=False).required
    assert repr(Parameter("day")) == "<Parameter day>"
    with pytest.raises(UsageError, match="parameter 'day' has a default and is required"):
        Parameter("day", default=1, required=True)


@pytest.mark.parametrize(
    "use",
    [task(add), lambda: task(add)(1, c=2), lambda: task(add).map([1], [2], [3])],
    ids=["few", "c", "many"],
)
def test_a_call_that_the_function_would_refuse_is_refused_when_it_is_written_down(use: Any) -> None:
    with Flow("f") as flow, pytest.raises(UsageError, match="task 'add' cannot be called so: "):
        use()
    assert flow.nodes == []
