"""``runner result``."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING

import pytest

from runner.runs import documents
from support.command_line import ETL, assert_refused, printed_json, run_command, run_url
from support.flows import located
from support.starting import start

if TYPE_CHECKING:
    from pathlib import Path

    from support.places import Place


def test_result_shows_what_a_task_gave(ran: Place) -> None:
    assert run_command({}, "result", run_url(ran), "load-it").stdout == "6\n"
    assert run_command({}, "result", run_url(ran), "Load it").stdout == "6\n"  # by its name, as show has it
    assert run_command({}, "result", run_url(ran), "clean").stdout == "[0, 2, 4]\n"
    assert run_command({}, "result", run_url(ran), "clean[2]").stdout == "4\n"
    assert run_command({}, "result", run_url(ran)).stdout == "None\n"  # the last one, nothing
    assert printed_json(run_command({}, "result", run_url(ran), "clean", "--json")) == [0, 2, 4]
    assert printed_json(run_command(located(ran, ETL), "result", "r", "extract", "--json"))[0]["row"] == 0
    assert_refused(
        run_command({}, "result", run_url(ran), "unkept"), 66, "'unkept'", "extract, clean, load-it, large, nothing"
    )
    assert_refused(run_command({}, "result", run_url(ran), "clean[3]"), 66, "clean[3]")


def test_result_of_a_mapped_task_is_whole_or_names_what_is_missing(here: Place, tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text("""
from runner import Flow, task
@task
def odd(number):
    return {1: 1, 3: 3}[number]
@task
def after(number): ...
with Flow("some") as flow:
    after.map(odd.map([0, 1, 2, 3, 4, 5, 6, 7, 8]))
    task(odd, name="none").map([2])
    task(odd, name="empty").map([])
    task(odd, name="once_more").map([1, 3])
    for _ in range(2):
        task(odd, name="by_two")(1)
""")
    assert start({}, "build", str(tmp_path / "some.py"), "--storage", here.url).code == 0
    assert start(located(here, "some") | {"RUNNER_RUN_ID": "r"}).code == 1
    url = run_url(here, home="some")
    message = "7 of 9 elements have no result: odd[0], odd[2], odd[4], odd[5], odd[6] and 2 more (failed)."
    for options in ([], ["-o", str(tmp_path / "x")]):
        assert_refused(run_command({}, "result", url, "odd", *options), 66, message, "Ask for one element, like odd[1]")
    assert_refused(run_command({}, "result", url, "after"), 66, "after[0], after[2]", "(skipped)")
    assert run_command({}, "result", url, "odd[3]").stdout == "3\n"
    assert_refused(
        run_command({}, "result", url, "odd[4]"), 66, "no result of 'odd[4]', which failed", "Tasks with results: odd, "
    )
    assert_refused(run_command({}, "result", url, "none"), 66, "no result of 'none', which failed")
    assert run_command({}, "result", url, "empty").stdout == "[]\n"
    assert run_command({}, "result", url, "once_more").stdout == "[1, 3]\n"
    assert run_command({}, "result", url, "once_more[1]").stdout == "3\n"
    assert_refused(run_command({}, "result", url, "by_two"), 66, "no result of 'by_two'", "by-two, by-two-2")


def test_result_copies_without_unpickling(ran: Place, tmp_path: Path) -> None:
    done = run_command({}, "result", run_url(ran), "large", "-o", "copy.pkl", cwd=tmp_path)
    assert done.stdout == "copy.pkl: 3.0 MB, verified\n"
    key = f"{ETL}/runs/r/attempts/0001/results/large.pkl"
    assert (tmp_path / "copy.pkl").read_bytes() == ran.read(key)
    document = printed_json(
        run_command({}, "result", run_url(ran), "clean[0]", "-o", str(tmp_path / "one.pkl"), "--json")
    )
    assert (document["task"], document["type"]) == ("clean[0]", "int")
    assert_refused(run_command({}, "result", run_url(ran), "clean", "-o", str(tmp_path / "x")), 2, "mapped", "clean[0]")
    assert_refused(run_command({}, "result", run_url(ran), "large", "-o", "/none/x"), 2, "/none/x cannot be written")
    to_stdout = start({}, "result", run_url(ran), "nothing", "-o", "-", encoding="latin-1")
    assert pickle.loads(to_stdout.stdout.encode("latin-1")) is None


def test_a_result_that_needs_what_is_not_here_is_copied_all_the_same(ran: Place, tmp_path: Path) -> None:
    """A result that cannot be unpickled here is refused as such, and its bytes can still be had."""
    import hashlib

    data = b"\x80\x05\x8c\x0dnot_installed\x8c\x01f\x93."
    digest = hashlib.sha256(data)
    trailer = b"RNR1" + len(data).to_bytes(8, "big") + digest.digest()
    ran.write(f"{ETL}/runs/r/attempts/0001/results/nothing.pkl", data + trailer)
    for name in ("outcome.json", "attempts/0001/end.json"):
        document = json.loads(ran.read(f"{ETL}/runs/r/{name}"))
        document["tasks"][-1]["result"] |= {"size": len(data), "sha256": digest.hexdigest()}
        ran.write(f"{ETL}/runs/r/{name}", documents.encode(document))
    assert_refused(run_command({}, "result", run_url(ran), "nothing"), 76, "not_installed", "runner result -o FILE")
    assert run_command({}, "result", run_url(ran), "nothing", "-o", str(tmp_path / "copy")).code == 0
    assert (tmp_path / "copy").read_bytes() == data + trailer


@pytest.mark.parametrize("position", [5, -44, -40, -1])
def test_a_tampered_result_is_refused_before_it_is_unpickled(ran: Place, tmp_path: Path, position: int) -> None:
    key = f"{ETL}/runs/r/attempts/0001/results/load-it.pkl"
    whole = ran.read(key)
    damaged = bytearray(whole)
    damaged[position] ^= 0x01
    ran.write(key, bytes(damaged))
    assert_refused(
        run_command({}, "result", run_url(ran), "load-it"), 65, "load-it.pkl", "not the one that the outcome lists"
    )
    assert_refused(run_command({}, "result", run_url(ran), "load-it", "-o", str(tmp_path / "copy")), 65, "load-it.pkl")
    assert not (tmp_path / "copy").exists()
    assert not list(tmp_path.glob(".copy*"))


def test_a_result_that_json_cannot_hold_says_so(ran: Place) -> None:
    done = run_command({}, "result", run_url(ran), "large", "--json")
    assert done.code == 2
    assert "-o FILE" in json.loads(done.stdout)["message"]


def test_a_result_is_not_copied_onto_a_folder(ran: Place, tmp_path: Path) -> None:
    assert_refused(run_command({}, "result", run_url(ran), "-o", str(tmp_path)), 2, "is a folder")


@pytest.mark.parametrize("name", ["/dev/fd/1", "/proc/self/fd/1", "/dev/null"])
def test_a_result_takes_the_place_of_no_device(ran: Place, name: str) -> None:
    """Standard output sent to a file is a plain file by that name too, and as root the link to it could be replaced."""
    done = run_command({}, "result", run_url(ran), "-o", name)
    assert_refused(done, 2, "no plain file")
    assert "- for standard output" in done.stderr
