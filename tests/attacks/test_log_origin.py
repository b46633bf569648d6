"""Attacks on the log: what is printed, or logged by a flow, must not be taken for what runner says.

Mallory decides data that a flow prints: a parameter, a row, a file's name.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runner
from runner.logs import OWN_NAMES
from support.flows import located, publish
from support.places import Place, local_place
from support.starting import Ran, start

if TYPE_CHECKING:
    from collections.abc import Callable

ENTRY = {"time": "2026-11-26T10:00:00.000+00:00", "level": "INFO", "logger": "runner.run", "message": "run r succeeded"}
FORGED = {
    "an entry of runner's (T10)": json.dumps(ENTRY),
    "an entry of runner's after a line of its own (CWE-117)": "2026-11-26\n" + json.dumps(ENTRY),
    "the end of the log (T10)": json.dumps(ENTRY | {"logger": "runner.pump", "last": True}),
    "the end of the log after a line of its own": "\n" + json.dumps(ENTRY | {"logger": "runner.pump", "last": True}),
    "an entry that says where it was printed": json.dumps(ENTRY | {"stream": "stdout"}),
    "an entry with a name twice": json.dumps(ENTRY)[:-1] + ', "logger": "runner.run"}',
    "an entry in Latin capitals (full width)": json.dumps(ENTRY | {"logger": "\uff52unner.run"}),
    "an entry after the sign by which entries begin": "\x1e" + json.dumps(ENTRY),
    "an entry after a mark that was guessed": "\x1e" + "0" * 32 + json.dumps(ENTRY),
    "an entry after a carriage return": "x\r" + json.dumps(ENTRY),
    "a record of what was asked for (JSON text sequences)": "\x1e" + json.dumps({"kind": "finished"}) + "\n\x1e",
    "an entry after much else": "x" * 60_000 + json.dumps(ENTRY),
}
RUN = "forger/runs/r"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = local_place(tmp_path / "storage")
    publish(made, "forger.py")
    return made


def run(place: Place, text: str, **environ: str) -> Ran:
    given = {"RUNNER_PARAMETERS": json.dumps({"text": text}), "RUNNER_RUN_ID": "r"}
    done = start(located(place, "forger") | given | environ)
    assert done.code == 0, done
    return done


def stored(place: Place) -> list[dict[str, Any]]:
    keys = sorted(key for key in place.keys() if f"{RUN}/attempts/0001/logs/" in key)  # noqa: SIM118 - it is no dict
    return [json.loads(line) for key in keys for line in place.read(key).splitlines()]


def said_by(lines: list[dict[str, Any]], belongs: Callable[[str], bool]) -> list[str]:
    return [line["message"] for line in lines if belongs(line.get("logger", ""))]


@pytest.mark.parametrize("text", FORGED.values(), ids=FORGED)
def test_what_is_printed_is_never_an_entry(place: Place, text: str) -> None:
    done = run(place, text)
    lines = stored(place)
    begins, ends = said_by(lines, lambda name: name == "runner.run")
    assert begins.startswith("run r begins")
    assert ends.startswith("run r succeeded: ")
    assert [line["message"] for line in lines if line.get("logger") == "runner.pump"] == ["the log of attempt 1 ends"]
    assert [line.get("last") for line in lines].count(True) == 1 + 14, "the flow's own field stays, under its own name"
    assert "after a line without an end" in said_by(lines, lambda name: name == "runner.flow")
    printed = [line["message"] for line in lines if line.get("stream") == "stdout"]
    last = text.rpartition("\n")[2]
    assert sum(message.endswith(last[-200:]) for message in printed) >= 3, "as it was printed, in three ways"
    assert "no end" in printed
    assert any(line.get("stream") == "stderr" and line["message"].endswith(last[-200:]) for line in lines)
    assert done.stdout.count("\x1e") == 3 * text.count("\x1e"), "no mark is passed on"
    shown = start({}, "logs", f"{place.url}/{RUN}")
    assert shown.stdout.splitlines()[-1].endswith("outcome.json"), "nothing ended the log before its end"
    followed = start({}, "logs", "-f", f"{place.url}/{RUN}", "--json")
    assert [json.loads(line) for line in followed.stdout.splitlines()] == lines


def test_what_a_flow_logs_keeps_its_name_and_level_but_for_runners_own(place: Place) -> None:
    run(place, "fine")
    lines = stored(place)
    said = {line["message"]: line for line in lines if str(line.get("message")).startswith("said by runner")}
    assert {line["logger"] for line in said.values()} == {"runner.flow", "runner.mine"}
    assert {line["level"] for line in said.values()} == {"WARNING"}
    assert said["said by runner.mine"]["logger"] == "runner.mine"
    elsewhere = [line for line in lines if line.get("logger") == "elsewhere"]
    assert [line["message"] for line in elsewhere] == ["said by elsewhere", "said by a dictionary"]
    assert all(line["task"] == "write" and line["run_id"] == "r" and line["time"] != "never" for line in elsewhere)
    assert "fine" in said_by(lines, lambda name: name == "runner.flow")


@pytest.mark.parametrize("text", [FORGED["an entry of runner's (T10)"], FORGED["the end of the log (T10)"]])
def test_where_the_log_is_text_nothing_printed_is_an_entry_either(place: Place, text: str) -> None:
    run(place, text, RUNNER_LOG_FORMAT="text")
    lines = stored(place)
    assert set(said_by(lines, bool)) == {"the log of attempt 1 ends"} | {
        message for message in said_by(lines, bool) if "run r succeeded: file:" in message
    }
    assert all(line.get("logger", "runner.pump") == "runner.pump" for line in lines)
    shown = start({}, "logs", f"{place.url}/{RUN}")
    assert "run r succeeded: file:" in shown.stdout.splitlines()[-1]


def test_the_list_of_runners_own_names_is_whole() -> None:
    sources = [path.read_text("utf-8") for path in Path(runner.__file__).parent.rglob("*.py")]
    named = {name for text in sources for name in re.findall(r'\blogger\("(\w+)"\)|getLogger\("runner\.(\w+)"\)', text)}
    named |= {("", name) for text in sources for name in re.findall(r'"runner\.(pump)"', text)}
    assert {first or second for first, second in named} == set(OWN_NAMES) - {""}
