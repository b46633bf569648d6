"""The page about a run, as it is made of facts."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest

from runner.reports.gathered import Attempt, FlowFacts, Series
from runner.reports.page import LARGEST, render
from runner.runs.status import RunStatus
from runner.secrets.redaction import mask
from support.pages import (
    HOSTILE,
    Outline,
    at,
    claim_of,
    end_of,
    everywhere,
    failed_task,
    flow_of,
    gathered,
    launch,
    launch_end,
    many,
    request_of,
    task_of,
)

CHAIN = flow_of(("extract", False, []), ("clean", True, ["extract"]), ("load", False, ["clean"]))


def test_the_page_tells_first_what_a_phone_has_room_for() -> None:
    page = render(gathered(end_of([failed_task(1), failed_task(0, "first")], "failed"), flow=CHAIN))
    found = Outline(page)
    names = [attributes["id"] for tag, attributes in found.elements if tag == "section"]
    assert names == ["error", "next", "timeline", "graph", "tasks", "parameters", "versions", "log"]
    assert "Run r" in found.text
    assert "clean[0] raised ValueError: first It was the first of 2." in found.text
    assert "runner retry s3://b/etl/runs/r" in found.text
    assert "Asked for2026-11-22 12:09:54 UTC" in found.text
    assert "2026-11-22 12:10:24 UTC, after 30 s" in found.text


def test_the_same_facts_make_the_same_page() -> None:
    facts = many(100)
    assert render(facts) == render(many(100))


@pytest.mark.parametrize(
    ("state", "command"),
    [
        ("succeeded", "result"),
        ("failed", "retry"),
        ("timed_out", "retry"),
        ("crashed", "run --resume"),
        ("lost", "run --resume"),
        ("refused", "run --resume"),
        ("cancelled", "run --resume"),
    ],
)
def test_each_state_has_its_next_step(state: str, command: str) -> None:
    found = Outline(render(gathered(end_of([], state))))
    assert f"runner {command} s3://b/etl/runs/r" in found.text
    assert ("it failed" in found.text) is (state != "succeeded")
    assert "as of" not in found.text


def test_a_run_that_was_cancelled_by_request_says_who_and_why() -> None:
    cancel = {"by": {"host": "ada", "uid": 1}, "requested": at(50), "why": "wrong <day>"}
    found = Outline(render(gathered(end_of([], "cancelled", cancel=cancel))))
    assert "Asked for by ada: wrong <day>" in found.text
    assert "runner retry" in found.text


def test_a_run_that_lives_says_so_and_as_of_when() -> None:
    found = Outline(render(gathered(cancel={"by": {"host": "ada", "uid": 1}, "requested": at(50), "why": None})))
    assert "running (beat 4 s ago), as of 2026-11-22 12:12:04 UTC" in found.text
    assert "ada asked for its end" in found.text
    assert "runner logs -f s3://b/etl/runs/r" in found.text
    assert "runner cancel s3://b/etl/runs/r" in found.text


def test_a_run_that_never_began_says_for_what_it_waits() -> None:
    asked = gathered(attempts=[], attempt_count=0, log=[], status=RunStatus("asked for"), waits="for an agent with gpu")
    found = Outline(render(asked))
    assert "asked for, as of" in found.text
    assert "for an agent with gpu" in found.text
    assert "runner show -f" in found.text
    assert "Attemptsnone" in found.text


def test_a_run_that_was_given_up_says_what_the_platform_said_and_what_to_do() -> None:
    facts = gathered(
        attempts=[], attempt_count=0, log=[], status=RunStatus("asked for"), launches=[launch(end=launch_end())],
        launch_count=21,
    )  # fmt: skip
    found = Outline(render(facts))
    assert "No platform began it: ImagePullBackOff: no such image. Look at the image's name" in found.text
    assert "exec format error" in found.text
    assert "Failed to pull" in found.text
    assert "The 20 launches before these are left out." in found.text
    assert "runner run --resume" in found.text


def test_several_attempts_are_bands_with_what_was_waited_and_lost_between() -> None:
    lost = end_of([], "lost", attempt=1, ended=at(40))
    good = end_of([task_of()], attempt=2, started=at(50), ended=at(60))
    attempts = [
        Attempt(1, claim_of(1), lost, at(10)),
        Attempt(2, claim_of(2, started=at(50)), good),
    ]
    found = Outline(render(gathered(good, attempts=attempts, attempt_count=60)))
    bars = [attributes["class"] for tag, attributes in found.elements if tag == "rect"]
    assert bars[:5] == ["bar waiting", "bar bad", "bar silent", "bar waiting", "bar good"]
    assert "Waited 40 s; 40 s in attempts that others followed; 30 s of that without a sign of life." in found.text
    assert "The 58 attempts before these are left out." in found.text
    assert "Began2026" in found.text
    later = [attempt._replace(number=attempt.number + 58) for attempt in attempts]
    assert "Began2026" not in Outline(render(gathered(good, attempts=later, attempt_count=60))).text


def test_what_cannot_be_read_or_trusted_is_told_at_the_top() -> None:
    facts = gathered(
        end_of([], "failed"),
        unreadable="outcome.json is cut short", untrusted="nobody signed it", is_checked=True,
        notes=[f"claim {number} is none" for number in range(12)],
    )  # fmt: skip
    found = Outline(render(facts))
    head = found.text.partition("What to do next")[0]
    assert "The outcome cannot be read, so this is its last attempt's end: outcome.json is cut short" in head
    assert "Signed by nobody who is trusted here: nobody signed it" in head
    assert "Left out: claim 9 is none" in head
    assert "Left out: 2 more" in head


def test_a_run_of_which_nothing_can_be_read_has_a_page() -> None:
    facts = gathered(
        status=RunStatus("unreadable"), attempts=[], attempt_count=0, log=[], request=None, unreadable="all is lost"
    )
    assert "runner show s3://b/etl/runs/r" in Outline(render(facts)).text


def test_a_process_that_died_leaves_its_trace_and_memory() -> None:
    death = {"trace": "Fatal: <segv>", "log": "the last words", "peak_memory": 2 * 10**9, "memory": "out of memory"}
    found = Outline(render(gathered(end_of([], "crashed", death=death), log=[])))
    assert "Fatal: <segv>" in found.text
    assert "the last words" in found.text
    assert "Peak memory2.0 GB" in found.text
    assert "out of memory" in found.text


def test_the_graph_has_a_box_for_each_task_and_an_arrow_for_each_wait() -> None:
    tasks = [task_of(slug="extract", index=None, mapped=False), failed_task(1), task_of(2)]
    found = Outline(render(gathered(end_of(tasks, "failed"), flow=CHAIN)))
    assert found.count("path") == 2
    boxes = [attributes["class"] for tag, attributes in found.elements if tag == "rect" and "rx" in attributes]
    assert boxes == ["node good", "node", "node bad", "node open"]
    assert "load waits for clean" in found.text


@pytest.mark.parametrize(
    "uses",
    [
        [("a", False, ["b"]), ("b", False, ["a"])],
        [("a", False, ["a"])],
        [("a", False, ["nobody"])],
        [("a", False, []), ("a", False, ["a"])],
    ],
    ids=["circle", "itself", "nobody", "twice"],
)
def test_a_graph_that_nobody_can_have_written_is_drawn_as_far_as_it_goes(uses: Any) -> None:
    assert Outline(render(gathered(end_of(), flow=flow_of(*uses)))).count("svg") > 2


def test_a_graph_that_cannot_be_drawn_is_left_out_with_a_word_why() -> None:
    gone = FlowFacts(note="its bundle is not there any more")
    assert "No graph: its bundle is not there any more." in Outline(render(gathered(end_of(), flow=gone))).text
    large = flow_of(*((f"t{number}", False, []) for number in range(151)))
    assert "151 tasks and 0 arrows are too many" in Outline(render(gathered(end_of(), flow=large))).text
    assert "id=graph" not in render(gathered(end_of()))


@pytest.mark.parametrize("tasks", [None, {}, [1], [{"task": 1}], [{"task": "a", "upstream": "b"}]], ids=repr)
def test_a_graph_that_is_none_is_told(tasks: Any) -> None:
    page = render(gathered(end_of(), flow=flow_of(tasks=tasks)))
    assert "its manifest has none that can be read" in page


def test_what_no_reader_has_looked_at_may_be_missing_or_anything() -> None:
    """The reader of documents checks what decides something, and all else may be Mallory's, or of a version to come."""
    bare: Any = end_of([task_of()], "crashed", death=None, signature=["no"], host=None)
    claim: Any = {"token": "t", "run_id": "r", "attempt": 1, "host": "h", "started": at(0), "beat": None}
    request: Any = request_of(by="nobody", executor=[{}])
    del bare["python"]
    facts = gathered(
        bare, attempts=[Attempt(1, claim, bare)], request=request, status=RunStatus("crashed", bare, claim)
    )
    found = Outline(render(facts))
    assert "Outcome signedby nobody" in found.text
    assert "Executor[{}]" in found.text


def test_resources_are_shown_only_where_there_are_some() -> None:
    points = [(float(number), number * 1e6) for number in range(5000)]
    series = [Series("memory", "bytes", points, 1e10), Series("cpu", "cores", [(0.0, 0.5)], attempt=2)]
    found = Outline(render(gathered(end_of())._replace(resources=[*series, Series("gpu", "", [])])))
    assert "Memory of attempt 1: at the most 5.0 GB of 10.0 GB, 50%, in 1 h 23 min." in found.text
    assert "Cpu of attempt 2: at the most 0.5 cores" in found.text
    assert found.count("polyline") == 2
    assert "Resources" not in render(gathered(end_of()))


def test_parameters_come_with_those_that_the_flow_has_itself() -> None:
    found = Outline(render(gathered(end_of(), flow=CHAIN)))
    assert 'day"2026-02-01"given' in found.text
    assert "limit12default" in found.text


def test_what_ran_tells_who_asked_what_it_repeats_and_where_it_lies() -> None:
    declared = [
        {"name": "day", "required": True},
        {"name": "table", "required": False, "default_repr": "<Table rides>"},
        {"name": "other", "required": True},
    ]
    request = request_of(reuse={"run_id": "first", "from": "clean"}, by={"host": "laptop", "uid": None})
    handle: Any = {"handle": {"uid": "6f0c"}, "taken": at(0)}
    facts = gathered(
        end_of(),
        flow=flow_of(parameters=declared)._replace(signed_by="ed25519:abc"),
        request=request,
        launches=[launch() | {"handle": handle}],
        launch_count=1,
    )
    found = Outline(render(facts))
    assert "Bundle signedby ed25519:abc" in found.text
    assert "Repeatsrun first, from clean on" in found.text
    assert "Asked for bylaptop" in found.text
    assert "table<Table rides>default" in found.text
    assert "othernonedefault" in found.text
    assert "The platform's own nameuid 6f0c" in found.text
    assert "Needsnumpy 2.0" in found.text


def test_a_parameter_that_is_nested_too_deep_stops_nothing() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert "nested too deep" in render(gathered(end_of(), request=request_of(parameters={"deep": deep})))


# Sizes


@pytest.mark.parametrize("count", [10, 1000, 1999, 2000, 100_000])
def test_no_page_is_larger_than_1_mb(count: int) -> None:
    page = render(many(count))
    assert len(page.encode()) <= LARGEST
    rows = page.count("<tr>")
    assert rows < 2100
    assert ("the page has their sums" in page) is (count >= 2000)
    if count >= 2000:
        assert f"The first {min(100, count // 50)} of {count // 50:,} that failed" in page or count // 50 <= 100


def test_of_ten_thousand_tasks_that_are_not_mapped_those_that_failed_come_first() -> None:
    tasks = [task_of(slug=f"t-{number}", index=None, mapped=False) for number in range(9_999)]
    page = render(gathered(end_of([*tasks, failed_task(slug="the-last")], "failed")))
    assert len(page.encode()) <= LARGEST
    sums = page.partition("the page has their sums")[2]
    assert sums.index("<td>the-last</td>") < sums.index("<td>t-0</td>")
    assert re.search(r"[\d,]+ more tasks are left out: [\d,]+ succeeded\.", page)


@pytest.mark.parametrize(
    ("name", "count"),
    [*((name, 20) for name in HOSTILE), *((name, count) for name in ("long", "nul", "half") for count in (1999, 2500))],
)
def test_hostile_names_make_no_markup_and_no_larger_page(name: str, count: int) -> None:
    """Every text of every document is Mallory's."""
    words = HOSTILE[name]
    calm, hostile = (everywhere(text, count) for text in ("calm", words))
    page = render(hostile)
    assert len(page.encode()) <= LARGEST
    found = Outline(page)
    assert found.count("script") == 1
    assert found.count("style") == 1
    known = {tag for tag, _ in Outline(render(calm)).elements} | {"h3", "p"}
    assert {tag for tag, _ in found.elements} <= known
    names = {key for _, attributes in found.elements for key in attributes}
    assert not {key for key in names if key.startswith("on") or key in {"style", "srcdoc", "src"}}
    assert "\0" not in page
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\ud800-\udfff]", page)


@pytest.mark.parametrize("size", [0, 2, 4, 6, 8, 20])
def test_a_page_of_which_every_part_is_as_large_as_it_may_be_is_no_larger(size: int) -> None:
    """Of tasks, bars and boxes there are as many as are shown each, and all else is more than there is room for."""
    slugs = [f"t{number}{'é' * size}" for number in range(120)]
    tasks = [
        (failed_task if number % 20 == 0 else task_of)(
            number // 90, slug=slugs[number % 90], started=at(number % 1999), ended=at(number % 1999 + 0.5)
        )
        for number in range(1999)
    ]
    uses = [(slug, True, slugs[max(0, number - 2) : number]) for number, slug in enumerate(slugs)]
    facts = everywhere(HOSTILE["long"], 5)
    needs = [{"module": "m", "distribution": "<" * 99, "version": "1"}] * 500
    page = render(facts._replace(tasks=tasks, flow=flow_of(*uses, requires=needs)))
    assert len(page.encode()) <= LARGEST
    assert page.count('rx="5"') == 240
    assert (page.count("<tr>") > 1999) is ("the page has their sums" not in page)


def test_secrets_are_masked_wherever_they_stand() -> None:
    mask("hunter2-hunter2")
    page = render(everywhere("xx hunter2-hunter2 yy", 50))
    assert "hunter2" not in page
    assert "***" in page


def test_times_that_are_none_stop_nothing() -> None:
    broken = [task_of(1, started="soon", ended="9999-99-99"), task_of(2, started=at(5), ended=at(1))]
    page = render(gathered(end_of(broken, started="?", ended="0001-01-01T00:00:00")))
    assert "?" in page


# What the page may do


def test_the_page_runs_its_own_script_and_style_and_asks_for_nothing() -> None:
    page = render(gathered(end_of([failed_task()], "failed"), flow=CHAIN))
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    for tag in ("style", "script"):
        [code] = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert directives[f"{tag}-src"] == f"'sha256-{digest}'"
    elements = Outline(page).elements
    assert not [name for name, attributes in elements if "style" in attributes or "src" in attributes]
    links = [attributes["href"] or "" for _, attributes in elements if "href" in attributes]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "http" not in re.sub(r"http-equiv|http://www.w3.org/2000/svg", "", page)
