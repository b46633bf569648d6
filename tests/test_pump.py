"""What is passed on and kept of what processes write."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from runner import pump, redact
from runner.pump import Backlog, Pump

if TYPE_CHECKING:
    from pathlib import Path


def pumped(pieces: list[bytes], path: Path, backlog: Backlog) -> bytes:
    """Pump pieces, each written by itself, into a file, and give what came through."""
    reader, writer = os.pipe()
    with path.open("wb") as file:
        made = Pump({reader: (file.fileno(), "stdout")}, backlog)
        made.start()
        for piece in pieces:
            os.write(writer, piece)
        os.close(writer)
        made.join(10)
        made.finish()
    assert not made.is_alive()
    return path.read_bytes()


def lines(backlog: Backlog) -> list[dict[str, object]]:
    found = []
    while data := backlog.take():
        found += [json.loads(line) for line in data.splitlines()]
    return found


def test_bytes_are_passed_on_as_they_are_and_kept_as_lines(tmp_path: Path) -> None:
    backlog = Backlog()
    logged = b'{"time": "t", "level": "INFO", "logger": "l", "message": "m"}'
    pieces = [b"one\ntw", b"o\r\n" + logged + b'\n{"level": "INFO"}\n[1]\n\xff\0\n', b"the end"]
    assert pumped(pieces, tmp_path / "out", backlog) == b"".join(pieces)
    kept = lines(backlog)
    assert kept[2] == json.loads(logged)
    told = [line.get("message") for line in kept]
    assert told == ["one", "two", "m", '{"level": "INFO"}', "[1]", "\\xff\0", "the end"]
    assert {line.get("stream") for line in kept} == {"stdout", None}


def test_a_line_without_end_is_kept_in_pieces(tmp_path: Path) -> None:
    backlog = Backlog()
    long = b"x" * (2 * pump.LONGEST + 5)
    assert pumped([long[:50_000], long[50_000:], b"\n"], tmp_path / "out", backlog) == long + b"\n"
    kept = lines(backlog)
    assert [line.get("cut") for line in kept] == [True, True, None]
    assert "".join(str(line["message"]) for line in kept) == long.decode()


def test_json_nested_too_deep_is_a_line_like_any_other(tmp_path: Path) -> None:
    backlog = Backlog()
    deep = b'{"a": ' + b"[" * 20_000
    pumped([deep + b"\n"], tmp_path / "out", backlog)
    assert lines(backlog)[0]["message"] == deep.decode()


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_secret_is_taken_out_wherever_the_pieces_end(tmp_path: Path, size: int) -> None:
    redact.hide("hunter2-hunter2")
    redact.hide("hunter")
    redact.hide("-ab-ab")
    backlog = Backlog()
    text = b"a hunter2-hunter2 b\nhunter2-huntre\n-ab-ab-ab\nhunt"
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    shown = pumped(pieces, tmp_path / "out", backlog)
    assert shown == b"a *** b\n***2-huntre\n***-ab\nhunt"
    assert [line["message"] for line in lines(backlog)] == shown.decode().splitlines()


def test_where_nobody_reads_any_more_lines_are_kept_all_the_same() -> None:
    backlog = Backlog()
    reader, writer = os.pipe()
    gone, target = os.pipe()
    os.close(gone)
    made = Pump({reader: (target, "stderr")}, backlog)
    made.start()
    os.write(writer, b"one\n")
    os.write(writer, b"two\n")
    os.close(writer)
    made.join(10)
    assert [line["message"] for line in lines(backlog)] == ["one", "two"]


def test_a_target_that_does_not_wait_gets_everything() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data = os.urandom(300_000)
    got = bytearray()

    def read() -> None:
        while len(got) < len(data):
            got.extend(os.read(reader, 1000))

    thread = threading.Thread(target=read)
    thread.start()
    assert pump._write(writer, data)
    thread.join(10)
    assert bytes(got) == data


def test_a_full_backlog_makes_writers_wait_for_whoever_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "LIMIT", 100)
    backlog = Backlog()
    backlog.ship(works=True)

    def write() -> None:
        for number in range(200):
            backlog.add(b"%03d" % number)

    writer = threading.Thread(target=write)
    writer.start()
    taken = b""
    while writer.is_alive() or not taken.endswith(b"199\n"):
        taken += backlog.take()
    writer.join(10)
    assert taken.split() == [b"%03d" % number for number in range(200)]


def test_what_cannot_be_shipped_is_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "LIMIT", 10)
    backlog = Backlog()  # nobody ships
    for _ in range(5):
        backlog.add(b'"five"')
    while backlog.take():
        pass
    backlog.add(b'"six"')
    told, six = (backlog.take() + backlog.take()).splitlines()
    assert json.loads(told)["message"].startswith("3 lines are missing here")
    assert six == b'"six"'


def test_a_closed_backlog_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "LIMIT", 10)
    backlog = Backlog()
    backlog.ship(works=True)

    def write() -> None:
        for _ in range(9):
            backlog.add(b"12345678")

    writer = threading.Thread(target=write)
    writer.start()
    backlog.close()
    writer.join(10)
    assert not writer.is_alive()
    assert not backlog.wait(10)
