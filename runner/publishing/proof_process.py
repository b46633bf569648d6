"""The fresh process that `runner.publishing.proof` starts: it loads a bundle, and tells what came of it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TypedDict

from runner.bundle import archive, load
from runner.errors import RunnerError
from runner.publishing.features import features_of
from runner.publishing.kept import kept_by

ANSWER = "answer"  # the file in its working directory that it writes, once it is whole


class Answer(TypedDict):
    """What it tells: the features of the flow that it loaded, or why that failed, and the module that was missing.

    ``kept`` is what the author's modules keep of the flow's file there.
    """

    features: list[tuple[str, str]]
    kept: list[tuple[str, str, str]]
    failed: str | None
    missing: str | None


def answer() -> None:
    """Load the bundle on standard input, below a line with what to look at, and write the answer."""
    sys.path.pop()  # where runner was found: beside it, in its own tree, others may lie
    folder = Path.cwd()
    request = json.loads(sys.stdin.buffer.readline())
    opened = archive.read_bundle(sys.stdin.buffer.read())
    try:
        flow = load.load_bundle(opened, "", str(folder), lambda _folder: None)
        features = [(each.label, each.told) for each in features_of(flow, request["module"], request["imported"])]
        kept = [(*kept,) for kept, _ in kept_by(request["modules"], request["module"])]
        told = Answer(features=features, kept=kept, failed=None, missing=None)
    except RunnerError as error:
        cause = error.__cause__
        missing = cause.name if isinstance(cause, ModuleNotFoundError) else None
        told = Answer(features=[], kept=[], failed=error.message, missing=missing)
    partial = folder / f"{ANSWER}.new"
    partial.write_text(json.dumps(told), "utf-8")
    partial.rename(folder / ANSWER)
    os._exit(0)  # whatever the author's modules have started
