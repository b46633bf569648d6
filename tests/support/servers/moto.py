"""Moto's server, a stand-in for S3."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import Server, spawn

_REGION = "us-east-1"


def _command(port: int, folder: Path) -> Sequence[str]:
    del folder
    return [sys.executable, "-P", str(Path(__file__).with_name("moto_layer.py")), str(port)]


@contextlib.contextmanager
def start_moto() -> Iterator[Server]:
    """S3 with no bucket in it, kept in memory; it accepts any key and any region."""
    with spawn(_command, ready_path="/moto-api/") as url:
        yield Server(
            url,
            {
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_REGION": _REGION,
                "AWS_ENDPOINT_URL": url,
            },
        )


def make_bucket(server: Server, name: str) -> None:
    """Create the bucket `name`."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name=server.environ["AWS_REGION"],
        aws_access_key_id=server.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.environ["AWS_SECRET_ACCESS_KEY"],
    )
    try:
        client.create_bucket(Bucket=name)
    finally:
        client.close()
