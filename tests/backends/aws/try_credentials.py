"""Run by test_credentials.py: asks boto3 for credentials, and runner for an object, as the environment has it."""

from __future__ import annotations

import json
import os
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from runner import errors
from runner.backends import open_storage
from runner.location import parse_location
from runner.secrets.named import resolve


def sdk() -> dict[str, str | None]:
    try:
        found = boto3.Session().get_credentials()
        return {"key": found.get_frozen_credentials().access_key if found else None}
    except (BotoCoreError, ClientError, ValueError, OSError, KeyError, RuntimeError) as error:
        return {"key": None, "text": repr(error)}


def runner(key: str) -> dict[str, str]:
    try:
        storage = open_storage(parse_location("s3://bucket"), resolve([], os.environ), os.environ)
        try:
            storage.read(key)
        except errors.NotFound:
            return {"source": storage.credential_source.source.name if storage.credential_source else ""}
    except (errors.CredentialsRefused, errors.EnvironmentWrong) as error:
        return {"text": str(error)}
    raise AssertionError("there is no such object")


print(json.dumps({"sdk": sdk(), "runner": runner(sys.argv[1])}))
