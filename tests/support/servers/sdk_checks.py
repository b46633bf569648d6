"""What the checks of the tests' own servers share: clients, races and torn reads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config

from support.servers import Server

RACERS = 16


ODD_KEYS = ["100%", "%2F", "a b", "a+b", "q?x#y&z=1", "x/acl", "ü/日本"]


ODD_BODIES = [b"", b"{}", b"\r", b"\r\n\r\n", b"\n--x--\r\n", bytes(range(256)) * 99]


def s3_client(server: Server, **changes: Any) -> Any:
    environ = server.environ
    return boto3.client(
        "s3",
        **{
            "endpoint_url": server.url,
            "region_name": environ["AWS_REGION"],
            "aws_access_key_id": environ["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": environ["AWS_SECRET_ACCESS_KEY"],
            "verify": environ.get("AWS_CA_BUNDLE"),
            "config": Config(
                retries={"total_max_attempts": 1}, max_pool_connections=RACERS, s3={"addressing_style": "path"}
            ),
            **changes,
        },
    )


def code_of(error: pytest.ExceptionInfo[botocore.exceptions.ClientError]) -> tuple[int, str]:
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def race(create: Callable[[bytes], object], lost: type[Exception] | tuple[type[Exception], ...]) -> list[bytes]:
    """What won, of as many creations at once as there are racers, each with a content of its own."""
    start = Barrier(RACERS)

    def run(number: int) -> bytes | None:
        content = b"%02d" % number * 20_000
        start.wait()
        try:
            create(content)
        except lost:
            return None
        return content

    with ThreadPoolExecutor(RACERS) as pool:
        return [content for content in pool.map(run, range(RACERS)) if content is not None]


def torn_reads(write: Callable[[bytes], object], read: Callable[[], bytes]) -> list[bytes]:
    """What readers saw that was never written as a whole, while two contents took turns."""
    contents = [b"a" * 700_000, b"b" * 500_000]
    done = Event()
    write(contents[0])

    def watch() -> list[bytes]:
        seen = []
        while not done.is_set():
            seen.append(read())
        return seen

    with ThreadPoolExecutor(3) as pool:
        watchers = [pool.submit(watch) for _ in range(3)]
        try:
            for number in range(12):
                write(contents[number % 2])
        finally:
            done.set()
    seen = [content for watcher in watchers for content in watcher.result()]
    assert seen
    return [content for content in seen if content not in contents]
