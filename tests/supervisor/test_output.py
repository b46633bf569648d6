"""What is passed on and kept of what processes write."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from runner.secrets import redaction
from runner.supervisor import backlog, output
from runner.supervisor.backlog import LogBuffer
from runner.supervisor.output import OutputReader, new_mark

if TYPE_CHECKING:
    from pathlib import Path

MARK = new_mark()


def passed_on(pieces: list[bytes], path: Path, buffer: LogBuffer) -> bytes:
    """Read pieces, each written by itself, into a file, and give what came through."""
    reader, writer = os.pipe()
    with path.open("wb") as file:
        made = OutputReader({reader: (file.fileno(), "stdout")}, buffer, MARK)
        made.start()
        for piece in pieces:
            os.write(writer, piece)
        os.close(writer)
        made.join(10)
        made.finish()
    assert not made.is_alive()
    return path.read_bytes()


def lines(buffer: LogBuffer) -> list[dict[str, object]]:
    found = []
    while data := buffer.take():
        found += [json.loads(line) for line in data.splitlines()]
    return found


def test_bytes_are_passed_on_as_they_are_and_kept_as_lines(tmp_path: Path) -> None:
    buffer = LogBuffer()
    logged = b'{"time": "t", "level": "INFO", "logger": "l", "message": "m"}'
    pieces = [b"one\ntw", b"o\r\n" + MARK + logged + b'\n{"level": "INFO"}\n[1]\n\xff\0\n', b"the end"]
    assert passed_on(pieces, tmp_path / "out", buffer) == b"".join(pieces).replace(MARK, b"")
    kept = lines(buffer)
    assert kept[2] == json.loads(logged)
    reported = [line.get("message") for line in kept]
    assert reported == ["one", "two", "m", '{"level": "INFO"}', "[1]", "\\xff\0", "the end"]
    assert {line.get("stream") for line in kept} == {"stdout", None}


@pytest.mark.parametrize("size", [1, 5, 33, 34, 1000])
def test_only_what_comes_with_the_mark_is_a_line_of_the_log(tmp_path: Path, size: int) -> None:
    buffer = LogBuffer()
    logged = b'{"time": "t", "level": "INFO", "logger": "l", "message": "m"}'
    other = b"\x1e" + b"0" * (len(MARK) - 1)
    printed = logged + b"\nno end" + MARK + logged + b"\n" + MARK + b"no json\n" + other + logged + b"\n\x1e" + MARK[:9]
    pieces = [printed[start : start + size] for start in range(0, len(printed), size)]
    assert passed_on(pieces, tmp_path / "out", buffer) == printed.replace(MARK, b"")
    kept = lines(buffer)
    assert [line["message"] for line in kept] == [
        logged.decode(), "no end", "m", "no json", (other + logged).decode(), (b"\x1e" + MARK[:9]).decode(),
    ]  # fmt: skip
    assert ["stream" in line for line in kept] == [True, True, False, True, True, True]


@pytest.mark.parametrize("before", range(output.LONGEST - 40, output.LONGEST + 3, 6))
def test_no_mark_is_cut_in_two(tmp_path: Path, before: int) -> None:
    buffer = LogBuffer()
    logged = b'{"time": "t", "level": "INFO", "logger": "l", "message": "m"}'
    data = b"x" * before + MARK + logged + b"\n"
    assert passed_on([data], tmp_path / "out", buffer) == data.replace(MARK, b"")
    *printed, entry = lines(buffer)
    assert "".join(str(line["message"]) for line in printed) == "x" * before
    assert entry == json.loads(logged)


def test_a_line_without_end_is_kept_in_pieces(tmp_path: Path) -> None:
    buffer = LogBuffer()
    long = b"x" * (2 * output.LONGEST + 5)
    assert passed_on([long[:50_000], long[50_000:], b"\n"], tmp_path / "out", buffer) == long + b"\n"
    kept = lines(buffer)
    assert [line.get("cut") for line in kept] == [True, True, None]
    assert "".join(str(line["message"]) for line in kept) == long.decode()


def test_json_nested_too_deep_is_a_line_like_any_other(tmp_path: Path) -> None:
    buffer = LogBuffer()
    deep = b'{"a": ' + b"[" * 20_000
    passed_on([deep + b"\n"], tmp_path / "out", buffer)
    assert lines(buffer)[0]["message"] == deep.decode()


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_secret_is_taken_out_wherever_the_pieces_end(tmp_path: Path, size: int) -> None:
    redaction.mask("hunter2-hunter2")
    redaction.mask("hunter")
    redaction.mask("-ab-ab")
    buffer = LogBuffer()
    text = b"a hunter2-hunter2 b\nhunter2-huntre\n-ab-ab-ab\nhunt"
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    shown = passed_on(pieces, tmp_path / "out", buffer)
    assert shown == b"a *** b\n***2-huntre\n***-ab\nhunt"
    assert [line["message"] for line in lines(buffer)] == shown.decode().splitlines()


def test_where_nobody_reads_any_more_lines_are_kept_all_the_same() -> None:
    buffer = LogBuffer()
    reader, writer = os.pipe()
    gone, target = os.pipe()
    os.close(gone)
    made = OutputReader({reader: (target, "stderr")}, buffer, MARK)
    made.start()
    os.write(writer, b"one\n")
    os.write(writer, b"two\n")
    os.close(writer)
    made.join(10)
    assert [line["message"] for line in lines(buffer)] == ["one", "two"]


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
    assert output._write(writer, data)
    thread.join(10)
    assert bytes(got) == data


def test_a_full_backlog_makes_writers_wait_for_whoever_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "LIMIT", 100)
    buffer = LogBuffer()
    buffer.set_shipping(works=True)

    def write() -> None:
        for number in range(200):
            buffer.add(b"%03d" % number)

    writer = threading.Thread(target=write)
    writer.start()
    taken = b""
    while writer.is_alive() or not taken.endswith(b"199\n"):
        taken += buffer.take()
    writer.join(10)
    assert taken.split() == [b"%03d" % number for number in range(200)]


def test_what_cannot_be_shipped_is_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "LIMIT", 10)
    buffer = LogBuffer()  # nobody ships
    for _ in range(5):
        buffer.add(b'"five"')
    while buffer.take():
        pass
    buffer.add(b'"six"')
    reported, six = (buffer.take() + buffer.take()).splitlines()
    assert json.loads(reported)["message"].startswith("3 lines are missing here")
    assert six == b'"six"'


def test_a_closed_backlog_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "LIMIT", 10)
    buffer = LogBuffer()
    buffer.set_shipping(works=True)

    def write() -> None:
        for _ in range(9):
            buffer.add(b"12345678")

    writer = threading.Thread(target=write)
    writer.start()
    buffer.close()
    writer.join(10)
    assert not writer.is_alive()
    assert not buffer.wait(10)
