"""``runner report``."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from runner import naming
from runner.launchers import Local
from runner.launchers.base import Sighting
from runner.launchers.start import end_launch, take_launch
from runner.runs import documents
from runner.runs.layout import RunLayout
from runner.runs.store import RunStore
from support.canary import AUTHOR
from support.command_line import ETL, assert_refused, printed_json, run_command, run_url
from support.flows import located, publish
from support.pages import Outline, claim_of, end_of, failed_task, request_of, task_of
from support.scene import SIGNING
from support.starting import start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.places import Place


def planted(place: Place, **named: Any) -> str:
    """Put a run's documents into a place, and return its URL; its bundle is gone."""
    bundle = {"url": f"{place.url}/etl/2026-11-22t12-10-24-845190-00-00", "sha256": "0" * 64}
    for name, document in named.items():
        key = name.replace("__", "/").replace("_json", ".json")
        changed = {"token": naming.new_token()} | ({"bundle": bundle} if "bundle" in document else {})
        place.write(f"etl/runs/r/{key}", documents.encode(document | changed))
    return f"{place.url}/etl/runs/r"


@contextmanager
def written_over(place: Place, data: bytes | None, *keys: str) -> Iterator[None]:
    """Have other bytes, or nothing, under these keys for the length of a block."""
    before = {key: place.read(key) if key in place.keys() else None for key in keys}  # noqa: SIM118 - a function
    for new in (dict.fromkeys(keys, data), before):
        for key, content in new.items():
            if content is None:
                place.open().delete(key)
            else:
                place.write(key, content)
        if new is not before:
            yield


def page_of(url: str, tmp_path: Path, **environ: str) -> Outline:
    file = tmp_path / "page.html"
    assert run_command(environ, "report", url, "-o", str(file)).code == 0
    return Outline(file.read_text("utf-8"))


def test_the_page_lies_beside_the_outcome_in_every_storage(place: Place) -> None:
    url = planted(
        place,
        run_json=request_of(),
        attempts__0001__claim_json=claim_of(),
        attempts__0001__end_json=end_of([task_of(), failed_task(1)], "failed"),
        outcome_json=end_of([task_of(), failed_task(1)], "failed"),
    )
    for _ in range(2):  # it replaces itself
        answer = printed_json(run_command(place.environ, "report", url, "--json"))
    assert answer["report"] == f"{url}/report.html"
    page = place.read("etl/runs/r/report.html")
    assert (answer["size"], answer["state"]) == (len(page), "failed")
    assert "clean[1] raised ValueError: no price" in Outline(page.decode()).text
    assert place.media_type("etl/runs/r/report.html") in {None, "text/html; charset=utf-8"}
    assert run_command(place.environ, "report", url).stdout == f"{url}/report.html\n"


def test_a_run_is_on_its_page_with_graph_tasks_log_and_signatures(ran: Place, tmp_path: Path) -> None:
    found = page_of(run_url(ran), tmp_path)
    assert "Run r" in found.text
    assert "clean · 3 of 3 succeeded" in found.text
    assert "load-it waits for clean" in found.text
    assert "extracting 2026-01-01" in found.text
    assert "attempts/0001/results/load-it.pkl" in found.text
    assert "Bundle signedby nobody" in found.text
    assert "rows3default" in found.text
    assert found.count("path") > 3
    assert not (tmp_path / "storage" / ETL / "runs/r/report.html").exists()


def test_a_page_goes_to_standard_output(ran: Place) -> None:
    done = run_command({}, "report", run_url(ran), "-o", "-")
    assert done.code == 0
    assert done.stdout.startswith("<!DOCTYPE html>")
    assert done.stdout.endswith("</html>\n")


def test_a_file_that_cannot_be_written_is_refused(ran: Place, tmp_path: Path) -> None:
    assert_refused(run_command({}, "report", run_url(ran), "-o", str(tmp_path)), 2, "is a folder")
    missing = tmp_path / "no" / "page.html"
    assert_refused(run_command({}, "report", run_url(ran), "-o", str(missing)), 2, "cannot be written")
    assert_refused(run_command({}, "report", run_url(ran, "none")), 66, "there is no run")


def test_a_run_that_waits_has_a_page(here: Place, tmp_path: Path) -> None:
    url = planted(here, run_json=request_of())
    found = page_of(url, tmp_path)
    assert "asked for, as of" in found.text
    assert "No graph: its bundle is not beside it" in found.text
    assert "runner show -f" in found.text


def test_an_attempt_without_a_sign_of_life_has_lost_the_run(here: Place, tmp_path: Path) -> None:
    beat = {"format": 1, "beat": 3, "time": naming.now()}
    claim = claim_of(beat=0.0001, started=naming.now())
    url = planted(here, run_json=request_of(), attempts__0001__claim_json=claim, attempts__0001__beat=beat)
    found = page_of(url, tmp_path)
    assert "lost (no beat for" in found.text
    assert "runner run --resume" in found.text


def test_a_run_that_was_given_up_has_a_page(here: Place, tmp_path: Path) -> None:
    url = planted(here, run_json=request_of())
    store = RunStore(here.open(), RunLayout("etl", "r"))
    launch = take_launch(store, Local(), None)
    assert launch is not None
    sighting = Sighting("ended", reason="ImagePullBackOff", message="no <such> image", events=("Failed to pull",))
    end_launch(store, launch, "never started", sighting, ["the last line"], given_up=True)
    found = page_of(url, tmp_path)
    assert "given up" in found.text
    assert "No platform began it: ImagePullBackOff: no <such> image. Look at the image's name" in found.text
    assert "the last line" in found.text


def test_a_crash_and_what_followed_are_on_the_page(here: Place, tmp_path: Path) -> None:
    publish(here, "trouble.py")
    killed = {"RUNNER_PARAMETERS": '{"kind": "be killed"}', "RUNNER_RUN_ID": "r"}
    for _ in range(2):
        assert start(located(here, "trouble") | killed).code == 137
    found = page_of(run_url(here, home="trouble"), tmp_path)
    assert "crashed" in found.text
    bars = [attributes["class"] for tag, attributes in found.elements if tag == "rect" and "x" in attributes]
    assert [bar for bar in bars if bar == "bar bad"] == ["bar bad"] * 2
    assert "-- attempt 2" in found.text
    assert "misbehave" in found.text  # of the graph


@pytest.mark.parametrize("planted", [b'{"format": 9}', b"", b"[" * 100_000], ids=["old", "empty", "deep"])
def test_an_outcome_that_cannot_be_read_is_told_and_the_last_attempt_shown(
    ran: Place, tmp_path: Path, planted: bytes
) -> None:
    key, file = f"{ETL}/runs/r/outcome.json", tmp_path / "page.html"
    others = [f"{ETL}/runs/r/{name}" for name in ("attempts/0001/end.json", "attempts/0001/claim.json", "run.json")]
    with written_over(ran, planted, key):
        done = run_command({}, "report", run_url(ran), "-o", str(file))
        page = Outline(file.read_text("utf-8"))
        with written_over(ran, planted, *others):
            nothing = run_command({}, "report", run_url(ran), "-o", str(file))
    assert (done.code, done.stdout) == (65, f"{file}\n")
    assert "The outcome cannot be read, so this is its last attempt's end" in page.text
    assert "clean · 3 of 3 succeeded" in page.text
    assert nothing.code == 65
    assert "unreadable" in Outline(file.read_text("utf-8")).text


def test_a_log_of_nonsense_and_gaps_stops_nothing(ran: Place, tmp_path: Path) -> None:
    folder = f"{ETL}/runs/r/attempts/0001/logs"
    deep = b'{"message": ' + b"[" * 3000 + b"]" * 3000 + b"}"
    lines = [b"no json \xff", deep, b'{"stream": "stdout", "message": "</pre><script>"}', b"null"]
    with written_over(ran, b"\n".join(lines), f"{folder}/000099.jsonl"):
        found = page_of(run_url(ran), tmp_path)
    assert "no json \\xff" in found.text
    assert "</pre><script>" in found.text


def test_a_bundle_that_is_gone_or_changed_leaves_the_graph_out(ran: Place, tmp_path: Path) -> None:
    [version] = [key for key in ran.keys() if key.count("/") == 1]  # noqa: SIM118 - a function
    with written_over(ran, ran.read(version)[:-1] + b"x", version):
        assert "No graph: " in page_of(run_url(ran), tmp_path).text
    with written_over(ran, None, version):
        assert "No graph: its bundle is not beside it" in page_of(run_url(ran), tmp_path).text


def test_a_bundle_elsewhere_is_read_only_if_the_environment_names_its_flow(here: Place, tmp_path: Path) -> None:
    publish(here, "etl.py")
    elsewhere = located(here, ETL) | {"RUNNER_RESULTS": str(tmp_path / "elsewhere"), "RUNNER_RUN_ID": "r"}
    assert start(elsewhere).code == 0
    url = f"{(tmp_path / 'elsewhere').as_uri()}/{ETL}/runs/r"
    assert "No graph: its bundle is not beside it; it is told to be file:///" in page_of(url, tmp_path).text
    assert "load-it waits for clean" in page_of(url, tmp_path, **located(here, ETL)).text


def test_of_a_large_bundle_only_the_manifest_is_read(
    ran: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.reports.flow_facts._HEAD", 3000)
    found = page_of(run_url(ran), tmp_path)
    assert "load-it waits for clean" in found.text
    assert "only its manifest was read" in found.text


def test_who_signed_is_told_and_whether_that_is_trusted_here(here: Place, tmp_path: Path) -> None:
    publish(here, "etl.py")
    run = located(here, ETL) | {"RUNNER_RUN_ID": "r", "RUNNER_SIGNING_KEY": SIGNING}
    assert start(run).code == 0
    assert f"Outcome signedby {AUTHOR.public.id}" in page_of(run_url(here), tmp_path).text
    trusted = page_of(run_url(here), tmp_path, RUNNER_TRUSTED_KEYS=AUTHOR.public.text)
    assert f"Outcome signedby {AUTHOR.public.id} (trusted here)" in trusted.text
    assert "No graph: " in trusted.text  # nobody signed the bundle
    key = f"{ETL}/runs/r/outcome.json"
    forged = json.loads(here.read(key)) | {"exit_code": 0, "host": "elsewhere"}
    with written_over(here, documents.encode(forged), key):
        told = page_of(run_url(here), tmp_path, RUNNER_TRUSTED_KEYS=AUTHOR.public.text)
    assert "Signed by nobody who is trusted here" in told.text
    assert "(trusted here)" not in told.text


def test_a_secret_that_the_environment_names_is_masked(ran: Place, tmp_path: Path) -> None:
    assert "2026-01-01" in page_of(run_url(ran), tmp_path).text
    named = {"RUNNER_SECRETS": "DAY", "DAY": "extracting 2026-01-01"}
    assert "extracting 2026" not in page_of(run_url(ran), tmp_path, **named).text
