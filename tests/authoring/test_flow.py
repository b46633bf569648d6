"""Flows as an author writes them down; nothing is published here."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import pytest

import runner
from runner import Flow, Parameter, Task, task, unmapped
from runner.environments import LocalEnvironment
from runner.errors import EnvironmentWrong, UsageError
from runner.model.task import open_graph
from runner.storage import GCS, S3, Azure, Local


def same(value: Any = None) -> Any:
    return value


give = task(same, name="give")


def slugs(flow: Flow) -> list[str]:
    return [node.slug for node in flow.nodes]


def test_a_result_that_is_not_there_is_refused_with_those_that_are() -> None:
    with Flow("f") as flow:
        give(1)
        give(2)
    with pytest.raises(KeyError, match="there is no result 'n m'; there are: give, give-2"):
        flow.run().result("n m")


def test_tasks_of_one_name_are_numbered_in_the_order_of_their_making() -> None:
    with Flow("f") as flow:
        for _ in range(3):
            give()
        task(same, name="Give!")()
        task(same, name="give-2")()
        give()
    assert slugs(flow) == ["give", "give-2", "give-3", "give-4", "give-2-2", "give-5"]


def test_many_uses_of_one_task_are_added_in_linear_time() -> None:
    with Flow("f") as flow:
        for _ in range(10_000):
            give()
    assert slugs(flow)[-1] == "give-10000"


def test_a_name_without_letters_or_digits_is_refused() -> None:
    with pytest.raises(UsageError, match="has neither a letter nor a digit"):
        Flow("!?")
    with Flow("f") as flow, pytest.raises(UsageError, match="has neither"):
        task(same, name="--")()
    assert flow.nodes == []


@pytest.mark.parametrize(
    "use",
    [
        give,
        lambda node: give([{"a": (node,)}]),
        lambda node: Task(lambda _a, _b: None, name="give").map([1], unmapped(node)),
        lambda node: give(upstream_tasks=[node]),
    ],
)
def test_a_node_of_another_flow_is_refused(use: Any) -> None:
    with Flow("one"):
        node = give()
    with Flow("two"), pytest.raises(UsageError, match="task 'give' depends on 'give', which belongs to another flow"):
        use(node)


def test_parameters_belong_to_the_flow_that_makes_or_uses_them() -> None:
    outside = Parameter("outside", default=1)
    with Flow("f") as flow:
        unused = Parameter("unused", default=2)
        give([outside])
        give(outside)
    assert flow.parameters == [unused, outside]
    with flow, pytest.raises(UsageError, match="flow 'f' has two parameters 'unused'"):
        Parameter("unused")


def test_a_run_is_refused_when_its_parameters_do_not_fit() -> None:
    with Flow("f") as flow:
        give(Parameter("day"))
    with pytest.raises(EnvironmentWrong, match=r"no parameter 'dya'.*'day' is required"):
        flow.run(dya=1)


def test_a_flow_without_tasks_runs() -> None:
    assert Flow("empty").run().state == "succeeded"


def test_flows_may_be_written_down_inside_one_another() -> None:
    with Flow("outer") as outer:
        with Flow("inner") as inner:
            give()
        assert open_graph.get() is outer
        give()
        give()
    assert open_graph.get() is None
    assert (slugs(outer), slugs(inner)) == (["give", "give-2"], ["give"])


def test_a_flow_that_raises_while_it_is_written_down_is_left() -> None:
    with pytest.raises(ZeroDivisionError), Flow("f"):
        _ = 1 / 0
    assert open_graph.get() is None


def test_each_storage_has_its_default_label() -> None:
    assert Flow("f").storage.url.startswith("file://")
    assert Flow("f").labels == Flow("f", storage=Local()).labels == (socket.gethostname(),)
    for storage, label in [
        (S3(bucket="b"), "s3-flow-storage"),
        (GCS(bucket="b"), "gcs-flow-storage"),
        (Azure(container="c"), "azure-flow-storage"),
    ]:
        assert Flow("f", storage=storage).labels == (label,)


def test_default_labels_can_be_left_out_and_others_added() -> None:
    flow = Flow("f", storage=S3(bucket="b", labels=["big"], add_default_labels=False))
    assert flow.labels == ("big",)
    flow.environment = LocalEnvironment(metadata={"image": "repo/name:tag"}, labels=["gpu", "big"])
    assert [*flow.labels] == ["big", "gpu"]
    assert flow.environment.image == "repo/name:tag"
    assert LocalEnvironment().image is None
    assert Flow("f", storage=Local(add_default_labels=False)).labels == ()


def test_a_storage_set_later_belongs_to_the_flow_and_leaves_the_declaration_alone() -> None:
    storage = S3(bucket="my-flows", secrets=["AWS_CREDENTIALS"])
    one, two = Flow("one"), Flow("two")
    one.storage = two.storage = storage
    assert one.storage is not two.storage
    assert one.storage.secrets == ("AWS_CREDENTIALS",)
    with pytest.raises(UsageError, match="this S3 storage belongs to no flow"):
        storage.build()


def test_lists_of_words_are_not_given_as_one_text() -> None:
    with pytest.raises(UsageError, match="labels take a list of names"):
        LocalEnvironment(labels="gpu")
    with pytest.raises(UsageError, match="secrets take a list"):
        S3(bucket="b", secrets="AWS_CREDENTIALS")


def test_a_connection_string_opens_the_storage_here_and_is_not_pickled() -> None:
    import pickle

    flow = Flow("f", storage=Azure(container="c", connection_string="AccountKey=very-secret"))
    assert flow.storage.extra_secrets() == {"AZURE_STORAGE_CONNECTION_STRING": "AccountKey=very-secret"}
    assert b"very-secret" not in pickle.dumps(flow.storage)
    assert b"very-secret" not in pickle.dumps(flow)


def test_a_flow_knows_the_module_that_writes_it_down() -> None:
    assert Flow("f").module == __name__
    assert repr(Flow("f")) == "<Flow f>"


def test_the_public_names_are_there_and_no_other() -> None:
    for name in runner.__all__:
        assert getattr(runner, name)
    lazy: Any = runner  # type checkers know the names, too
    with pytest.raises(AttributeError, match="module 'runner' has no attribute 'flows'"):
        _ = lazy.flows


def test_a_flow_has_a_storage_once_somebody_asks_for_it() -> None:
    """Nobody does where it runs: what declares one would be imported in vain."""
    code = """if True:
    import sys
    from runner import Flow
    flow = Flow("f")
    print("runner.authoring.storages" in sys.modules, flow.storage.flow is flow, flow.storage is flow.storage)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "True"]


@pytest.mark.usefixtures("_unmeasured")  # coverage brings threads along
def test_what_every_flows_file_imports_brings_little_along() -> None:
    """Each of these costs whoever imports runner one to seven milliseconds."""
    costly = {"ast", "dataclasses", "datetime", "inspect", "json", "logging", "pathlib", "pickle", "threading"}
    code = f"""if True:
    import sys
    before = set(sys.modules)
    from runner import Flow, Parameter, task
    Flow("f"), task(print, timeout=1)
    print(sorted((set(sys.modules) - before) & {costly!r}))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_writing_a_flow_down_loads_no_cloud_sdk_and_nothing_heavy() -> None:
    heavy = {"boto3", "google.cloud", "azure", "obstore", "cloudpickle", "click", "asyncio", "pythonjsonlogger"}
    code = f"""if True:
    import sys
    from runner import Flow, Parameter, task
    from runner.storage import S3
    from runner.environments import LocalEnvironment
    flow = Flow("f", storage=S3(bucket="b"))
    print(sorted(set(sys.modules) & {heavy!r}))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
