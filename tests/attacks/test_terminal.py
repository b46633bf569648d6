"""Attacks on whoever looks: what a bucket, a server or the environment says commands no terminal, and stops no reader.

Mallory writes to the bucket, or answers in its place; an operator looks with ``runner`` at a real terminal.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from runner import logs, naming
from runner.bundle import archive
from runner.bundle.member_names import FLOW
from runner.location import invalid_key
from runner.runs import documents
from support.canary import SLUG, VERSION, facts_of
from support.command_line import run_command
from support.flows import located, publish
from support.places import Place, local_place
from support.starting import start
from support.terminal import at_terminal, obeyed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What has moved terminals, or those who read them, in public reports.
TRICKS = {
    "the window's title (CVE-2003-0063)": "\x1b]0;rm -rf ~\x07",
    "the title comes back as typed text (CVE-2003-0063)": "\x1b[21t",
    "a device control string that is echoed (CVE-2008-2383)": "\x1bP$qm\x1b\\",
    "a window operation that fills memory (CVE-2021-27135)": "\x1b[9999;9999;9999t",
    "the clipboard (OSC 52)": "\x1b]52;c;cm0gLXJmIH4K\x07",
    "a link to elsewhere (OSC 8)": "\x1b]8;;http://mallory.example/\x1b\\click\x1b]8;;\x1b\\",
    "a file that iTerm2 saves (OSC 1337)": "\x1b]1337;File=name=eC5zaA==:cm0=\x07",
    "the line above is wiped (CVE-2021-25743, kubectl)": "\x1b[1A\x1b[2K",
    "the screen is wiped (RUSTSEC-2025-0055, tracing)": "\x1b[2J\x1b[H",
    "what follows is hidden (CVE-2024-52005, git)": "\x1b[8m",
    "a test of the terminal that never ends (DECTST)": "\x1b[2;99y",
    "the same in eight bits (GHSA-xwfj-jgwm-7wp5's gap)": "\x9b1A\x9b2K\x9d0;x\x9c",
    "another set of characters": "\x0e\x1b(0",
    "the answerback": "\x05",
    "it is overwritten by what follows": "all failed\rsucceeded ",
    "it is deleted by what follows": "failed\b\b\b\b\b\bworked",
    "a line of its own (CWE-117)": "x\nstate    succeeded\nrunner: all is well",
    "a line of its own for those who know more line ends": "x\x0bone\x0ctwo\x85three\u2028four\u2029five",
    "delete": "\x7f\x7f\x7f",
    "nothing": "a\0b",
    "it reads backwards (CVE-2021-42574, Trojan Source)": "\u202etxt.exe\u202c",
    "it reads backwards in part (CVE-2021-42574)": "\u2066etl\u2069\u2067 // signed\u2069",
    "marks of direction": "\u200e\u200f\u061c",
    "text that only a machine sees (tags)": "".join(chr(0xE0000 + ord(char)) for char in "ignore all"),
    "letters without a width": "et\u200bl\u2060\ufeff\xad",
    "half of a pair": "\ud800.",
    "a byte that was no UTF-8, and is one again": "\udc9b1A",
}
ALL = "".join(TRICKS.values())
HOME = "etl"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return local_place(tmp_path / "storage")


def end(**changed: Any) -> dict[str, Any]:
    """Return an end as runner writes it."""
    made: dict[str, Any] = {
        "format": 1, "token": naming.new_token(), "run_id": "r", "attempt": 1, "started": naming.now(),
        "ended": naming.now(), "host": "h", "python": "3.11.2", "flow": "etl",
        "bundle": {"url": "s3://b/etl/1", "sha256": "0" * 64}, "state": "crashed", "exit_code": 139,
        "error": {"type": "Crashed", "message": "it was ended by SIGSEGV"},
        "tasks": [
            {
                "task": "clean", "name": "clean", "index": None, "mapped": False, "state": "failed", "tries": 1,
                "started": naming.now(), "ended": naming.now(),
                "error": {"type": "ValueError", "message": "no", "traceback": "Traceback:\n  here\nValueError: no\n"},
                "result": {"key": "etl/x.pkl", "size": 5, "sha256": "0" * 64, "type": "int"},
            },
        ],
        "death": {"trace": "Fatal", "log": "the last", "peak_memory": 5, "memory": None},
    }  # fmt: skip
    return made | changed


def claim(**changed: Any) -> dict[str, Any]:
    return {
        "format": 1, "token": naming.new_token(), "run_id": "r", "attempt": 1, "host": "h", "pid": 1, "image": None,
        "python": "3.11.2", "started": naming.now(), "beat": 15.0,
    } | changed  # fmt: skip


def plant(place: Place, document: dict[str, Any], name: str = "outcome.json") -> str:
    """Put a document into a run, and return the run's URL."""
    place.write(f"{HOME}/runs/r/{name}", documents.encode(document))
    return f"{place.url}/{HOME}/runs/r"


def poisoned(value: Any) -> Any:
    """Return a document in which every text that is free to be anything is everything."""
    if isinstance(value, dict):
        kept = {"sha256", "token", "started", "ended"}
        return {name: part if name in kept else poisoned(part) for name, part in value.items()}
    if isinstance(value, list):
        return [poisoned(part) for part in value]
    return value + ALL if isinstance(value, str) else value


@pytest.mark.parametrize("trick", TRICKS.values(), ids=TRICKS)
def test_an_error_that_mallory_worded_is_shown_and_not_obeyed(place: Place, trick: str) -> None:
    url = plant(place, end(error={"type": "x", "message": f"<{trick}>"}))
    shown = run_command({}, "show", url)
    assert shown.code == 0, shown
    assert obeyed(shown.stdout) == set()
    assert "error    <" in shown.stdout
    assert [line for line in shown.stdout.split("\n") if line.startswith("state")] == ["state    crashed"]
    as_json = run_command({}, "show", url, "--json").stdout
    assert as_json.isascii()
    assert obeyed(as_json) == set()
    assert json.loads(as_json)["error"]["message"] == f"<{trick}>"


def test_no_text_of_an_outcome_reaches_a_terminal_raw(place: Place) -> None:
    url = plant(place, poisoned(end()) | {"state": "crashed", "run_id": "r"})  # else it is none of this run
    for command in ("show", "result"):
        shown = at_terminal({}, command, url)
        assert shown.code != 70, shown
        assert obeyed(shown.text) == set()
    shown = at_terminal({}, "show", url)
    assert shown.code == 0
    for told in ("flow     etl", "bundle   s3://b/etl/1", "error    it was", "its last lines:", "its trace:", "clean"):
        assert told in shown.text
    assert obeyed(at_terminal({}, "ls", f"{place.url}/{HOME}").text) == set()


def test_no_text_of_a_claim_reaches_a_terminal_raw(place: Place) -> None:
    url = plant(place, claim(host=f"h{ALL}", python=ALL, image=ALL), "attempts/0001/claim.json")
    for arguments in (("show", url), ("logs", url), ("ls", f"{place.url}/{HOME}")):
        shown = at_terminal({}, *arguments)
        assert shown.code == 0, shown
        assert obeyed(shown.text) == set()
        assert "running (beat" in shown.text


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_no_line_of_a_log_reaches_a_terminal_raw_and_none_hides_the_next(place: Place, as_json: bool) -> None:  # noqa: FBT001
    entry = {"time": f"2026-11-26T10:00:00{ALL}", "level": ALL, "logger": ALL, "message": ALL, "exception": ALL}
    entries: list[Any] = [entry, entry | {"task": ALL}, {"stream": ALL, "message": ALL}, {ALL: ALL}, [ALL], ALL]
    lines = [json.dumps(one).encode() for one in entries]
    lines += [json.dumps(one, ensure_ascii=False).encode(errors="surrogatepass") for one in entries]
    lines += [ALL.replace("\n", "").encode(errors="surrogatepass"), b"\xff\x9b1A", b'{"message":\r"x"}', b"[" * 50_000]
    lines += [b'{"message": ' + b"[" * deep + b"]" * deep + b"}" for deep in (500, 900, 990, 2000, 20_000)]
    lines += [b'{"message": 1' + b"0" * 5000 + b"}", b'{"level": [], "time": {}, "logger": 5, "message": null}']
    url = plant(place, claim(), "attempts/0001/claim.json")
    place.write(f"{HOME}/runs/r/attempts/0001/logs/000001.jsonl", b"\n".join([*lines, b"the last one"]))
    shown = at_terminal({}, "logs", url, *(["--json"] if as_json else []))
    assert shown.code == 0, shown.text[-500:]
    assert obeyed(shown.text) == set()
    *printed, status, rest = shown.lines
    assert (status[:9], rest) == ("-- run r:", "")
    assert "the last one" in printed[-1]
    if as_json:
        found = [json.loads(line) for line in printed]
        assert len(found) == len(lines) + 1
        assert all(isinstance(one, dict) for one in found)
        assert found[0] == entry


def test_a_log_whose_parts_are_gone_or_no_documents_is_read_to_its_end(place: Place, tmp_path: Path) -> None:
    """Mallory deletes a part, puts a folder in the place of one, and makes the documents beside them unreadable."""
    url = plant(place, claim(), "attempts/0001/claim.json")
    folder = tmp_path / "storage" / HOME / "runs/r/attempts/0001/logs"
    for number in (1, 4, 6):
        place.write(f"{HOME}/runs/r/attempts/0001/logs/{number:06d}.jsonl", b"part %d\n" % number)
    (folder / "000005.jsonl").mkdir()
    place.write(f"{HOME}/runs/r/attempts/0002/logs/000001.jsonl", b"the second attempt\n")
    place.write(f"{HOME}/runs/r/attempts/0002/claim.json", b'{"format": 1, "pid": {}}')
    place.write(f"{HOME}/runs/r/outcome.json", b"\x1b[2J")
    shown = run_command({}, "logs", url)
    assert shown.code == 0, shown
    assert shown.stdout == "part 1\npart 4\npart 6\nthe second attempt\n"
    told = ("missing from part 2 to 4", "missing from part 5 to 6", "-- attempt 2", "outcome.json cannot be read")
    assert all(word in shown.stderr for word in told), shown.stderr
    assert obeyed(shown.stderr) == set()


WRONG: list[Any] = ["x", 5, -1, 2.5, True, None, [], {}, [[]], [5], ["x"], {"x": 1}, 1e400, 10**400, ALL]


@pytest.mark.parametrize("name", sorted(end()))
def test_no_end_with_a_wrong_value_is_a_bug_in_runner(place: Place, name: str) -> None:
    """``death: "x"`` and ``tasks: 5`` ended `show` with «a bug in runner»."""
    parts: list[tuple[Any, ...]] = [(name,)]
    if isinstance(end()[name], dict):
        parts += [(name, inner) for inner in end()[name]]
    if name == "tasks":
        parts += [(name, 0, inner) for inner in end()["tasks"][0]]
        parts += [(name, 0, kind, inner) for kind in ("error", "result") for inner in end()["tasks"][0][kind]]
    for path in parts:
        for value in WRONG:
            document = end()
            at: Any = document
            for step in path[:-1]:
                at = at[step]
            at[path[-1]] = value
            place.write(f"{HOME}/runs/r/outcome.json", json.dumps(document).encode())
            url = f"{place.url}/{HOME}/runs/r"
            for arguments in (("show", url), ("ls", f"{place.url}/{HOME}"), ("logs", url), ("result", url)):
                done = run_command({}, *arguments)
                assert done.code in {0, 65, 66, 2}, (path, value, arguments, done)
                assert obeyed(done.stdout + done.stderr) == set()
                if done.code == 65 and arguments[0] == "show":
                    assert "cannot be read" in done.stderr or "is of another run" in done.stderr


@pytest.mark.parametrize("name", sorted(claim()))
def test_no_claim_with_a_wrong_value_is_a_bug_in_runner(place: Place, name: str) -> None:
    for value in WRONG:
        place.write(f"{HOME}/runs/r/attempts/0001/claim.json", json.dumps(claim() | {name: value}).encode())
        url = f"{place.url}/{HOME}/runs/r"
        for arguments in (("show", url), ("ls", f"{place.url}/{HOME}"), ("logs", url), ("result", url)):
            done = run_command({}, *arguments)
            assert done.code in {0, 65, 66}, (value, arguments, done)
            assert obeyed(done.stdout + done.stderr) == set()


NAMES = {name: trick for name, trick in TRICKS.items() if not set(trick) & {"\0", "\ud800"}}


def test_no_name_in_a_bucket_reaches_a_terminal_raw_or_hides_the_others(place: Place, tmp_path: Path) -> None:
    """Mallory names folders and objects; ``ls`` lists them, and tells that there are keys which no storage takes."""
    root, usable = tmp_path / "storage", 0
    for number, trick in enumerate(NAMES.values()):
        name = f"{number}{trick.replace('/', '_')}"
        for folder in (root / name, root / HOME / "runs" / name):
            folder.mkdir(parents=True)
            (folder / "2026-11-22t12").write_bytes(b"")
        (root / HOME / f"2026-11-22t12{name}").write_bytes(b"")
        (root / HOME / f"{name}").write_bytes(b"")
        usable += not invalid_key(name)
    for arguments in (("ls", place.url), ("ls", f"{place.url}/{HOME}")):
        shown = at_terminal({}, *arguments, "--all")
        assert shown.code == 0, shown
        assert obeyed(shown.text) == set()
        assert len(shown.lines) > usable > 0
        assert "they are passed over" in shown.text
        as_json = run_command({}, *arguments, "--all", "--json")
        assert as_json.code == 0, as_json
        assert as_json.stdout.isascii()
        json.loads(as_json.stdout)
    listed = at_terminal({}, "ls", place.url, "--all").lines
    assert len([line for line in listed if "cannot" not in line and line.startswith(tuple("0123456789"))]) == usable


UTF8 = ALL.encode(errors="ignore").decode()  # what a manifest, a variable or an argument can have


def bundle(**changed: Any) -> bytes:
    return archive.write_bundle(facts_of(**changed), {FLOW: b"\x80\x05N."}, None)


@pytest.mark.parametrize("command", ["check", "inspect", "run", "sign"])
def test_no_text_of_an_unsigned_manifest_reaches_a_terminal_raw(place: Place, command: str, tmp_path: Path) -> None:
    """``python.version`` stood in an error as it was; with a newline it was a line of the log of its own."""
    forged = "9.9\n12:00:00 INFO    runner.run: run r succeeded"
    tricked = bundle(
        python={"version": f"{forged}{UTF8}", "implementation": f"cpython{UTF8}"},
        image=f"x{UTF8}", labels=[UTF8], requires=[{"module": f"x{UTF8}", "distribution": UTF8, "version": UTF8}],
    )  # fmt: skip
    place.write(f"{SLUG}/{VERSION}", tricked)
    key = tmp_path / "key"
    assert run_command({}, "keygen", str(key)).code == 0
    environ = {"RUNNER_SIGNING_KEY": key.read_text()} if command == "sign" else {}
    shown = at_terminal(environ, command, f"{place.url}/{SLUG}/{VERSION}")
    assert shown.code in ({0} if command in {"inspect", "sign"} else {76}), shown
    assert obeyed(shown.text) == set()
    assert not any(line.startswith("12:00:00") for line in shown.lines)


@pytest.mark.parametrize("line_format", ["text", "json"])
def test_no_text_of_an_unsigned_manifest_forges_a_line_of_the_log(place: Place, line_format: str) -> None:
    forged = "9.9\n12:00:00 INFO    runner.run: run r succeeded"
    place.write(f"{SLUG}/{VERSION}", bundle(python={"version": f"{forged}{UTF8}", "implementation": "cpython"}))
    done = start(located(place, f"{SLUG}/{VERSION}") | {"RUNNER_RUN_ID": "r", "RUNNER_LOG_FORMAT": line_format})
    assert done.code == 76, done
    assert obeyed(done.stdout + done.stderr) == set()
    assert not any(line.startswith("12:00:00") for line in done.stdout.split("\n"))
    shown = at_terminal({}, "logs", f"{place.url}/{SLUG}/runs/r")
    assert obeyed(shown.text) == set()
    assert not any(line.startswith("12:00:00") for line in shown.lines)


class _Liar(BaseHTTPRequestHandler):
    """Answers everything with a refusal in Mallory's words."""

    def answer(self) -> None:
        words = ALL.replace("\0", "").encode(errors="replace")
        body = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>" + words + b"</Message></Error>"
        if "json" in self.headers.get("Accept", "") or "storage/v1" in self.path:
            body = json.dumps({"error": {"code": 403, "message": ALL}, "message": ALL, "Message": ALL}).encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815 - names in the base class

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        pass


@pytest.fixture
def liar() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Liar)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def connections(url: str) -> dict[str, tuple[str, dict[str, str]]]:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-central-1"}
    azure = f"DefaultEndpointsProtocol=http;AccountName=x;AccountKey=eA==;BlobEndpoint={url}/x;"
    return {
        "S3": ("s3://b/etl", keys | {"AWS_ENDPOINT_URL": url}),
        "GCS": ("gs://b/etl", {"STORAGE_EMULATOR_HOST": url}),
        "Azure": ("azure://b/etl", {"AZURE_STORAGE_CONNECTION_STRING": azure}),
        "ECS": (
            "s3://b/etl",
            {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/creds", "AWS_REGION": "x", "AWS_ENDPOINT_URL": url},
        ),
        "IMDS": ("s3://b/etl", {"AWS_EC2_METADATA_SERVICE_ENDPOINT": url, "AWS_REGION": "x", "AWS_ENDPOINT_URL": url}),
    }


@pytest.mark.parametrize("kind", ["S3", "GCS", "Azure", "ECS", "IMDS"])
def test_no_refusal_of_a_server_reaches_a_terminal_raw(liar: str, kind: str) -> None:
    location, environ = connections(liar)[kind]
    for arguments in (("ls", location), ("doctor", location), ("run", location)):
        shown = at_terminal(environ, *arguments)
        assert shown.code in {69, 74, 77}, shown
        assert obeyed(shown.text) == set(), shown


@pytest.mark.parametrize(
    "name", ["RUNNER_STORAGE", "RUNNER_LOCATION", "RUNNER_EXECUTOR", "RUNNER_TIMEOUT", "AWS_REGION"]
)
def test_no_variable_reaches_a_terminal_raw(name: str) -> None:
    trick = UTF8.replace("\0", "")
    given = {"RUNNER_STORAGE": "s3", "RUNNER_LOCATION": "b/etl", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"} | {
        name: trick
    }
    for arguments in ((), ("doctor",), ("show", "r"), ("check",)):
        shown = at_terminal(given, *arguments)
        assert shown.code not in {0, 70}, shown
        assert obeyed(shown.text) == set(), shown


@pytest.mark.parametrize(
    "arguments",
    [
        ("ls",),
        ("show",),
        ("logs",),
        ("result",),
        ("inspect",),
        ("check",),
        ("run", "-p"),
        ("no-command",),
        ("ls", "-n"),
    ],
)
def test_no_argument_reaches_a_terminal_raw(arguments: tuple[str, ...]) -> None:
    """A link or a script that somebody else wrote, pasted into a command line."""
    trick = UTF8.replace("\0", "")
    shown = at_terminal({}, *arguments, trick) if arguments[0] != "no-command" else at_terminal({}, trick)
    assert shown.code in {2, 66, 78}, shown
    assert obeyed(shown.text) == set()


def test_a_result_is_shown_and_not_obeyed_and_its_bytes_not_thrown_at_a_terminal(place: Place, tmp_path: Path) -> None:
    publish(place, "etl.py")
    home = "e-t-l-taglich"
    given = {"RUNNER_PARAMETERS": json.dumps({"day": ALL}), "RUNNER_RUN_ID": "r"}
    assert start(located(place, home) | given).code == 0
    url = f"{place.url}/{home}/runs/r"
    shown = at_terminal({}, "result", url, "extract")
    assert shown.code == 0
    assert obeyed(shown.text) == set()
    as_json = at_terminal({}, "result", url, "extract", "--json")
    assert obeyed(as_json.text) == set()
    assert json.loads(as_json.text)[0]["day"] == ALL
    refused = at_terminal({}, "result", url, "extract", "-o", "-")
    assert refused.code == 2
    assert "standard output is a terminal" in refused.text
    assert run_command({}, "result", url, "extract", "-o", str(tmp_path / "x")).code == 0
    assert obeyed(at_terminal({}, "logs", url).text) == set()


def test_a_folder_of_everybodys_is_told_once_and_in_the_log(tmp_path: Path) -> None:
    """The warning went to standard error, raw, from each process that opened the folder."""
    place = local_place(tmp_path / "all\x1b[2J\u202eof us")
    publish(place, "etl.py")
    (tmp_path / "all\x1b[2J\u202eof us").chmod(0o777)
    environ = located(place, "e-t-l-taglich") | {"RUNNER_RUN_ID": "r", "RUNNER_HEARTBEAT": "0.2"}
    done = start(environ | {"RUNNER_LOCATION": str(tmp_path / "all\x1b[2J\u202eof us" / "e-t-l-taglich")})
    assert (done.code, done.stderr) == (0, "")
    [told] = [line for line in done.lines if "everybody on this machine" in line["message"]]
    assert (told["level"], told["logger"]) == ("WARNING", "runner.storage")
    for arguments in (("check", f"{place.url}/e-t-l-taglich"), ("retry", f"{place.url}/e-t-l-taglich/runs/r")):
        shown = at_terminal({}, *arguments)
        assert shown.code == 0, shown
        assert shown.text.count("everybody on this machine") == 1
        assert obeyed(shown.text) == set()


def test_a_terminal_with_another_encoding_is_no_reason_to_stop(place: Place) -> None:
    url = plant(place, end(error={"type": "x", "message": f"für „{ALL}“ 日本"}))
    for encoding, japanese in (
        ("ascii", "日"),
        ("latin-1", "\\u65e5"),
    ):  # an ASCII terminal is taken for UTF-8 by click
        shown = start({"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}, "show", url)
        assert shown.code == 0, shown
        assert japanese in shown.stdout


def test_what_people_write_is_shown_as_it_is() -> None:
    for text in (
        "für „Müller“ 日本\u3000語",
        "E.T.L. täglich",
        "\u0645\u06cc\u200c\u062e",
        "👩\u200d🔬",
        "a\xa0b",
        r"C:\x1b",
    ):
        assert logs.printable(text) == text
    assert logs.printable("a\tb\nc\x1b\u202e\x9b\ud800") == r"a\tb\nc\x1b\u202e\x9b\ud800"
    assert logs.text_block("a\tb\nc\r\n") == "a\tb\n  c\\r\n  "
