"""What a run writes can be read again, however much it has to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.fuzz.targets import KINDS, RUN, TASK
from runner.errors import TooLarge, UsageError, WriteFailed
from runner.limits import LIMITS, limit_of, read_text
from runner.model.verdict import Verdict
from runner.runs import documents
from runner.runs.ends import RunFacts, end_document
from runner.runs.layout import Claim, RunLayout
from runner.runs.store import RunStore
from runner.signing import keys
from support.places import local_place

if TYPE_CHECKING:
    from pathlib import Path

CLAIM = Claim(1, "2026-11-22T12:10:24.845190+00:00", "0" * 32)
FACTS = RunFacts("etl", {"url": "s3://b/etl/v", "sha256": "0" * 64})


def failed(number: int) -> Any:
    error = {"type": "ValueError", "message": f"{number} " + "é" * 20_000, "traceback": "t" * 20_000}
    return TASK | {"index": number, "state": "failed", "started": None, "ended": None, "error": error, "result": None}


def test_an_end_has_room_for_all_elements_that_failed() -> None:
    end = end_document("r", CLAIM, FACTS, Verdict("failed", 1, "no"), [failed(number) for number in range(5000)])
    data = documents.encode(end)
    assert len(data) < limit_of("end")
    tasks = documents.decode(data, "end")["tasks"]
    assert tasks[0] == failed(0)
    assert [task["error"]["message"].split()[0] for task in tasks] == [str(number) for number in range(5000)]


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    here = local_place(tmp_path / "root")
    store = RunStore(here.open(), RunLayout("etl", "r"))
    request: Any = RUN | {"executor": "threads"}
    for parameters in ({"x": [1] * 400_001}, {"x": "x" * limit_of("run")}):
        with pytest.raises(WriteFailed, match="larger than can be read again"):
            store.create_request(request | {"parameters": parameters})
    assert here.keys() == []


@pytest.mark.parametrize("name", ["run.json", "outcome.json", "attempts/0001/claim.json", "attempts/0001/end.json"])
def test_documents_have_the_limit_of_their_kind(tmp_path: Path, name: str) -> None:
    here = local_place(tmp_path / "root")
    kind = KINDS[name.rpartition("/")[2]]
    path = tmp_path / "root/etl/runs/r" / name
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(limit_of(kind) + 1)
    store = RunStore(here.open(), RunLayout("etl", "r"))

    def read() -> None:
        for document in (store.read_request(), store.read_outcome(), store.read_claim(1), store.read_end(1)):
            assert document is None

    with pytest.raises(TooLarge, match=f"no more than {limit_of(kind):,} are read"):
        read()


def test_files_that_settings_name_have_limits(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"a\r\nb\r" + b"x" * 100)
    assert read_text(str(file), "key's file") == "a\nb\n" + "x" * 100
    with pytest.raises(ValueError, match="larger than the 65,536 bytes"):
        read_text("/dev/zero", "key's file")
    with pytest.raises(UsageError, match="cannot be read as a key's file"):
        keys.read_file(file.__class__("/dev/zero"))


def test_each_limit_has_a_reason() -> None:
    assert all(size > 0 and reason for size, reason in LIMITS.values())
