"""What holds in the image for AWS, and in those built on it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from support.containers import run_image
from support.servers.moto import make_bucket

if TYPE_CHECKING:
    from support.servers import Server


CODE = "import boto3; print([bucket['Name'] for bucket in boto3.client('s3').list_buckets()['Buckets']])"


def test_boto3_reaches_the_account(image: str, moto: Server) -> None:
    make_bucket(moto, name := f"bucket-{uuid.uuid4().hex[:12]}")
    done = run_image(image, "python", "-c", CODE, environ=moto.environ | {"AWS_DEFAULT_REGION": "us-east-1"})
    assert name in done.stdout, done
