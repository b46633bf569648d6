"""When the flow is over, what it left is done as where Python ends: its threads, ``atexit``, its open files."""

from __future__ import annotations

import gzip
import json
import shelve
import signal
import zipfile
from typing import TYPE_CHECKING

import pytest

from support.authors import Author
from support.process_runs import begin, wait_for

if TYPE_CHECKING:
    from pathlib import Path

IMPORTS = "import atexit, gzip, logging, os, signal, sys, threading, time"
REGISTERED = """
def flush():
    logging.getLogger("exporter").warning("flushed")
    print("and printed")

def fail():
    raise OSError("no collector")

if "AT_HOME" not in os.environ:
    atexit.register(flush)
    atexit.register(fail)
"""
FOR_EVER = "threading.Thread(target=threading.Event().wait, name='for ever', daemon=False).start()"


@pytest.fixture
def author(tmp_path: Path) -> Author:
    return Author(tmp_path, tmp_path / "storage")


@pytest.mark.parametrize(("last", "code"), [("return 1", 0), ("raise ValueError('no such day')", 1)])
def test_exit_functions_are_called_and_their_lines_are_in_the_log(author: Author, last: str, code: int) -> None:
    author.write({"flow.py": author.flow(IMPORTS + REGISTERED, last)})
    ran = author.run(author.publish(AT_HOME="1"), RUNNER_RUN_ID="r")
    assert ran.code == code, ran
    assert "OSError: no collector" in ran.stderr
    shipped = "".join(path.read_text() for path in sorted(author.root.glob("etl/runs/r/attempts/0001/logs/*.jsonl")))
    messages = [json.loads(line)["message"] for line in shipped.splitlines()]
    assert {"flushed", "and printed", "OSError: no collector"} <= set(messages)


def test_they_are_called_too_where_the_file_cannot_be_imported(author: Author) -> None:
    late = f"{IMPORTS}{REGISTERED}if 'AT_HOME' not in os.environ:\n    raise OSError('no service')"
    author.write({"flow.py": author.flow(late, "return 1", options="check=False")})
    ran = author.run(author.publish(AT_HOME="1"))
    assert ran.code == 1, ran
    assert "and printed" in ran.stdout


def test_threads_that_are_no_daemons_are_waited_for(author: Author, tmp_path: Path) -> None:
    written = tmp_path / "written"
    work = f"(time.sleep(0.5), open({str(written)!r}, 'w').write('all'))"
    thread = f"threading.Thread(target=lambda: {work}, daemon=False)"
    author.write({"flow.py": author.flow(IMPORTS, f"{thread}.start()", "return 1")})
    url = author.publish()
    author.at_home()
    at_home = written.read_text()
    written.unlink()
    author.answer(url)
    assert written.read_text() == at_home == "all"


def test_files_that_were_never_closed_are_written(author: Author, tmp_path: Path) -> None:
    body = [
        f"held['text'] = open({str(tmp_path / 'text')!r}, 'w')",
        f"held['bytes'] = open({str(tmp_path / 'bytes')!r}, 'wb')",
        f"held['packed'] = gzip.open({str(tmp_path / 'packed')!r}, 'wt')",
        "for file in held.values():",
        "    file.write(b'all' if file is held['bytes'] else 'all')",
    ]
    author.write({"flow.py": author.flow(f"{IMPORTS}\nheld = {{}}", *body)})
    author.answer(author.publish())
    assert ((tmp_path / "text").read_text(), (tmp_path / "bytes").read_bytes()) == ("all", b"all")
    assert gzip.decompress((tmp_path / "packed").read_bytes()) == b"all"


def test_so_are_archives_and_shelves(author: Author, tmp_path: Path) -> None:
    lines = f"""import shelve, zipfile
archive = zipfile.ZipFile({str(tmp_path / "a.zip")!r}, 'w')
shelf = shelve.open({str(tmp_path / "shelf")!r}, writeback=True)
"""
    author.write({"flow.py": author.flow(lines, "archive.writestr('a.txt', 'all')", "shelf['list'] = ['all']")})
    url = author.publish("-m", "runner", "build", "flow.py", "--storage", str(author.root))
    author.answer(url)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, shelve.open(str(tmp_path / "shelf")) as shelf:
        assert (archive.read("a.txt"), shelf["list"]) == (b"all", ["all"])


def test_what_never_ends_is_killed_in_time_and_told_and_the_outcome_stands(author: Author) -> None:
    author.write({"flow.py": author.flow(IMPORTS, FOR_EVER, "return 1")})
    ran = author.run(author.publish(), RUNNER_RUN_ID="r", RUNNER_TIMEOUT="2", RUNNER_GRACE="0.5")
    assert ran.code == 0, ran
    assert [line for line in ran.lines if "waited for" in line["message"] and "for ever" in line["message"]]
    assert "did not end and were killed" in ran.lines[-1]["message"]
    assert json.loads((author.root / "etl/runs/r/outcome.json").read_text())["state"] == "succeeded"


@pytest.mark.parametrize(
    ("grace", "signals"),
    [("0.5", [signal.SIGTERM]), ("60", [signal.SIGTERM, signal.SIGHUP])],
    ids=["after the grace", "asked twice"],
)
def test_a_signal_ends_what_never_ends(
    author: Author, tmp_path: Path, grace: str, signals: list[signal.Signals]
) -> None:
    marker = tmp_path / "marker"
    registered = f"atexit.register(lambda: (open({str(marker)!r}, 'w').write('x'), threading.Event().wait()))"
    author.write({"flow.py": author.flow(IMPORTS, registered, "return 1")})
    process = begin({"RUNNER_LOCATION": author.publish(), "RUNNER_GRACE": grace})
    wait_for(marker, process)
    for number in signals:
        process.send_signal(number)
    stdout, _ = process.communicate()
    assert process.returncode == 0
    assert "did not end and were killed" in json.loads(stdout.splitlines()[-1])["message"]
