"""AWS Batch as moto has it: each job is a container on this machine's engine, in the machine's own network.

Of jobs it tells state and exit code; no reason, and neither retries nor limits of memory.
"""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from . import moto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from . import Server


def client(server: Server, service: str) -> Any:
    """A client of moto's."""
    connect: Any = boto3.client
    return connect(
        service,
        endpoint_url=server.url,
        region_name=server.environ["AWS_REGION"],
        aws_access_key_id=server.environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server.environ["AWS_SECRET_ACCESS_KEY"],
    )


def make_queue(server: Server) -> str:
    """Create a queue with an environment of its own."""
    name = f"queue-{uuid.uuid4().hex[:8]}"
    role = client(server, "iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({}))["Role"]["Arn"]
    batch = client(server, "batch")
    batch.create_compute_environment(computeEnvironmentName=name, type="UNMANAGED", state="ENABLED", serviceRole=role)
    order = [{"order": 1, "computeEnvironment": name}]
    batch.create_job_queue(jobQueueName=name, state="ENABLED", priority=1, computeEnvironmentOrder=order)
    return name


@contextmanager
def start_batch() -> Iterator[Server]:
    """A server of moto's whose containers reach it on loopback."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_DOCKER_NETWORK_MODE", "host")
        with moto.start_moto() as server:
            yield server
