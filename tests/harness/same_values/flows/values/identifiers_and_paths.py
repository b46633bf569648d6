"""Paths, patterns, UUIDs and addresses: prefect #5684."""

import ipaddress
import re
import uuid
from pathlib import Path, PurePosixPath, PureWindowsPath

from runner import Flow, Parameter, task

PATTERN = re.compile(r"(?P<year>\d{4})-(\d\d)", re.ASCII)
NAMESPACE = uuid.UUID("12345678-1234-5678-1234-567812345678")


@task
def written(folder):
    path = Path(folder, "sub", "a.txt")
    path.parent.mkdir()
    path.write_text("é\n", "utf-8")
    return path.relative_to(folder), path.stat().st_size, PureWindowsPath("a\\b").parts, PurePosixPath("/x").parent


@task
def found():
    return PATTERN.match("2026-11").groupdict(), PATTERN.flags, uuid.uuid5(NAMESPACE, "a"), ipaddress.ip_address("::1")


with Flow("identifiers and paths") as flow:
    written(Parameter("folder"))
    found()
