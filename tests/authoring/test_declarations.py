"""What an author declares is refused where it stands if no reader would take it, or no storage."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import pytest

from runner import Flow, Parameter, task
from runner.bundle.archive import read_bundle
from runner.environments import LocalEnvironment
from runner.errors import FlowFailed, UsageError
from runner.model.parameters import parameters_of
from runner.storage import Local
from support.engine_runs import same

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HALF = "\ud800"  # of a surrogate pair: JSON's escapes have it, UTF-8 has not
MANY_DIGITS = 10**5000  # more than Python writes
DEEP: list[Any] = reduce(lambda held, _: [held], range(5000), [])


class Untold:
    def __repr__(self) -> str:
        raise ValueError("not to be shown")


@pytest.mark.parametrize(
    ("declare", "words"),
    [
        (lambda: Flow("f", max_runs=10**30), "max_runs is a whole number above 0"),
        (lambda: Flow("f", max_runs=MANY_DIGITS), "max_runs .* cannot be shown"),
        (lambda: Flow("f", on_conflict="skip"), "max_runs is not given"),
        (lambda: Flow(5), "name of a flow is a text"),  # type: ignore[arg-type]
        (lambda: Flow(f"f{HALF}"), "name of a flow is a text that UTF-8 has"),
        (lambda: Flow("f" * 201), "stored as 201 bytes, and a name may have 200"),
        (lambda: Parameter(5), "parameter's name is a text"),  # type: ignore[arg-type]
        (lambda: Parameter(HALF), "parameter's name is a text"),
        (lambda: LocalEnvironment(metadata={"image": 5}), "image's name is a text that UTF-8 has, and not 5"),
        (lambda: LocalEnvironment(metadata={"image": HALF}), "image's name is a text"),
        (lambda: LocalEnvironment(metadata="image"), "metadata are a dictionary"),  # type: ignore[arg-type]
        (lambda: LocalEnvironment(resources=5), "resources are a dictionary"),  # type: ignore[arg-type]
        (lambda: LocalEnvironment(resources={"memory": 10**30}), "memory is a size of less than 8 EiB"),
        (lambda: LocalEnvironment(resources={"memory": MANY_DIGITS}), "memory is a size of less than 8 EiB"),
        (lambda: LocalEnvironment(resources={"disk": "99999999999999999999Gi"}), "disk is a size .* '99999999999"),
        (lambda: LocalEnvironment(resources={"disk": f"{'9' * 400}.5Gi"}), "disk is a size of less than 8 EiB"),
        (lambda: LocalEnvironment(resources={"cpu": "many"}), "cpu is a number .* not 'many'"),
        (lambda: LocalEnvironment(options={"docker": {"network": HALF}}), "options of docker must be what JSON has"),
        (lambda: LocalEnvironment(options={"docker": {"network": DEEP}}), "options of docker must be what JSON has"),
        (lambda: LocalEnvironment(labels=[1]), "labels take a list of names, not 1"),  # type: ignore[list-item]
        (lambda: LocalEnvironment(labels=1), "labels take a list of names, not 1"),  # type: ignore[arg-type]
        (lambda: Local(labels=[None]), "labels take a list of names, not None"),  # type: ignore[list-item]
        (lambda: Local(labels=[f"{number:0200}" for number in range(50)]), "50 labels have 10,100 characters"),
        (lambda: Local(labels=["\u540d" * 180] * 10), "10 labels have 10,820 characters"),
        (lambda: Local(secrets=1), "secrets take a list of names, not 1"),  # type: ignore[arg-type]
        (lambda: Local(secrets=[f"SECRET_{number}" for number in range(1001)]), "at most 1,000 secrets"),
        (lambda: Local(key=5), "a key is a text"),  # type: ignore[arg-type]
    ],
)
def test_what_no_reader_would_take_is_refused_where_it_is_declared(declare: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        declare()
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", ["t" * 201, "\u540d" * 67, 5, f"t{HALF}"], ids=["ascii", "of 3 bytes", "number", "half"]
)
def test_a_tasks_name_that_no_storage_takes_is_refused_where_it_is_used(name: Any) -> None:
    with Flow("f"), pytest.raises(UsageError, match="task"):
        task(same, name=name)(1)


def test_the_longest_names_are_stored(tmp_path: Path) -> None:
    with Flow("f" * 200, storage=Local(tmp_path)) as flow:
        task(same, name="\u540d" * 66 + "tt")(1)
    assert flow.run().result("\u540d" * 66 + "tt") == 1
    url = flow.storage.build()
    assert read_bundle((tmp_path / url.partition(f"{tmp_path}/")[2]).read_bytes()).manifest["flow"]["name"] == "f" * 200


@pytest.mark.parametrize(
    "default", [HALF, [HALF], MANY_DIGITS, {"a": MANY_DIGITS}], ids=["half", "list", "digits", "dict"]
)
def test_a_default_that_json_has_not_travels_all_the_same(default: Any, tmp_path: Path) -> None:
    with Flow("f", storage=Local(tmp_path)) as flow:
        task(same, name="give")(Parameter("p", default=default))
        task(same, name="take")(default)
    url = flow.storage.build()
    manifest = read_bundle((tmp_path / url.partition(f"{tmp_path}/")[2]).read_bytes()).manifest
    assert manifest["parameters"][0]["default_repr"].isascii()


@pytest.mark.parametrize("default", [Untold(), DEEP], ids=["untold", "deep"])
def test_a_default_that_cannot_be_shown_is_told_by_its_type(default: Any) -> None:
    with Flow("f") as flow:
        Parameter("p", default=default)
    assert parameters_of(flow)[0]["default_repr"] == f"what cannot be shown, of type {type(default).__name__}"


@pytest.mark.parametrize(
    "wrong", [{"max_runs": 0, "on_conflict": "wait"}, {"max_runs": 1, "on_conflict": HALF}], ids=["number", "text"]
)
def test_what_was_not_refused_there_is_refused_before_anything_is_stored(wrong: Any, tmp_path: Path) -> None:
    flow = Flow("f", storage=Local(tmp_path / "storage"))
    flow.concurrency = wrong
    with pytest.raises(FlowFailed, match="nobody could read the flow's bundle"):
        flow.storage.build()
    assert not (tmp_path / "storage").exists()
